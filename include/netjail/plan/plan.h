// The plan: everything netjail is about to do, as one value. Pure: made from a policy, what was read of the
// host and what the caller asked for; no system call, clock or environment.
//
// Three consumers that cannot disagree silently: render (people, nft, JSON), nft::evaluate (tests,
// `explain`), Jail::apply (the kernel). What only the kernel can know, the address that this run gets out of
// the pool, is not in it: no rule names it.
//
//   host netns            router netns                    jail netns
//   njPID  <── veth ──>  uplink   FORWARD filter   jail <── veth ──> eth0, lo
//   pasta  <── tap ───>  uplink                                               without root
#pragma once

#include <array>
#include <chrono>
#include <map>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "netjail/nft/ruleset.h"
#include "netjail/plan/host.h"
#include "netjail/policy/policy.h"

namespace netjail {

inline constexpr std::string_view kTable = "netjail";  // table inet netjail, in the router and in the host
inline constexpr std::string_view kJailInterface = "jail";      // router's end towards the jail
inline constexpr std::string_view kUplinkInterface = "uplink";  // router's end towards the host
inline constexpr std::string_view kHostInterfacePrefix =
    "nj";  // host's end: nj<pid>; no shipped .network file matches
// Conntrack mark of a flow that this generation of the policy admitted ("nj", generation 1).
inline constexpr std::uint32_t kGenerationMark = 0x6e6a0001;
inline constexpr std::uint16_t kLogGroup = 1;
// The flows of a jail are counted in slots (nft::FlowsOver), by a hash that the kernel keeps to itself: a
// slot is full now and then from two thirds of kMostFlows on, and a new flow costs what a slot has, not the
// whole.
inline constexpr std::uint32_t kFlowSlots = 256;
inline constexpr std::uint32_t kFlowsPerSlot = kMostFlows / kFlowSlots;
// Most addresses of one family that a group of names can have open at a time (nft::Set::learns).
inline constexpr std::uint32_t kMostLearned = 65536;
// An address of a name stays open this much longer than its TTL says: programs keep addresses, look up once
// and connect often, and a name whose addresses rotate gives others each time.
inline constexpr std::chrono::seconds kLearnedGrace{300};

// ---- what the caller asked for
// -------------------------------------------------------------------------------------
struct Caller {
  std::vector<std::string> command;
  std::string cwd;
  std::uint32_t uid = 0;
  std::uint32_t gid = 0;
  std::vector<std::uint32_t> groups;
  std::map<std::string, std::string> environment;
  std::vector<int> keep_fds;
  bool operator==(const Caller&) const = default;
};

// ---- the plan
// ------------------------------------------------------------------------------------------------------
struct RouterPlan {
  nft::Ruleset ruleset;
  bool operator==(const RouterPlan&) const = default;
};

// A sysctl to be set for the lifetime of the jails, restored by the last one out. `path` is below /proc/sys.
struct SysctlSetting {
  std::string path;
  std::string value;
  bool operator==(const SysctlSetting&) const = default;
};

// How packets get from the router to the world. `host`: a veth into the host, which forwards and masquerades.
// `pasta`: a tap whose other end is pasta(1), which carries every flow by sockets of its own, without root.
struct UplinkPlan {
  enum class Kind : std::uint8_t { none, host, pasta };
  Kind kind = Kind::none;
  std::uint32_t mtu = 1500;
  bool ipv6 = true;
  std::string interface;               // pasta: one of the host's, for it starts with none
  nft::Ruleset host_table;             // the constant one; names no jail
  std::vector<nft::Ruleset> guards;    // one per interface and family on which netjail switches forwarding on
  std::vector<SysctlSetting> sysctls;  // of the host, shared by all jails
  std::vector<SysctlSetting> link_sysctls;  // of the jail's own veth; "%s" stands for its name
  // Where the jail's addresses come from, in order of trial; the host's routing table is the allocator. The
  // first address of the first one where there is no host to share with.
  std::vector<Prefix> pools;
  Prefix pool_ipv6;
  // pasta, though root: what of other firewalls can drop what the host forwards.
  std::string because;
  // What can drop what the jail sends, all the same, with the remedy; for the user to know before he wonders.
  std::vector<std::string> warnings;
  bool operator==(const UplinkPlan&) const = default;
};

// What is mounted in the jail's mount namespace, in order.
struct MountProc {
  bool operator==(const MountProc&) const = default;
};
struct MountSysfs {
  bool operator==(const MountSysfs&) const = default;
};
struct MountDevices {
  bool operator==(const MountDevices&) const = default;
};  // private /dev: only harmless nodes
struct MountFile {
  std::string target;
  std::string text;
  bool operator==(const MountFile&) const = default;
};
struct MountEmpty {
  std::string target;
  std::optional<HostFile> over;  // the folder that it must lie on
  bool operator==(const MountEmpty&) const = default;
};  // covered by an empty tmpfs
struct MountReadOnly {
  std::string target;
  bool operator==(const MountReadOnly&) const = default;
};  // bound on itself
struct MountCgroup {
  bool operator==(const MountCgroup&) const = default;
};  // the host's /sys/fs/cgroup, read-only
struct MountNull {
  std::string target;
  HostFile over;  // the socket
  bool operator==(const MountNull&) const = default;
};  // covered by /dev/null
struct MountOwn {
  std::string target;
  bool for_all = false;  // everybody may write there (mode 1777), as in /tmp
  bool operator==(const MountOwn&) const = default;
};  // an empty tmpfs of the jail's
// The next two only where the jail has a tmpfs of its own, so that nothing of the host's is made.
struct MakeFolder {
  std::string target;
  bool operator==(const MakeFolder&) const = default;
};  // of the program's user, mode 0700
struct MakeFile {
  std::string target;
  bool operator==(const MakeFile&) const = default;
};  // empty, to be mounted over
struct MountShared {
  std::string target;
  HostFile over;  // what it was; inode 0: whatever it is
  bool operator==(const MountShared&) const = default;
};  // the host's own, taken before a tmpfs covered it
using Mount = std::variant<MountProc, MountSysfs, MountDevices, MountFile, MountEmpty, MountReadOnly,
                           MountCgroup, MountNull, MountOwn, MakeFolder, MakeFile, MountShared>;

struct ChildPlan {
  std::vector<std::string> command;
  std::string cwd;
  std::uint32_t uid = 0;
  std::uint32_t gid = 0;
  std::vector<std::uint32_t> groups;
  std::vector<std::string> environment;  // NAME=value, sorted
  std::vector<std::string> candidates;   // paths to try with execve, from PATH
  std::vector<int> keep_fds;
  std::vector<std::string> seccomp_families;
  bool user_namespaces = false;   // the program can make some; never for user 0
  bool mount_namespaces = false;  // and mount in them
  std::vector<Mount> mounts;
  std::vector<std::string> sockets;   // unix sockets outside that can be reached
  std::vector<std::string> withheld;  // names of variables that lead to sockets that cannot
  // Paths on the command line that will be in a folder of the jail's own if the program makes them, and go
  // with it.
  std::vector<std::string> lost;
  std::vector<std::string> links;  // symbolic links on the command line that it does not find
  // Why it can make no unix sockets but pairs: one of these could be anywhere.
  std::vector<LostSocket> lost_sockets;
  bool operator==(const ChildPlan&) const = default;
};

struct HostsName {
  Name name;
  std::vector<Ip> addresses;  // of both families, in the order of the file, each once
  bool operator==(const HostsName&) const = default;
};
struct ResolverPlan {
  bool listen = true;               // a socket on the jail's loopback
  bool forward = false;             // some name may be looked up; else every question is refused and reported
  std::vector<HostsName> hosts;     // of the host's /etc/hosts, by name: those that may be looked up
  std::vector<std::string> search;  // the search domains that the program's resolver appends
  bool operator==(const ResolverPlan&) const = default;
};

// One packet of the proof before exec: sent from inside the jail, it must bump `counter`. An allowed one has
// a TTL that ends in the host: it is counted and dies before it leaves the machine.
struct ProofPacket {
  Flow flow;
  bool allowed = false;
  std::string counter;
  std::uint8_t ttl = 64;
  bool operator==(const ProofPacket&) const = default;
};

struct Plan {
  std::string name;
  Policy policy;
  RouterPlan router;
  UplinkPlan uplink;
  ResolverPlan resolver;
  ChildPlan child;
  std::vector<ProofPacket> proof;
  bool operator==(const Plan&) const = default;
};

// What of the host's files the child finds, in order; the sockets that it can reach. Fails when something
// that was asked for is not there.
struct FilesPlan {
  std::vector<Mount> mounts;
  std::vector<std::string> sockets;
  std::vector<std::string> lost;
  std::vector<std::string> links;
};
Result<FilesPlan> make_files(const Policy& policy, const HostFacts& host, const Caller& caller);

// Fails when the plan cannot be made: uplink asked for that the host has not, no command, a dropped
// privilege.
Result<Plan> make_plan(Policy policy, const HostFacts& host, const Caller& caller);

// The router's ruleset for a policy. The counter and log prefix of every verdict is the id of the rule that
// decides.
// With pasta behind it the router masquerades, and lets only packets through that pasta can read.
// For each group of names it has a set of each family that learns (learned_set), empty: what names turn out
// to have is counted and blamed at the group's first rule.
nft::Ruleset make_filter(const Policy& policy, UplinkPlan::Kind uplink = UplinkPlan::Kind::host);
// Name of the set of that ruleset in which a group of make_name_groups has its addresses of one family. There
// is none for IPv6 with ipv6 = false.
std::string learned_set(std::string_view group, Family family);
// What goes into that ruleset when the host gets addresses while the jail runs: elements of its sets; the
// first time, rules to stand before all others of chain forward. A flow to such an address may have been
// admitted while the address was somebody else's, or between its coming and this; until there is one, no
// packet pays for that. `earlier`: those that were added before.
nft::Ruleset make_host_addition(const AddressSet& added, const AddressSet& earlier);
// Name of the counter that the flows of a rule bump.
std::string counter_name(std::string_view rule_id);
UplinkPlan make_uplink(const Policy& policy, const HostFacts& host);
// Which chains of other firewalls can drop what a jail sends by a way (the host's forwarding, or pasta, whose
// packets are the host's own), in words with the reason, one text per chain. `parts`: also those that drop a
// part of it by a rule at a place where that is usual (a blocklist in front of the routing).
std::vector<std::string> find_walls(const HostFacts& host, UplinkPlan::Kind way, bool parts = false);
// What the host needs for its uplinks as they are now.
void plan_host(UplinkPlan& plan, const HostFacts& host);
// The host's table of that name as plans have it: the constant one or a guard; nothing for other names.
std::optional<nft::Ruleset> find_host_table(std::string_view name);
// Of written addresses alone: a policy of names has nothing open yet that could be proven.
std::vector<ProofPacket> make_proof(const Policy& policy, bool ipv6);

// For people; as an `nft -f` script; as JSON with a stable schema (netjail(1)).
// Why the child has no unix sockets, and how it would have them; empty: it has, or the policy has none.
std::string describe_lost_sockets(const ChildPlan& child);
std::string render_plan_text(const Plan& plan);
std::string render_plan_nft(const Plan& plan);
std::string render_plan_json(const Plan& plan);

// Addresses whose routes decide which interfaces of the host are uplinks: one inside each thing that the
// policy opens.
std::vector<Ip> route_probes(const Policy& policy);

HostQuestions host_questions(const Policy& policy);
// With what concerns the child: its files.
HostQuestions host_questions(const Policy& policy, const Caller& caller);

// Where the programs of a host meet: sockets, pipes, temporary files. The jail has its own, empty.
inline constexpr std::array<std::string_view, 3> kMeetingPlaces{"/run", "/tmp", "/var/tmp"};
// Most paths that one jail shares with the host there; each is a mount.
inline constexpr std::size_t kMostShared = 128;
// And sockets that are covered.
inline constexpr std::size_t kMostCovered = 4096;

}  // namespace netjail
