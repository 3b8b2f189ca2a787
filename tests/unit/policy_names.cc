// What a policy says of names.
#include <doctest/doctest.h>

#include <algorithm>

#include "netjail/policy/names.h"

using namespace netjail;

namespace {

using Kind = Destination::Kind;
using Texts = std::vector<std::string>;
using Numbers = std::vector<std::size_t>;

Destination to(std::string_view text) {
  if (text == "any") return {Kind::any, {}, "any"};
  if (text == "internet") return {Kind::internet, {}, "internet"};
  if (const auto prefix = parse_prefix(text)) return {Kind::prefix, *prefix, std::string(text)};
  const auto pattern = parse_name_pattern(text, PublicSuffixes::builtin());
  REQUIRE_MESSAGE(pattern.has_value(), text);
  return {Kind::name, {}, std::string(text), *pattern};
}
Service tcp(std::uint16_t port) { return {kTcp, PortRange{port, port}, {}}; }
ProfileRule rule(Action action, const std::vector<std::string_view>& destinations,
                 std::vector<Service> services, bool local) {
  ProfileRule result{.action = action, .services = std::move(services), .local = local};
  for (const auto text : destinations) result.to.push_back(to(text));
  return result;
}
ProfileRule allow(const std::vector<std::string_view>& destinations, std::vector<Service> services = {},
                  bool local = false) {
  return rule(Action::allow, destinations, std::move(services), local);
}
ProfileRule deny(const std::vector<std::string_view>& destinations, std::vector<Service> services = {}) {
  return rule(Action::deny, destinations, std::move(services), false);
}
Policy policy(std::vector<ProfileRule> rules) { return make_policy(Profile{.rules = std::move(rules)}); }

NameVerdict find(const Policy& of, const char* name) { return NameRules(of).find({name}); }
Flow tcp_flow(std::uint16_t port) { return {.destination = {}, .protocol = kTcp, .port = port}; }
std::string judged(const Policy& of, const char* name, std::uint16_t port) {
  const Verdict verdict = decide(of, Name{name}, tcp_flow(port));
  return (verdict.action == Action::allow ? "ALLOW " : "DENY ") + verdict.rule;
}

}  // namespace

TEST_CASE("rules of one action and the same services share a group") {
  const Policy of = policy({allow({"example.org"}, {tcp(443), tcp(22)}), allow({"198.51.100.7"}, {tcp(25)}),
                            deny({"example.com"}, {tcp(22), tcp(443)}), allow({"example.net"}),
                            allow({"a.example.net"}, {tcp(22), tcp(443), tcp(22)}), deny({"ads.example.org"}),
                            allow({"b.example.net"})});
  const auto groups = make_name_groups(of);
  const auto web = default_name_services();
  CHECK(groups == std::vector<NameGroup>{{"allow-1", Action::allow, {tcp(22), tcp(443)}, {0, 4}},
                                         {"deny-1", Action::deny, {tcp(22), tcp(443)}, {2}},
                                         {"allow-3", Action::allow, {web.begin(), web.end()}, {3, 6}}});
  CHECK(make_name_groups(policy({allow({"any"})})).empty());
}

TEST_CASE("what is written about names is what a rule has") {
  const Policy of = policy({allow({"example.org", "198.51.100.7"}), deny({"*.example.org"})});
  CHECK(of.rules[0].services.empty());  // of the address: all
  CHECK(of.rules[0].name_services.size() == 3);
  CHECK(of.rules[0].text == "allow example.org, 198.51.100.7");
  CHECK(of.rules[1].name_services.empty());
  CHECK(of.rules[1].addresses.empty());
}

TEST_CASE("a name is found by the rules that name it") {
  const Policy of = policy({allow({"*.example.org"}), allow({"example.org", "a.example.org"}, {tcp(22)})});
  const NameVerdict apex = find(of, "example.org");
  CHECK(apex == NameVerdict{Action::allow, "allow-2", {1}, {}, false, {}});
  // Both rules learn; the first one is named; the exact one makes it no name of the program's choice.
  CHECK(find(of, "a.example.org") == NameVerdict{Action::allow, "allow-1", {0, 1}, {}, false, {}});
  const NameVerdict below = find(of, "x.yz.example.org");
  CHECK(below.action == Action::allow);
  CHECK(below.groups == Numbers{0});
  REQUIRE(below.wildcard.has_value());
  CHECK(below.wildcard->octets == 4);  // "x.yz"
  CHECK(NameRules(of).pattern(below.wildcard->pattern) == to("*.example.org").pattern);
  for (const char* other : {"org", "example.net", "badexample.org", "example.org.example.net"})
    CHECK_MESSAGE(find(of, other) == NameVerdict{.rule = "default"}, other);
}

TEST_CASE("of several wildcards the longest says what the program chose") {
  const Policy of = policy({allow({"*.example.org"}), allow({"*.cdn.example.org"}, {tcp(22)})});
  const NameVerdict verdict = find(of, "abc.cdn.example.org");
  REQUIRE(verdict.wildcard.has_value());
  CHECK(verdict.wildcard->octets == 3);
  CHECK(verdict.wildcard->pattern == 1);
  CHECK(verdict.groups == Numbers{0, 1});
  CHECK(find(of, "cdn.example.org").wildcard->octets == 3);  // of the first
}

TEST_CASE("a denied name is not answered; with services its addresses are learned") {
  const Policy of = policy({allow({"*.example.org"}), deny({"ads.example.org", "*.ads.example.org"}),
                            deny({"mail.example.org", "example.com"}, {tcp(25)})});
  CHECK(find(of, "ads.example.org") == NameVerdict{.rule = "deny-1"});
  CHECK(find(of, "x.ads.example.org") == NameVerdict{.rule = "deny-1"});
  const NameVerdict mail = find(of, "mail.example.org");
  CHECK(mail.action == Action::allow);
  CHECK(mail.rule == "allow-1");
  CHECK(mail.groups == Numbers{0, 1});
  CHECK(mail.local_groups == Numbers{1});  // a denial shuts local addresses, too
  CHECK(!mail.local);
  CHECK(mail.wildcard.has_value());
  // Nobody allows it: nothing is learned.
  CHECK(find(of, "example.com") == NameVerdict{.rule = "default"});
}

TEST_CASE("the order of the rules does not change what is denied") {
  const Policy of = policy(
      {deny({"*.example.org"}), allow({"a.example.org"}), deny({"b.example.net"}), allow({"*.example.net"})});
  CHECK(find(of, "a.example.org").rule == "deny-1");
  CHECK(find(of, "b.example.net").rule == "deny-2");
  CHECK(find(of, "c.example.net").rule == "allow-2");
}

TEST_CASE("who opens a whole family may look up every name, but the denied ones") {
  for (const char* word : {"any", "internet", "0.0.0.0/0", "::/0"}) {
    const Policy of = policy({allow({"x.example.net"}), allow({word}, {tcp(443)}), deny({"*.example.org"}),
                              allow({"*.example.com"}, {tcp(22)})});
    CAPTURE(word);
    CHECK(!NameRules(of).empty());
    CHECK(find(of, "host.example") == NameVerdict{Action::allow, "allow-2", {}, {}, false, {}});
    CHECK(find(of, "a.example.org") == NameVerdict{.rule = "deny-1"});
    CHECK(find(of, "x.example.net").rule == "allow-1");
    // The first that is written is named, and a wildcard gives the program no choice that it has not anyway.
    CHECK(find(of, "a.example.com") == NameVerdict{Action::allow, "allow-2", {1}, {}, false, {}});
  }
  CHECK(NameRules(policy({allow({"10.0.0.0/8", "198.51.100.7"})})).empty());
  CHECK(NameRules(policy({deny({"any", "example.org"})})).empty());
  CHECK(NameRules(policy({})).empty());
}

TEST_CASE("local addresses are for the rules that say so alone") {
  const Policy of = policy({allow({"*.example.org"}, {tcp(443)}), allow({"nas.example.org"}, {tcp(22)}, true),
                            deny({"nas.example.org"}, {tcp(25)})});
  CHECK(!find(of, "www.example.org").local);
  const NameVerdict nas = find(of, "nas.example.org");
  CHECK(nas.local);
  CHECK(nas.groups == Numbers{0, 1, 2});
  CHECK(nas.local_groups == Numbers{1, 2});  // 443 stays shut where the name is in the local network
}

TEST_CASE("decide for a name says what its rules say") {
  const Policy of =
      policy({allow({"*.example.org"}), deny({"mail.example.org"}, {tcp(443)}), deny({"ads.example.org"}),
              allow({"mail.example.org"}, {tcp(443), tcp(22)}), allow({"internet"}, {tcp(993)})});
  CHECK(judged(of, "www.example.org", 443) == "ALLOW allow-1");
  CHECK(judged(of, "www.example.org", 22) == "DENY default");
  CHECK(judged(of, "example.org", 443) == "DENY default");
  CHECK(judged(of, "mail.example.org", 443) == "DENY deny-1");
  CHECK(judged(of, "mail.example.org", 80) == "ALLOW allow-1");
  CHECK(judged(of, "mail.example.org", 22) == "ALLOW allow-2");
  CHECK(judged(of, "ads.example.org", 993) == "DENY deny-2");
  CHECK(judged(of, "host.example", 993) == "ALLOW allow-3");
  CHECK(judged(of, "host.example", 443) == "DENY default");
}

TEST_CASE("a denial that leaves no address denies every name") {
  CHECK(judged(policy({allow({"example.org"}), deny({"any"}, {tcp(80)})}), "example.org", 80) ==
        "DENY deny-1");
  CHECK(judged(policy({allow({"example.org"}), deny({"any"}, {tcp(80)})}), "example.org", 443) ==
        "ALLOW allow-1");
  CHECK(judged(policy({allow({"example.org"}), deny({"internet"})}), "example.org", 80) == "DENY deny-1");
  // It may have a local address.
  CHECK(judged(policy({allow({"example.org"}, {}, true), deny({"internet"})}), "example.org", 80) ==
        "ALLOW allow-1");
  CHECK(judged(policy({allow({"example.org"}), deny({"198.51.100.0/24"})}), "example.org", 80) ==
        "ALLOW allow-1");
}

TEST_CASE("names open a way out, but those that are denied") {
  const auto opens = [](std::vector<ProfileRule> rules) { return policy(std::move(rules)).opens_anything(); };
  CHECK(opens({allow({"example.org"})}));
  CHECK(!opens({deny({"example.org"})}));
  CHECK(!opens({allow({"example.org"}), deny({"example.org"})}));
  CHECK(!opens({allow({"*.a.example.org", "x.example.org"}), deny({"*.example.org"})}));
  CHECK(opens({allow({"*.example.org"}), deny({"a.example.org"})}));
  CHECK(opens({allow({"example.org"}), deny({"example.org"}, {tcp(80)})}));
  CHECK(!opens({allow({"example.org"}), deny({"any"})}));
  CHECK(!opens({allow({"example.org"}), deny({"internet"})}));
  CHECK(opens({allow({"example.org"}, {}, true), deny({"internet"})}));
  Policy ipv4 = policy({allow({"example.org"})});
  CHECK(ipv4.opens(Family::ipv6));
  ipv4.ipv6 = false;
  CHECK(ipv4.opens(Family::ipv4));
  CHECK(!ipv4.opens(Family::ipv6));
}

TEST_CASE("a learned address is judged by the services of its group alone") {
  const Policy of = policy({allow({"example.org"}, {tcp(22)}), allow({"198.51.100.0/24"}, {tcp(80)}),
                            deny({"example.net"}, {tcp(80)}), allow({"a.example.org"}, {tcp(22)})});
  const Ip ip = *parse_ip("198.51.100.7"), six = *parse_ip("2001:db8::7");
  const Learned learned{{"allow-1", AddressSet({{ip, ip}, {six, six}})}, {"deny-1", AddressSet({{ip, ip}})}};
  CHECK(decide(of, {ip, kTcp, 22, 0}) == Verdict{Action::deny, "default"});
  CHECK(decide(of, {ip, kTcp, 22, 0}, learned) == Verdict{Action::allow, "allow-1"});
  CHECK(decide(of, {ip, kTcp, 443, 0}, learned) == Verdict{Action::deny, "default"});
  CHECK(decide(of, {ip, kTcp, 80, 0}) == Verdict{Action::allow, "allow-2"});
  CHECK(decide(of, {ip, kTcp, 80, 0}, learned) == Verdict{Action::deny, "deny-1"});
  CHECK(decide(of, {six, kTcp, 22, 0}, learned) == Verdict{Action::allow, "allow-1"});
  Policy ipv4 = of;
  ipv4.ipv6 = false;
  CHECK(decide(ipv4, {six, kTcp, 22, 0}, learned) == Verdict{Action::deny, "default"});
}

TEST_CASE("the SPEC that opens a name") {
  const Policy of = policy({allow({"example.org"}), deny({"ads.example.org"}), deny({"*.example.net"})});
  CHECK(allow_spec(of, "host.example.org") == "host.example.org");
  CHECK(allow_spec(of, "Host.Example.ORG.") == "host.example.org");
  CHECK(allow_spec(of, "ads.example.org").empty());
  CHECK(allow_spec(of, "a.b.example.net").empty());
  // What a program may ask for, and nobody should be told to allow.
  for (const char* name : {"*.example.org", "*", "", ".", "127.0.0.1", "localhost", "a b", "a'b.example.org",
                           "\\x00.example.org", "1.0.0.127.in-addr.arpa", "example.org:22", "-x.example.org"})
    CHECK_MESSAGE(allow_spec(of, std::string(name)).empty(), name);
  CHECK(allow_spec(of, Name{"example.org"}, tcp_flow(22)) == "example.org:22/tcp");
  CHECK(allow_spec(of, Name{"example.org"}, {.destination = {}, .protocol = kIcmp, .icmp_type = 8}) ==
        "example.org:ping");
  CHECK(allow_spec(of, Name{"example.org"}, tcp_flow(443)).empty());      // it is open
  CHECK(allow_spec(of, Name{"ads.example.org"}, tcp_flow(443)).empty());  // it is denied
}

TEST_CASE("a rule's text stays a line, whatever it names") {
  std::vector<std::string_view> many(10'000, "example.org");
  const Policy of = policy({allow(many)});
  CHECK(of.rules[0].text.size() < 250);
  CHECK(of.rules[0].text.ends_with("example.org and 9988 more"));
  CHECK(of.rules[0].names.size() == 10'000);
}
