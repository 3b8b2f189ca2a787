#include "resolver_names.h"

#include <algorithm>
#include <cerrno>

#include "netjail/plan/plan.h"

namespace netjail {
namespace {

using std::chrono::seconds;

// After a set was full: the kernel's sweep of what has expired comes to nothing while anybody adds
// (learned.h).
constexpr std::chrono::milliseconds kFullPause{1500};
// hosts(5) has no time-outs.
constexpr seconds kForever = std::chrono::hours(24 * 3650);

// What is denied stays so for longer than any name that has the address by then can keep it open (kMaxTtl):
// deny beats allow, whoever learned it. An opening is renewed up to kSlack too late.
constexpr seconds kDenialExtra = seconds(dns::kMaxTtl) + kLearnedGrace + 2 * KnownAddresses::kSlack;

}  // namespace

Names::Names(const ResolverSettings& settings, ResolverHooks hooks)
    : hooks_(std::move(hooks)), gate_(settings) {
  for (const NameGroup& group : make_name_groups(settings.policy))
    denies_.push_back(group.action == Action::deny);
}

Status Names::open_hosts(Time now) {
  for (const auto& [name, host] : gate_.hosts()) {
    for (const Ip& ip : host.addresses)
      if (const std::size_t groups = host.learners.of(ip).size();
          !known_.add(name, ip, groups, kForever, now) && groups > 0)
        return fail("the names of rules have too many addresses in /etc/hosts",
                    "narrow the rules: netjail plan shows them");
    for (const Ip& ip : host.withheld) known_.add(name, ip, 0, kForever, now);
    NJ_TRY(open(host.learners, host.addresses, kForever, now));
  }
  return {};
}

void Names::refuse(const RefusedName& refused) {
  ++refused_;
  if (hooks_.on_refused) hooks_.on_refused(refused);
}

Ruling Names::judge(const dns::Name& asked, std::uint16_t type, Time now) {
  Ruling ruling = gate_.judge(asked, type, known_, now);
  if (ruling.refused) refuse(*ruling.refused);
  return ruling;
}

bool Names::spend(const dns::Name& asked, const NameVerdict& verdict, Time now) {
  const auto spent = gate_.spend(asked, verdict, now);
  if (spent) refuse(*spent);
  return !spent;
}

std::optional<dns::Filtered> Names::open(dns::Answer answer, std::uint16_t type, const NameVerdict& verdict,
                                         Time now) {
  const std::string name = dns::to_string(answer.chain.front());
  const std::string pattern = gate_.pattern(verdict);
  Passed passed = gate_.pass(std::move(answer), type, verdict, now);
  for (const RefusedName& refused : passed.refused) refuse(refused);
  const seconds ttl(passed.filtered.answer.ttl);
  std::vector<Ip> over;
  for (const Ip& ip : dns::told_addresses(passed.filtered.answer))
    if (const std::size_t groups = passed.learners.of(ip).size();
        !known_.add(name, ip, groups, ttl, now, pattern) && groups > 0)
      over.push_back(ip);
  if (!over.empty()) {
    refuse({name, RefusedName::Why::full, {}, 1});
    passed.filtered = dns::filter_answer(
        std::move(passed.filtered.answer),
        [&](const Ip& ip) { return std::ranges::find(over, ip) == over.end(); }, dns::Ech::keep);
  }
  const Status opened = open(passed.learners, dns::told_addresses(passed.filtered.answer), ttl, now);
  if (opened) return std::move(passed.filtered);
  refuse({name, RefusedName::Why::full, opened.error().what, 1});
  return std::nullopt;
}

Status Names::open(const Learners& learners, std::span<const Ip> addresses, seconds ttl, Time now) {
  std::vector<Opening> openings;
  for (const Ip& ip : addresses) {
    for (const std::size_t group : learners.of(ip)) {
      const auto due = known_.due(ip, group, denies_[group] ? ttl + kDenialExtra : ttl, now);
      if (!due) continue;
      auto opening = std::ranges::find(openings, group, &Opening::group);
      if (opening == openings.end()) opening = openings.insert(opening, Opening{group, {}});
      opening->addresses.push_back(*due);
    }
  }
  if (openings.empty()) return {};
  if (now < full_until_) return fail("a set of learned addresses is full");
  Status done = hooks_.open(openings);
  if (!done) {
    if (done.error().code == ENFILE) full_until_ = now + kFullPause;
    return done;
  }
  for (const Opening& opening : openings)
    for (const LearnedAddress& address : opening.addresses) known_.opened(address, opening.group, now);
  return {};
}

}  // namespace netjail
