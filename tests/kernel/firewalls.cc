// What other firewalls can drop, as it is read back from the kernel: of nft(8), iptables-nft and
// iptables-legacy.
#include "netjail/kernel/firewalls.h"

#include <doctest/doctest.h>

#include "support/namespaces.h"
#include "support/run.h"

using namespace netjail;
using namespace netjail::test;

namespace {

// One line for each way to be dropped: "ip filter FORWARD: policy drop, rest, from virbr0, to br-*".
std::string read(const std::string& commands) {
  auto place = NetworkNamespace::create();
  REQUIRE(place.has_value());
  const auto outcome = test::run(place->place(), {.argv = {"sh", "-ec", commands}});
  REQUIRE(outcome.has_value());
  REQUIRE_MESSAGE(outcome->ok(), outcome->describe());
  std::string text;
  const Status done = in_place(place->place(), [&]() -> Status {
    NJ_TRY_AS(const auto chains, list_dropping_chains(Detail::all));
    for (const nft::ForeignChain& chain : chains)
      for (const nft::ForeignDrop& drop : chain.drops) {
        text += chain.family + " " + chain.table + " " + chain.name + ": " + std::string(describe(drop.kind));
        if (drop.rest) text += ", rest";
        if (!drop.in.empty()) text += ", from " + drop.in;
        if (!drop.out.empty()) text += ", to " + drop.out;
        text += "\n";
      }
    return {};
  });
  REQUIRE_MESSAGE(done.has_value(), render_error(done.error()));
  return text;
}

std::string loaded(const std::string& chains) { return read("nft '" + chains + "'"); }
std::string forward(const std::string& rules) {
  return loaded(
      "table inet t { chain other { drop; }\nchain more { goto last; }\nchain last { drop; }\n"
      "chain f { type filter hook forward priority 0\n" +
      rules + "\n}\n}");
}

}  // namespace

TEST_CASE("nothing there, or nothing that drops") {
  if (!needs_root()) return;
  CHECK(read("true").empty());
  CHECK(forward("").empty());
  CHECK(forward("tcp dport 22 accept; counter log; iifname eth0 return").empty());
  CHECK(loaded("table inet t { chain i { type filter hook input priority 0; policy drop; }; }").empty());
  CHECK(loaded("table inet netjail { chain f { type filter hook forward priority 0; policy drop; }; }")
            .empty());
  CHECK(
      loaded("table inet netjail-guard-eth0-ipv4 { chain f { type filter hook forward priority 0; drop; }; }")
          .empty());
  CHECK(loaded("table bridge t { chain f { type filter hook forward priority 0; policy drop; }; }").empty());
}

TEST_CASE("nftables: policies, verdicts, and what they depend on") {
  if (!needs_root()) return;
  CHECK(loaded("table ip netjail { chain f { type filter hook forward priority 0; policy drop; }; }") ==
        "ip netjail f: policy drop, rest\n");
  CHECK(loaded("table ip6 t { chain o { type filter hook output priority 0; policy drop; }\n"
               "chain p { type filter hook prerouting priority -300; drop; }\n"
               "chain q { type filter hook postrouting priority 0; udp dport 1 drop; }; }") ==
        "ip6 t o: policy drop, rest\nip6 t p: a rule drops, rest\nip6 t q: a rule drops\n");
  CHECK(forward("counter log drop") == "inet t f: a rule drops, rest\n");
  CHECK(forward("tcp dport 22 reject with tcp reset") == "inet t f: a rule rejects\n");
  CHECK(forward("counter reject") == "inet t f: a rule rejects, rest\n");
  CHECK(forward("tcp dport vmap { 22 : drop }") == "inet t f: a verdict map\n");
  CHECK(forward("jump more") == "inet t f: a rule drops\n");
  CHECK(forward("iifname virbr0 drop") == "inet t f: a rule drops, from virbr0\n");
  CHECK(forward("oifname \"br-*\" iifname eth0 drop") == "inet t f: a rule drops, from eth0, to br-*\n");
  CHECK(forward("iifname != virbr0 drop") == "inet t f: a rule drops\n");
  CHECK(forward("iifname { virbr0, virbr1 } drop") == "inet t f: a rule drops\n");
}

TEST_CASE("nftables: of connection tracking's states, invalid alone is no jail's") {
  if (!needs_root()) return;
  CHECK(forward("ct state invalid drop").empty());
  CHECK(forward("ct state == invalid drop").empty());
  CHECK(forward("ct state invalid jump more").empty());
  CHECK(forward("ct state invalid,new drop") == "inet t f: a rule drops\n");
  CHECK(forward("ct state != established drop") == "inet t f: a rule drops\n");
  CHECK(forward("ct state new drop") == "inet t f: a rule drops\n");
}

TEST_CASE("iptables, by either way into the kernel") {
  if (!needs_root()) return;
  for (const std::string kind : {"nft", "legacy"})
    for (const std::string version : {"", "6"}) {
      const std::string ip = "ip" + version + "tables-" + kind;
      CAPTURE(ip);
      const auto table = [&](const std::string& commands) {
        std::string text;
        for (std::size_t from = 0, to = 0; to < commands.size(); from = to + 1) {
          to = std::min(commands.find(';', from), commands.size());
          text += ip + " " + commands.substr(from, to - from) + "\n";
        }
        return read(text);
      };
      const std::string family = kind == "legacy" ? ip.substr(0, ip.find('-')) + "-legacy" : "ip" + version;
      const std::string told = family + " filter FORWARD: ";
      CHECK(table("-P INPUT DROP;-A INPUT -j DROP;-A FORWARD -i eth0 -j ACCEPT").empty());
      CHECK(table("-P FORWARD DROP") == told + "policy drop, rest\n");
      CHECK(table("-P OUTPUT DROP") == family + " filter OUTPUT: policy drop, rest\n");
      CHECK(table("-A FORWARD -j REJECT") == told + "a rule rejects, rest\n");
      CHECK(table("-A FORWARD -p tcp -j REJECT") == told + "a rule rejects\n");
      CHECK(table("-A FORWARD -j NFQUEUE") == told + "a rule queues, rest\n");
      CHECK(table("-N a;-N b;-N c;-A FORWARD -j a;-A a -p tcp -g b;-A b -j DROP;-A c -j REJECT") ==
            told + "a rule drops\n");
      CHECK(table("-N a;-A a -j DROP").empty());
      CHECK(table("-A FORWARD -i virbr0 -j DROP") == told + "a rule drops, from virbr0\n");
      CHECK(table("-A FORWARD -o br-+ -j DROP") == told + "a rule drops, to br-*\n");
      CHECK(table("-A FORWARD ! -i eth0 -j DROP") == told + "a rule drops\n");
      CHECK(table("-A FORWARD -m conntrack --ctstate INVALID -j DROP").empty());
      CHECK(table("-A FORWARD -m state --state INVALID -j DROP").empty());
      CHECK(table("-A FORWARD -m conntrack ! --ctstate INVALID -j DROP") == told + "a rule drops\n");
      CHECK(table("-A FORWARD -m conntrack --ctstate NEW,INVALID -j DROP") == told + "a rule drops\n");
      CHECK(table("-t mangle -A PREROUTING -p tcp -j DROP;-t raw -A PREROUTING -j DROP")
                .find(family + " raw PREROUTING: a rule drops, rest\n") != std::string::npos);
    }
}
