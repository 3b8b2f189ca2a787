#include "netjail/base/text.h"
#include "netjail/base/format.h"
#include "netjail/policy/names.h"
#include "netjail/report/report.h"

namespace netjail {
namespace {

constexpr std::size_t kMostLines = 20;  // of the summary; --json FILE has them all

std::string remedy(const Plan& plan, const Refusal& refusal) {
  if (refusal.rule == kLimitRule) return {};
  const std::string spec = allow_spec(plan.policy, refusal.flow, refusal.name);
  return spec.empty() ? std::string() : describe_remedy(plan.policy, spec);
}

// What it takes to tell a name's address; nothing for what no rule can open.
std::string address_remedy(const Plan& plan, const Ip& ip) {
  if (plan.policy.host.contains(ip)) return {};
  const std::string rule = "local = true in the rule of the name";
  if (!unroutable_addresses().contains(ip))
    return rule + ", or --allow " +
           shell_quote((ip.family == Family::ipv6 ? '[' + to_string(ip) + ']' : to_string(ip)) + ":PORT");
  return ip.octets()[0] == 127 || ip == *parse_ip("::1") ? rule : std::string();
}

std::string address_reason(const Plan& plan, const Ip& ip) {
  const std::string_view what = plan.policy.host.contains(ip)         ? "this machine's own"
                                : unroutable_addresses().contains(ip) ? "none that packets go to"
                                                                      : "local";
  return fmt::format("its address {} is {}", to_string(ip), what);
}

// What it takes to open a name that is shut.
std::string remedy(const Plan& plan, const RefusedName& refused) {
  if (refused.why == RefusedName::Why::address)
    return address_remedy(plan, parse_ip(refused.detail).value_or(Ip{}));
  if (refused.why != RefusedName::Why::rule || refused.detail != kDefaultRule) return {};
  const std::string spec = allow_spec(plan.policy, refused.name);
  return spec.empty() ? spec : describe_remedy(plan.policy, spec);
}

std::string reason(const Plan& plan, const RefusedName& refused) {
  using Why = RefusedName::Why;
  switch (refused.why) {
    case Why::rule:
      if (refused.detail == kDefaultRule && !plan.policy.opens_anything())
        return fmt::format("profile {} opens nothing", plan.name);
      return describe_rule(plan.policy, refused.detail);
    case Why::type: return fmt::format("records of type {} are not looked up", refused.detail);
    case Why::address: return address_reason(plan, parse_ip(refused.detail).value_or(Ip{}));
    case Why::budget:
      return fmt::format(
          "too many names {}, or too long ones: they could carry data",
          refused.detail.starts_with("*.") ? "below " + refused.detail : "that answers lead to");
    case Why::full:
      return refused.detail.empty() ? "it has more addresses than there is room for" : refused.detail;
  }
  return {};
}

// Why a flow was refused; of a denial also what it beats.
std::string reason(const Plan& plan, const Refusal& refusal) {
  std::string text = describe_rule(plan.policy, refusal.rule);
  if (refusal.name.empty() || find_rule(plan.policy, refusal.rule) == nullptr) return text;
  const Verdict verdict = decide(plan.policy, Name{refusal.name}, refusal.flow);
  if (verdict.action == Action::allow)
    text += fmt::format(", which has this address too and beats {} for {}", verdict.rule, refusal.name);
  return text;
}

// "198.51.100.7:443/tcp", with the name that was asked for.
std::string destination(const Refusal& refusal) {
  const std::string flow = to_string(refusal.flow);
  return refusal.name.empty() ? flow : fmt::format("{} ({})", flow, refusal.name);
}

// The rule at which the packet filter counts this one, if it is another: rules by name with the same services
// share what they learn.
std::string counted_at(const Policy& policy, const std::vector<NameGroup>& groups, const Rule& rule) {
  for (const NameGroup& group : groups)
    for (const std::size_t member : group.rules)
      if (policy.rules[member].id == rule.id && group.id != rule.id && rule.addresses.empty())
        return group.id;
  return {};
}

std::string plural(std::uint64_t count, std::string_view one, std::string_view many) {
  return fmt::format("{} {}", count, count == 1 ? one : many);
}

}  // namespace

std::string render_refusal(const Plan& plan, const Refusal& refusal) {
  std::string line = fmt::format("netjail: refused {}: {}", destination(refusal), reason(plan, refusal));
  if (const std::string spec = remedy(plan, refusal); !spec.empty()) line += "; to open it: " + spec;
  return line + "\n";
}

std::string render_refused_name(const Plan& plan, const RefusedName& refused) {
  // It was looked up where its address is what is wrong.
  const bool asked = refused.why == RefusedName::Why::address || refused.why == RefusedName::Why::full;
  std::string line = fmt::format("netjail: refused {}{}: {}", asked ? "" : "to look up ", refused.name,
                                 reason(plan, refused));
  if (const std::string open = remedy(plan, refused); !open.empty()) line += "; to open it: " + open;
  return line + "\n";
}

std::string render_refused_namespace(const Plan& plan, const RefusedNamespace& refused) {
  const bool mounts = plan.child.user_namespaces;
  std::string line = fmt::format("netjail: refused a new {} namespace{}", mounts ? "mount" : "user",
                                 refused.program.empty() ? "" : " to " + refused.program);
  if (plan.child.uid == 0)
    line +=
        ": there is none for user 0 inside; to open it: --user USER, and user-namespaces = true in [process] "
        "of the profile, as `browser` has it";
  else if (mounts)
    line += "; to open it: mount-namespaces = true in [process] of the profile";
  else
    line += "; to open it: user-namespaces = true in [process] of the profile, as `browser` has it";
  return line + "\n";
}

std::string render_summary(const Plan& plan, const Outcome& outcome, bool verbose) {
  const std::uint64_t refused = outcome.refused();
  std::string out;
  if (verbose) {
    const auto groups = make_name_groups(plan.policy);
    for (const Rule& rule : plan.policy.rules) {
      if (rule.action != Action::allow) continue;
      if (const std::string first = counted_at(plan.policy, groups, rule); !first.empty()) {
        out += fmt::format("netjail: {} ({}): counted at {}\n", rule.id, rule.text, first);
        continue;
      }
      const auto found = outcome.admitted_by_rule.find(rule.id);
      const std::uint64_t count = found == outcome.admitted_by_rule.end() ? 0 : found->second;
      out += fmt::format("netjail: {} ({}): {}\n", rule.id, rule.text,
                         plural(count, "connection", "connections"));
    }
    if (outcome.names_asked > 0)
      out += fmt::format("netjail: {} looked up\n", plural(outcome.names_asked, "name", "names"));
    if (refused == 0 && outcome.refused_namespaces.empty()) out += "netjail: nothing was refused\n";
  }
  constexpr std::size_t kMostPrograms = 3;  // they choose their names, and can have many
  const auto& spaces = outcome.refused_namespaces;
  for (std::size_t i = 0; i < std::min(spaces.size(), kMostPrograms); ++i)
    out += render_refused_namespace(plan, spaces[i]);
  if (spaces.size() > kMostPrograms)
    out += fmt::format("netjail: ... and to {} more programs\n", spaces.size() - kMostPrograms);
  if (refused == 0) return out;

  out += fmt::format("netjail: profile {} refused {}:\n", plan.name, plural(refused, "attempt", "attempts"));
  std::size_t lines = 0;
  std::uint64_t told = 0;
  for (const RefusedName& name : outcome.refused_names) {
    told += name.count;
    if (++lines > kMostLines) continue;
    const std::string open = remedy(plan, name);
    out += fmt::format("  {:>5}  look-up of {}  ({}){}\n", fmt::format("{}x", name.count), name.name,
                       reason(plan, name), open.empty() ? "" : "  " + open);
  }
  for (const Refusal& refusal : outcome.refusals) {
    told += refusal.count;
    if (++lines > kMostLines) continue;
    const std::string spec = remedy(plan, refusal);
    out += fmt::format("  {:>5}  {}  ({}){}\n", fmt::format("{}x", refusal.count), destination(refusal),
                       reason(plan, refusal), spec.empty() ? "" : "  " + spec);
  }
  if (lines > kMostLines)
    out += fmt::format("         ... and {} more destinations; --json FILE lists them\n", lines - kMostLines);
  if (refused > told)
    out += fmt::format("         ... and {} that came too fast to be listed one by one\n",
                       plural(refused - told, "attempt", "attempts"));
  return out;
}

}  // namespace netjail
