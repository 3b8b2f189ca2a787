// What a verdict says to people, and what they can write to change it.
#include "netjail/base/text.h"
#include "netjail/policy/names.h"

namespace netjail {
namespace {

// "profile.toml:7"; the command line has no lines.
std::string place(const Position& where) {
  if (where.file.starts_with("--") || where.line == 0) return where.file;
  return where.file + ':' + std::to_string(where.line);
}

constexpr std::uint8_t kEchoRequest = 8, kEchoRequest6 = 128;

// SERVICE of a SPEC that matches this flow and little else.
std::string service_spec(const Flow& flow) {
  if (has_ports(flow.protocol)) {
    // A SPEC cannot say port 0; only the whole protocol opens it.
    if (flow.port == 0) return protocol_name(flow.protocol);
    return std::to_string(flow.port) + '/' + protocol_name(flow.protocol);
  }
  const bool ipv4 = flow.destination.family == Family::ipv4;
  if (flow.protocol == (ipv4 ? kIcmp : kIcmp6)) {
    return flow.icmp_type == (ipv4 ? kEchoRequest : kEchoRequest6) ? "ping" : "icmp";
  }
  return std::to_string(flow.protocol) + "/ip";
}

// ::ffff:0:0/96 exists inside a socket call only; no honest packet carries it.
bool is_ipv4_mapped(const Ip& ip) {
  static const auto mapped = parse_prefix("::ffff:0:0/96");
  return mapped && contains(*mapped, ip);
}

}  // namespace

std::string describe_rule(const Policy& policy, std::string_view id) {
  if (id == kDefaultRule) return "no rule allows it";
  if (id == kLocalRule) return "it is a local address and no rule names it";
  if (id == kHostRule) return "it is an address of this machine itself, which no rule can open";
  if (id == kUnroutableRule) return "it is an address that cannot be reached through a router";
  if (id == kLimitRule)
    return "the jail has too many connections, or begins too many: at most 16,384, then 1,000 a second";
  const Rule* rule = find_rule(policy, id);
  if (rule == nullptr) return "rule " + std::string(id);
  std::string text = "rule " + rule->id + " (" + rule->text;
  if (const std::string written = place(rule->where); !written.empty()) text += ", " + written;
  return text + ')';
}

std::string allow_spec(const Policy& policy, const Flow& flow, const std::string& asked) {
  const Verdict verdict = decide(policy, flow);
  if (verdict.rule != kDefaultRule && verdict.rule != kLocalRule) return {};
  const bool ipv6 = flow.destination.family == Family::ipv6;
  if (ipv6 && !policy.ipv6) return {};              // ipv6 = false beats every rule
  if (is_ipv4_mapped(flow.destination)) return {};  // a SPEC cannot name it
  // A rule by name does not open a local address.
  if (verdict.rule == kDefaultRule && !allow_spec(policy, asked).empty())
    return asked + ':' + service_spec(flow);
  const std::string address = to_string(flow.destination);
  return (ipv6 ? '[' + address + ']' : address) + ':' + service_spec(flow);
}

std::string allow_spec(const Policy& policy, const std::string& name) {
  const auto pattern = parse_name_pattern(name, PublicSuffixes::builtin());
  if (!pattern || pattern->below || find_denial(policy, *pattern) != nullptr) return {};
  return to_string(*pattern);
}

std::string allow_spec(const Policy& policy, const Name& name, const Flow& flow) {
  if (decide(policy, name, flow).rule != kDefaultRule) return {};
  return name.text + ':' + service_spec(flow);
}

std::string describe_remedy(const Policy& policy, const std::string& spec) {
  return (policy.uplink == UplinkChoice::none ? "--profile default --allow " : "--allow ") +
         shell_quote(spec);
}

}  // namespace netjail
