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

NameRules::NameRules(const Policy& policy) : empty_(!policy.allows_names()) {
  const auto groups = make_name_groups(policy);
  std::vector<std::optional<std::size_t>> group_of(policy.rules.size());
  for (std::size_t group = 0; group < groups.size(); ++group)
    for (const std::size_t rule : groups[group].rules) group_of[rule] = group;
  std::vector<NamePattern> patterns;
  for (std::size_t index = 0; index < policy.rules.size(); ++index) {
    const Rule& rule = policy.rules[index];
    rules_.push_back(rule.id);
    if (rule.any_name && !any_name_) {
      any_name_ = true;
      any_rule_ = index;
    }
    for (const NamePattern& pattern : rule.names) {
      patterns.push_back(pattern);
      owners_.push_back({index, group_of[index], rule.action, rule.local});
    }
  }
  set_ = NameSet(patterns);
}

NameVerdict NameRules::find(const Name& name) const {
  NameVerdict verdict;
  bool exact = any_name_;
  std::optional<std::size_t> first;  // rule that allows it; patterns are in the order of the rules
  if (any_name_) first = any_rule_;
  for (const std::size_t index : set_.find(name)) {
    const Owner& owner = owners_[index];
    const bool deny = owner.action == Action::deny;
    if (deny && !owner.group) return {.rule = rules_[owner.rule]};
    verdict.groups.push_back(*owner.group);
    if (deny || owner.local) verdict.local_groups.push_back(*owner.group);
    if (deny) continue;
    first = std::min(first.value_or(owner.rule), owner.rule);
    verdict.local = verdict.local || owner.local;
    const NamePattern& pattern = set_.pattern(index);
    if (!pattern.below) {
      exact = true;
      continue;
    }
    const std::size_t octets = name.text.size() - pattern.name.text.size() - 1;  // without the dot
    if (!verdict.wildcard || octets < verdict.wildcard->octets)
      verdict.wildcard = NameVerdict::Wildcard{index, octets};
  }
  if (!first) return {.rule = std::string(kDefaultRule)};
  if (exact) verdict.wildcard.reset();
  verdict.action = Action::allow;
  verdict.rule = rules_[*first];
  for (auto* groups : {&verdict.groups, &verdict.local_groups}) {
    std::ranges::sort(*groups);
    const auto twice = std::ranges::unique(*groups);
    groups->erase(twice.begin(), twice.end());
  }
  return verdict;
}

std::vector<std::size_t> NameRules::denials(const Name& name) const {
  std::vector<std::size_t> groups;
  for (const std::size_t index : set_.find(name)) {
    const Owner& owner = owners_[index];
    if (owner.action == Action::deny && owner.group) groups.push_back(*owner.group);
  }
  return groups;
}

}  // namespace netjail
