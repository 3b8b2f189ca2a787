// What the plan needs to know of the host. Read-only.
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include <linux/rtnetlink.h>

#include <algorithm>
#include <cerrno>
#include <climits>
#include <cstdlib>
#include <cstring>
#include <map>

#include "host_addresses.h"
#include "netjail/base/text.h"
#include "netjail/jail/jail.h"
#include "netjail/kernel/link.h"
#include "netjail/os/fd.h"
#include "probe_files.h"

namespace netjail {
namespace {

constexpr std::size_t kMostOctets = 1u << 20;  // of a configuration file
constexpr std::uint32_t kLeastMtu = 1280;      // RFC 8200: below it there is no IPv6

// A sysctl as a number; `fallback` where this kernel has it not.
int read_sysctl(const std::string& path, int fallback) {
  const auto text = read_file("/proc/sys/" + path, 64);
  if (!text) return fallback;
  const auto value = parse_number(trim(*text), INT_MAX);
  return value ? static_cast<int>(*value) : fallback;
}

bool exists(const char* path) { return ::access(path, F_OK) == 0; }

void read_resolv_conf(HostFacts& facts) {
  char target[PATH_MAX];
  if (::realpath("/etc/resolv.conf", target) == nullptr) return;
  const auto text = read_file(target, kMostOctets);
  if (!text) return;
  facts.resolv_conf_target = target;
  for (const std::string_view line : split(*text, '\n')) {
    const auto words = split_words(line);
    if (words.size() < 2) continue;
    const std::vector<std::string> rest(words.begin() + 1, words.end());
    if (words[0] == "nameserver") facts.has_resolver = true;
    if (words[0] == "search" || words[0] == "domain") facts.search = rest;
    if (words[0] == "options")
      facts.resolv_options.insert(facts.resolv_options.end(), rest.begin(), rest.end());
  }
}

// A file, of which the jail's own /dev has the like: what services and containers cover a file with
// (/dev/null).
bool is_harmless_device(const std::string& path) {
  struct stat info {};
  constexpr unsigned kMemoryMajor = 1;  // null, zero, full, random, urandom
  if (::stat(path.c_str(), &info) != 0 || !S_ISCHR(info.st_mode)) return false;
  const unsigned number = minor(info.st_rdev);
  return major(info.st_rdev) == kMemoryMajor &&
         (number == 3 || number == 5 || number == 7 || number == 8 || number == 9);
}

void find_kernel_mounts(const std::vector<MountEntry>& mounts, HostFacts& facts) {
  static constexpr std::string_view kTypes[] = {
      "proc",     "sysfs",  "cgroup",   "cgroup2", "debugfs",     "tracefs",  "securityfs", "bpf",
      "configfs", "pstore", "efivarfs", "fusectl", "binfmt_misc", "devtmpfs", "nsfs",       "selinuxfs"};
  for (const MountEntry& mount : mounts) {
    if (std::ranges::find(kTypes, mount.type) == std::end(kTypes)) continue;
    // Those are covered by the jail's own.
    if (is_at_or_below(mount.target, "/proc") || is_at_or_below(mount.target, "/sys") ||
        is_at_or_below(mount.target, "/dev"))
      continue;
    if (is_harmless_device(mount.target)) continue;
    // A single device is shut by the flags of a read-only mount, which has no devices.
    using Kind = KernelMount::Kind;
    struct stat info {};
    const bool there = ::stat(mount.target.c_str(), &info) == 0;
    const bool folder = there && S_ISDIR(info.st_mode);
    const Kind kind = folder && mount.type == "devtmpfs" ? Kind::devices
                      : folder && mount.type == "proc"   ? Kind::processes
                                                         : Kind::other;
    facts.kernel_mounts.push_back({mount.target, kind, std::nullopt});
    // What is seen there must be it, not what somebody has put in its place for a moment: inode 1 of device 0
    // is nothing.
    if (there && find_mount(mounts, mount.target) == &mount &&
        mount.device != std::to_string(major(info.st_dev)) + ":" + std::to_string(minor(info.st_dev))) {
      info.st_dev = 0;
      info.st_ino = 1;
    }
    if (there)
      facts.kernel_mounts.back().over = HostFile{mount.target, info.st_dev, info.st_ino, mount.device, 0};
  }
}

// kernel.core_pattern with '@' (Linux 6.16): measured on 6.18, that server gets the core whatever RLIMIT_CORE
// is. What cannot be read may be anything.
bool has_core_socket() {
  const auto pattern = read_file("/proc/sys/kernel/core_pattern", 256);
  return pattern ? pattern->starts_with('@') : pattern.error().code != ENOENT;
}

HostUplink describe_uplink(const LinkInfo& link, Family family) {
  HostUplink uplink;
  uplink.family = family;
  uplink.interface = link.name;
  const std::string dir = (family == Family::ipv4 ? "net/ipv4/conf/" : "net/ipv6/conf/") + link.name;
  uplink.forwarding = read_sysctl(dir + "/forwarding", 0) == 1;
  if (family == Family::ipv6) uplink.accept_ra = read_sysctl(dir + "/accept_ra", 0);
  return uplink;
}

Status find_uplinks(Netlink& route, const std::vector<Ip>& destinations, HostFacts& facts) {
  std::map<std::uint32_t, LinkInfo> links;
  std::uint32_t mtu = facts.uplinks.empty() ? UINT32_MAX : facts.mtu;
  NJ_TRY_AS(const auto routes, find_routes(route, destinations));
  for (std::size_t i = 0; i < routes.size(); ++i) {
    const Ip& destination = destinations[i];
    const auto& found = routes[i];
    if (!found || found->index == 0 || found->local) continue;
    if (!links.contains(found->index)) {
      auto link = find_link(route, found->index);
      if (!link && link.error().code == ENODEV) continue;  // of a jail that has just ended
      NJ_TRY_AS(links[found->index], std::move(link));
    }
    const LinkInfo& link = links[found->index];
    if (link.name == "lo" || link.name.starts_with(kHostInterfacePrefix)) continue;
    const auto same = [&](const HostUplink& uplink) {
      return uplink.family == destination.family && uplink.interface == link.name;
    };
    if (std::ranges::any_of(facts.uplinks, same)) continue;
    facts.uplinks.push_back(describe_uplink(link, destination.family));
    mtu = std::min(mtu, link.mtu);
  }
  if (mtu != UINT32_MAX) facts.mtu = std::clamp(mtu, kLeastMtu, 65535u);
  return {};
}

// One address of each network of the host's that is in `open`, in part at least.
Result<std::vector<Ip>> list_networks_in(Netlink& route, const AddressSet& open) {
  // Each is one look-up; who has more networks is a router, which forwards as it is.
  constexpr std::size_t kMost = 1024;
  std::vector<Ip> addresses;
  if (open.empty()) return addresses;
  NJ_TRY_AS(const auto networks, list_networks(route));
  for (const Prefix& network : networks) {
    const AddressSet part = AddressSet({range_of(network)}).intersected(open);
    if (!part.empty() && addresses.size() < kMost) addresses.push_back(part.ranges().front().first);
  }
  return addresses;
}

// In the words of a sentence; empty when it can be used.
std::string why_no_pasta(uid_t user) {
  if (const Status there = check_pasta(); !there) {
    const Error& error = there.error();
    std::string why = error.what;
    if (error.code != 0) why += std::string(": ") + ::strerrordesc_np(error.code);
    return why + " (" + error.hint.substr(0, error.hint.find(';')) + ")";
  }
  // The namespaces and pasta are of the user inside.
  if (read_sysctl("user/max_user_namespaces", 1) == 0) return "user.max_user_namespaces is 0";
  if (user != 0 && read_sysctl("kernel/unprivileged_userns_clone", 1) == 0)
    return "kernel.unprivileged_userns_clone is 0";
  if (user != 0 && read_sysctl("kernel/apparmor_restrict_unprivileged_userns", 0) == 1)
    if (const auto label = read_file("/proc/self/attr/current", 256); label && trim(*label) == "unconfined")
      return "AppArmor keeps user namespaces from it (netjail(1), USER NAMESPACES)";
  struct stat tun {};
  if (user != 0 && (::stat("/dev/net/tun", &tun) != 0 || (tun.st_mode & 06) != 06))
    return "/dev/net/tun is root's alone (chmod 666 /dev/net/tun)";
  return {};
}

}  // namespace

Status probe_firewalls(HostFacts& facts, uid_t user, Detail detail) {
  NJ_TRY_AS(facts.firewalls, list_dropping_chains(detail));
  if (!facts.firewalls.empty()) facts.no_pasta = why_no_pasta(user);
  return {};
}

Result<HostFacts> probe_host(const HostQuestions& questions) {
  HostFacts facts;
  facts.privileged = ::geteuid() == 0;
  NJ_TRY_AS(Netlink route, Netlink::open(NETLINK_ROUTE));
  NJ_TRY_AS(facts.addresses, list_host(route));
  NJ_TRY(find_uplinks(route, questions.destinations, facts));
  if (facts.privileged) {
    // A public network next door is no way to the rest: without one, only what is local is looked for there.
    const bool way = !facts.uplinks.empty();
    NJ_TRY_AS(const auto beside,
              list_networks_in(route,
                               way ? questions.networks : questions.networks.intersected(local_addresses())));
    NJ_TRY(find_uplinks(route, beside, facts));
  }

  facts.ipv6 = read_sysctl("net/ipv6/conf/all/disable_ipv6", 1) == 0;
  facts.ipv6_force_forwarding = exists("/proc/sys/net/ipv6/conf/all/force_forwarding");
  facts.ipv6_all_forwarding = read_sysctl("net/ipv6/conf/all/forwarding", 0) == 1;
  // Since Linux 6.17 the interface's own switch counts too.
  if (facts.ipv6_force_forwarding && !facts.ipv6_all_forwarding)
    for (HostUplink& uplink : facts.uplinks)
      if (uplink.family == Family::ipv6)
        uplink.forwarding = read_sysctl("net/ipv6/conf/" + uplink.interface + "/force_forwarding", 0) == 1;

  NJ_TRY_AS(const std::string mount_table, read_file("/proc/self/mountinfo"));
  const std::vector<MountEntry> mounts = parse_mount_table(mount_table);
  find_kernel_mounts(mounts, facts);
  NJ_TRY(probe_files(questions, mounts, facts));
  read_resolv_conf(facts);
  if (questions.hosts)
    if (const auto text = read_file("/etc/hosts", kMostOctets)) facts.hosts = parse_hosts(*text);
  if (const auto text = read_file("/etc/nsswitch.conf", kMostOctets)) facts.nsswitch = *text;
  facts.nscd_socket = exists("/run/nscd/socket");
  facts.core_socket = has_core_socket();
  struct stat cgroup {};
  struct stat sys {};
  facts.cgroup_mount =
      ::stat("/sys/fs/cgroup", &cgroup) == 0 && ::stat("/sys", &sys) == 0 && cgroup.st_dev != sys.st_dev;
  return facts;
}

}  // namespace netjail
