// The plan for people, as an nft script, and as JSON.
#include <algorithm>
#include <array>

#include "netjail/base/format.h"
#include "netjail/base/json.h"
#include "netjail/base/text.h"
#include "netjail/plan/plan.h"

namespace netjail {
namespace {

constexpr std::string_view action_name(Action action) { return action == Action::allow ? "allow" : "deny"; }

std::vector<std::string> texts(const std::vector<Service>& services) {
  std::vector<std::string> out;
  for (const Service& service : services) out.push_back(to_string(service));
  return out;
}

Json rule_json(const Rule& rule) {
  Json addresses = Json::array();
  for (const AddressRange& range : rule.addresses.ranges()) addresses.push_back(to_string(range));
  Json names = Json::array();
  for (const NamePattern& pattern : rule.names) names.push_back(to_string(pattern));
  return {{"id", rule.id},
          {"action", action_name(rule.action)},
          {"text", rule.text},
          {"where", fmt::format("{}:{}", rule.where.file, rule.where.line)},
          {"addresses", std::move(addresses)},
          {"services", texts(rule.services)},
          {"names", std::move(names)},
          {"name-services", texts(rule.name_services)},
          {"any-name", rule.any_name},
          {"local", rule.local}};
}

std::vector<std::string> learned_sets(const Policy& policy, const NameGroup& group) {
  std::vector<std::string> sets{learned_set(group.id, Family::ipv4)};
  if (policy.ipv6) sets.push_back(learned_set(group.id, Family::ipv6));
  return sets;
}

std::vector<std::string> rule_ids(const Policy& policy, const NameGroup& group) {
  std::vector<std::string> ids;
  for (const std::size_t rule : group.rules) ids.push_back(policy.rules[rule].id);
  return ids;
}

Json group_json(const Policy& policy, const NameGroup& group) {
  return {{"id", group.id},
          {"action", action_name(group.action)},
          {"services", texts(group.services)},
          {"rules", rule_ids(policy, group)},
          {"sets", learned_sets(policy, group)}};
}

Json resolver_json(const ResolverPlan& resolver) {
  Json hosts = Json::object();
  for (const HostsName& host : resolver.hosts)
    for (const Ip& address : host.addresses) hosts[host.name.text].push_back(to_string(address));
  return {{"listen", resolver.listen},
          {"forward", resolver.forward},
          {"search", resolver.search},
          {"hosts", std::move(hosts)}};
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
    Json operator()(const MountOwn& m) { return {{"kind", "own"}, {"target", m.target}}; }
    Json operator()(const MakeFolder& m) { return {{"kind", "folder"}, {"target", m.target}}; }
    Json operator()(const MakeFile& m) { return {{"kind", "empty-file"}, {"target", m.target}}; }
    Json operator()(const MountShared& m) { return {{"kind", "shared"}, {"target", m.target}}; }
  };
  return std::visit(Visitor{}, mount);
}

std::string uplink_text(const UplinkPlan& uplink) {
  if (uplink.kind == UplinkPlan::Kind::none)
    return "none: the profile opens nothing, so the jail has no way out\n";
  if (uplink.kind == UplinkPlan::Kind::pasta)
    return fmt::format("pasta, without root, MTU {}; {}\n", uplink.mtu,
                       uplink.ipv6 ? "IPv4 and IPv6" : "IPv4 only") +
           (uplink.because.empty()
                ? ""
                : fmt::format("           the host's forwarding is shut by {}\n", uplink.because));
  std::string out = fmt::format("a veth into the host, MTU {}, masqueraded; {}\n", uplink.mtu,
                                uplink.ipv6 ? "IPv4 and IPv6" : "IPv4 only");
  out +=
      fmt::format("           the jail's address comes out of {}, the first that the host does not route\n",
                  to_string(uplink.pools.front()));
  for (const SysctlSetting& setting : uplink.sysctls)
    out += fmt::format("           {} = {} while jails run\n", setting.path, setting.value);
  return out;
}

constexpr std::size_t kMostWords = 8;  // of a list, in one line

// "example.org, *.example.net, but not ads.example.org".
std::string looked_up(const Policy& policy) {
  std::vector<std::string> allowed, denied;
  bool any = false;
  for (const Rule& rule : policy.rules) {
    any = any || rule.any_name;
    if (rule.action == Action::deny && !rule.name_services.empty()) continue;  // answered all the same
    for (const NamePattern& pattern : rule.names)
      (rule.action == Action::allow ? allowed : denied).push_back(to_unicode(pattern));
  }
  std::string text = any ? "every name" : join_some(allowed, kMostWords);
  if (!denied.empty()) text += ", but not " + join_some(denied, kMostWords);
  return text;
}

std::string names_text(const Plan& plan) {
  if (!plan.resolver.listen) return "names      no resolver of netjail's (dns = \"none\")\n";
  if (!plan.resolver.forward) return "names      not looked up: no rule allows one\n";
  std::string out = "names      looked up by the host's own resolvers: " + looked_up(plan.policy) + "\n";
  std::vector<std::string> hosts;
  for (const HostsName& host : plan.resolver.hosts) hosts.push_back(host.name.text);
  if (!hosts.empty())
    out += "           out of the host's /etc/hosts: " + join_some(hosts, kMostWords) + "\n";
  std::string_view indent = "sets       ";
  for (const NameGroup& group : make_name_groups(plan.policy)) {
    out += fmt::format("{}{}{}: addresses of {}, {} for {} for TTL + {} s\n", indent,
                       learned_set(group.id, Family::ipv4), plan.policy.ipv6 ? ", -ipv6" : "",
                       join_some(rule_ids(plan.policy, group), kMostWords),
                       group.action == Action::allow ? "opened" : "refused",
                       join_some(texts(group.services), kMostWords), kLearnedGrace.count());
    indent = "           ";
  }
  return out;
}

std::string files_text(const ChildPlan& child) {
  std::vector<std::string> own, shared;
  for (const Mount& mount : child.mounts) {
    if (const auto* folder = std::get_if<MountOwn>(&mount)) own.push_back(folder->target);
    if (const auto* path = std::get_if<MountShared>(&mount))
      if (std::ranges::find(child.sockets, path->target) == child.sockets.end())
        shared.push_back(path->target);
  }
  own.insert(own.end(), {"/dev", "/dev/shm"});
  std::string out = "files      the host's, but " + join_some(own, kMostWords) + " are the jail's own\n";
  if (!shared.empty()) out += "           the host's there, too: " + join_some(shared, kMostWords) + "\n";
  out += "sockets    of unix servers outside: " +
         (child.sockets.empty() ? std::string("none") : join_some(child.sockets, kMostWords)) + "\n";
  if (const std::string lost = describe_lost_sockets(child); !lost.empty())
    out += "           " + lost + "\n";
  if (!child.withheld.empty())
    out +=
        "           not passed on, for they lead to others: " + join_some(child.withheld, kMostWords) + "\n";
  return out;
}

}  // namespace

std::string describe_lost_sockets(const ChildPlan& child) {
  const std::vector<LostSocket>& lost = child.lost_sockets;
  if (lost.empty()) return {};
  const LostSocket& one = lost.front();
  return fmt::format(
      "no unix sockets in this run but connected pairs: the one bound as {}{}{} is not where it was; end {} "
      "to "
      "have them",
      printable(one.path),
      one.pid.empty() ? "" : fmt::format(" by {} (process {})", printable(one.program), one.pid),
      lost.size() > 1 ? fmt::format(", and {} more,", lost.size() - 1) : "",
      lost.size() > 1 ? "their programs" : "its program");
}

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
  for (const std::string& warning : plan.uplink.warnings) out += "           " + warning + "\n";
  out += names_text(plan);
  out += fmt::format("families   {}\n", join(plan.child.seccomp_families, ", "));
  if (!plan.child.command.empty()) {
    std::vector<std::string> words;
    for (const std::string& word : plan.child.command) words.push_back(shell_quote(word));
    out += fmt::format("program    {}\n", join(words, " "));
    out += fmt::format("runs as    uid {} gid {}, no capabilities, own process and mount namespace{}\n",
                       plan.child.uid, plan.child.gid,
                       plan.child.mount_namespaces  ? ", can make user and mount namespaces"
                       : plan.child.user_namespaces ? ", can make user namespaces"
                                                    : "");
    out += files_text(plan.child);
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
  Json lost = Json::array();
  for (const LostSocket& one : plan.child.lost_sockets)
    lost.push_back({{"path", printable(one.path)}, {"program", printable(one.program)}, {"pid", one.pid}});
  Json groups = Json::array();
  for (const NameGroup& group : make_name_groups(plan.policy))
    groups.push_back(group_json(plan.policy, group));
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
        {"because", plan.uplink.because},
        {"warnings", plan.uplink.warnings},
        {"pools", std::move(pools)},
        {"sysctls", std::move(sysctls)}}},
      {"name-groups", std::move(groups)},
      {"resolver", resolver_json(plan.resolver)},
      {"child",
       {{"command", plan.child.command},
        {"uid", plan.child.uid},
        {"gid", plan.child.gid},
        {"families", plan.child.seccomp_families},
        {"user-namespaces", plan.child.user_namespaces},
        {"mount-namespaces", plan.child.mount_namespaces},
        {"sockets", plan.child.sockets},
        {"lost-sockets", std::move(lost)},
        {"withheld", plan.child.withheld},
        {"mounts", std::move(mounts)}}},
      {"proof", std::move(proof)},
      {"nft", nft::render_nft(plan.router.ruleset)},
  };
  return to_text(json, 2) + "\n";
}

}  // namespace netjail
