#include <algorithm>

#include "netjail/report/report.h"

namespace netjail {

bool Outcome::add_refusal(const Flow& flow, const std::string& rule) {
  const auto same = [&](const Refusal& refusal) { return refusal.flow == flow && refusal.rule == rule; };
  if (const auto found = std::ranges::find_if(refusals, same); found != refusals.end()) {
    ++found->count;
    return false;
  }
  if (refusals.size() >= kMostRefusals) return false;
  refusals.push_back({flow, rule, 1});
  return true;
}

bool Outcome::add_refused_name(const std::string& name) {
  const auto same = [&](const RefusedName& refused) { return refused.name == name; };
  if (const auto found = std::ranges::find_if(refused_names, same); found != refused_names.end()) {
    ++found->count;
    return false;
  }
  if (refused_names.size() >= kMostRefusals) return false;
  refused_names.push_back({name, 1});
  return true;
}

std::uint64_t Outcome::refused() const {
  std::uint64_t total = 0;
  for (const auto& [rule, count] : refused_by_rule) total += count;
  for (const RefusedName& name : refused_names) total += name.count;
  return total;
}

}  // namespace netjail
