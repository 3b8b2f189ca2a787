#include <doctest/doctest.h>

#include <algorithm>
#include <array>
#include <random>

#include "netjail/policy/policy.h"

using namespace netjail;

namespace {

using Kind = Destination::Kind;

Ip ip(std::string_view text) {
  const auto parsed = parse_ip(text);
  REQUIRE_MESSAGE(parsed, text);
  return *parsed;
}

Destination to(std::string_view text) {
  if (text == "any") return {Kind::any, {}, "any"};
  if (text == "internet") return {Kind::internet, {}, "internet"};
  const auto prefix = parse_prefix(text);
  REQUIRE_MESSAGE(prefix, text);
  return {Kind::prefix, *prefix, std::string(text)};
}

Service tcp(std::uint16_t first, std::uint16_t last) { return {kTcp, PortRange{first, last}, {}}; }
Service tcp(std::uint16_t port) { return tcp(port, port); }

ProfileRule rule(Action action, const std::vector<std::string_view>& destinations,
                 std::vector<Service> services = {}, bool local = false) {
  ProfileRule result{.action = action, .services = std::move(services), .local = local};
  for (const auto text : destinations) result.to.push_back(to(text));
  return result;
}
ProfileRule allow(const std::vector<std::string_view>& destinations, std::vector<Service> services = {},
                  bool local = false) {
  return rule(Action::allow, destinations, std::move(services), local);
}
ProfileRule deny(const std::vector<std::string_view>& destinations, std::vector<Service> services = {}) {
  return rule(Action::deny, destinations, std::move(services));
}

Policy policy(std::vector<ProfileRule> rules) {
  return make_policy(Profile{.name = "p", .rules = std::move(rules)});
}

Flow flow(std::string_view destination, std::uint16_t port = 443, std::uint8_t protocol = kTcp) {
  return {ip(destination), protocol, has_ports(protocol) ? port : std::uint16_t{0}, 0};
}
std::string blamed(const Policy& policy, const Flow& flow) {
  const Verdict verdict = decide(policy, flow);
  return (verdict.action == Action::allow ? "ALLOW " : "DENY ") + verdict.rule;
}
// The effective addresses of a single rule, as text.
std::vector<std::string> addresses(const ProfileRule& written, bool ipv6 = true) {
  const Policy made = make_policy(Profile{.rules = {written}, .ipv6 = ipv6});
  std::vector<std::string> out;
  for (const auto& range : made.rules.at(0).addresses.ranges()) out.push_back(to_string(range));
  return out;
}
using Texts = std::vector<std::string>;

}  // namespace

TEST_CASE("what no file says gets its default") {
  const Policy made = make_policy(Profile{.name = "default"});
  CHECK(made.name == "default");
  CHECK(made.description.empty());
  CHECK(made.rules.empty());
  CHECK(made.host.empty());
  CHECK(made.refuse == Refuse::reject);
  CHECK(made.ipv6);
  CHECK(made.uplink == UplinkChoice::automatic);
  CHECK(made.dns == DnsChoice::policy);
  CHECK(made.seccomp_families == Texts{"unix", "inet", "inet6", "netlink"});
  CHECK(!made.user);
  CHECK(!made.groups);
  CHECK(made.environment.empty());
  CHECK(!made.user_namespaces);
  CHECK(!made.mount_namespaces);
  CHECK(made.log_denied);
}

TEST_CASE("what a file says is kept") {
  const Policy made = make_policy(Profile{.name = "p",
                                          .description = "d",
                                          .refuse = Refuse::drop,
                                          .ipv6 = false,
                                          .uplink = UplinkChoice::none,
                                          .dns = DnsChoice::none,
                                          .seccomp_families = Texts{"unix"},
                                          .user = "nobody",
                                          .groups = Texts{},
                                          .environment = std::map<std::string, std::string>{{"A", "1"}},
                                          .user_namespaces = true,
                                          .log_denied = false});
  CHECK(made.description == "d");
  CHECK(made.refuse == Refuse::drop);
  CHECK(!made.ipv6);
  CHECK(made.uplink == UplinkChoice::none);
  CHECK(made.dns == DnsChoice::none);
  CHECK(made.seccomp_families == Texts{"unix"});
  CHECK(made.user == "nobody");
  CHECK(made.groups == Texts{});
  CHECK(made.environment.at("A") == "1");
  CHECK(made.user_namespaces);
  CHECK(!made.log_denied);
}

TEST_CASE("mount namespaces are made in user namespaces, or not at all") {
  const Policy both = make_policy({.mount_namespaces = true});
  CHECK(both.user_namespaces);
  CHECK(both.mount_namespaces);
  CHECK(!make_policy({.user_namespaces = true}).mount_namespaces);
  const Policy neither = make_policy({.user_namespaces = false, .mount_namespaces = true});
  CHECK(!neither.user_namespaces);
  CHECK(!neither.mount_namespaces);
}

TEST_CASE("rules are numbered per action in the order written and say what was written") {
  ProfileRule https = allow({"internet"}, {tcp(443)});
  https.service_texts = {"https"};
  ProfileRule mail = deny({"203.0.113.0/24"}, {tcp(25), Service{kIcmp, {}, 8}});
  mail.service_texts = {"25/tcp", "ping"};
  mail.where = {"/etc/p.toml", 7, 1};
  ProfileRule spec = allow({"10.0.0.0/8", "198.51.100.7"});
  spec.where = {"--allow", 1, 1};
  const Policy made = policy({https, mail, spec, deny({"any"}), allow({"any"}, {tcp(1, 9)}, true)});
  Texts ids, texts;
  for (const auto& one : made.rules) ids.push_back(one.id), texts.push_back(one.text);
  CHECK(ids == Texts{"allow-1", "deny-1", "allow-2", "deny-2", "allow-3"});
  CHECK(texts == Texts{"allow internet https", "deny 203.0.113.0/24 25/tcp, ping",
                       "allow 10.0.0.0/8, 198.51.100.7", "deny any", "allow any (local too) 1-9/tcp"});
  CHECK(describe_rule(made, "deny-1") == "rule deny-1 (deny 203.0.113.0/24 25/tcp, ping, /etc/p.toml:7)");
  CHECK(describe_rule(made, "allow-2") == "rule allow-2 (allow 10.0.0.0/8, 198.51.100.7, --allow)");
  CHECK(describe_rule(made, "deny-2") == "rule deny-2 (deny any)");
  CHECK(describe_rule(made, kDefaultRule) == "no rule allows it");
  for (const auto id : {kLocalRule, kHostRule, kUnroutableRule})
    CHECK(describe_rule(made, id).starts_with("it is "));
  CHECK(find_rule(made, "deny-2") == &made.rules[3]);
  CHECK(find_rule(made, "deny-3") == nullptr);
  CHECK(find_rule(made, kDefaultRule) == nullptr);
}

TEST_CASE("an allow rule opens local addresses only when it names them") {
  // Names them: wholly inside.
  CHECK(addresses(allow({"10.0.0.0/8"})) == Texts{"10.0.0.0/8"});
  CHECK(addresses(allow({"10.1.2.3"})) == Texts{"10.1.2.3"});
  CHECK(addresses(allow({"169.254.169.254"})) == Texts{"169.254.169.254"});
  CHECK(addresses(allow({"fd00::/8"})) == Texts{"fd00::/8"});
  CHECK(addresses(allow({"64:ff9b::a00:0/104"})) == Texts{"64:ff9b::a00:0/104"});
  // Merely overlaps: the local part is lost.
  CHECK(addresses(allow({"8.0.0.0/6"})) == Texts{"8.0.0.0/7", "11.0.0.0/8"});
  CHECK(addresses(allow({"192.168.0.0/15"})) == Texts{"192.169.0.0/16"});
  CHECK(addresses(allow({"8.0.0.0/6"}, {}, true)) == Texts{"8.0.0.0/6"});
  // One destination of a rule does not open what another of it merely covers.
  CHECK(addresses(allow({"8.0.0.0/6", "10.1.0.0/16"})) == Texts{"8.0.0.0/7", "10.1.0.0/16", "11.0.0.0/8"});
  // Documentation ranges are not local.
  CHECK(addresses(allow({"198.51.100.0/24", "2001:db8::/32"})) == Texts{"198.51.100.0/24", "2001:db8::/32"});
}

TEST_CASE("internet and any leave the local addresses out unless the rule says local") {
  const auto global = AddressSet::everything().without(local_addresses());
  const auto reachable = AddressSet::everything().without(unroutable_addresses());
  for (const auto* word : {"internet", "any", "0.0.0.0/0"}) {
    const auto family = std::string_view(word) == "0.0.0.0/0"
                            ? AddressSet({range_of(*parse_prefix("0.0.0.0/0"))})
                            : AddressSet::everything();
    CHECK(policy({allow({word})}).rules[0].addresses == global.intersected(family));
    CHECK(policy({allow({word}, {}, true)}).rules[0].addresses == reachable.intersected(family));
  }
  CHECK(policy({allow({"internet", "192.168.1.0/24"})}).rules[0].addresses ==
        global.united(AddressSet({range_of(*parse_prefix("192.168.1.0/24"))})));
}

TEST_CASE("no allow rule opens what a router cannot forward") {
  for (const auto* text : {"127.0.0.1", "127.0.0.0/8", "0.0.0.0", "224.0.0.251", "255.255.255.255", "::1",
                           "::", "fe80::1", "ff02::fb"}) {
    CHECK_MESSAGE(addresses(allow({text}, {}, true)).empty(), text);
  }
  CHECK(addresses(allow({"240.0.0.0/4"})) == Texts{"240.0.0.0-255.255.255.254"});
  CHECK(addresses(allow({"fe80::/9"})) == Texts{"fec0::/10"});
}

TEST_CASE("without IPv6 no rule opens any of it") {
  CHECK(addresses(allow({"any"}, {}, true), false) ==
        Texts{"1.0.0.0-126.255.255.255", "128.0.0.0-223.255.255.255", "240.0.0.0-255.255.255.254"});
  CHECK(addresses(allow({"2001:db8::/32", "198.51.100.7"}), false) == Texts{"198.51.100.7"});
  CHECK(addresses(deny({"2001:db8::/32"}), false) == Texts{"2001:db8::/32"});
}

TEST_CASE("a deny rule means its addresses as written") {
  CHECK(addresses(deny({"8.0.0.0/6"})) == Texts{"8.0.0.0/6"});
  CHECK(addresses(deny({"127.0.0.1", "ff00::/8"})) == Texts{"127.0.0.1", "ff00::/8"});
  CHECK(policy({deny({"any"})}).rules[0].addresses == AddressSet::everything());
  CHECK(policy({deny({"internet"})}).rules[0].addresses ==
        AddressSet::everything().without(local_addresses()));
  CHECK(policy({deny({"internet", "10.0.0.0/8"})}).rules[0].addresses.contains(ip("10.1.1.1")));
}

TEST_CASE("decide names the first rule that decides, in the order of blame") {
  Policy made =
      policy({allow({"internet"}, {tcp(443)}), deny({"203.0.113.0/24"}), allow({"any"}, {tcp(443), tcp(80)}),
              deny({"203.0.113.0/25", "127.0.0.0/8", "192.0.2.9"}), allow({"10.0.0.0/8"}, {tcp(22)}),
              allow({"internet"}, {Service{kIcmp, {}, 8}})});
  made.host = AddressSet({range_of(*parse_prefix("192.0.2.9")), range_of(*parse_prefix("10.0.0.1"))});
  struct Row {
    Flow flow;
    const char* expected;
  };
  const std::vector<Row> table{
      {flow("198.51.100.7"), "ALLOW allow-1"},
      {flow("198.51.100.7", 80), "ALLOW allow-2"},
      {flow("198.51.100.7", 22), "DENY default"},
      {flow("198.51.100.7", 443, kUdp), "DENY default"},
      {flow("198.51.100.7", 0, 47), "DENY default"},
      {flow("203.0.113.200"), "DENY deny-1"},
      {flow("203.0.113.1"), "DENY deny-1"},    // also deny-2: the first written one is named
      {flow("127.0.0.1"), "DENY unroutable"},  // also deny-2
      {flow("255.255.255.255"), "DENY unroutable"},
      {flow("ff02::1"), "DENY unroutable"},
      {flow("192.0.2.9"), "DENY host"},  // also deny-2 and allow-1
      {flow("10.0.0.1", 22), "DENY host"},
      {flow("10.0.0.2", 22), "ALLOW allow-3"},
      {flow("10.0.0.2", 23), "DENY local"},
      {flow("169.254.169.254", 80), "DENY local"},
      {flow("::ffff:198.51.100.7"), "DENY local"},
      {flow("64:ff9b::a9fe:a9fe"), "DENY local"},
      {flow("2001:db8::1"), "ALLOW allow-1"},
      {Flow{ip("198.51.100.7"), kIcmp, 0, 8}, "ALLOW allow-4"},
      {Flow{ip("198.51.100.7"), kIcmp, 0, 0}, "DENY default"},
  };
  for (const auto& row : table) CHECK_MESSAGE(blamed(made, row.flow) == row.expected, to_string(row.flow));
}

TEST_CASE("an empty policy denies everything") {
  CHECK(blamed(policy({}), flow("198.51.100.7")) == "DENY default");
  CHECK(blamed(policy({}), flow("10.0.0.1")) == "DENY local");
  CHECK(!policy({}).opens_anything());
}

TEST_CASE("opens_anything sees what is left") {
  CHECK(policy({allow({"198.51.100.7"})}).opens_anything());
  CHECK(!policy({deny({"198.51.100.7"})}).opens_anything());
  CHECK(!policy({allow({"127.0.0.1"})}).opens_anything());
  CHECK(!policy({allow({"198.51.100.7"}), deny({"any"})}).opens_anything());
  CHECK(policy({allow({"198.51.100.7"}), deny({"any"}, {tcp(25)})}).opens_anything());
  Policy own = policy({allow({"198.51.100.7"})});
  own.host = AddressSet({range_of(*parse_prefix("198.51.100.7"))});
  CHECK(!own.opens_anything());
}

TEST_CASE("the order of the rules does not change a verdict's action") {
  std::mt19937 random(7);
  const std::array<const char*, 8> places{"any",       "internet",      "10.0.0.0/8",   "198.51.100.0/24",
                                          "8.0.0.0/6", "2001:db8::/32", "198.51.100.7", "fd00::/8"};
  const std::array<const char*, 9> probes{"198.51.100.7", "198.51.100.8", "10.1.1.1",
                                          "9.9.9.9",      "11.0.0.1",     "2001:db8::1",
                                          "fd00::1",      "127.0.0.1",    "203.0.113.1"};
  for (int round = 0; round < 500; ++round) {
    std::vector<ProfileRule> rules;
    for (std::size_t i = random() % 6; i-- > 0;) {
      rules.push_back(
          rule(random() % 2 == 0 ? Action::allow : Action::deny, {places[random() % places.size()]},
               random() % 2 == 0 ? std::vector<Service>{} : std::vector{tcp(443)}, random() % 4 == 0));
    }
    const Policy before = policy(rules);
    std::shuffle(rules.begin(), rules.end(), random);
    const Policy after = policy(rules);
    for (const auto* probe : probes) {
      for (const std::uint16_t port : std::initializer_list<std::uint16_t>{80, 443}) {
        REQUIRE(decide(before, flow(probe, port)).action == decide(after, flow(probe, port)).action);
      }
    }
  }
}

TEST_CASE("the SPEC to add names the flow; there is none where no rule can help") {
  Policy made = policy({allow({"198.51.100.7"}, {tcp(443)}), deny({"203.0.113.0/24"})});
  made.host = AddressSet({range_of(*parse_prefix("192.0.2.9"))});
  CHECK(allow_spec(made, flow("198.51.100.7", 80)) == "198.51.100.7:80/tcp");
  CHECK(allow_spec(made, flow("198.51.100.7", 53, kUdp)) == "198.51.100.7:53/udp");
  CHECK(allow_spec(made, flow("10.0.0.7", 22)) == "10.0.0.7:22/tcp");
  CHECK(allow_spec(made, flow("2001:db8::1", 22)) == "[2001:db8::1]:22/tcp");
  CHECK(allow_spec(made, Flow{ip("198.51.100.9"), kIcmp, 0, 8}) == "198.51.100.9:ping");
  CHECK(allow_spec(made, Flow{ip("2001:db8::1"), kIcmp6, 0, 128}) == "[2001:db8::1]:ping");
  CHECK(allow_spec(made, Flow{ip("198.51.100.9"), kIcmp, 0, 13}) == "198.51.100.9:icmp");
  CHECK(allow_spec(made, flow("198.51.100.9", 0, 47)) == "198.51.100.9:47/ip");
  CHECK(allow_spec(made, flow("198.51.100.7")).empty());     // already allowed
  CHECK(allow_spec(made, flow("203.0.113.1")).empty());      // a deny rule
  CHECK(allow_spec(made, flow("192.0.2.9")).empty());        // the host
  CHECK(allow_spec(made, flow("224.0.0.251")).empty());      // unroutable
  CHECK(allow_spec(made, flow("::ffff:10.0.0.1")).empty());  // no rule can be written for it
  made.ipv6 = false;
  CHECK(allow_spec(made, flow("2001:db8::1")).empty());
}

TEST_CASE("the SPEC, read again as --allow, opens the flow that it was given for") {
  std::mt19937 random(99);
  const ServiceTable services;
  const std::array<const char*, 8> places{"198.51.100.7", "10.1.2.3", "169.254.169.254", "240.0.0.1",
                                          "2001:db8::1",  "fd00::1",  "fec0::1",         "64:ff9b::a00:1"};
  for (int round = 0; round < 4000; ++round) {
    Flow wanted{ip(places[random() % places.size()]), static_cast<std::uint8_t>(random()), 0, 0};
    if (round % 2 == 0) wanted.protocol = std::array{kTcp, kUdp, kIcmp, kIcmp6, kSctp}[random() % 5];
    if (has_ports(wanted.protocol))
      wanted.port = static_cast<std::uint16_t>(random() % 8 == 0 ? 0 : random());
    if (wanted.protocol == kIcmp || wanted.protocol == kIcmp6) {
      wanted.icmp_type = std::array<std::uint8_t, 4>{8, 128, 0, 13}[random() % 4];
    }
    const std::string spec = allow_spec(policy({}), wanted);
    const auto parsed = parse_spec(spec, Action::allow, services);
    REQUIRE_MESSAGE(parsed, spec, " for ", to_string(wanted));
    REQUIRE_MESSAGE(blamed(policy({*parsed}), wanted) == "ALLOW allow-1", spec, " for ", to_string(wanted));
  }
}

TEST_CASE("a named set that nobody has expanded is nothing, and its hosts are told with it") {
  ProfileRule unread{.to = {{.kind = Kind::set, .text = "@apt-sources"}}};
  CHECK_FALSE(policy({unread}).opens_anything());
  CHECK(policy({unread}).rules[0].addresses.empty());
  CHECK_FALSE(policy({unread}).rules[0].any_name);
  unread.action = Action::deny;
  CHECK(policy({unread}).rules[0].addresses.empty());
  ProfileRule read = allow({"198.51.100.7", "198.51.100.8"}, {tcp(80)});
  read.set = "@apt-sources";
  CHECK(policy({read}).rules[0].text == "allow @apt-sources (198.51.100.7, 198.51.100.8) 80/tcp");
}
