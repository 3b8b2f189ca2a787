#include "commands.h"
#include "netjail/base/format.h"
#include "netjail/base/text.h"
#include "netjail/jail/jail.h"
#include "policy_args.h"

namespace netjail {
namespace {

// The flows that DEST stands for: one address, each of its services.
Result<std::vector<Flow>> parse_flows(const std::string& dest) {
  const auto rule = parse_spec(dest, Action::deny, services());
  const std::string hint = "for example 198.51.100.7:443/tcp, [2001:db8::1]:53/udp or 192.0.2.7:ping";
  if (!rule) {
    const Diagnostic& first = rule.error().front();
    return fail("explain cannot read " + printable(dest) + ": " + first.message,
                first.suggestion.empty() ? hint : first.suggestion);
  }
  const Destination& to = rule->to.front();
  if (to.kind != Destination::Kind::prefix || to.prefix.length != address_bits(to.prefix.base.family))
    return fail("explain wants one address, not " + printable(dest), hint);
  if (rule->services.empty()) return fail("explain wants a service with the address", hint);
  std::vector<Flow> flows;
  for (const Service& service : rule->services) {
    Flow flow;
    flow.destination = to.prefix.base;
    flow.protocol = service.protocol.value_or(kTcp);
    const bool other_icmp =
        to.prefix.base.family == Family::ipv4 ? kIcmp6 == flow.protocol : kIcmp == flow.protocol;
    if (other_icmp) continue;
    if (service.ports) flow.port = service.ports->first;
    if (service.ports && service.ports->first != service.ports->last)
      return fail("explain wants one port, not a range", hint);
    if (service.icmp_type) flow.icmp_type = *service.icmp_type;
    flows.push_back(flow);
  }
  return flows;
}

}  // namespace

Result<int> explain_command(const Arguments& arguments) {
  const std::string usage = "netjail explain internet 198.51.100.7:443/tcp";
  if (arguments.words.empty()) return fail("netjail explain: give a destination", usage);
  if (arguments.words.size() > 2) return fail("netjail explain: one profile and one destination", usage);
  if (arguments.words.size() == 1 && load_profile(arguments.words.front(), search_path(), services()))
    return fail("netjail explain: " + printable(arguments.words.front()) +
                    " is a profile; give the address of a destination, too",
                usage);
  Arguments chosen_by = arguments;
  if (arguments.words.size() == 2) {
    if (arguments.has("profile")) return fail("netjail explain: the profile is given twice");
    chosen_by.values["profile"] = {arguments.words.front()};
  }
  NJ_TRY_AS(ChosenPolicy chosen, choose_policy(chosen_by, ""));
  NJ_TRY_AS(const std::vector<Flow> flows, parse_flows(arguments.words.back()));
  NJ_TRY_AS(const HostFacts host, probe_host({}));
  Policy& policy = chosen.policy;
  policy.host = host.addresses;

  bool all_allowed = true;
  std::string out;
  for (const Flow& flow : flows) {
    const Verdict verdict = decide(policy, flow);
    const bool allowed = verdict.action == Action::allow;
    all_allowed = all_allowed && allowed;
    out += fmt::format("{} {}: {}\n", allowed ? "ALLOW" : "DENY ", to_string(flow),
                       describe_rule(policy, verdict.rule));
    const std::string spec = allowed ? "" : allow_spec(policy, flow);
    if (!spec.empty()) out += "      to open it: " + describe_remedy(policy, spec) + "\n";
  }
  NJ_TRY(print(out));
  return all_allowed ? 0 : 1;
}

}  // namespace netjail
