// The policy: who may talk to whom, with every default filled in. decide() is the reference oracle: the
// packet filter, its text and the live kernel must agree with it.
#pragma once

#include <functional>
#include <map>
#include <span>
#include <string>
#include <vector>

#include "netjail/net/flow.h"
#include "netjail/net/ip.h"
#include "netjail/profile/profile.h"

namespace netjail {

// One rule as it is meant. `id` is stable within a policy ("allow-1", "deny-2", in the order written) and
// names the rule in the packet filter, counters, log and report.
struct Rule {
  std::string id;
  Action action = Action::allow;
  AddressSet addresses;           // effective: for allow, local ones taken out unless the rule opens them
  std::vector<Service> services;  // of the addresses; empty: all
  std::vector<NamePattern> names;
  std::vector<Service> name_services;  // of the names; empty (deny only): the names are not even answered
  bool any_name = false;               // allow: "internet" or "any", so that every name may be looked up
  bool local = false;                  // allow: the names may have local addresses
  std::string text;                    // "to internet, service https" for people
  Position where;
  bool operator==(const Rule&) const = default;
};

// What a rule by name opens where it says no service: the web.
std::span<const Service> default_name_services();

// Ids of the verdicts that no written rule gives.
inline constexpr std::string_view kDefaultRule = "default";        // nothing allows it
inline constexpr std::string_view kLocalRule = "local";            // local address that no rule names
inline constexpr std::string_view kHostRule = "host";              // an address of the host itself
inline constexpr std::string_view kUnroutableRule = "unroutable";  // multicast, broadcast, loopback, ...
// Refuses what another rule allows: decide() knows no such numbers.
inline constexpr std::string_view kLimitRule = "limit";

// Flows of all protocols and destinations that a jail can have at a time: what fills a connection-tracking
// table, of the host too, or takes the last source port, is out of reach of one jail (a host's table has
// 262,144 entries, with 4 GiB or less 65,536). Connections that are closed and waited for (two minutes) are
// not counted: so that they are not more than 120,000 or so, new ones are limited too.
inline constexpr std::uint32_t kMostFlows = 16384;
inline constexpr std::uint32_t kNewFlowsPerSecond = 1000;
inline constexpr std::uint32_t kNewFlowsAtOnce = kMostFlows;

struct Policy {
  std::string name;  // profile's name
  std::string description;
  std::vector<Rule> rules;  // in the order written
  AddressSet host;          // the host's own addresses: out of reach whatever the rules say
  Refuse refuse = Refuse::reject;
  bool ipv6 = true;
  UplinkChoice uplink = UplinkChoice::automatic;
  DnsChoice dns = DnsChoice::policy;
  std::vector<NameServer> upstreams;      // empty: the host's own
  std::vector<std::string> record_types;  // that are answered, as record_type_names(); empty: all of them
  std::vector<std::string> seccomp_families;
  std::optional<std::string> user;
  std::optional<std::vector<std::string>> groups;
  std::map<std::string, std::string> environment;
  bool user_namespaces = false;           // for the program to make
  bool mount_namespaces = false;          // in them; never without them
  std::vector<std::string> shared;        // paths that stay the host's, which the jail has of its own else
  std::vector<std::string> devices;       // of the host's /dev, beside the harmless ones
  std::vector<std::string> unix_sockets;  // outside, that can be reached: unix_preset_names() and paths
  bool log_denied = true;

  // True when at least one destination is open: without any there is no uplink, and no name is looked up.
  bool opens_anything() const { return opens(Family::ipv4) || opens(Family::ipv6); }
  bool opens(Family family) const;
  // True when some name may be looked up.
  bool allows_names() const;
  bool operator==(const Policy&) const = default;
};

Policy make_policy(const Profile& profile);

// Rules of one action that name names and have the same services for them. Addresses that names turn out to
// have are learned by the group: one set in the packet filter however many rules and names there are. So a
// flow to a learned address is counted and blamed at the first rule of the group.
struct NameGroup {
  std::string id;  // of its first rule
  Action action = Action::allow;
  std::vector<Service> services;   // sorted; never empty
  std::vector<std::size_t> rules;  // indices into Policy::rules, ascending
  bool operator==(const NameGroup&) const = default;
};
// In the order of their first rules. A denial of every service has no group: its names are not answered. A
// rule that is not the first of its group counts its written addresses alone.
std::vector<NameGroup> make_name_groups(const Policy& policy);

// Addresses that have been learned, by id of the group. With ipv6 = false no IPv6 address is one.
using Learned = std::map<std::string, AddressSet, std::less<>>;

struct Verdict {
  Action action = Action::deny;
  std::string rule;  // id of the deciding rule
  bool operator==(const Verdict&) const = default;
};
// Deny beats allow; order does not matter to the action. The rule named is the first written one that
// decides.
Verdict decide(const Policy& policy, const Flow& flow, const Learned& learned = {});
const Rule* find_rule(const Policy& policy, std::string_view id);
// The first rule that denies whatever the pattern matches, for every service; null without one.
const Rule* find_denial(const Policy& policy, const NamePattern& pattern);
// The addresses that a name of an allow rule can have opened by it.
AddressSet openable_addresses(const Policy& policy, bool local);
// A sentence for people: "no rule allows it", "rule deny-1 (to 203.0.113.0/24, profile.toml:7)".
std::string describe_rule(const Policy& policy, std::string_view id);
// The SPEC for --allow that would open this flow; empty when no --allow can (deny rule, host, unroutable).
// With the name that the program had asked for: a rule for that name, where one would do.
std::string allow_spec(const Policy& policy, const Flow& flow, const std::string& asked = {});
// The same for a name that a program asked for, as printable text; empty also for one that no rule can be
// written for, and for "*.example.org": that is a name in a question, but opens others in a SPEC.
std::string allow_spec(const Policy& policy, const std::string& name);
// And for a flow to a name, of which nothing but the address is unknown.
std::string allow_spec(const Policy& policy, const Name& name, const Flow& flow);
// The options to add for that: "--allow SPEC", quoted for a shell; a profile that says uplink = "none" stays
// shut whatever is added, so another one is named with it.
std::string describe_remedy(const Policy& policy, const std::string& spec);

}  // namespace netjail
