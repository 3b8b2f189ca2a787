#include <array>

#include "netjail/base/json.h"
#include "netjail/report/report.h"

namespace netjail {
namespace {

// Of RefusedName::Why.
constexpr std::array kWhy{"rule", "type", "address", "budget", "full"};

}  // namespace

std::string render_json_lines(const Plan& plan, const Outcome& outcome) {
  std::string out;
  const auto line = [&out](const Json& json) { out += to_text(json) + "\n"; };
  line({{"event", "start"},
        {"schema", 1},
        {"profile", plan.name},
        {"command", plan.child.command},
        {"uid", plan.child.uid}});
  for (const Rule& rule : plan.policy.rules) {
    const auto& counts = rule.action == Action::allow ? outcome.admitted_by_rule : outcome.refused_by_rule;
    const auto found = counts.find(rule.id);
    line({{"event", "rule"},
          {"id", rule.id},
          {"action", rule.action == Action::allow ? "allow" : "deny"},
          {"text", rule.text},
          {"count", found == counts.end() ? 0 : found->second}});
  }
  for (const RefusedName& name : outcome.refused_names)
    line({{"event", "refused-name"},
          {"name", name.name},
          {"why", kWhy[static_cast<std::size_t>(name.why)]},
          {"detail", name.detail},
          {"count", name.count}});
  for (const RefusedNamespace& one : outcome.refused_namespaces)
    line({{"event", "refused-namespace"},
          {"kind", plan.child.user_namespaces ? "mount" : "user"},
          {"program", one.program},
          {"count", one.count}});
  for (const Refusal& refusal : outcome.refusals) {
    Json json{{"event", "refused"},
              {"address", to_string(refusal.flow.destination)},
              {"protocol", protocol_name(refusal.flow.protocol)},
              {"rule", refusal.rule},
              {"count", refusal.count}};
    if (has_ports(refusal.flow.protocol)) json["port"] = refusal.flow.port;
    if (refusal.flow.protocol == kIcmp || refusal.flow.protocol == kIcmp6)
      json["icmp-type"] = refusal.flow.icmp_type;
    if (!refusal.name.empty()) json["name"] = refusal.name;
    if (const std::string spec = allow_spec(plan.policy, refusal.flow, refusal.name);
        !spec.empty() && refusal.rule != kLimitRule)
      json["allow"] = spec;
    line(json);
  }
  line({{"event", "end"},
        {"status", outcome.status},
        {"seconds", outcome.seconds},
        {"refused", outcome.refused()},
        {"names-asked", outcome.names_asked}});
  return out;
}

}  // namespace netjail
