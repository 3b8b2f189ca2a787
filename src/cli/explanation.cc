#include "explanation.h"

#include <algorithm>

#include "netjail/base/format.h"
#include "netjail/base/text.h"
#include "netjail/policy/names.h"

namespace netjail {
namespace {

constexpr std::string_view kHint =
    "for example 198.51.100.7:443/tcp, [2001:db8::1]:53/udp, 192.0.2.7:ping, example.org or "
    "example.org:22/tcp";

std::string line(const Policy& policy, const std::string& what, const Verdict& verdict) {
  return fmt::format("{} {}: {}\n", verdict.action == Action::allow ? "ALLOW" : "DENY ", what,
                     describe_rule(policy, verdict.rule));
}

std::string remedy(const Policy& policy, const std::string& spec) {
  return spec.empty() ? "" : "      to open it: " + describe_remedy(policy, spec) + "\n";
}

Flow flow_of(const Ip& destination, const Service& service) {
  Flow flow{.destination = destination, .protocol = service.protocol.value_or(kTcp)};
  if (service.ports) flow.port = service.ports->first;
  if (service.icmp_type) flow.icmp_type = *service.icmp_type;
  return flow;
}

Result<std::vector<Flow>> flows_of(const Ip& destination, const std::vector<Service>& services) {
  std::vector<Flow> flows;
  for (const Service& service : services) {
    const auto other_icmp = destination.family == Family::ipv4 ? kIcmp6 : kIcmp;
    if (service.protocol == other_icmp) continue;
    if (service.ports && service.ports->first != service.ports->last)
      return fail("explain wants one port, not a range", std::string(kHint));
    flows.push_back(flow_of(destination, service));
  }
  return flows;
}

// What names can change of the verdict on an address: "allow-1, allow-3", of those groups whose names could
// turn out to have it; empty when none can.
std::string rules_by_name(const Policy& policy, const Flow& flow, Action action, bool local) {
  if (policy.dns == DnsChoice::none) return {};
  if (flow.destination.family == Family::ipv6 && !policy.ipv6) return {};
  std::vector<std::string> ids;
  for (const NameGroup& group : make_name_groups(policy)) {
    const auto is_matched = [&](const Service& service) { return matches(service, flow); };
    if (group.action != action || std::ranges::none_of(group.services, is_matched)) continue;
    for (const std::size_t rule : group.rules)
      if (!local || policy.rules[rule].local) ids.push_back(policy.rules[rule].id);
  }
  return join_some(ids, 8);
}

Explanation explain_address(const Policy& policy, const std::vector<Flow>& flows) {
  Explanation out{.allowed = true};
  for (const Flow& flow : flows) {
    const Verdict verdict = decide(policy, flow);
    const bool allowed = verdict.action == Action::allow;
    out.allowed = out.allowed && allowed;
    out.text += line(policy, to_string(flow), verdict);
    if (allowed) {
      if (const std::string rules = rules_by_name(policy, flow, Action::deny, false); !rules.empty())
        out.text += "      refused once a name of " + rules + " that was looked up has this address\n";
    } else if (verdict.rule == kDefaultRule || verdict.rule == kLocalRule) {
      const std::string rules = rules_by_name(policy, flow, Action::allow, verdict.rule == kLocalRule);
      if (!rules.empty())
        out.text += "      opened once a name of " + rules + " that was looked up has this address\n";
      out.text += remedy(policy, allow_spec(policy, flow));
    }
  }
  return out;
}

// A name's addresses are of either family; of ICMP each has its own.
Flow flow_to_name(const Service& service) {
  return flow_of(Ip{service.protocol == kIcmp6 ? Family::ipv6 : Family::ipv4, {}}, service);
}

// What rules say of the name by name, each once, in their order.
std::vector<Service> services_for(const Policy& policy, const Name& name) {
  std::vector<Service> services;
  const auto add = [&](const std::vector<Service>& more) {
    for (const Service& service : more)
      if (std::ranges::find(services, service) == services.end()) services.push_back(service);
  };
  for (const Rule& rule : policy.rules) {
    if (rule.any_name) add(rule.services.empty() ? std::vector<Service>{Service{}} : rule.services);
    if (std::ranges::any_of(rule.names, [&](const NamePattern& one) { return matches(one, name); }))
      add(rule.name_services);
  }
  return services;
}

// Of a range of ports what is open at one of its ends: what is denied within has a line of its own.
Verdict decide_service(const Policy& policy, const Name& name, const Service& service) {
  Flow flow = flow_to_name(service);
  const Verdict first = decide(policy, name, flow);
  if (first.action == Action::allow || !service.ports) return first;
  flow.port = service.ports->last;
  const Verdict last = decide(policy, name, flow);
  return last.action == Action::allow ? last : first;
}

Explanation explain_name(const Policy& policy, const Name& name, const std::vector<Service>& asked) {
  const std::string shown = to_unicode(name);
  const NameVerdict looked_up = NameRules(policy).find(name);
  Explanation out;
  if (asked.empty()) {
    if (looked_up.action == Action::deny) {
      out.text = line(policy, shown, {Action::deny, looked_up.rule});
      out.text += remedy(policy, allow_spec(policy, name.text));
      return out;
    }
    out.text = "looked up: " + describe_rule(policy, looked_up.rule) + "\n";
  }
  out.allowed = !asked.empty();
  std::string before;
  for (const Service& service : asked.empty() ? services_for(policy, name) : asked) {
    const Verdict verdict = decide_service(policy, name, service);
    const bool allowed = verdict.action == Action::allow;
    out.allowed = asked.empty() ? out.allowed || allowed : out.allowed && allowed;
    std::string more = line(policy, shown + ':' + to_string(service), verdict);
    if (!allowed) more += remedy(policy, allow_spec(policy, name, flow_to_name(service)));
    if (more != before) out.text += more;  // "ping" is one service of each family
    before = std::move(more);
  }
  return out;
}

}  // namespace

Result<Explanation> explain(const Policy& policy, const ProfileRule& spec) {
  const Destination& to = spec.to.front();
  const std::string hint(kHint);
  if (to.kind == Destination::Kind::name) {
    if (to.pattern.below) return fail("explain wants one name, not " + printable(to.text), hint);
    if (policy.dns == DnsChoice::none)
      return fail("profile " + policy.name + " says dns = \"none\": netjail sees no names, only addresses",
                  hint);
    return explain_name(policy, to.pattern.name, spec.services);
  }
  if (to.kind != Destination::Kind::prefix || to.prefix.length != address_bits(to.prefix.base.family))
    return fail("explain wants one address or name, not " + printable(to.text), hint);
  if (spec.services.empty()) return fail("explain wants a service with the address", hint);
  NJ_TRY_AS(const std::vector<Flow> flows, flows_of(to.prefix.base, spec.services));
  return explain_address(policy, flows);
}

}  // namespace netjail
