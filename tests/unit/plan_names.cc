// What rules by name add to the plan.
#include <doctest/doctest.h>

#include <algorithm>

#include "netjail/plan/plan.h"

using namespace netjail;

namespace {

using Kind = Destination::Kind;
using Texts = std::vector<std::string>;

Destination name(const char* text) {
  return {Kind::name, {}, text, *parse_name_pattern(text, PublicSuffixes::builtin())};
}
Destination prefix(const char* text) { return {Kind::prefix, *parse_prefix(text), text}; }
Service tcp(std::uint16_t port) { return {kTcp, PortRange{port, port}, {}}; }

ProfileRule rule(Action action, std::vector<Destination> to, std::vector<Service> services = {}) {
  return {.action = action, .to = std::move(to), .services = std::move(services)};
}
Policy policy(std::vector<ProfileRule> rules, bool ipv6 = true) {
  return make_policy(Profile{.name = "p", .rules = std::move(rules), .ipv6 = ipv6});
}

HostFacts host() {
  HostFacts facts;
  facts.uplinks = {{Family::ipv4, "eth0"}, {Family::ipv6, "eth0"}};
  facts.has_resolver = true;
  return facts;
}
Result<Plan> plan(const Policy& of, const HostFacts& facts) {
  return make_plan(of, facts, Caller{.command = {"true"}, .cwd = "/"});
}

// "ipv4 names-allow-1-ipv4 tcp 80" of each rule that looks into a set that learns.
Texts learned_rules(const nft::Ruleset& ruleset) {
  Texts out;
  for (const nft::Chain& chain : ruleset.chains)
    for (const nft::Rule& one : chain.rules)
      for (const nft::Expression& expression : one.expressions)
        if (const auto* in = std::get_if<nft::DaddrIn>(&expression); in && in->set.starts_with("names-"))
          out.push_back(one.comment + ": " + in->set);
  return out;
}
std::size_t learning_sets(const nft::Ruleset& ruleset) {
  return static_cast<std::size_t>(
      std::ranges::count_if(ruleset.sets, [](const nft::Set& set) { return set.learns != 0; }));
}

}  // namespace

TEST_CASE("a group of names has two sets, and its rules stand where its first rule stands") {
  const Policy of = policy(
      {rule(Action::allow, {name("example.org")}, {tcp(22)}), rule(Action::allow, {prefix("198.51.100.7")}),
       rule(Action::allow, {name("example.net")}), rule(Action::deny, {name("example.com")}, {tcp(22)}),
       rule(Action::deny, {name("ads.example.org")}),
       rule(Action::allow, {name("*.example.org"), prefix("203.0.113.7")}, {tcp(22)})});
  const nft::Ruleset ruleset = make_filter(of);
  // default_name_services(): 80 and 443/tcp are one set, 443/udp a match of its own.
  CHECK(learned_rules(ruleset) == Texts{"names: deny example.com 22/tcp: names-deny-1-ipv4",
                                        "names: deny example.com 22/tcp: names-deny-1-ipv6",
                                        "names: allow example.org 22/tcp: names-allow-1-ipv4",
                                        "names: allow example.org 22/tcp: names-allow-1-ipv6",
                                        "names: allow example.net: names-allow-3-ipv4",
                                        "names: allow example.net: names-allow-3-ipv4",
                                        "names: allow example.net: names-allow-3-ipv6",
                                        "names: allow example.net: names-allow-3-ipv6"});
  CHECK(learning_sets(ruleset) == 6);
  // allow-1 has no written address: no rule of its own that would match all of them.
  const auto forward = std::ranges::find(ruleset.chains, "forward", &nft::Chain::name);
  CHECK(std::ranges::count(forward->rules, "allow example.org 22/tcp", &nft::Rule::comment) == 0);
  CHECK(std::ranges::count(forward->rules, "allow *.example.org, 203.0.113.7 22/tcp", &nft::Rule::comment) ==
        1);
  // Every rule has its counter, the ones that never count too.
  for (const Rule& one : of.rules)
    CHECK(std::ranges::count(ruleset.counters, nft::CounterObject{counter_name(one.id)}) == 1);
}

TEST_CASE("without IPv6 no set learns any") {
  const nft::Ruleset ruleset = make_filter(policy({rule(Action::allow, {name("example.org")})}, false));
  CHECK(learning_sets(ruleset) == 1);
  CHECK(learned_rules(ruleset).size() == 2);
}

TEST_CASE("a comment is cut between characters") {
  Destination long_name = name("example.org");
  for (std::size_t size = 90; size < 110; ++size) {
    long_name.text = std::string(size, 'a') + "üüüüüüüüüüüüüüüü";
    for (const nft::Chain& chain : make_filter(policy({rule(Action::allow, {long_name})})).chains)
      for (const nft::Rule& one : chain.rules) {
        CHECK(one.comment.size() <= 128);
        // "ü" is C3 BC.
        CHECK(!one.comment.ends_with('\xC3'));
      }
  }
}

TEST_CASE("names of ten thousand make no longer lines") {
  std::vector<Destination> names;
  for (int i = 0; i < 10'000; ++i) names.push_back(name(("n" + std::to_string(i) + ".example.org").c_str()));
  const auto made = plan(policy({rule(Action::allow, names)}), host());
  REQUIRE(made.has_value());
  const std::string text = render_plan_text(*made);
  CHECK(text.find("n7.example.org and 9992 more") != std::string::npos);
  CHECK(text.size() < 3000);
  CHECK(render_plan_nft(*made).size() < 20'000);
}

TEST_CASE("names are looked up where a rule allows one, and only then a resolver is wanted") {
  HostFacts facts = host();
  facts.has_resolver = false;
  facts.search = {"example.org"};
  const auto forward = [&](const Policy& of) {
    facts.has_resolver = true;
    const auto made = plan(of, facts);
    facts.has_resolver = false;
    REQUIRE(made.has_value());
    CHECK(made->resolver.search == Texts{"example.org"});
    CHECK(plan(of, facts).has_value() == !made->resolver.forward);
    return made->resolver.forward;
  };
  CHECK(!forward(policy({})));
  CHECK(!forward(policy({rule(Action::allow, {prefix("198.51.100.0/24")})})));
  CHECK(!forward(policy({rule(Action::deny, {name("example.org")})})));
  CHECK(forward(policy({rule(Action::allow, {name("example.org")})})));
  CHECK(forward(policy({rule(Action::allow, {{Kind::internet, {}, "internet"}})})));
  CHECK(forward(policy({rule(Action::allow, {prefix("0.0.0.0/0")})})));
  // What is denied whole opens nothing: no way out.
  CHECK(!forward(
      policy({rule(Action::allow, {name("a.example.org")}), rule(Action::deny, {name("*.example.org")})})));
  Policy without = policy({rule(Action::allow, {name("example.org")})});
  without.dns = DnsChoice::none;
  CHECK(!forward(without));
}

TEST_CASE("a rule by name needs a way out of both families") {
  const Policy names = policy({rule(Action::allow, {name("example.org")})});
  CHECK(route_probes(names) == std::vector<Ip>{*parse_ip("1.0.0.0"), *parse_ip("2000::")});
  CHECK(make_uplink(names, host()).kind == UplinkPlan::Kind::host);
  const Policy ipv4 = policy({rule(Action::allow, {name("example.org")})}, false);
  CHECK(route_probes(ipv4) == std::vector<Ip>{*parse_ip("1.0.0.0")});
  CHECK(route_probes(policy({rule(Action::deny, {name("example.org")})})).empty());
  // Behind pasta, as for a written address: no IPv6 in the jail where what is open has no way.
  HostFacts facts = host();
  facts.privileged = false;
  CHECK(make_uplink(names, facts).ipv6);
  facts.uplinks.pop_back();
  CHECK(!make_uplink(names, facts).ipv6);
}

TEST_CASE("the host's own names, of those that may be looked up") {
  HostFacts facts = host();
  facts.hosts = parse_hosts(
      "127.0.0.1 localhost\n"
      "192.0.2.7 www.example.org WWW.example.net\n"
      "2001:db8::7 www.example.org\n"
      "192.0.2.7 www.example.org other.example.net\n"
      "192.0.2.8 ads.example.org example.org\n");
  const auto hosts = [&](const Policy& of) { return plan(of, facts)->resolver.hosts; };
  const Ip first = *parse_ip("192.0.2.7"), second = *parse_ip("2001:db8::7");
  const ProfileRule deny = rule(Action::deny, {name("ads.example.org")});
  CHECK(hosts(policy({rule(Action::allow, {name("*.example.org"), name("www.example.net")}), deny})) ==
        std::vector<HostsName>{{{"www.example.net"}, {first}}, {{"www.example.org"}, {first, second}}});
  CHECK(hosts(policy({rule(Action::allow, {{Kind::any, {}, "any"}}), deny})).size() == 5);
  CHECK(hosts(policy({rule(Action::allow, {prefix("192.0.2.0/24")})})).empty());
}

TEST_CASE("a policy of names has no allowed packet to prove, and a refused one") {
  const auto proof = make_proof(policy({rule(Action::allow, {name("example.org")}),
                                        rule(Action::deny, {name("example.net")}, {tcp(25)})}),
                                true);
  REQUIRE(proof.size() == 2);
  for (const ProofPacket& packet : proof) {
    CHECK(!packet.allowed);
    CHECK(packet.counter == counter_name(kDefaultRule));
  }
}
