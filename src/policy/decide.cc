// The reference: as plain as it can be said, so that everything faster can be compared with it.
#include <algorithm>

#include "netjail/policy/policy.h"

namespace netjail {
namespace {

bool applies(const Rule& rule, const Flow& flow) {
  if (!rule.addresses.contains(flow.destination)) return false;
  return rule.services.empty() ||
         std::ranges::any_of(rule.services, [&](const Service& service) { return matches(service, flow); });
}

const Rule* first_match(const Policy& policy, Action action, const Flow& flow) {
  const auto found = std::ranges::find_if(
      policy.rules, [&](const Rule& rule) { return rule.action == action && applies(rule, flow); });
  return found == policy.rules.end() ? nullptr : &*found;
}

}  // namespace

Verdict decide(const Policy& policy, const Flow& flow) {
  const auto denied_by = [](std::string_view id) { return Verdict{Action::deny, std::string(id)}; };
  if (unroutable_addresses().contains(flow.destination)) return denied_by(kUnroutableRule);
  if (policy.host.contains(flow.destination)) return denied_by(kHostRule);
  if (const Rule* rule = first_match(policy, Action::deny, flow)) return denied_by(rule->id);
  if (const Rule* rule = first_match(policy, Action::allow, flow)) return {Action::allow, rule->id};
  return denied_by(local_addresses().contains(flow.destination) ? kLocalRule : kDefaultRule);
}

const Rule* find_rule(const Policy& policy, std::string_view id) {
  const auto found = std::ranges::find(policy.rules, id, &Rule::id);
  return found == policy.rules.end() ? nullptr : &*found;
}

}  // namespace netjail
