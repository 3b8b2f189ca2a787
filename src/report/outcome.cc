#include <algorithm>

#include "netjail/report/report.h"

namespace netjail {

namespace {

// Counts one more of its kind; true if `made` is the first.
template <class T, class Same>
bool count_one(std::vector<T>& seen, const Same& same, const T& made) {
  if (const auto found = std::ranges::find_if(seen, same); found != seen.end()) {
    ++found->count;
    return false;
  }
  if (seen.size() >= Outcome::kMostRefusals) return false;
  seen.push_back(made);
  return true;
}

}  // namespace

bool Outcome::add_refusal(const Flow& flow, const std::string& rule) {
  const auto same = [&](const Refusal& refusal) { return refusal.flow == flow && refusal.rule == rule; };
  return count_one(refusals, same, {flow, rule, 1});
}

bool Outcome::add_refused_name(const std::string& name) {
  const auto same = [&](const RefusedName& refused) { return refused.name == name; };
  return count_one(refused_names, same, {name, 1});
}

bool Outcome::add_refused_namespace(const std::string& program) {
  const auto same = [&](const RefusedNamespace& refused) { return refused.program == program; };
  return count_one(refused_namespaces, same, {program, 1});
}

std::uint64_t Outcome::refused() const {
  std::uint64_t total = 0;
  for (const auto& [rule, count] : refused_by_rule) total += count;
  for (const RefusedName& name : refused_names) total += name.count;
  return total;
}

}  // namespace netjail
