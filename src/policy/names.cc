#include "netjail/policy/names.h"

#include <algorithm>

namespace netjail {
std::span<const Service> default_name_services() {
  static const std::vector<Service> kWeb{
      {kTcp, PortRange{80, 80}, {}}, {kTcp, PortRange{443, 443}, {}}, {kUdp, PortRange{443, 443}, {}}};
  return kWeb;
}

std::vector<NameGroup> make_name_groups(const Policy& policy) {
  std::vector<NameGroup> groups;
  for (std::size_t index = 0; index < policy.rules.size(); ++index) {
    const Rule& rule = policy.rules[index];
    if (rule.names.empty() || rule.name_services.empty()) continue;
    std::vector<Service> services = rule.name_services;
    std::ranges::sort(services);
    const auto twice = std::ranges::unique(services);
    services.erase(twice.begin(), twice.end());
    const auto same = std::ranges::find_if(groups, [&](const NameGroup& group) {
      return group.action == rule.action && group.services == services;
    });
    if (same != groups.end())
      same->rules.push_back(index);
    else
      groups.push_back({rule.id, rule.action, std::move(services), {index}});
  }
  return groups;
}

NameRules::NameRules(const Policy& policy) {
  const auto groups = make_name_groups(policy);
  for (std::size_t index = 0; index < policy.rules.size(); ++index) {
    const Rule& rule = policy.rules[index];
    rules_.push_back(rule.id);
    const bool allow = rule.action == Action::allow;
    if (allow && rule.any_name && !any_name_) {
      any_name_ = true;
      any_rule_ = rule.id;
    }
    names_ = names_ || (allow && !rule.names.empty());
    const auto group = std::ranges::find_if(
        groups, [&](const NameGroup& one) { return std::ranges::binary_search(one.rules, index); });
    const auto number = group == groups.end()
                            ? std::nullopt
                            : std::optional(static_cast<std::size_t>(group - groups.begin()));
    for (const NamePattern& pattern : rule.names) {
      patterns_.push_back(pattern);
      owners_.push_back({index, number, rule.action, rule.local});
    }
  }
  set_ = NameSet(patterns_);
}

NameVerdict NameRules::find(const Name& name) const {
  NameVerdict verdict{.rule = std::string(kDefaultRule)};
  bool exact = any_name_;
  std::optional<std::size_t> first;  // rule
  for (const std::size_t index : set_.find(name)) {
    const Owner& owner = owners_[index];
    if (owner.action == Action::deny && !owner.group) return {.rule = rules_[owner.rule]};
    if (owner.group) verdict.groups.push_back(*owner.group);
    if (owner.action == Action::deny) continue;
    if (!first) first = owner.rule;
    verdict.local = verdict.local || owner.local;
    if (!patterns_[index].below) exact = true;
    const std::size_t octets = name.text.size() - patterns_[index].name.text.size();
    if (!verdict.wildcard || octets < verdict.wildcard->octets)
      verdict.wildcard = NameVerdict::Wildcard{index, octets};
  }
  if (exact) verdict.wildcard.reset();
  if (!first && !any_name_) return {.rule = std::string(kDefaultRule)};
  verdict.action = Action::allow;
  verdict.rule = first ? rules_[*first] : any_rule_;
  std::ranges::sort(verdict.groups);
  const auto twice = std::ranges::unique(verdict.groups);
  verdict.groups.erase(twice.begin(), twice.end());
  return verdict;
}

}  // namespace netjail
