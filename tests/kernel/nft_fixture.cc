#include "nft_fixture.h"

#include <doctest/doctest.h>
#include <linux/netfilter/nfnetlink.h>
#include <netinet/in.h>
// After netinet/in.h:
#include <linux/netfilter.h>

#include <optional>
#include <utility>

#include "support/run.h"

namespace netjail::test {
namespace {

using namespace nft;

AddressRange range(const char* first, const char* last) { return {*parse_ip(first), *parse_ip(last)}; }

Set set_v4(std::string name, std::vector<AddressRange> ranges) {
  return {.name = std::move(name), .key = KeyType::ipv4_addr, .addresses = std::move(ranges)};
}
Set set_v6(std::string name, std::vector<AddressRange> ranges) {
  return {.name = std::move(name), .key = KeyType::ipv6_addr, .addresses = std::move(ranges)};
}
Set set_ports(std::string name, std::vector<PortInterval> ports) {
  return {.name = std::move(name), .key = KeyType::inet_service, .ports = std::move(ports)};
}
Set set_learned(std::string name, KeyType key, std::uint32_t size) {
  return {.name = std::move(name), .key = key, .addresses = {}, .ports = {}, .learns = size};
}

std::vector<Set> every_set() {
  return {
      set_v4("v4_mixed", {range("10.0.0.0", "10.255.255.255"), range("192.0.2.1", "192.0.2.1"),
                          range("192.0.2.5", "192.0.2.9"), range("255.255.255.255", "255.255.255.255")}),
      set_v4("v4_all", {range("0.0.0.0", "255.255.255.255")}),
      set_v4("v4_low", {range("0.0.0.0", "0.0.0.7"), range("9.255.255.255", "10.0.0.0")}),
      set_v4("v4_empty", {}),
      set_v6("v6_mixed",
             {range("2001:db8::", "2001:db8:ffff:ffff:ffff:ffff:ffff:ffff"), range("fe80::1", "fe80::ffff")}),
      set_v6("v6_all", {range("::", "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff")}),
      set_ports("ports_mixed", {{80, 80}, {443, 443}, {8000, 8100}, {65535, 65535}}),
      set_ports("ports_adjacent", {{80, 80}, {81, 81}, {90, 95}, {96, 99}}),
      set_ports("ports_all", {{0, 65535}}),
      set_learned("v4_learned", KeyType::ipv4_addr, 1024),
      set_learned("v6_learned", KeyType::ipv6_addr, 1),
      {.name = "flows", .key = KeyType::mark, .counts = 64},
  };
}

std::vector<Rule> every_rule() {
  return {
      {{IifName{"eth0"}, Accept{}}, ""},
      {{IifName{"eth0", true}, Accept{}}, ""},
      {{IifName{"nj*"}, Accept{}}, ""},
      {{IifName{"abcdefghijklmno"}, OifName{"abcdefghijklmn*"}, Drop{}}, ""},
      {{OifName{"nj12*", true}, Return{}}, "not out of the jail's veth"},
      {{OifName{"o"}, Accept{}}, ""},
      {{NfProto{Family::ipv4}, DaddrIn{Family::ipv4, "v4_mixed"}, Counter{"allowed"}, Accept{}}, "an allow"},
      {{NfProto{Family::ipv6}, DaddrIn{Family::ipv6, "v6_mixed"}, Accept{}}, ""},
      {{L4Proto{kTcp}, DportIn{"ports_mixed"}, Accept{}}, ""},
      {{L4Proto{kUdp}, Dport{53}, Accept{}}, ""},
      {{L4Proto{47}, Drop{}}, ""},
      {{L4Proto{kIcmp}, IcmpType{Family::ipv4, 8}, Accept{}}, ""},
      {{L4Proto{kIcmp6}, IcmpType{Family::ipv6, 128}, Accept{}}, ""},
      {{CtState{kInvalid}, Drop{}}, ""},
      {{CtState{kEstablished | kRelated}, Accept{}}, ""},
      {{CtState{kNew | kUntracked}, Return{}}, ""},
      {{CtDirection{false}, Accept{}}, ""},
      {{CtDirection{true}, Accept{}}, ""},
      {{CtMark{0x4e4a0001}, Accept{}}, ""},
      {{CtStatusDnat{}, Accept{}}, ""},
      {{FibSpoofed{}, Counter{"spoofed"}, Drop{}}, "a spoofed source"},
      {{Limit{50, 20}, Accept{}}, ""},
      {{Limit{7, 0}, Accept{}}, ""},
      {{Log{5, "WEB-OUT ", 128}}, ""},
      {{Log{0, "", 0}}, ""},
      {{SetCtMark{0x80000001}, Accept{}}, ""},
      {{L4Proto{kTcp}, RejectTcpReset{}}, ""},
      {{RejectAdmin{}}, ""},
      {{NfProto{Family::ipv4}, Jump{"sub"}}, ""},
      {{NfProto{Family::ipv6}, Goto{"sub"}}, std::string(128, 'c')},
      {{NfProto{Family::ipv4}, Fragment{}, Drop{}}, ""},
      {{NfProto{Family::ipv4}, HeaderLength{5}, Accept{}}, ""},
      {{NfProto{Family::ipv6}, NextHeader{kUdp}, Accept{}}, ""},
      {{NfProto{Family::ipv4}, DaddrIn{Family::ipv4, "v4_learned"}, Accept{}}, ""},
      {{NfProto{Family::ipv6}, DaddrIn{Family::ipv6, "v6_learned"}, Accept{}}, ""},
      {{Limit{1000, 16384, true}, Drop{}}, ""},
      {{FlowsOver{"flows", 63, 16}, Drop{}}, "too many"},
      {{NfProto{Family::ipv4}, HeaderLength{5, true}, Drop{}}, ""},
      {{NfProto{Family::ipv6}, RoutingHeader{}, Drop{}}, ""},
  };
}

class Dice {
 public:
  explicit Dice(std::mt19937& random) : random_(random) {}
  std::uint32_t below(std::uint32_t n) { return static_cast<std::uint32_t>(random_() % n); }
  bool coin() { return below(2) == 0; }
  template <class T>
  const T& pick(const std::vector<T>& of) {
    return of[below(static_cast<std::uint32_t>(of.size()))];
  }

 private:
  std::mt19937& random_;
};

// Sorted disjoint ranges over the whole space: some touch, some end with the space.
std::vector<AddressRange> random_ranges(Dice& dice, Family family) {
  std::vector<AddressRange> ranges;
  std::uint64_t at = dice.below(4) == 0 ? 0 : dice.below(1U << 30);
  const auto make = [&](std::uint64_t value) {
    Ip ip{family, {}};
    for (std::size_t i = 0; i < 4; ++i) ip.bytes[i] = static_cast<std::uint8_t>(value >> (24 - 8 * i));
    return ip;
  };
  for (std::uint32_t i = dice.below(12); i > 0 && at <= 0xffffffff; --i) {
    const std::uint64_t last =
        std::min<std::uint64_t>(at + (dice.coin() ? 0 : dice.below(1U << 28)), 0xffffffff);
    ranges.push_back({make(at), make(last)});
    if (family == Family::ipv6)  // the low octets too
      for (std::size_t k = 4; k < 16; ++k) ranges.back().last.bytes[k] = 0xff;
    at = last + 1 + (dice.below(3) == 0 ? 0 : dice.below(1U << 29));
  }
  return ranges;
}

std::vector<PortInterval> random_ports(Dice& dice) {
  std::vector<PortInterval> ports;
  std::uint32_t at = dice.coin() ? 0 : dice.below(3000);
  for (std::uint32_t i = dice.below(10); i > 0 && at <= 65535; --i) {
    const std::uint32_t last = std::min<std::uint32_t>(at + (dice.coin() ? 0 : dice.below(9000)), 65535);
    ports.push_back({static_cast<std::uint16_t>(at), static_cast<std::uint16_t>(last)});
    at = last + 1 + (dice.below(3) == 0 ? 0 : dice.below(20000));
  }
  return ports;
}

std::string random_interface(Dice& dice) {
  std::string name;
  const std::uint32_t octets = 1 + dice.below(dice.coin() ? 4 : 15);
  for (std::uint32_t i = 0; i < octets; ++i) name += static_cast<char>('a' + dice.below(26));
  if (dice.coin() && name.size() < 15) name += '*';
  return name;
}

// The matches and statements in front of a verdict, each match with what it needs before it. nft(8) refuses a
// rule that names two protocols of one layer.
class RandomRule {
 public:
  RandomRule(Dice& dice, const Ruleset& ruleset) : dice_(dice), ruleset_(ruleset) {}

  void add() {
    switch (dice_.below(14)) {
      case 0: return put(IifName{random_interface(dice_), dice_.coin()});
      case 1: return put(OifName{random_interface(dice_), dice_.coin()});
      case 2: return put(CtState{std::vector{1U, 2U, 6U, 8U, 64U, 79U}[dice_.below(6)]});
      case 3: return put(CtDirection{dice_.coin()});
      case 4: return put(CtMark{dice_.below(0xffffffff)});
      case 5: return put(CtStatusDnat{});
      case 6: return put(Counter{dice_.pick(ruleset_.counters).name});
      case 7: return put(Limit{1 + dice_.below(100000), dice_.below(1000)});
      case 8:
        return put(
            Log{static_cast<std::uint16_t>(dice_.below(65536)), dice_.coin() ? "NJ " : "", dice_.below(300)});
      case 9: return put(SetCtMark{dice_.below(0xffffffff)});
      case 13: return put(CtUntranslated{});
      case 10: return add_address();
      case 11: return add_port();
      default: return add_icmp();
    }
  }
  std::vector<Expression> expressions;

 private:
  void put(Expression expression) { expressions.push_back(std::move(expression)); }

  std::string set_of(KeyType key) {
    std::vector<std::string> names;
    for (const Set& set : ruleset_.sets)
      if (set.key == key) names.push_back(set.name);
    return dice_.pick(names);
  }
  void add_address() {
    if (family_) return;
    family_ = dice_.coin() ? Family::ipv4 : Family::ipv6;
    put(NfProto{*family_});
    put(DaddrIn{*family_, set_of(*family_ == Family::ipv4 ? KeyType::ipv4_addr : KeyType::ipv6_addr)});
  }
  void add_port() {
    if (std::exchange(transport_, true)) return;
    put(L4Proto{std::vector<std::uint8_t>{kTcp, kUdp, kSctp, kDccp, kUdpLite}[dice_.below(5)]});
    if (dice_.coin())
      put(DportIn{set_of(KeyType::inet_service)});
    else
      put(Dport{static_cast<std::uint16_t>(dice_.below(65536))});
  }
  void add_icmp() {
    if (std::exchange(transport_, true)) return;
    if (!family_) family_ = dice_.coin() ? Family::ipv4 : Family::ipv6;
    put(L4Proto{*family_ == Family::ipv4 ? kIcmp : kIcmp6});
    put(IcmpType{*family_, static_cast<std::uint8_t>(dice_.below(256))});
  }

  Dice& dice_;
  const Ruleset& ruleset_;
  std::optional<Family> family_;
  bool transport_ = false;
};

Expression random_verdict(Dice& dice, const std::vector<std::string>& chains) {
  switch (dice.below(chains.empty() ? 4 : 6)) {
    case 0: return Accept{};
    case 1: return Drop{};
    case 2: return Return{};
    case 3: return RejectAdmin{};
    case 4: return Jump{dice.pick(chains)};
    default: return Goto{dice.pick(chains)};
  }
}

}  // namespace

Ruleset every_expression() {
  Ruleset ruleset{.table = "t", .counters = {{"allowed"}, {"spoofed"}}, .sets = every_set(), .chains = {}};
  ruleset.chains.push_back({.name = "sub", .base = {}, .rules = {{{Counter{"allowed"}, Drop{}}, ""}}});
  ruleset.chains.push_back({.name = "empty", .base = {}, .rules = {}});
  ruleset.chains.push_back({.name = "forward",
                            .base = BaseChain{.hook = Hook::forward, .priority = -5, .drop = true},
                            .rules = every_rule()});
  ruleset.chains.push_back({.name = "out", .base = BaseChain{.hook = Hook::output}, .rules = {}});
  ruleset.chains.push_back({.name = "masquerading",
                            .base = BaseChain{.nat = true, .hook = Hook::postrouting, .priority = 100},
                            .rules = {{{OifName{"up"}, Masquerade{true}}, ""}, {{Masquerade{false}}, ""}}});
  return ruleset;
}

Ruleset random_ruleset(std::mt19937& random) {
  Dice dice(random);
  Ruleset ruleset{.table = "t", .counters = {{"c0"}, {"c1"}, {"c2"}}, .sets = {}, .chains = {}};
  for (int i = 0; i < 2; ++i) {
    ruleset.sets.push_back(set_v4("v4_" + std::to_string(i), random_ranges(dice, Family::ipv4)));
    ruleset.sets.push_back(set_v6("v6_" + std::to_string(i), random_ranges(dice, Family::ipv6)));
    ruleset.sets.push_back(set_ports("ports_" + std::to_string(i), random_ports(dice)));
  }
  ruleset.sets.push_back(set_learned("learned", KeyType::ipv4_addr, 1 + dice.below(100000)));
  std::vector<std::string> chains;
  for (int i = 0; i < 4; ++i) {
    Chain chain{.name = "chain_" + std::to_string(i), .base = {}, .rules = {}};
    if (i == 3)
      chain.base = BaseChain{.hook = static_cast<Hook>(1 + dice.below(3)),
                             .priority = static_cast<std::int32_t>(dice.below(400)) - 200,
                             .drop = dice.coin()};
    for (std::uint32_t k = dice.below(8); k > 0; --k) {
      RandomRule random_rule(dice, ruleset);
      for (std::uint32_t n = dice.below(5); n > 0; --n) random_rule.add();
      Rule rule{.expressions = std::move(random_rule.expressions), .comment = {}};
      rule.expressions.push_back(random_verdict(dice, chains));
      if (dice.coin()) rule.comment = "rule " + std::to_string(k);
      chain.rules.push_back(std::move(rule));
    }
    chains.push_back(chain.name);
    ruleset.chains.push_back(std::move(chain));
  }
  return ruleset;
}

Ruleset big_set(std::size_t count) {
  std::vector<AddressRange> ranges;
  for (std::size_t i = 0; i < count; ++i) {
    const std::size_t first = 0x0b000000 + i * 256;
    const auto ip = [](std::size_t value) {
      return make_ip(
          Family::ipv4,
          std::array{static_cast<std::uint8_t>(value >> 24), static_cast<std::uint8_t>(value >> 16),
                     static_cast<std::uint8_t>(value >> 8), static_cast<std::uint8_t>(value)});
    };
    ranges.push_back({ip(first), ip(first + i % 200)});
  }
  Ruleset ruleset{.table = "t", .counters = {}, .sets = {set_v4("big", std::move(ranges))}, .chains = {}};
  ruleset.chains.push_back(
      {.name = "forward",
       .base = BaseChain{.hook = Hook::forward, .drop = true},
       .rules = {{{NfProto{Family::ipv4}, DaddrIn{Family::ipv4, "big"}, Accept{}}, ""}}});
  return ruleset;
}

Netlink open_netfilter(const NetworkNamespace& network) {
  std::optional<Netlink> netlink;
  const Status status = in_place(network.place(), [&]() -> Status {
    NJ_TRY_AS(netlink, Netlink::open(NETLINK_NETFILTER));
    return {};
  });
  REQUIRE_MESSAGE(status.has_value(), render_error(status.error()));
  return std::move(*netlink);
}

NftAnswer nft_command(const NetworkNamespace& network, std::vector<std::string> arguments,
                      std::string input) {
  arguments.insert(arguments.begin(), "nft");
  auto outcome =
      run(network.place(), {.argv = std::move(arguments), .input = std::move(input), .deadline = 120s});
  REQUIRE(outcome.has_value());
  return {outcome->status, std::move(outcome->out), std::move(outcome->err)};
}

std::vector<std::string> dump(Netlink& netfilter, int message,
                              const std::vector<std::pair<std::uint16_t, std::string>>& filter) {
  MessageBuffer request;
  const nfgenmsg header{.nfgen_family = NFPROTO_INET, .version = NFNETLINK_V0, .res_id = 0};
  request.begin(static_cast<std::uint16_t>(NFNL_SUBSYS_NFTABLES << 8 | message), NLM_F_REQUEST | NLM_F_DUMP,
                header);
  for (const auto& [attribute, value] : filter) request.put_string(attribute, value);
  std::vector<std::string> messages;
  const Status status = netfilter.request(request, "dump", [&](const nlmsghdr* answer) {
    messages.emplace_back(reinterpret_cast<const char*>(answer), answer->nlmsg_len);
  });
  REQUIRE_MESSAGE(status.has_value(), render_error(status.error()));
  return messages;
}

}  // namespace netjail::test
