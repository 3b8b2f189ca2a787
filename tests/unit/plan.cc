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
  static const std::vector<NamePattern> kPatterns{
      {{"example.org"}, false}, {{"example.org"}, true}, {{"ads.example.org"}, false}};
  Destination to;
  switch (pick(random, 9)) {
    case 0: to.kind = Destination::Kind::any; break;
    case 1: to.kind = Destination::Kind::internet; break;
    case 2:
    case 3:
    case 4:
      to.kind = Destination::Kind::name;
      to.pattern = kPatterns[pick(random, kPatterns.size())];
      break;
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

// What names turned out to have: for decide(), and in the sets, as LearnedSets adds it in the kernel.
Learned teach(Random& random, const Policy& policy, nft::Ruleset& ruleset) {
  Learned learned;
  for (const NameGroup& group : make_name_groups(policy)) {
    std::vector<AddressRange> ranges;
    for (std::size_t i = pick(random, 12); i > 0; --i) {
      const Ip ip = random_ip(random);
      ranges.push_back({ip, ip});
    }
    const AddressSet& addresses = learned[group.id] = AddressSet(ranges);
    for (const Family family : kFamilies) {
      const auto set = std::ranges::find(ruleset.sets, learned_set(group.id, family), &nft::Set::name);
      REQUIRE((set != ruleset.sets.end()) == (family == Family::ipv4 || policy.ipv6));
      if (set == ruleset.sets.end()) continue;
      CHECK(set->learns == kMostLearned);
      CHECK(set->addresses.empty());
      set->addresses = addresses.ranges(family);
    }
  }
  return learned;
}

Flow random_flow(Random& random) {
  static const std::vector<std::uint8_t> kProtocols{kTcp, kUdp, kSctp, kIcmp, kIcmp6, 47, 50};
  Flow flow;
  flow.destination = random_ip(random);
  flow.protocol = kProtocols[pick(random, kProtocols.size())];
  if (has_ports(flow.protocol))
    flow.port = static_cast<std::uint16_t>(pick(random, 8) == 0 ? 443 : 1 + pick(random, 80));
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
  std::size_t allowed = 0, opened = 0, shut = 0;
  for (int i = 0; i < 2000; ++i) {
    const Policy policy = random_policy(random);
    nft::Ruleset ruleset = make_filter(policy);
    const Learned learned = teach(random, policy, ruleset);
    for (int j = 0; j < 40; ++j) {
      const Flow flow = random_flow(random);
      const Verdict verdict = decide(policy, flow, learned);
      const bool without_names = decide(policy, flow).action == Action::allow;
      opened += verdict.action == Action::allow && !without_names;
      shut += verdict.action == Action::deny && without_names;
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
  // The random policies are worth something.
  CHECK(allowed > 3000);
  CHECK(opened > 300);
  CHECK(shut > 100);
}

// What extend_ruleset does in the kernel.
void extend(nft::Ruleset& ruleset, const nft::Ruleset& more) {
  for (const nft::Set& added : more.sets) {
    const auto set = std::ranges::find(ruleset.sets, added.name, &nft::Set::name);
    REQUIRE(set != ruleset.sets.end());
    set->addresses.insert(set->addresses.end(), added.addresses.begin(), added.addresses.end());
    const AddressSet joined(set->addresses);
    set->addresses.assign(joined.ranges().begin(), joined.ranges().end());
  }
  for (const nft::Chain& added : more.chains) {
    const auto chain = std::ranges::find(ruleset.chains, added.name, &nft::Chain::name);
    REQUIRE(chain != ruleset.chains.end());
    chain->rules.insert(chain->rules.begin(), added.rules.begin(), added.rules.end());
  }
}

TEST_CASE("what the host gets later is refused as what it had, to admitted flows too") {
  Random random(20261123);
  std::size_t refused = 0;
  for (int i = 0; i < 300; ++i) {
    Policy policy = random_policy(random);
    nft::Ruleset ruleset = make_filter(policy);
    AddressSet earlier;
    for (int j = 0; j < 3; ++j) {
      const Ip ip = random_ip(random);
      const int bits = address_bits(ip.family) - static_cast<int>(pick(random, 5));
      const AddressSet added =
          AddressSet({range_of(make_prefix(ip, bits))}).without(unroutable_addresses().united(policy.host));
      const nft::Ruleset addition = make_host_addition(added, earlier);
      CHECK(addition.sets.size() == (added.empty() ? 0 : 1));
      // One rule for each family, however often it gets an address.
      const bool first = earlier.ranges(ip.family).empty() && !added.empty();
      CHECK(addition.chains.front().rules.size() == (first ? 1 : 0));
      extend(ruleset, addition);
      earlier = earlier.united(added);
      policy.host = policy.host.united(added);
    }
    for (int j = 0; j < 40; ++j) {
      const Flow flow = random_flow(random);
      CAPTURE(to_string(flow));
      const Verdict verdict = decide(policy, flow);
      const nft::Evaluation evaluation = judge(ruleset, flow);
      REQUIRE((evaluation.fate == nft::Fate::accepted) == (verdict.action == Action::allow));
      REQUIRE(counted(evaluation, counter_name(verdict.rule)));
      const nft::Packet admitted{.iif = std::string(kJailInterface),
                                 .oif = std::string(kUplinkInterface),
                                 .flow = flow,
                                 .ct_state = nft::kEstablished,
                                 .ct_mark = kGenerationMark};
      const bool passes =
          nft::evaluate(ruleset, admitted, {nft::Hook::prerouting, nft::Hook::forward}).fate ==
          nft::Fate::accepted;
      if (earlier.contains(flow.destination)) REQUIRE(!passes);
      if (!policy.host.contains(flow.destination)) REQUIRE(passes);
      refused += !passes;
    }
  }
  CHECK(refused > 300);
}

TEST_CASE("there are sets for the host's addresses also while it has none") {
  for (const std::string name : {"host-ipv4", "host-ipv6"})
    CHECK(std::ranges::count(make_filter(Policy{}).sets, name, &nft::Set::name) == 1);
}

TEST_CASE("what is allowed is refused, and told, when there is too much of it; what is admitted passes") {
  Random random(20261124);
  std::size_t limited = 0;
  for (int i = 0; i < 300; ++i) {
    const Policy policy = random_policy(random);
    const nft::Ruleset ruleset = make_filter(policy);
    for (int j = 0; j < 20; ++j) {
      const Flow flow = random_flow(random);
      CAPTURE(to_string(flow));
      const Verdict verdict = decide(policy, flow);
      const bool allowed = verdict.action == Action::allow;
      nft::Packet packet{.iif = std::string(kJailInterface),
                         .oif = std::string(kUplinkInterface),
                         .flow = flow,
                         .too_many = true};
      const std::vector<nft::Hook> hooks{nft::Hook::prerouting, nft::Hook::forward};
      const nft::Evaluation evaluation = nft::evaluate(ruleset, packet, hooks);
      REQUIRE(evaluation.fate == nft::Fate::rejected);
      REQUIRE(evaluation.ct_mark == 0);
      REQUIRE(counted(evaluation, counter_name(verdict.rule)));
      REQUIRE(evaluation.logs == std::vector<std::string>{allowed ? std::string(kLimitRule) : verdict.rule});
      REQUIRE(counted(evaluation, counter_name(kLimitRule)) == allowed);
      packet.ct_mark = kGenerationMark;
      if (!policy.host.contains(flow.destination) && !unroutable_addresses().contains(flow.destination))
        REQUIRE(nft::evaluate(ruleset, packet, hooks).fate == nft::Fate::accepted);
      limited += allowed;
    }
  }
  CHECK(limited > 300);
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
