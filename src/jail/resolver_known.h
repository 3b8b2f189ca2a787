// The addresses that names turned out to have: which name told them, for which groups of rules they are open,
// and until when. Bounded, for a name and for the jail. Pure, but for the time, which is told.
#pragma once

#include <chrono>
#include <cstdint>
#include <span>
#include <string>
#include <unordered_map>
#include <vector>

#include "netjail/kernel/learned.h"
#include "netjail/net/ip.h"

namespace netjail {

class KnownAddresses {
 public:
  using Time = std::chrono::steady_clock::time_point;
  struct Limits {
    std::size_t of_name = 512;
    std::size_t of_pattern = 8192;  // all names below one '*'
    std::size_t of_jail = 32768;    // an address of several groups counts for each; a set has twice the room
  };

  // An opening is renewed when it has less than this before it would have to be: a name that is asked every
  // second costs the kernel something once a minute.
  static constexpr std::chrono::seconds kSlack{60};

  explicit KnownAddresses(Limits limits) : limits_(limits) {}
  KnownAddresses() : KnownAddresses(Limits{}) {}

  // Notes that `name` has `address` and says whether there is room for it: else it must be neither told nor
  // opened. `pattern` is what the name is below, else empty: no name is written like it ("*.example.org").
  bool add(const std::string& name, const Ip& address, std::size_t groups, std::chrono::seconds ttl, Time now,
           const std::string& pattern = {});
  // How long `address`, which was added, must be open for `group`, or nothing when it is long enough as it
  // is.
  std::optional<LearnedAddress> due(const Ip& address, std::size_t group, std::chrono::seconds ttl,
                                    Time now) const;
  void opened(const LearnedAddress& address, std::size_t group, Time now);

  // The last name that had it; empty when none has.
  std::string name_of(const Ip& address) const;
  std::size_t size() const { return addresses_.size(); }

 private:
  struct Opening {
    std::size_t group;
    Time until;
  };
  struct Address {
    const std::string* name;     // a key of names_
    const std::string* pattern;  // another, or null
    Time until;                  // nobody needs to know it any longer
    std::vector<Opening> openings;
  };
  struct Hash {
    std::size_t operator()(const Ip& ip) const {
      return std::hash<std::string_view>()({reinterpret_cast<const char*>(ip.bytes.data()), ip.bytes.size()});
    }
  };
  using Owner = const std::string*;
  bool has_room(const std::string& owner, std::size_t most) const;
  Owner charge(const std::string& owner);
  void let_go(Owner owner);
  void sweep(Time now);

  Limits limits_;
  std::unordered_map<std::string, std::size_t> names_;  // and patterns: addresses of each
  std::unordered_map<Ip, Address, Hash> addresses_;
  std::size_t openings_ = 0;
  Time swept_{};
};

}  // namespace netjail
