// The host's side of the plan: the constant table, the guards, the sysctls, the address pools.
#include <algorithm>

#include "netjail/base/format.h"
#include "netjail/base/text.h"
#include "netjail/plan/plan.h"

namespace netjail {
namespace {

using namespace nft;

const std::string kAnyJail = std::string(kHostInterfacePrefix) + "*";
constexpr std::int32_t kBeforeFilter = -10;  // before the filter chains of ufw, firewalld and iptables
constexpr std::int32_t kSrcnat = 100;
constexpr std::uint32_t kPastaMtu = 65520;  // its largest; at 1500 a jail gets a tenth of the throughput

// Names no jail: the same text whatever runs (DESIGN.md section 2). The filter is in each jail's router; here
// is what masquerades, and the only guard of addresses that the host got after the launch (where there is no
// such table the supervisor watches: local.h says why not here). The keeper keeps it (jail/keeper.h).
Ruleset host_table() {
  Ruleset table;
  table.table = kTable;
  table.chains.push_back({"input",
                          BaseChain{false, Hook::input, kBeforeFilter, false},
                          {{{IifName{kAnyJail}, L4Proto{kTcp}, RejectTcpReset{}}, "no service of the host"},
                           {{IifName{kAnyJail}, RejectAdmin{}}, "no service of the host"}}});
  table.chains.push_back(
      {"forward",
       BaseChain{false, Hook::forward, kBeforeFilter, false},
       {{{IifName{kAnyJail}, OifName{kAnyJail}, Drop{}}, "jails do not see each other"},
        {{IifName{kAnyJail}, CtStatusDnat{}, Drop{}}, "no published port of a container"},
        // It would keep its source for as long as it lives, whatever masquerades by now.
        {{IifName{kAnyJail}, CtUntranslated{}, L4Proto{kTcp}, RejectTcpReset{}},
         "began without masquerading"},
        {{IifName{kAnyJail}, CtUntranslated{}, RejectAdmin{}}, "began without masquerading"}}});
  table.chains.push_back({"postrouting",
                          BaseChain{true, Hook::postrouting, kSrcnat, false},
                          {{{IifName{kAnyJail}, OifName{kAnyJail, true}, Masquerade{true}}, ""}}});
  return table;
}

constexpr std::string_view kAllInterfaces = "all";
const std::string kGuard = std::string(kTable) + "-guard-";

std::string suffix(Family family) { return family == Family::ipv4 ? "-ipv4" : "-ipv6"; }

// Forwarding switched on for the jails must not make the host a router for its neighbours. `interface`: empty
// for all of them.
Ruleset guard(const std::string& interface, Family family) {
  Ruleset table;
  table.table = kGuard + (interface.empty() ? std::string(kAllInterfaces) : interface) + suffix(family);
  std::vector<Expression> expressions;
  if (interface.empty())
    expressions.push_back(IifName{kAnyJail, true});
  else
    expressions.push_back(IifName{interface});
  expressions.insert(expressions.end(), {OifName{kAnyJail, true}, NfProto{family},
                                         CtState{kNew | kInvalid | kUntracked}, Drop{}});
  table.chains.push_back({"forward",
                          BaseChain{false, Hook::forward, kBeforeFilter, false},
                          {{std::move(expressions), "forwarding is on for jails only"}}});
  return table;
}

void plan_uplink(UplinkPlan& plan, const HostUplink& uplink, const HostFacts& host) {
  if (uplink.forwarding) return;
  const std::string dir = uplink.family == Family::ipv4 ? "net/ipv4/conf/" : "net/ipv6/conf/";
  if (uplink.family == Family::ipv4) {
    plan.guards.push_back(guard(uplink.interface, uplink.family));
    plan.sysctls.push_back({dir + uplink.interface + "/forwarding", "1"});
  } else if (host.ipv6_force_forwarding) {
    plan.guards.push_back(guard(uplink.interface, uplink.family));
    plan.sysctls.push_back({dir + uplink.interface + "/force_forwarding", "1"});
  } else if (uplink.accept_ra == 1) {
    // Before Linux 6.17 IPv6 forwards for all interfaces or none, and a router ignores advertisements unless
    // told 2.
    plan.sysctls.push_back({dir + uplink.interface + "/accept_ra", "2"});
  }
}

constexpr std::size_t kMostWalls = 3;  // told in one line

// Rules about a protocol that the host would forward, and pasta drops.
std::vector<std::string> find_stranded(const Policy& policy) {
  const auto strange = [](const Service& service) {
    const auto protocol = service.protocol;
    return protocol && *protocol != kTcp && *protocol != kUdp && *protocol != kIcmp && *protocol != kIcmp6;
  };
  std::vector<std::string> out;
  for (const netjail::Rule& rule : policy.rules)
    if (rule.action == Action::allow &&
        (std::ranges::any_of(rule.services, strange) || std::ranges::any_of(rule.name_services, strange)))
      out.push_back(rule.id);
  return out;
}

// A foreign chain's drop beats our accept at any priority (measured: ARCHITECTURE.md). What pasta sends is
// the host's own, which firewalls let out, and no rule of theirs has to be touched.
void choose_way(UplinkPlan& plan, const Policy& policy, const HostFacts& host) {
  using Kind = UplinkPlan::Kind;
  plan.kind = policy.uplink == UplinkChoice::pasta || !host.privileged ? Kind::pasta : Kind::host;
  std::vector<std::string> walls = find_walls(host, plan.kind);
  if (plan.kind == Kind::host && policy.uplink == UplinkChoice::automatic && !walls.empty() &&
      host.no_pasta.empty()) {
    plan.kind = Kind::pasta;
    plan.because = join_some(walls, kMostWalls);
    walls = find_walls(host, Kind::pasta);
    if (const auto stranded = find_stranded(policy); !stranded.empty())
      plan.warnings.push_back(
          plan.because +
          " shuts the host's forwarding, and pasta carries TCP, UDP and ping alone: not all of " +
          join_some(stranded, kMostWalls) + " is reached");
  }
  if (walls.empty()) return;
  std::string what = join_some(walls, kMostWalls);
  what += plan.kind == Kind::host ? " may drop what the host forwards for the jail"
                                  : " may drop what pasta sends for the jail";
  if (plan.kind == Kind::pasta)
    what += "; open there what the host itself shall reach";
  else if (policy.uplink == UplinkChoice::host)
    what += "; without uplink = \"host\" pasta would carry it past";
  else
    what += "; pasta would carry it past, but: " + host.no_pasta;
  plan.warnings.push_back(std::move(what));
}

}  // namespace

std::vector<std::string> find_walls(const HostFacts& host, UplinkPlan::Kind way, bool parts) {
  using nft::ForeignDrop;
  const bool forwarded = way == UplinkPlan::Kind::host;
  const auto on_the_way = [&](const std::string& pattern) {
    return pattern.empty() || (forwarded && nft::overlap(pattern, kAnyJail)) ||
           std::ranges::any_of(host.uplinks, [&](const HostUplink& uplink) {
             return nft::overlap(pattern, uplink.interface);
           });
  };
  const auto meets = [&](const nft::ForeignChain& chain) {
    // Of input, a firewall lets replies in.
    const bool at = chain.hook == Hook::postrouting ||
                    (forwarded ? chain.hook == Hook::forward || chain.hook == Hook::prerouting
                               : chain.hook == Hook::output);
    return at && std::ranges::any_of(host.uplinks,
                                     [&](const HostUplink& uplink) { return chain.takes(uplink.family); });
  };
  std::vector<std::string> out;
  for (const nft::ForeignChain& chain : host.firewalls) {
    if (!meets(chain)) continue;
    // Elsewhere a rule with a condition is about somebody else mostly, and meets the host's own packets, too.
    const bool any = parts || chain.hook == Hook::forward;
    const auto drop = std::ranges::find_if(chain.drops, [&](const ForeignDrop& one) {
      return (any || one.rest) && on_the_way(one.in) && on_the_way(one.out);
    });
    if (drop != chain.drops.end())
      out.push_back(fmt::format("{} ({})", nft::name_of(chain), nft::describe(drop->kind)));
  }
  return out;
}

std::optional<Ruleset> find_host_table(std::string_view name) {
  if (name == kTable) return host_table();
  if (!name.starts_with(kGuard)) return std::nullopt;
  name.remove_prefix(kGuard.size());
  for (const Family family : kFamilies) {
    const std::string end = suffix(family);
    if (!name.ends_with(end) || name.size() == end.size()) continue;
    const std::string_view interface = name.substr(0, name.size() - end.size());
    return guard(interface == kAllInterfaces ? std::string() : std::string(interface), family);
  }
  return std::nullopt;
}

UplinkPlan make_uplink(const Policy& policy, const HostFacts& host) {
  UplinkPlan plan;
  plan.mtu = host.mtu;
  plan.ipv6 = policy.ipv6;
  // 10/8 first; then what people seldom route. The address is taken where the host has nothing but a default
  // route.
  for (const std::string_view pool :
       {"10.192.0.0/11", "172.24.0.0/14", "100.96.0.0/12", "198.18.0.0/16", "192.168.192.0/19"})
    plan.pools.push_back(*parse_prefix(pool));
  plan.pool_ipv6 = *parse_prefix("fd6e:6a00:6e6a::/64");
  if (!policy.opens_anything() || policy.uplink == UplinkChoice::none) return plan;
  choose_way(plan, policy, host);
  if (plan.kind == UplinkPlan::Kind::pasta) {
    plan.mtu = kPastaMtu;
    const auto ipv6 = std::ranges::find(host.uplinks, Family::ipv6, &HostUplink::family);
    const bool way = ipv6 != host.uplinks.end();
    // What is open must have a way, for pasta does not answer an error where there is none. What is shut
    // needs none: the router refuses it, and the refusal is told.
    plan.ipv6 = policy.ipv6 && (way || (host.ipv6 && !policy.opens(Family::ipv6)));
    if (!host.uplinks.empty()) plan.interface = (way ? *ipv6 : host.uplinks.front()).interface;
    // Nobody else sees them: for hosts behind a translator of their own (RFC 7335).
    plan.pools = {*parse_prefix("192.0.0.0/29")};
    return plan;
  }

  plan_host(plan, host);
  return plan;
}

void plan_host(UplinkPlan& plan, const HostFacts& host) {
  plan.kind = UplinkPlan::Kind::host;
  plan.ipv6 = plan.ipv6 && host.ipv6;
  plan.host_table = host_table();
  for (const HostUplink& uplink : host.uplinks)
    if (uplink.family == Family::ipv4 || plan.ipv6) plan_uplink(plan, uplink, host);
  if (plan.ipv6 && !host.ipv6_force_forwarding && !host.ipv6_all_forwarding) {
    plan.guards.push_back(guard("", Family::ipv6));
    plan.sysctls.push_back({"net/ipv6/conf/all/forwarding", "1"});
  }
  plan.link_sysctls.push_back({"net/ipv4/conf/%s/forwarding", "1"});
  if (plan.ipv6 && host.ipv6_force_forwarding)
    plan.link_sysctls.push_back({"net/ipv6/conf/%s/force_forwarding", "1"});
}

namespace {

bool opens_names(const Policy& policy, Family family) {
  return (policy.ipv6 || family == Family::ipv4) &&
         std::ranges::any_of(policy.rules, [](const netjail::Rule& rule) {
           return rule.action == Action::allow && !rule.names.empty();
         });
}

}  // namespace

std::vector<Ip> route_probes(const Policy& policy) {
  constexpr std::size_t kMost = 64;  // each is one look-up at start-up; more would cost more than it finds
  std::vector<Ip> probes;
  for (const Family family : kFamilies)
    if (opens_names(policy, family))
      probes.push_back(*parse_ip(family == Family::ipv4 ? "1.0.0.0" : "2000::"));
  for (const netjail::Rule& rule : policy.rules) {
    if (rule.action != Action::allow) continue;
    for (const Family family : kFamilies) {
      const std::vector<AddressRange> ranges = rule.addresses.ranges(family);
      if (ranges.size() <= kMost / 2 && !ranges.empty() && probes.size() + ranges.size() <= kMost) {
        for (const AddressRange& range : ranges) probes.push_back(range.first);
      } else if (!ranges.empty()) {
        // Too many to ask for each: the first, the last, and what the default route serves.
        probes.push_back(ranges.front().first);
        probes.push_back(ranges.back().first);
      }
    }
  }
  std::ranges::sort(probes);
  const auto rest = std::ranges::unique(probes);
  probes.erase(rest.begin(), rest.end());
  return probes;
}

HostQuestions host_questions(const Policy& policy) {
  AddressSet networks;
  for (const netjail::Rule& rule : policy.rules) {
    if (rule.action != Action::allow) continue;
    // Of single addresses each is asked for as it is.
    if (std::ranges::any_of(rule.addresses.ranges(), [](const auto& one) { return one.first != one.last; }))
      networks = networks.united(rule.addresses);
    if (!rule.names.empty())
      networks = networks.united(rule.local ? AddressSet::everything()
                                            : AddressSet::everything().without(local_addresses()));
  }
  return {route_probes(policy), policy.allows_names(), networks.without(unroutable_addresses())};
}

}  // namespace netjail
