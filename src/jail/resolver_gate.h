// What becomes of a question before anybody is asked, and of an answer before anybody is told. Pure, but for
// the time, which is told.
#pragma once

#include <unordered_map>

#include "dns_answer.h"
#include "netjail/jail/resolver.h"
#include "netjail/policy/names.h"
#include "resolver_budget.h"
#include "resolver_known.h"

namespace netjail {

// `refused` is to be told, whatever the fate.
struct Ruling {
  enum class Fate : std::uint8_t { reply, ask };
  Fate fate = Fate::reply;
  dns::Filtered reply;  // of Fate::reply
  NameVerdict verdict;  // of Fate::ask
  std::optional<RefusedName> refused;
};

// The groups that learn the addresses of a name.
struct Learners {
  std::vector<std::size_t> groups;
  std::vector<std::size_t> local_groups;  // local addresses
  const std::vector<std::size_t>& of(const Ip& ip) const {
    return local_addresses().contains(ip) ? local_groups : groups;
  }
};

// An answer, as far as it may be told.
struct Passed {
  dns::Filtered filtered;
  Learners learners;
  std::vector<RefusedName> refused;
};

class Gate {
 public:
  using Time = std::chrono::steady_clock::time_point;

  explicit Gate(const ResolverSettings& settings);

  // Whether `asked` may be looked up:
  //   - no server is asked for loopback names (RFC 6761), for names of other worlds, for names that no rule
  //     allows (NXDOMAIN), for names of the host's hosts(5), for reverse names of addresses that the jail
  //     learned by asking; nor, where the jail has no IPv6, for AAAA records;
  //   - reverse names of what the rules open by address are asked for, others are not;
  //   - so are names that an answer to an allowed name has named as the place of its service (HTTPS, SVCB,
  //     SRV, MX, CNAME), by the rules of that name, while that answer holds. They share a budget.
  Ruling judge(const dns::Name& asked, std::uint16_t type, const KnownAddresses& known, Time now) const;
  // Whether a question that is not answered from the cache may leave: names below a '*' have a budget, and so
  // have those that answers lead to.
  // Nothing: it may.
  std::optional<RefusedName> spend(const dns::Name& asked, const NameVerdict& verdict, Time now);

  // What a name is below that no rule names; empty where one does.
  std::string pattern(const NameVerdict& verdict) const;

  Passed pass(dns::Answer answer, std::uint16_t type, const NameVerdict& verdict, Time now);

  // Those of the host's hosts(5), to be opened before the program starts.
  struct HostName {
    Learners learners;
    std::vector<Ip> addresses;
    std::vector<Ip> withheld;  // not to be told: for the report
  };
  const std::unordered_map<std::string, HostName>& hosts() const { return hosts_; }

 private:
  struct Derived {
    NameVerdict verdict;
    Time until;
  };
  Ruling refuse(const dns::Name& asked, std::string rule) const;
  std::optional<Ruling> judge_reverse(const dns::Name& asked, std::uint16_t type,
                                      const KnownAddresses& known) const;
  std::optional<Ruling> judge_special(const dns::Name& asked, std::uint16_t type) const;
  NameVerdict find(const dns::Name& name, Time now) const;
  bool may_tell(const Ip& ip, bool local) const;
  void derive(const dns::Answer& answer, std::uint16_t type, NameVerdict inherited, Time now);

  NameRules rules_;
  AddressSet host_;
  bool ipv6_;
  std::vector<std::string> search_;
  AddressSet open_;                                   // by rules that name addresses
  std::unordered_map<std::string, HostName> hosts_;   // by Name::text
  std::unordered_map<std::string, Derived> derived_;  // by Name::text
  WildcardBudget budget_;
};

}  // namespace netjail
