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

bool Outcome::add_refusal(const Flow& flow, const std::string& rule, const std::string& name) {
  const auto same = [&](const Refusal& refusal) { return refusal.flow == flow && refusal.rule == rule; };
  return count_one(refusals, same, {flow, rule, 1, name});
}

bool Outcome::add_refused_name(const RefusedName& refused) {
  // Questions come by the hundred thousand: their place is remembered.
  const std::string key = refused.name + '\0' + refused.detail + static_cast<char>(refused.why);
  const auto [at, added] = name_places_.try_emplace(key, refused_names.size());
  if (!added) {
    ++refused_names[at->second].count;
    return false;
  }
  if (refused_names.size() >= kMostRefusals) {
    name_places_.erase(at);
    ++unlisted_names;
    return false;
  }
  refused_names.push_back(refused);
  refused_names.back().count = 1;
  return true;
}

bool Outcome::add_refused_namespace(const std::string& program) {
  const auto same = [&](const RefusedNamespace& refused) { return refused.program == program; };
  return count_one(refused_namespaces, same, {program, 1});
}

std::uint64_t Outcome::refused() const {
  std::uint64_t total = 0;
  for (const auto& [rule, count] : refused_by_rule) total += count;
  for (const RefusedName& name : refused_names) total += name.count;
  total += unlisted_names;
  return total;
}

}  // namespace netjail
