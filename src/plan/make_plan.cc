#include <algorithm>

#include "netjail/base/text.h"
#include "netjail/plan/plan.h"
#include "netjail/policy/names.h"
#include "presets.h"

namespace netjail {
namespace {

// glibc's own list when PATH is unset (confstr _CS_PATH).
constexpr std::string_view kDefaultPath = "/usr/local/bin:/usr/bin:/bin";

std::vector<std::string> exec_candidates(const Caller& caller,
                                         const std::map<std::string, std::string>& environment) {
  const std::string& program = caller.command.front();
  if (program.find('/') != std::string::npos) return {program};
  const auto path = environment.find("PATH");
  std::vector<std::string> out;
  for (const std::string_view folder :
       split(path == environment.end() ? kDefaultPath : std::string_view(path->second), ':'))
    out.push_back((folder.empty() ? std::string(".") : std::string(folder)) + "/" + program);
  return out;
}

// What of the kernel's own the child finds.
void add_kernel_mounts(std::vector<Mount>& mounts, const HostFacts& host, std::uint32_t uid) {
  mounts.push_back(MountSysfs{});
  if (host.cgroup_mount) mounts.push_back(MountCgroup{});
  mounts.push_back(MountProc{});
  // uid 0 owns core_pattern, sysrq and the like even without a capability: the kernel compares the id
  // (proc_sys(5)). What this kernel has not is skipped.
  if (uid == 0)
    for (const char* path :
         {"/proc/sys", "/proc/sysrq-trigger", "/proc/irq", "/proc/bus", "/proc/acpi", "/proc/fs",
          "/proc/scsi", "/proc/asound", "/proc/driver", "/proc/dynamic_debug", "/proc/latency_stats"})
      mounts.push_back(MountReadOnly{path});
}

Result<ChildPlan> make_child(const Policy& policy, const HostFacts& host, const Caller& caller) {
  ChildPlan child;
  NJ_TRY_AS(FilesPlan files, make_files(policy, host, caller));
  Environment environment;
  for (const auto& [name, value] : caller.environment) {
    if (leads_outside(name, value, policy.unix_sockets, files.sockets))
      child.withheld.push_back(name);
    else
      environment[name] = value;
  }
  for (const auto& [name, value] : policy.environment) environment[name] = value;
  environment["NETJAIL"] = policy.name;
  for (const auto& [name, value] : environment) child.environment.push_back(name + "=" + value);
  child.command = caller.command;
  if (!caller.command.empty()) child.candidates = exec_candidates(caller, environment);
  child.cwd = caller.cwd;
  child.uid = caller.uid;
  child.gid = caller.gid;
  child.groups = caller.groups;
  child.keep_fds = caller.keep_fds;
  child.seccomp_families = policy.seccomp_families;
  // User 0 in one of his own is the owner of what the jail's mounts cover for him (a cgroup hierarchy, ...).
  child.user_namespaces = policy.user_namespaces && caller.uid != 0;
  child.mount_namespaces = policy.mount_namespaces && child.user_namespaces;
  child.mounts = std::move(files.mounts);
  add_kernel_mounts(child.mounts, host, caller.uid);
  child.sockets = std::move(files.sockets);
  child.lost = std::move(files.lost);
  child.links = std::move(files.links);
  // A cover keeps the program from a socket; where one of them may be cannot be told, nothing else does.
  if (!host.lost_sockets.empty() && std::erase(child.seccomp_families, "unix") > 0)
    child.lost_sockets = host.lost_sockets;
  return child;
}

// By name, as questions ask; a file may say one name on several lines.
std::vector<HostsName> make_hosts(const Policy& policy, const std::vector<HostsEntry>& entries) {
  if (entries.empty()) return {};  // an index of ten thousand names takes milliseconds
  const NameRules rules(policy);
  std::map<Name, std::vector<Ip>> hosts;
  for (const HostsEntry& entry : entries)
    for (const Name& name : entry.names) {
      if (rules.find(name).action != Action::allow) continue;
      std::vector<Ip>& addresses = hosts[name];
      if (std::ranges::find(addresses, entry.address) == addresses.end()) addresses.push_back(entry.address);
    }
  std::vector<HostsName> out;
  for (auto& [name, addresses] : hosts) out.push_back({name, std::move(addresses)});
  return out;
}

}  // namespace

Result<Plan> make_plan(Policy policy, const HostFacts& host, const Caller& caller) {
  policy.host = host.addresses;
  Plan plan;
  plan.name = policy.name;
  plan.uplink = make_uplink(policy, host);
  const bool up = plan.uplink.kind != UplinkPlan::Kind::none;
  // SECURITY.md P9
  if (host.core_socket)
    return fail(
        "a crash would hand the program's memory to a server outside (kernel.core_pattern begins with @)",
        "as root: sysctl kernel.core_pattern=core, or a handler that begins with |");
  if (up && policy.uplink == UplinkChoice::host && !host.privileged)
    return fail("uplink = \"host\" needs root",
                "sudo netjail ..., or uplink = \"auto\": pasta, without root");
  if (up && host.uplinks.empty())
    return fail("the host has no route to anything that profile " + policy.name + " opens",
                "connect the host (ip route shows no default route), or run with --profile offline");
  plan.resolver.listen = policy.dns == DnsChoice::policy;
  plan.resolver.forward = plan.resolver.listen && up && policy.allows_names();
  plan.resolver.search = host.search;
  if (plan.resolver.forward) plan.resolver.hosts = make_hosts(policy, host.hosts);
  const bool has_upstream = host.has_resolver || !policy.upstreams.empty();
  if (plan.resolver.forward && !has_upstream)
    return fail("the host has no resolver: /etc/resolv.conf names no server",
                "add a nameserver line there, or set dns = \"none\" in [network] of the profile");
  plan.router.ruleset = make_filter(policy, plan.uplink.kind);
  plan.proof = make_proof(policy, plan.uplink.ipv6);
  NJ_TRY_AS(plan.child, make_child(policy, host, caller));
  plan.policy = std::move(policy);
  return plan;
}

}  // namespace netjail
