// The plan for people, as an nft script, and as JSON.
#include <array>

#include "netjail/base/format.h"
#include "netjail/base/json.h"
#include "netjail/base/text.h"
#include "netjail/plan/plan.h"

namespace netjail {
namespace {

constexpr std::string_view action_name(Action action) { return action == Action::allow ? "allow" : "deny"; }

Json rule_json(const Rule& rule) {
  Json services = Json::array();
  for (const Service& service : rule.services) services.push_back(to_string(service));
  Json addresses = Json::array();
  for (const AddressRange& range : rule.addresses.ranges()) addresses.push_back(to_string(range));
  return {{"id", rule.id},
          {"action", action_name(rule.action)},
          {"text", rule.text},
          {"where", fmt::format("{}:{}", rule.where.file, rule.where.line)},
          {"addresses", std::move(addresses)},
          {"services", std::move(services)}};
}

Json mount_json(const Mount& mount) {
  struct Visitor {
    Json operator()(const MountProc&) { return {{"kind", "proc"}, {"target", "/proc"}}; }
    Json operator()(const MountSysfs&) { return {{"kind", "sysfs"}, {"target", "/sys"}}; }
    Json operator()(const MountDevices&) { return {{"kind", "devices"}, {"target", "/dev"}}; }
    Json operator()(const MountFile& m) { return {{"kind", "file"}, {"target", m.target}, {"text", m.text}}; }
    Json operator()(const MountEmpty& m) { return {{"kind", "empty"}, {"target", m.target}}; }
    Json operator()(const MountReadOnly& m) { return {{"kind", "read-only"}, {"target", m.target}}; }
    Json operator()(const MountCgroup&) { return {{"kind", "cgroup"}, {"target", "/sys/fs/cgroup"}}; }
    Json operator()(const MountNull& m) { return {{"kind", "null"}, {"target", m.target}}; }
  };
  return std::visit(Visitor{}, mount);
}

std::string uplink_text(const UplinkPlan& uplink) {
  if (uplink.kind == UplinkPlan::Kind::none)
    return "none: the profile opens nothing, so the jail has no way out\n";
  if (uplink.kind == UplinkPlan::Kind::pasta)
    return fmt::format("pasta, without root, MTU {}; {}\n", uplink.mtu,
                       uplink.ipv6 ? "IPv4 and IPv6" : "IPv4 only");
  std::string out = fmt::format("a veth into the host, MTU {}, masqueraded; {}\n", uplink.mtu,
                                uplink.ipv6 ? "IPv4 and IPv6" : "IPv4 only");
  out +=
      fmt::format("           the jail's address comes out of {}, the first that the host does not route\n",
                  to_string(uplink.pools.front()));
  for (const SysctlSetting& setting : uplink.sysctls)
    out += fmt::format("           {} = {} while jails run\n", setting.path, setting.value);
  return out;
}

}  // namespace

std::string render_plan_text(const Plan& plan) {
  std::string out = fmt::format("profile    {}{}{}\n", plan.name, plan.policy.description.empty() ? "" : ": ",
                                plan.policy.description);
  out += "rules      ";
  if (plan.policy.rules.empty()) out += "none: every destination is refused\n";
  std::string indent;
  for (const Rule& rule : plan.policy.rules) {
    out += fmt::format("{}{:<9} {}  ({}:{})\n", indent, rule.id, rule.text, rule.where.file, rule.where.line);
    indent = "           ";
  }
  out += fmt::format("else       {} at once: {}\n",
                     plan.policy.refuse == Refuse::reject ? "rejected" : "dropped",
                     "local addresses, the host itself, everything that no rule opens");
  out += "uplink     " + uplink_text(plan.uplink);
  out += fmt::format("names      {}\n", !plan.resolver.listen   ? "no resolver of netjail's (dns = \"none\")"
                                        : plan.resolver.forward ? "looked up by the host's own resolvers"
                                                                : "not looked up: nothing is open");
  out += fmt::format("families   {}\n", join(plan.policy.seccomp_families, ", "));
  if (!plan.child.command.empty()) {
    std::vector<std::string> words;
    for (const std::string& word : plan.child.command) words.push_back(shell_quote(word));
    out += fmt::format("program    {}\n", join(words, " "));
    out += fmt::format("runs as    uid {} gid {}, no capabilities, own process and mount namespace{}\n",
                       plan.child.uid, plan.child.gid,
                       plan.child.user_namespaces ? ", can make user namespaces" : "");
  }
  out += "proof      ";
  indent.clear();
  for (const ProofPacket& packet : plan.proof) {
    out += fmt::format("{}{} must be counted by {}\n", indent, to_string(packet.flow), packet.counter);
    indent = "           ";
  }
  if (plan.proof.empty()) out += "\n";
  return out;
}

std::string render_plan_nft(const Plan& plan) {
  std::string out =
      "# The router of the jail (a network namespace of its own)\n" + nft::render_nft(plan.router.ruleset);
  if (plan.uplink.kind != UplinkPlan::Kind::host) return out;
  out += "\n# The host, shared by all jails; load it there, not in the router\n";
  std::string host = nft::render_nft(plan.uplink.host_table);
  for (const nft::Ruleset& guard : plan.uplink.guards) host += nft::render_nft(guard);
  for (const std::string_view line : split(host, '\n'))
    if (!line.empty()) out.append("# ").append(line).append("\n");
  return out;
}

std::string render_plan_json(const Plan& plan) {
  Json rules = Json::array();
  for (const Rule& rule : plan.policy.rules) rules.push_back(rule_json(rule));
  Json sysctls = Json::array();
  for (const SysctlSetting& setting : plan.uplink.sysctls)
    sysctls.push_back({{"path", setting.path}, {"value", setting.value}});
  Json pools = Json::array();
  for (const Prefix& pool : plan.uplink.pools) pools.push_back(to_string(pool));
  Json mounts = Json::array();
  for (const Mount& mount : plan.child.mounts) mounts.push_back(mount_json(mount));
  Json proof = Json::array();
  for (const ProofPacket& packet : plan.proof)
    proof.push_back(
        {{"flow", to_string(packet.flow)}, {"allowed", packet.allowed}, {"counter", packet.counter}});
  static constexpr std::array kUplinks{"none", "host", "pasta"};
  const Json json{
      {"schema", 1},
      {"profile", plan.name},
      {"description", plan.policy.description},
      {"refuse", plan.policy.refuse == Refuse::reject ? "reject" : "drop"},
      {"rules", std::move(rules)},
      {"uplink",
       {{"kind", kUplinks[static_cast<std::size_t>(plan.uplink.kind)]},
        {"mtu", plan.uplink.mtu},
        {"ipv6", plan.uplink.ipv6},
        {"pools", std::move(pools)},
        {"sysctls", std::move(sysctls)}}},
      {"resolver", {{"listen", plan.resolver.listen}, {"forward", plan.resolver.forward}}},
      {"child",
       {{"command", plan.child.command},
        {"uid", plan.child.uid},
        {"gid", plan.child.gid},
        {"families", plan.child.seccomp_families},
        {"user-namespaces", plan.child.user_namespaces},
        {"mounts", std::move(mounts)}}},
      {"proof", std::move(proof)},
      {"nft", nft::render_nft(plan.router.ruleset)},
  };
  return to_text(json, 2) + "\n";
}

}  // namespace netjail
