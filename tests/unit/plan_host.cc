// Policy and what was read of the host -> plan.
#include <doctest/doctest.h>

#include <algorithm>

#include "netjail/plan/plan.h"

using namespace netjail;

TEST_CASE("a host without route or resolver is an error with the remedy") {
  Profile profile;
  profile.name = "web";
  ProfileRule rule;
  rule.to.push_back({Destination::Kind::internet, {}, "internet"});
  profile.rules.push_back(rule);
  HostFacts host;
  Caller caller;
  caller.command = {"true"};
  caller.cwd = "/";
  host.has_resolver = true;
  const auto no_route = make_plan(make_policy(profile), host, caller);
  REQUIRE(!no_route.has_value());
  CHECK(no_route.error().what.find("no route") != std::string::npos);
  CHECK(!no_route.error().hint.empty());
  host.uplinks.push_back({Family::ipv4, "eth0", false, 0});
  host.has_resolver = false;
  const auto no_resolver = make_plan(make_policy(profile), host, caller);
  REQUIRE(!no_resolver.has_value());
  CHECK(no_resolver.error().hint.find("nameserver") != std::string::npos);
  host.has_resolver = true;
  CHECK(make_plan(make_policy(profile), host, caller).has_value());
}

TEST_CASE("a host whose core dumps go to a server: nothing is started") {
  HostFacts host;
  Caller caller;
  caller.command = {"true"};
  caller.cwd = "/";
  CHECK(make_plan(make_policy(Profile{}), host, caller).has_value());
  host.core_socket = true;
  const auto plan = make_plan(make_policy(Profile{}), host, caller);
  REQUIRE(!plan.has_value());
  CHECK(plan.error().what.find("kernel.core_pattern") != std::string::npos);
  CHECK(plan.error().hint.find("sysctl kernel.core_pattern=") != std::string::npos);
}

TEST_CASE("forwarding that was on already is left alone, else guarded") {
  Profile profile;
  ProfileRule rule;
  rule.to.push_back({Destination::Kind::internet, {}, "internet"});
  profile.rules.push_back(rule);
  const Policy policy = make_policy(profile);
  HostFacts host;
  host.uplinks = {{Family::ipv4, "eth0", true, 0}, {Family::ipv6, "eth0", true, 0}};
  host.ipv6_force_forwarding = true;
  UplinkPlan plan = make_uplink(policy, host);
  CHECK(plan.guards.empty());
  CHECK(plan.sysctls.empty());
  host.uplinks[0].forwarding = host.uplinks[1].forwarding = false;
  plan = make_uplink(policy, host);
  CHECK(plan.guards.size() == 2);
  CHECK(plan.sysctls == std::vector<SysctlSetting>{{"net/ipv4/conf/eth0/forwarding", "1"},
                                                   {"net/ipv6/conf/eth0/force_forwarding", "1"}});
  host.ipv6_force_forwarding = false;  // before Linux 6.17
  host.uplinks[1].accept_ra = 1;
  plan = make_uplink(policy, host);
  CHECK(plan.sysctls.back() == SysctlSetting{"net/ipv6/conf/all/forwarding", "1"});
  CHECK(plan.sysctls[1] == SysctlSetting{"net/ipv6/conf/eth0/accept_ra", "2"});
}

TEST_CASE("pasta: IPv6 in the jail where it has a way, or is shut") {
  const auto plan = [](const char* to, std::vector<HostUplink> uplinks, bool ipv6) {
    Profile profile;
    ProfileRule rule;
    rule.to.push_back({Destination::Kind::prefix, *parse_prefix(to), to});
    profile.rules.push_back(rule);
    HostFacts host;
    host.privileged = false;
    host.ipv6 = ipv6;
    host.uplinks = std::move(uplinks);
    return make_uplink(make_policy(profile), host);
  };
  const HostUplink v4{Family::ipv4, "eth0"};
  const HostUplink v6{Family::ipv6, "eth1"};
  CHECK(plan("2001:db8::/32", {v4, v6}, true).ipv6);
  CHECK(plan("2001:db8::/32", {v4, v6}, true).interface == "eth1");
  CHECK(plan("198.51.100.0/24", {v4}, true).ipv6);  // refused, and told
  CHECK(plan("198.51.100.0/24", {v4}, true).interface == "eth0");
  CHECK_FALSE(plan("198.51.100.0/24", {v4}, false).ipv6);
  CHECK_FALSE(plan("2001:db8::/32", {v4}, true).ipv6);  // open, without a way
}

namespace {

using Drop = nft::ForeignDrop;

nft::ForeignChain chain(const char* family, nft::Hook hook, std::vector<Drop> drops) {
  return {family, "t", "c", hook, std::move(drops)};
}

UplinkPlan beside(std::vector<nft::ForeignChain> firewalls, UplinkChoice uplink = UplinkChoice::automatic,
                  const char* no_pasta = "", bool ipv6 = false, std::vector<Service> services = {}) {
  Profile profile;
  profile.uplink = uplink;
  ProfileRule rule;
  rule.to.push_back({Destination::Kind::internet, {}, "internet"});
  rule.services = std::move(services);
  profile.rules.push_back(rule);
  HostFacts host;
  host.uplinks = {{Family::ipv4, "eth0"}};
  if (ipv6) host.uplinks.push_back({Family::ipv6, "eth0"});
  host.firewalls = std::move(firewalls);
  host.no_pasta = no_pasta;
  return make_uplink(make_policy(profile), host);
}

bool past(const UplinkPlan& plan) { return plan.kind == UplinkPlan::Kind::pasta; }

}  // namespace

TEST_CASE("beside other firewalls: pasta where they can drop what the host forwards") {
  using enum nft::Hook;
  using enum Drop::Kind;
  CHECK_FALSE(past(beside({})));
  const nft::ForeignChain shut = chain("ip", forward, {{policy, true, "", ""}});
  const UplinkPlan plan = beside({shut, chain("inet", forward, {{reject, false, "", ""}})});
  CHECK(past(plan));
  CHECK(plan.because == "table ip t chain c (policy drop), table inet t chain c (a rule rejects)");
  CHECK(plan.warnings.empty());
  CHECK(plan.host_table.chains.empty());
  CHECK(plan.sysctls.empty());
  CHECK(past(beside({chain("iptables-legacy", forward, {{drop, false, "", ""}})})));
  CHECK(past(beside({chain("inet", forward, {{map, false, "", ""}})})));
  CHECK(past(beside({chain("inet", forward, {{queue, false, "", ""}})})));
  // Of other packets.
  const nft::ForeignChain ipv6 = chain("ip6", forward, {{policy, true, "", ""}});
  CHECK_FALSE(past(beside({ipv6})));
  CHECK(past(beside({ipv6}, UplinkChoice::automatic, "", true)));
  for (const char* other : {"virbr0", "br-*", "eth1", "e"}) {
    CHECK_FALSE(
        past(beside({chain("inet", forward, {{drop, false, other, ""}, {reject, true, "", other}})})));
  }
  for (const char* ours : {"eth0", "eth*", "nj*", "nj17", "n*"})
    CHECK(past(beside({chain("inet", forward, {{drop, false, ours, ""}})})));
  // Elsewhere what drops the rest; pasta does not meet what stands before routing.
  CHECK(past(beside({chain("inet", prerouting, {{policy, true, "", ""}})})));
  CHECK_FALSE(past(beside({chain("inet", prerouting, {{drop, false, "", ""}})})));
  CHECK(past(beside({chain("ip", postrouting, {{drop, true, "", ""}})})));
  CHECK_FALSE(past(beside({chain("ip", output, {{policy, true, "", ""}})})));
}

TEST_CASE("beside other firewalls: what may be dropped all the same is said") {
  using enum nft::Hook;
  using enum Drop::Kind;
  const nft::ForeignChain shut = chain("ip", forward, {{policy, true, "", ""}});
  const nft::ForeignChain host_shut = chain("ip", output, {{policy, true, "", ""}});
  const auto warned = [](const UplinkPlan& plan, const char* of) {
    return plan.warnings.size() == 1 && plan.warnings[0].find(of) != std::string::npos;
  };
  UplinkPlan plan = beside({shut}, UplinkChoice::host);
  CHECK_FALSE(past(plan));
  CHECK(warned(plan, "table ip t chain c (policy drop) may drop what the host forwards for the jail"));
  CHECK(warned(plan, "uplink = \"host\""));
  plan = beside({shut}, UplinkChoice::automatic, "it is not there");
  CHECK_FALSE(past(plan));
  CHECK(warned(plan, "but: it is not there"));
  for (const UplinkChoice choice : {UplinkChoice::automatic, UplinkChoice::pasta}) {
    plan = beside({shut, host_shut}, choice);
    CHECK(past(plan));
    CHECK(warned(plan, "may drop what pasta sends"));
  }
  const Service ssh{kTcp, PortRange{22, 22}, {}}, gre{47, {}, {}};
  CHECK(beside({shut}, UplinkChoice::automatic, "", false, {ssh}).warnings.empty());
  CHECK(warned(beside({shut}, UplinkChoice::automatic, "", false, {ssh, gre}),
               "not all of allow-1 is reached"));
  CHECK(beside({}, UplinkChoice::automatic, "", false, {gre}).warnings.empty());
  CHECK(beside({host_shut}).warnings.empty());
  CHECK(beside({shut}, UplinkChoice::none).warnings.empty());
}
