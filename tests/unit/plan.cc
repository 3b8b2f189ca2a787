// Policy -> plan. The first oracle of DESIGN.md section 8: for random policies and flows decide() and the
// evaluated ruleset agree, in the verdict and in the rule that they name.
#include "netjail/plan/plan.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <random>

#include "netjail/net/packet.h"

using namespace netjail;

namespace {

using Random = std::mt19937_64;

std::size_t pick(Random& random, std::size_t below) {
  return std::uniform_int_distribution<std::size_t>(0, below - 1)(random);
}

// Addresses that meet often: near prefixes, local ranges and documentation ranges.
Ip random_ip(Random& random) {
  static const std::vector<std::string> kBases{
      "10.0.0.0",    "10.255.255.255", "192.168.1.7",   "169.254.169.254", "198.51.100.0",
      "203.0.113.9", "8.8.8.8",        "224.0.0.1",     "255.255.255.255", "127.0.0.1",
      "172.16.0.1",  "2001:db8::",     "2001:db8::53",  "fd00::1",         "fe80::1",
      "ff02::1",     "2606:4700::1",   "64:ff9b::a00:1"};
  Ip ip = *parse_ip(kBases[pick(random, kBases.size())]);
  if (pick(random, 2) == 0) {
    auto& octet = ip.bytes[address_size(ip.family) - 1 - pick(random, 2)];
    octet = static_cast<std::uint8_t>(octet + pick(random, 4));
  }
  return ip;
}

Service random_service(Random& random) {
  static const std::vector<std::uint8_t> kProtocols{kTcp, kTcp, kUdp, kSctp, kIcmp, kIcmp6, 47};
  Service service;
  if (pick(random, 8) == 0) return service;
  service.protocol = kProtocols[pick(random, kProtocols.size())];
  if (has_ports(*service.protocol) && pick(random, 4) != 0) {
    const auto first = static_cast<std::uint16_t>(1 + pick(random, 60));
    service.ports = PortRange{first, static_cast<std::uint16_t>(first + pick(random, 3) * pick(random, 10))};
  }
  if ((*service.protocol == kIcmp || *service.protocol == kIcmp6) && pick(random, 2) == 0)
    service.icmp_type = *service.protocol == kIcmp ? std::uint8_t{8} : std::uint8_t{128};
  return service;
}

Destination random_destination(Random& random) {
  Destination to;
  switch (pick(random, 6)) {
    case 0: to.kind = Destination::Kind::any; break;
    case 1: to.kind = Destination::Kind::internet; break;
    default: {
      to.kind = Destination::Kind::prefix;
      const Ip ip = random_ip(random);
      to.prefix = make_prefix(
          ip, static_cast<int>(static_cast<std::size_t>(address_bits(ip.family)) - pick(random, 12)));
    }
  }
  return to;
}

Policy random_policy(Random& random) {
  Profile profile;
  profile.name = "random";
  profile.ipv6 = pick(random, 5) != 0;
  for (std::size_t i = pick(random, 7); i > 0; --i) {
    ProfileRule rule;
    rule.action = pick(random, 3) == 0 ? Action::deny : Action::allow;
    rule.local = pick(random, 4) == 0;
    for (std::size_t j = 1 + pick(random, 3); j > 0; --j) rule.to.push_back(random_destination(random));
    for (std::size_t j = pick(random, 4); j > 0; --j) rule.services.push_back(random_service(random));
    profile.rules.push_back(rule);
  }
  Policy policy = make_policy(profile);
  std::vector<AddressRange> host;
  for (std::size_t i = pick(random, 3); i > 0; --i) {
    const Ip ip = random_ip(random);
    host.push_back({ip, ip});
  }
  policy.host = AddressSet(host).without(unroutable_addresses());
  return policy;
}

Flow random_flow(Random& random) {
  static const std::vector<std::uint8_t> kProtocols{kTcp, kUdp, kSctp, kIcmp, kIcmp6, 47, 50};
  Flow flow;
  flow.destination = random_ip(random);
  flow.protocol = kProtocols[pick(random, kProtocols.size())];
  if (has_ports(flow.protocol)) flow.port = static_cast<std::uint16_t>(1 + pick(random, 80));
  // ICMP of the other family is no ICMP there: keep to the own one.
  if (flow.protocol == kIcmp && flow.destination.family == Family::ipv6) flow.protocol = kIcmp6;
  if (flow.protocol == kIcmp6 && flow.destination.family == Family::ipv4) flow.protocol = kIcmp;
  if (flow.protocol == kIcmp || flow.protocol == kIcmp6)
    flow.icmp_type = std::vector<std::uint8_t>{8, 128, 3, 0}[pick(random, 4)];
  return flow;
}

nft::Evaluation judge(const nft::Ruleset& ruleset, const Flow& flow) {
  nft::Packet packet;
  packet.iif = kJailInterface;
  packet.oif = kUplinkInterface;
  packet.flow = flow;
  return nft::evaluate(ruleset, packet, {nft::Hook::prerouting, nft::Hook::forward});
}

bool counted(const nft::Evaluation& evaluation, const std::string& name) {
  return std::ranges::find(evaluation.counters, name) != evaluation.counters.end();
}

}  // namespace

TEST_CASE("the filter means what decide says, for random policies and flows") {
  Random random(20261122);
  std::size_t allowed = 0;
  for (int i = 0; i < 1500; ++i) {
    const Policy policy = random_policy(random);
    const nft::Ruleset ruleset = make_filter(policy);
    for (int j = 0; j < 40; ++j) {
      const Flow flow = random_flow(random);
      const Verdict verdict = decide(policy, flow);
      const nft::Evaluation evaluation = judge(ruleset, flow);
      CAPTURE(to_string(flow));
      CAPTURE(verdict.rule);
      CAPTURE(nft::render_nft(ruleset));
      REQUIRE((evaluation.fate == nft::Fate::accepted) == (verdict.action == Action::allow));
      REQUIRE(counted(evaluation, counter_name(verdict.rule)));
      if (verdict.action == Action::allow) {
        ++allowed;
        REQUIRE(evaluation.ct_mark == kGenerationMark);
      } else {
        REQUIRE(evaluation.ct_mark == 0);
        REQUIRE(evaluation.logs == std::vector<std::string>{verdict.rule});
      }
    }
  }
  CHECK(allowed > 3000);  // the random policies are worth something
}

TEST_CASE("only replies come in") {
  Profile profile;
  profile.name = "any";
  ProfileRule rule;
  rule.to.push_back({Destination::Kind::any, {}, "any"});
  rule.local = true;
  profile.rules.push_back(rule);
  const nft::Ruleset ruleset = make_filter(make_policy(profile));
  nft::Packet packet;
  packet.iif = kUplinkInterface;
  packet.oif = kJailInterface;
  packet.flow = {*parse_ip("10.192.0.1"), kTcp, 4000, 0};
  const std::vector<nft::Hook> hooks{nft::Hook::prerouting, nft::Hook::forward};
  CHECK(nft::evaluate(ruleset, packet, hooks).fate == nft::Fate::dropped);
  packet.ct_state = nft::kEstablished;
  CHECK(nft::evaluate(ruleset, packet, hooks).fate == nft::Fate::dropped);
  packet.ct_reply = true;
  CHECK(nft::evaluate(ruleset, packet, hooks).fate == nft::Fate::accepted);
  packet.ct_state = nft::kRelated;
  CHECK(nft::evaluate(ruleset, packet, hooks).fate == nft::Fate::dropped);
  packet.flow = {*parse_ip("10.192.0.1"), kIcmp, 0, 3};
  CHECK(nft::evaluate(ruleset, packet, hooks).fate == nft::Fate::accepted);
}

TEST_CASE(
    "an admitted flow passes by its mark, a spoofed source, an invalid or related packet of the jail does "
    "not") {
  const nft::Ruleset ruleset = make_filter(make_policy(Profile{}));
  nft::Packet packet;
  packet.iif = kJailInterface;
  packet.oif = kUplinkInterface;
  packet.flow = {*parse_ip("198.51.100.7"), kTcp, 443, 0};
  const std::vector<nft::Hook> hooks{nft::Hook::prerouting, nft::Hook::forward};
  CHECK(nft::evaluate(ruleset, packet, hooks).fate == nft::Fate::rejected);
  packet.ct_mark = kGenerationMark;
  packet.ct_state = nft::kEstablished;
  CHECK(nft::evaluate(ruleset, packet, hooks).fate == nft::Fate::accepted);
  packet.ct_mark = kGenerationMark + 1;  // another generation of the policy
  CHECK(nft::evaluate(ruleset, packet, hooks).fate == nft::Fate::rejected);
  packet.ct_mark = 0;
  packet.spoofed = true;
  CHECK(nft::evaluate(ruleset, packet, hooks).counters == std::vector<std::string>{"spoofed"});
  packet.spoofed = false;
  packet.ct_state = nft::kInvalid;
  CHECK(nft::evaluate(ruleset, packet, hooks).counters == std::vector<std::string>{"invalid"});
  packet.ct_state = nft::kRelated;
  packet.ct_mark = kGenerationMark;
  packet.flow.protocol = kIcmp;
  CHECK(nft::evaluate(ruleset, packet, {nft::Hook::forward}).fate == nft::Fate::dropped);
}

TEST_CASE("the proof's packets are judged as it says") {
  Random random(7);
  for (int i = 0; i < 500; ++i) {
    const Policy policy = random_policy(random);
    const nft::Ruleset ruleset = make_filter(policy);
    const auto proof = make_proof(policy, true);
    bool denied = false;
    for (const ProofPacket& packet : proof) {
      const nft::Evaluation evaluation = judge(ruleset, packet.flow);
      CAPTURE(to_string(packet.flow));
      CHECK((evaluation.fate == nft::Fate::accepted) == packet.allowed);
      CHECK(counted(evaluation, packet.counter));
      CHECK(packet.ttl == (packet.allowed ? 2 : 64));
      denied = denied || !packet.allowed;
    }
    CHECK((denied || policy.opens_anything()));
  }
}

TEST_CASE("packets: what is written is what is read") {
  Random random(3);
  for (int i = 0; i < 2000; ++i) {
    const Flow flow = random_flow(random);
    const Ip source = *parse_ip(flow.destination.family == Family::ipv4 ? "10.192.0.1" : "fd6e::1");
    const auto octets = make_packet(source, flow, 64);
    const auto read = parse_packet(octets);
    REQUIRE(read.has_value());
    CHECK(*read == flow);
    for (std::size_t size = 0; size < octets.size(); ++size)
      (void)parse_packet(std::span(octets).first(size));
  }
}

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

TEST_CASE("root inside gets harmless /dev and /proc, an ordinary user keeps the host's /dev") {
  HostFacts host;
  Caller caller;
  caller.command = {"true"};
  caller.cwd = "/";
  const auto has_devices = [&](std::uint32_t uid) {
    caller.uid = uid;
    const auto plan = make_plan(make_policy(Profile{}), host, caller);
    return std::ranges::any_of(
        plan->child.mounts, [](const Mount& mount) { return std::holds_alternative<MountDevices>(mount); });
  };
  CHECK(has_devices(0));
  CHECK(!has_devices(1000));
}
