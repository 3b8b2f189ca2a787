// The reference: as plain as it can be said, so that everything faster can be compared with it.
#include <algorithm>

#include "netjail/policy/names.h"

namespace netjail {
namespace {

bool any_matches(const std::vector<Service>& services, const Flow& flow) {
  return services.empty() ||
         std::ranges::any_of(services, [&](const Service& service) { return matches(service, flow); });
}

// By the addresses that are written, or by those that the names of its group turned out to have.
bool applies(const Rule& rule, const Flow& flow, const Learned& learned, bool ipv6) {
  if (rule.addresses.contains(flow.destination) && any_matches(rule.services, flow)) return true;
  if (flow.destination.family == Family::ipv6 && !ipv6) return false;
  const auto group = learned.find(rule.id);
  return group != learned.end() && group->second.contains(flow.destination) &&
         any_matches(rule.name_services, flow);
}

const Rule* first_match(const Policy& policy, Action action, const Flow& flow, const Learned& learned) {
  const auto found = std::ranges::find_if(policy.rules, [&](const Rule& rule) {
    return rule.action == action && applies(rule, flow, learned, policy.ipv6);
  });
  return found == policy.rules.end() ? nullptr : &*found;
}

bool names(const Rule& rule, const Name& name) {
  return std::ranges::any_of(rule.names, [&](const NamePattern& pattern) { return matches(pattern, name); });
}

}  // namespace

Verdict decide(const Policy& policy, const Flow& flow, const Learned& learned) {
  const auto denied_by = [](std::string_view id) { return Verdict{Action::deny, std::string(id)}; };
  if (unroutable_addresses().contains(flow.destination)) return denied_by(kUnroutableRule);
  if (policy.host.contains(flow.destination)) return denied_by(kHostRule);
  if (const Rule* rule = first_match(policy, Action::deny, flow, learned)) return denied_by(rule->id);
  if (const Rule* rule = first_match(policy, Action::allow, flow, learned)) return {Action::allow, rule->id};
  return denied_by(local_addresses().contains(flow.destination) ? kLocalRule : kDefaultRule);
}

Verdict decide(const Policy& policy, const Name& name, const Flow& flow) {
  const bool local = std::ranges::any_of(policy.rules, [&](const Rule& rule) {
    return rule.action == Action::allow && rule.local && (rule.any_name || names(rule, name));
  });
  const AddressSet openable = openable_addresses(policy, local);
  for (const Rule& rule : policy.rules) {
    if (rule.action != Action::deny) continue;
    if (names(rule, name) && any_matches(rule.name_services, flow)) return {Action::deny, rule.id};
    if (any_matches(rule.services, flow) && openable.without(rule.addresses).empty())
      return {Action::deny, rule.id};
  }
  for (const Rule& rule : policy.rules) {
    if (rule.action != Action::allow) continue;
    if (names(rule, name) && any_matches(rule.name_services, flow)) return {Action::allow, rule.id};
    if (rule.any_name && any_matches(rule.services, flow)) return {Action::allow, rule.id};
  }
  return {Action::deny, std::string(kDefaultRule)};
}

const Rule* find_rule(const Policy& policy, std::string_view id) {
  const auto found = std::ranges::find(policy.rules, id, &Rule::id);
  return found == policy.rules.end() ? nullptr : &*found;
}

const Rule* find_denial(const Policy& policy, const NamePattern& pattern) {
  const auto denies = [&](const Rule& rule) {
    return rule.action == Action::deny && rule.name_services.empty() &&
           std::ranges::any_of(rule.names, [&](const NamePattern& outer) { return covers(outer, pattern); });
  };
  const auto found = std::ranges::find_if(policy.rules, denies);
  return found == policy.rules.end() ? nullptr : &*found;
}

}  // namespace netjail
