#include <doctest/doctest.h>

#include "netjail/nft/ruleset.h"

using namespace netjail;
using namespace netjail::nft;

namespace {

Ip ip(std::string_view text) {
  const auto parsed = parse_ip(text);
  REQUIRE_MESSAGE(parsed, text);
  return *parsed;
}
AddressRange range(std::string_view first, std::string_view last) { return {ip(first), ip(last)}; }
Packet packet(std::string_view destination, std::uint8_t protocol = kTcp, std::uint16_t port = 443) {
  return {.iif = "nj0", .oif = "eth0", .flow = {ip(destination), protocol, port, 0}};
}
nft::Rule rule(std::vector<Expression> expressions) { return {std::move(expressions), ""}; }

Chain base(std::vector<nft::Rule> rules, bool drop = true, Hook hook = Hook::forward,
           std::int32_t priority = 0) {
  return {"base" + std::to_string(static_cast<int>(hook)) + '_' + std::to_string(priority),
          BaseChain{.hook = hook, .priority = priority, .drop = drop}, std::move(rules)};
}
Ruleset ruleset(std::vector<Chain> chains) {
  return {.table = "t",
          .sets = {{"four",
                    KeyType::ipv4_addr,
                    {range("192.0.2.0", "192.0.2.7"), range("198.51.100.7", "198.51.100.7")},
                    {}},
                   {"six", KeyType::ipv6_addr, {range("2001:db8::", "2001:db8::ffff")}, {}},
                   {"ports", KeyType::inet_service, {}, {{80, 80}, {443, 444}}},
                   {"empty", KeyType::ipv4_addr, {}, {}},
                   {"learned", KeyType::ipv4_addr, {range("192.0.2.9", "192.0.2.9")}, {}, 10}},
          .chains = std::move(chains)};
}
Evaluation walk(const std::vector<nft::Rule>& rules, const Packet& packet, bool drop = true) {
  return evaluate(ruleset({base(rules, drop)}), packet, {Hook::forward});
}
// True when the match lets the rule go on.
bool holds(const Expression& match, const Packet& packet) {
  return walk({rule({match, Accept{}})}, packet).fate == Fate::accepted;
}

}  // namespace

TEST_CASE("a ruleset prints as nft reads it") {
  const Ruleset value{
      .table = "jail",
      .counters = {{"allow-1"}, {"default"}},
      .sets = {{"a4",
                KeyType::ipv4_addr,
                {range("192.0.2.0", "192.0.2.7"), range("192.0.2.9", "192.0.2.10")},
                {}},
               {"p", KeyType::inet_service, {}, {{53, 53}, {8000, 8100}}},
               {"none", KeyType::ipv6_addr, {}, {}},
               {"learned", KeyType::ipv6_addr, {range("2001:db8::1", "2001:db8::1")}, {}, 512},
               {.name = "flows", .key = KeyType::mark, .counts = 64}},
      .chains = {
          {"judge", {}, {{{L4Proto{kTcp}, Dport{443}, Counter{"allow-1"}, Accept{}}, "allow-1"}}},
          {"forward",
           BaseChain{.hook = Hook::forward, .priority = -5, .drop = true},
           {{{IifName{"nj*"}, OifName{"eth0", true}, Jump{"judge"}}, ""},
            {{NfProto{Family::ipv4}, DaddrIn{Family::ipv4, "a4"}, L4Proto{253}, DportIn{"p"}, Drop{}}, ""},
            {{CtState{kNew | kEstablished}, CtMark{0x4e4a}, Limit{10, 20}, Log{5, "x ", 128}}, ""},
            {{Limit{10, 20, true}, FlowsOver{"flows", 63, 16}, Drop{}}, ""},
            {{HeaderLength{5, true}, RoutingHeader{}, Drop{}}, ""}}}}};
  CHECK(render_nft(value) == R"(table inet jail {
	counter allow-1 {
	}
	counter default {
	}
	set a4 {
		type ipv4_addr
		flags interval
		elements = {
			192.0.2.0/29,
			192.0.2.9-192.0.2.10
		}
	}
	set p {
		type inet_service
		flags interval
		elements = {
			53,
			8000-8100
		}
	}
	set none {
		type ipv6_addr
		flags interval
	}
	set learned {
		type ipv6_addr
		size 512
		flags timeout
	}
	set flows {
		type mark
		size 64
		flags dynamic
	}
	chain judge {
		meta l4proto tcp th dport 443 counter name "allow-1" accept comment "allow-1"
	}
	chain forward {
		type filter hook forward priority -5; policy drop;
		iifname "nj*" oifname != "eth0" jump judge
		meta nfproto ipv4 ip daddr @a4 meta l4proto 253 th dport @p drop
		ct state established,new ct mark 0x00004e4a limit rate 10/second burst 20 packets log prefix "x " group 5 snaplen 128
		limit rate over 10/second burst 20 packets add @flows { ct id & 0x0000003f ct count over 16 } drop
		ip hdrlength != 5 exthdr rt exists drop
	}
}
)");
}

TEST_CASE("no text leaves its quotes") {
  const auto text = render_nft(
      ruleset({base({{{Log{1, "a\"$b\n", 0}, Drop{}}, "c\" drop; }\n" + std::string(200, 'x')}})}));
  CHECK(text.find("log prefix \"a'?b?\" group 1 drop comment \"c' drop; }?") != std::string::npos);
  CHECK(text.find(std::string(117, 'x') + "\"\n") != std::string::npos);
  CHECK(text.find(std::string(118, 'x')) == std::string::npos);
}

TEST_CASE("matches on interfaces") {
  const Packet p = packet("192.0.2.1");
  CHECK(holds(IifName{"nj0"}, p));
  CHECK(holds(IifName{"nj*"}, p));
  CHECK(!holds(IifName{"nj"}, p));
  CHECK(!holds(IifName{"nj00"}, p));
  CHECK(!holds(IifName{"eth*"}, p));
  CHECK(!holds(IifName{"nj*", true}, p));
  CHECK(holds(IifName{"eth0", true}, p));
  CHECK(holds(OifName{"eth0"}, p));
  CHECK(!holds(OifName{"eth0", true}, p));
  CHECK(holds(OifName{"nj*", true}, p));
  // Before routing there is no output interface, and a packet made here has no input interface.
  const auto at = [&](Hook hook, const Expression& match) {
    return evaluate(ruleset({base({rule({match, Accept{}})}, true, hook)}), p, {hook}).fate == Fate::accepted;
  };
  CHECK(!at(Hook::prerouting, OifName{"eth0"}));
  CHECK(at(Hook::prerouting, OifName{"eth0", true}));
  CHECK(!at(Hook::input, OifName{"eth0"}));
  CHECK(!at(Hook::output, IifName{"nj0"}));
  CHECK(at(Hook::output, OifName{"eth0"}));
  CHECK(at(Hook::postrouting, IifName{"nj0"}));
}

TEST_CASE("matches on addresses and protocols") {
  const Packet p = packet("192.0.2.7"), p6 = packet("2001:db8::5", kUdp, 53);
  CHECK(holds(NfProto{Family::ipv4}, p));
  CHECK(!holds(NfProto{Family::ipv6}, p));
  CHECK(holds(NfProto{Family::ipv6}, p6));
  CHECK(holds(L4Proto{kTcp}, p));
  CHECK(!holds(L4Proto{kUdp}, p));
  CHECK(holds(DaddrIn{Family::ipv4, "four"}, p));
  CHECK(!holds(DaddrIn{Family::ipv4, "four"}, packet("192.0.2.8")));
  CHECK(!holds(DaddrIn{Family::ipv4, "four"}, packet("192.0.1.255")));
  CHECK(holds(DaddrIn{Family::ipv4, "four"}, packet("198.51.100.7")));
  CHECK(!holds(DaddrIn{Family::ipv4, "four"}, packet("198.51.100.8")));
  CHECK(!holds(DaddrIn{Family::ipv4, "empty"}, p));
  CHECK(holds(DaddrIn{Family::ipv4, "learned"}, packet("192.0.2.9")));
  CHECK(!holds(DaddrIn{Family::ipv4, "learned"}, p));
  CHECK(!holds(DaddrIn{Family::ipv4, "no such set"}, p));
  CHECK(holds(DaddrIn{Family::ipv6, "six"}, p6));
  CHECK(!holds(DaddrIn{Family::ipv4, "six"}, p6));
  CHECK(holds(Dport{443}, p));
  CHECK(!holds(Dport{444}, p));
  for (const auto port : std::initializer_list<std::uint16_t>{80, 443, 444})
    CHECK(holds(DportIn{"ports"}, packet("192.0.2.1", kTcp, port)));
  for (const auto port : std::initializer_list<std::uint16_t>{0, 79, 81, 442, 445, 65535}) {
    CHECK(!holds(DportIn{"ports"}, packet("192.0.2.1", kTcp, port)));
  }
  CHECK(!holds(Dport{0}, packet("192.0.2.1", kIcmp, 0)));
  Packet ping = packet("192.0.2.1", kIcmp, 0);
  ping.flow.icmp_type = 8;
  CHECK(holds(IcmpType{Family::ipv4, 8}, ping));
  CHECK(!holds(IcmpType{Family::ipv4, 0}, ping));
  CHECK(!holds(IcmpType{Family::ipv6, 8}, ping));
  ping.flow.protocol = kTcp;
  CHECK(!holds(IcmpType{Family::ipv4, 8}, ping));
}

TEST_CASE("matches on connection tracking") {
  Packet p = packet("192.0.2.1");
  CHECK(holds(CtState{kNew}, p));
  CHECK(holds(CtState{kNew | kInvalid}, p));
  CHECK(!holds(CtState{kEstablished | kRelated}, p));
  CHECK(holds(CtDirection{false}, p));
  CHECK(!holds(CtDirection{true}, p));
  CHECK(!holds(CtStatusDnat{}, p));
  CHECK(!holds(CtUntranslated{}, p));
  CHECK(!holds(CtMark{7}, p));
  CHECK(holds(CtMark{0}, p));
  p.ct_mark = 7, p.ct_reply = true, p.ct_dnat = true, p.ct_untranslated = true, p.ct_state = kEstablished;
  CHECK(holds(CtMark{7}, p));
  CHECK(holds(CtDirection{true}, p));
  CHECK(holds(CtStatusDnat{}, p));
  CHECK(holds(CtUntranslated{}, p));
  // No entry: nothing to compare with.
  for (const auto state : {kInvalid, kUntracked}) {
    p.ct_state = state;
    CHECK(holds(CtState{state}, p));
    CHECK(!holds(CtMark{7}, p));
    CHECK(!holds(CtDirection{true}, p));
    CHECK(!holds(CtStatusDnat{}, p));
    CHECK(!holds(CtUntranslated{}, p));
    CHECK(walk({rule({SetCtMark{9}, Accept{}})}, p).ct_mark == 7);
  }
  p = packet("192.0.2.1");
  CHECK(!holds(FibSpoofed{}, p));
  p.spoofed = true;
  CHECK(holds(FibSpoofed{}, p));
  CHECK(!holds(Fragment{}, p));
  CHECK(holds(HeaderLength{5}, p));
  CHECK(!holds(HeaderLength{5, true}, p));
  CHECK(!holds(RoutingHeader{}, p));
  CHECK(holds(NextHeader{p.flow.protocol}, p));
  p.fragment = p.extended = p.routed = true;
  CHECK(holds(Fragment{}, p));
  CHECK(!holds(HeaderLength{5}, p));
  CHECK(holds(HeaderLength{5, true}, p));
  CHECK(holds(RoutingHeader{}, p));
  CHECK(!holds(NextHeader{p.flow.protocol}, p));
}

TEST_CASE("limits run out when they are told to") {
  Packet p = packet("192.0.2.1");
  CHECK(holds(Limit{1, 1}, p));
  CHECK(!holds(Limit{1, 1, true}, p));
  CHECK(!holds(FlowsOver{"flows", 63, 16}, p));
  p.too_many = true;
  CHECK(holds(Limit{1, 1}, p));  // of a log: what is more is left out, and the packet goes on
  CHECK(holds(Limit{1, 1, true}, p));
  CHECK(holds(FlowsOver{"flows", 63, 16}, p));
}

TEST_CASE("statements leave their traces in order, and only where the matches before them held") {
  const auto result =
      walk({rule({L4Proto{kUdp}, Counter{"no"}, Accept{}}), rule({Counter{"a"}, Log{1, "l1", 0}}),
            rule({SetCtMark{5}}), rule({CtMark{5}, Limit{1, 1}, Counter{"b"}, Log{1, "l2", 0}, Accept{}}),
            rule({Counter{"never"}})},
           packet("192.0.2.1"));
  CHECK(result.fate == Fate::accepted);
  CHECK(result.counters == std::vector<std::string>{"a", "b"});
  CHECK(result.logs == std::vector<std::string>{"l1", "l2"});
  CHECK(result.ct_mark == 5);
}

TEST_CASE("verdicts") {
  const Packet p = packet("192.0.2.1");
  CHECK(walk({}, p).fate == Fate::dropped);
  CHECK(walk({}, p, false).fate == Fate::accepted);
  CHECK(walk({rule({Drop{}})}, p, false).fate == Fate::dropped);
  CHECK(walk({rule({Accept{}}), rule({Drop{}})}, p).fate == Fate::accepted);
  CHECK(walk({rule({Return{}}), rule({Accept{}})}, p).fate == Fate::dropped);
  CHECK(walk({rule({Return{}}), rule({Drop{}})}, p, false).fate == Fate::accepted);
  CHECK(walk({rule({RejectAdmin{}})}, p, false).fate == Fate::rejected);
  CHECK(walk({rule({RejectTcpReset{}})}, p, false).fate == Fate::rejected);
  CHECK(walk({rule({RejectTcpReset{}})}, packet("192.0.2.1", kUdp), false).fate == Fate::dropped);
  CHECK(walk({rule({Masquerade{}}), rule({Drop{}})}, p).fate == Fate::accepted);
}

TEST_CASE("jump comes back, goto does not") {
  const Packet p = packet("192.0.2.1");
  const auto count = [](std::string name) { return rule({Counter{std::move(name)}}); };
  const Chain returns{"returns", {}, {count("in"), rule({Return{}}), count("after return")}};
  const Chain goes{"goes", {}, {rule({Goto{"returns"}}), count("after goto")}};
  const auto run = [&](const Expression& verdict, bool drop) {
    return evaluate(ruleset({returns, goes, base({rule({verdict}), count("back")}, drop)}), p,
                    {Hook::forward});
  };
  using Names = std::vector<std::string>;
  CHECK(run(Jump{"returns"}, true).counters == Names{"in", "back"});
  CHECK(run(Goto{"returns"}, true).counters == Names{"in"});
  CHECK(run(Goto{"returns"}, true).fate == Fate::dropped);
  CHECK(run(Goto{"returns"}, false).fate == Fate::accepted);
  CHECK(run(Jump{"goes"}, true).counters == Names{"in", "back"});  // the goto ends "goes", not its caller
  CHECK(run(Jump{"nowhere"}, false).fate == Fate::dropped);
  const Chain loop{"loop", {}, {rule({Jump{"loop"}})}};
  CHECK(evaluate(ruleset({loop, base({rule({Jump{"loop"}})}, false)}), p, {Hook::forward}).fate ==
        Fate::dropped);
}

TEST_CASE("hooks in order, chains by priority, accept is not final, nat sees new connections only") {
  const auto count = [](std::string name, Expression verdict) {
    return std::vector{rule({Counter{std::move(name)}, std::move(verdict)})};
  };
  Chain nat = base(count("nat", Masquerade{}), false, Hook::postrouting, 100);
  nat.base->nat = true;
  const Ruleset value = ruleset({base(count("late", Accept{}), false, Hook::forward, 10),
                                 base(count("early", Accept{}), false, Hook::forward, -10), nat,
                                 base(count("pre", Accept{}), false, Hook::prerouting)});
  using Names = std::vector<std::string>;
  Packet p = packet("192.0.2.1");
  const std::vector path{Hook::prerouting, Hook::forward, Hook::postrouting};
  CHECK(evaluate(value, p, path).counters == Names{"pre", "early", "late", "nat"});
  p.ct_state = kEstablished;
  CHECK(evaluate(value, p, path).counters == Names{"pre", "early", "late"});
  const Ruleset refuses = ruleset({base(count("late", Drop{}), false, Hook::forward, 10),
                                   base(count("early", Accept{}), false, Hook::forward, -10), nat});
  CHECK(evaluate(refuses, p, path).counters == Names{"early", "late"});
  CHECK(evaluate(refuses, p, path).fate == Fate::dropped);
  CHECK(evaluate(refuses, p, {}).fate == Fate::accepted);
}
