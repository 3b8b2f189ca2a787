// What a plan wants to know of the host, and what was read of it: probe_host() answers, tests make their own.
#pragma once

#include <compare>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "netjail/net/hosts.h"
#include "netjail/net/ip.h"
#include "netjail/nft/foreign.h"

namespace netjail {

// To files.
struct Rights {
  std::uint32_t uid = 0;
  std::uint32_t gid = 0;
  std::vector<std::uint32_t> groups;
};
struct HostQuestions {
  std::vector<Ip> destinations;  // route_probes
  bool hosts = false;            // /etc/hosts: names may be looked up
  // What is open, and what names may have: the interfaces to the host's networks there are uplinks, too.
  AddressSet networks;
  std::vector<std::string> paths;    // what the child may find of the host's files
  std::vector<std::string> folders;  // in which sockets are looked for, beside those where some are known
  std::optional<Rights> user;        // with whose; nothing: ours
  bool every_socket = false;         // the program can connect to unix sockets: which are not found?
  bool can_mount = false;            // ChildPlan::mount_namespaces
};

struct HostUplink {
  Family family = Family::ipv4;
  std::string interface;
  bool forwarding = false;  // already on before netjail
  int accept_ra = 0;        // IPv6: the host takes router advertisements on it
  bool operator==(const HostUplink&) const = default;
};
// A file at a path at which the jail would find it, as it was when netjail looked.
struct HostFile {
  std::string path;
  std::uint64_t device = 0;  // of stat(2)
  std::uint64_t inode = 0;
  std::string mount;        // the device as mountinfo writes it
  std::uint64_t links = 0;  // names; 0: it does not matter
  auto operator<=>(const HostFile&) const = default;
};
// A file system of the kernel's (proc, sysfs, cgroup, devtmpfs, ...) mounted somewhere else than at /proc,
// /sys and /dev.
struct KernelMount {
  // devices: devtmpfs; processes: proc, whose links lead to the root of each process, past every cover.
  enum class Kind : std::uint8_t { other, devices, processes };
  std::string target;
  Kind kind = Kind::other;
  std::optional<HostFile> over;  // its root
  bool operator==(const KernelMount&) const = default;
};
// What a path of HostQuestions::paths leads to, looked at with the rights of the user inside. `target` is
// without symbolic links; `link`: one on the way is not root's, so that an earlier program could have turned
// it, and nobody follows it.
struct HostPath {
  enum class Kind : std::uint8_t { folder, socket, file, other, link };
  Kind kind = Kind::other;
  std::string target;
  std::uint64_t device = 0;  // of stat(2)
  std::uint64_t inode = 0;
  bool operator==(const HostPath&) const = default;
};
// A unix socket of the host's that a process has, and whose file has not been found.
struct LostSocket {
  std::string path;     // as it was bound
  std::string program;  // and who has it; empty: not known
  std::string pid;
  bool operator==(const LostSocket&) const = default;
};
struct HostFacts {
  bool privileged = true;              // root: may join the jail to the host by a veth
  AddressSet addresses;                // the host's own
  std::vector<HostUplink> uplinks;     // interfaces through which something that the policy opens is reached
  std::uint32_t mtu = 1500;            // the smallest of the uplinks'
  bool ipv6 = true;                    // the host has IPv6 at all
  bool ipv6_force_forwarding = false;  // per-interface IPv6 forwarding exists (Linux 6.17)
  bool ipv6_all_forwarding = false;    // net.ipv6.conf.all.forwarding was on
  std::vector<std::string> search;     // search domains and options of the host's resolv.conf
  std::vector<std::string> resolv_options;
  bool has_resolver = false;                // resolv.conf names a server
  std::vector<HostsEntry> hosts;            // of /etc/hosts; read for a policy with names alone
  std::string resolv_conf_target;           // where /etc/resolv.conf really is; empty: none
  std::string nsswitch;                     // text of /etc/nsswitch.conf; empty: none
  bool nscd_socket = false;                 // /run/nscd exists
  bool core_socket = false;                 // a crash would hand the program's memory to a socket's owner
  bool cgroup_mount = false;                // /sys/fs/cgroup is mounted
  std::vector<KernelMount> kernel_mounts;   // root inside could write there
  std::vector<std::string> meeting_places;  // of kMeetingPlaces those that are there, without symbolic links
  std::map<std::string, HostPath> paths;    // of those asked for the ones that are there
  std::vector<HostFile> sockets;            // every path of the unix sockets found that somebody listens to
  std::vector<HostFile> socket_folders;     // in which there is nothing but these
  std::vector<LostSocket> lost_sockets;     // that the user inside may have moved
  std::vector<std::string> records;         // where /run/netjail is seen, and elsewhere by other mounts
  // Of other firewalls, those that can drop what the host forwards or sends; read as root alone.
  std::vector<nft::ForeignChain> firewalls;
  std::string no_pasta;  // why pasta cannot be used where `firewalls` would want it; empty: it can
  bool operator==(const HostFacts&) const = default;
};

}  // namespace netjail
