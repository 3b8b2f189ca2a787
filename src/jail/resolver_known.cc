#include "resolver_known.h"

#include <algorithm>

#include "netjail/plan/plan.h"

namespace netjail {
namespace {

using std::chrono::seconds;

// Between two looks at everything, when there is no room.
constexpr seconds kSweepPause{1};

}  // namespace

bool KnownAddresses::add(const std::string& name, const Ip& address, std::size_t groups, seconds ttl,
                         Time now, const std::string& pattern) {
  const auto known = addresses_.find(address);
  const bool same = known != addresses_.end() && *known->second.name == name;
  const auto full = [&] {
    if (same) return false;
    return (known == addresses_.end() && openings_ + groups > limits_.of_jail) ||
           !has_room(name, limits_.of_name) || (!pattern.empty() && !has_room(pattern, limits_.of_pattern));
  };
  if (full()) {
    if (known != addresses_.end() || now - swept_ < kSweepPause) return false;
    sweep(now);
    if (full()) return false;
  }
  const Time until = now + ttl + kLearnedGrace;
  if (same) {
    known->second.until = std::max(known->second.until, until);
    return true;
  }
  const Owner owner = charge(name), above = pattern.empty() ? nullptr : charge(pattern);
  if (known != addresses_.end()) {
    let_go(std::exchange(known->second.name, owner));
    let_go(std::exchange(known->second.pattern, above));
    known->second.until = std::max(known->second.until, until);
    return true;
  }
  addresses_.emplace(address, Address{owner, above, until, {}});
  ++openings_;
  return true;
}

std::optional<LearnedAddress> KnownAddresses::due(const Ip& address, std::size_t group, seconds ttl,
                                                  Time now) const {
  const auto timeout = std::chrono::duration_cast<std::chrono::milliseconds>(ttl + kLearnedGrace);
  const auto known = addresses_.find(address);
  if (known != addresses_.end()) {
    for (const Opening& opening : known->second.openings)
      if (opening.group == group && opening.until >= now + ttl + kLearnedGrace - kSlack) return std::nullopt;
  }
  return LearnedAddress{address, timeout};
}

void KnownAddresses::opened(const LearnedAddress& address, std::size_t group, Time now) {
  const auto known = addresses_.find(address.address);
  if (known == addresses_.end()) return;
  const Time until = now + address.timeout;
  for (Opening& opening : known->second.openings)
    if (opening.group == group) {
      opening.until = until;
      return;
    }
  if (!known->second.openings.empty()) ++openings_;
  known->second.openings.push_back({group, until});
}

std::string KnownAddresses::name_of(const Ip& address) const {
  const auto known = addresses_.find(address);
  return known == addresses_.end() ? std::string() : *known->second.name;
}

bool KnownAddresses::has_room(const std::string& owner, std::size_t most) const {
  const auto found = names_.find(owner);
  return found == names_.end() || found->second < most;
}

KnownAddresses::Owner KnownAddresses::charge(const std::string& owner) {
  const auto found = names_.try_emplace(owner, 0).first;
  ++found->second;
  return &found->first;
}

void KnownAddresses::let_go(Owner owner) {
  if (owner == nullptr) return;
  const auto found = names_.find(*owner);
  if (--found->second == 0) names_.erase(found);
}

void KnownAddresses::sweep(Time now) {
  swept_ = now;
  for (auto at = addresses_.begin(); at != addresses_.end();) {
    const Address& address = at->second;
    const bool open =
        std::ranges::any_of(address.openings, [&](const Opening& opening) { return opening.until > now; });
    if (open || address.until > now) {
      ++at;
      continue;
    }
    openings_ -= std::max<std::size_t>(address.openings.size(), 1);
    let_go(address.name);
    let_go(address.pattern);
    at = addresses_.erase(at);
  }
}

}  // namespace netjail
