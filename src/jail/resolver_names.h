// What the names of a policy are to the resolver: rulings before a question, openings before an answer, and
// the refusals that come of both, told to its owner.
#pragma once

#include "resolver_gate.h"

namespace netjail {

class Names {
 public:
  using Time = Gate::Time;

  Names(const ResolverSettings& settings, ResolverHooks hooks);

  // Those of the host's hosts(5), which the program can find by itself: before it starts.
  Status open_hosts(Time now);

  Ruling judge(const dns::Name& asked, std::uint16_t type, Time now);
  // Whether the question may leave.
  bool spend(const dns::Name& asked, const NameVerdict& verdict, Time now);
  // What may be told of the answer, when that is open; nothing when the kernel could not open it.
  std::optional<dns::Filtered> open(dns::Answer answer, std::uint16_t type, const NameVerdict& verdict,
                                    Time now);

  void refuse(const RefusedName& refused);
  std::uint64_t refused() const { return refused_; }
  std::string name_of(const Ip& address) const { return known_.name_of(address); }

 private:
  Status open(const Learners& learners, std::span<const Ip> addresses, std::chrono::seconds ttl, Time now);

  ResolverHooks hooks_;
  Gate gate_;
  std::vector<bool> denies_;  // of each group
  KnownAddresses known_;
  Time full_until_{};
  std::uint64_t refused_ = 0;
};

}  // namespace netjail
