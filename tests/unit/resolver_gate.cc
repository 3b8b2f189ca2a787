// What becomes of a name, without a socket: rulings, what an answer may tell, what is kept, and the limits.
#include "resolver_gate.h"

#include <doctest/doctest.h>

#include <random>

#include "dns_build.h"
#include "policies.h"
#include "resolver_cache.h"

using namespace netjail;
using namespace netjail::test;
using namespace std::chrono_literals;

namespace {

using Texts = std::vector<std::string>;
const auto kNow = std::chrono::steady_clock::now();
using Fate = Ruling::Fate;
using Why = RefusedName::Why;

dns::Name wire(std::string_view dotted) {
  const Bytes octets = wire_name(dotted);
  return {std::string(octets.begin(), octets.end())};
}
Ip ip(std::string_view text) { return *parse_ip(text); }

ResolverSettings settings_of(const std::vector<std::string>& rules) {
  ResolverSettings settings;
  settings.policy = policy_of(rules);
  settings.policy.host = AddressSet({range_of(*parse_prefix("198.51.100.200"))});
  return settings;
}

// A gate, and what it has been told.
struct Desk {
  explicit Desk(ResolverSettings settings) : gate(settings) {}
  explicit Desk(const Texts& rules) : Desk(settings_of(rules)) {}
  Ruling judge(std::string_view name, std::uint16_t type = kA, Gate::Time now = kNow) const {
    return gate.judge(wire(name), type, known, now);
  }
  bool asks(std::string_view name, std::uint16_t type = kA) const {
    return judge(name, type).fate == Fate::ask;
  }
  Passed pass(std::string_view name, const std::vector<std::string_view>& addresses,
              const std::vector<std::string_view>& aliases = {}) {
    dns::Answer answer{.ttl = 60, .chain = {wire(name)}};
    for (const auto alias : aliases) answer.chain.push_back(wire(alias));
    for (const auto address : addresses) answer.addresses.push_back(ip(address));
    return gate.pass(std::move(answer), kA, judge(name).verdict, kNow);
  }
  Gate gate;
  KnownAddresses known;
};

std::vector<std::string> told(const Passed& passed) {
  std::vector<std::string> texts;
  for (const Ip& address : passed.filtered.answer.addresses) texts.push_back(to_string(address));
  return texts;
}
using Groups = std::vector<std::size_t>;

}  // namespace

TEST_CASE("names that rules allow are asked for, others do not exist and are reported") {
  const Desk desk(Texts{"allow example.com", "allow *.example.net 22/tcp", "deny bad.example.net"});
  CHECK(desk.asks("example.com"));
  CHECK(desk.asks("a.b.example.net"));
  CHECK_FALSE(desk.judge("example.com").verdict.wildcard);
  CHECK(desk.judge("a.b.example.net").verdict.wildcard->octets == 3);
  for (const auto& [name, rule] : {std::pair{"www.example.com", "default"},
                                   {"example.net", "default"},
                                   {"com", "default"},
                                   {"bad.example.net", "deny-1"}}) {
    const Ruling ruling = desk.judge(name);
    CHECK(ruling.fate == Fate::reply);
    CHECK(ruling.reply.answer.rcode == dns::Rcode::name_error);
    CHECK(ruling.refused == RefusedName{name, Why::rule, rule, 1});
  }
}

TEST_CASE("a rule for addresses allows no name, one for the internet every name") {
  CHECK_FALSE(Desk(Texts{"allow 203.0.113.0/24"}).asks("example.com"));
  CHECK_FALSE(Desk(Texts{"allow 10.0.0.0/8"}).asks("example.com"));
  CHECK(Desk(Texts{"allow internet"}).asks("example.com"));
  CHECK(Desk(Texts{"allow any 22/tcp"}).asks("example.com"));
  CHECK(Desk(Texts{"allow 0.0.0.0/0"}).asks("example.com"));
  CHECK_FALSE(Desk(Texts{"allow internet", "deny *.example.com"}).asks("a.example.com"));
}

TEST_CASE("names that nobody is asked for, whatever the rules") {
  const Desk desk(Texts{"allow internet"});
  const auto answer = [&](std::string_view name, std::uint16_t type) {
    return desk.judge(name, type).reply.answer;
  };
  CHECK(answer("localhost", kA).addresses == std::vector{ip("127.0.0.1")});
  CHECK(answer("a.localhost", kAaaa).addresses == std::vector{ip("::1")});
  CHECK(answer("localhost", kTxt).negative());
  CHECK(answer("1.0.0.127.in-addr.arpa", dns::kTypePtr).records.size() == 1);
  for (const char* name : {"x.onion", "invalid", "_dns.resolver.arpa", "a.alt"}) {
    CHECK(desk.judge(name).fate == Fate::reply);
    CHECK(answer(name, kA).rcode == dns::Rcode::name_error);
  }
  CHECK(desk.asks("xonion"));
  CHECK(desk.asks("local"));
}

TEST_CASE("what is no name of a rule can not be asked for, in whatever octets") {
  Desk desk(Texts{"allow *.example.com"});
  for (const char octet : {'\0', ' ', '.', '/', '\x80', '"', '*'}) {
    const dns::Name name{std::string("\3a") + octet + "b" + wire("example.com").wire};
    CHECK(desk.gate.judge(name, kA, desk.known, kNow).fate == Fate::reply);
  }
}

TEST_CASE("reverse names: of what was learned from here, of what rules open by address from upstream") {
  Desk desk(Texts{"allow example.com", "allow 203.0.113.0/24", "allow 2001:db8::/32"});
  CHECK_FALSE(desk.asks("7.100.51.198.in-addr.arpa", dns::kTypePtr));
  REQUIRE(desk.known.add("example.com", ip("198.51.100.7"), 1, 60s, kNow));
  const Ruling learned = desk.judge("7.100.51.198.in-addr.arpa", dns::kTypePtr);
  CHECK(learned.fate == Fate::reply);
  REQUIRE(learned.reply.answer.records.size() == 1);
  CHECK(learned.reply.answer.records[0] == wire_name("example.com"));
  CHECK(desk.asks("7.113.0.203.in-addr.arpa", dns::kTypePtr));
  CHECK(desk.asks("1.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.8.b.d.0.1.0.0.2.ip6.arpa", dns::kTypePtr));
  CHECK_FALSE(desk.asks("7.113.0.203.in-addr.arpa", kTxt));
  for (const char* name :
       {"113.0.203.in-addr.arpa", "1.7.113.0.203.in-addr.arpa", "in-addr.arpa", "007.113.0.203.in-addr.arpa",
        "secret.7.113.0.203.in-addr.arpa", "1.8.b.d.0.1.0.0.2.ip6.arpa", "ab.0.203.in-addr.arpa"})
    CHECK_MESSAGE(!desk.asks(name, dns::kTypePtr), name);
}

TEST_CASE("local addresses are not told, unless the rule says so or another opens them by address") {
  Desk desk(Texts{"allow example.com", "allow lan.example.com local", "allow 192.168.1.0/24 80/tcp"});
  const Passed plain = desk.pass("example.com", {"198.51.100.1", "10.0.0.1", "192.168.1.7", "127.0.0.1",
                                                 "169.254.169.254", "198.51.100.200", "0.0.0.0"});
  CHECK(told(plain) == Texts{"198.51.100.1", "192.168.1.7"});
  REQUIRE(plain.refused.size() == 5);
  CHECK(plain.refused[0] == RefusedName{"example.com", Why::address, "10.0.0.1", 1});
  // Told, but not opened for the name's own services.
  CHECK(plain.learners.of(ip("198.51.100.1")) == Groups{0});
  CHECK(plain.learners.of(ip("192.168.1.7")).empty());

  const Passed lan = desk.pass("lan.example.com", {"10.0.0.1", "127.0.0.1", "224.0.0.1", "198.51.100.200"});
  CHECK(told(lan) == Texts{"10.0.0.1", "127.0.0.1"});
  CHECK(lan.learners.of(ip("10.0.0.1")) == Groups{0});

  for (const char* hidden :
       {"::ffff:10.0.0.1", "64:ff9b::a00:1", "2002:a00:1::", "fd00::1", "fe80::1", "::1"}) {
    CHECK_MESSAGE(told(desk.pass("example.com", {hidden})).empty(), hidden);
    CHECK(desk.pass("example.com", {hidden}).filtered.blocked);
  }
}

TEST_CASE("a name of two rules: a local address is learned by the one that says so") {
  Desk desk(Texts{"allow example.com 443/tcp", "allow example.com 22/tcp local", "deny example.com 25/tcp"});
  const Passed passed = desk.pass("example.com", {"10.0.0.1", "198.51.100.1"});
  CHECK(passed.learners.of(ip("198.51.100.1")) == Groups{0, 1, 2});
  CHECK(passed.learners.of(ip("10.0.0.1")) == Groups{1, 2});
}

TEST_CASE("an alias of a denied name is that name") {
  Desk desk(Texts{"allow example.com", "deny *.tracker.example", "deny mail.example 25/tcp"});
  const Passed cloaked = desk.pass("example.com", {"198.51.100.1"}, {"x.tracker.example"});
  CHECK(cloaked.filtered.answer.rcode == dns::Rcode::name_error);
  CHECK(told(cloaked).empty());
  REQUIRE(cloaked.refused.size() == 1);
  CHECK(cloaked.refused[0].name == "example.com (an alias of x.tracker.example)");
  CHECK(cloaked.refused[0].detail == "deny-1");
  // Denied some services: the address is learned by the denial, too.
  const Passed mail = desk.pass("example.com", {"198.51.100.1"}, {"mail.example"});
  CHECK(mail.learners.groups == Groups{0, 1});
}

TEST_CASE("a name that an answer leads to may be asked for while the answer holds, by the same rules") {
  Desk desk(Texts{"allow _xmpp._tcp.example.com 5222/tcp", "deny evil.example"});
  const auto lead = [&](std::string_view target) {
    dns::Answer answer{.ttl = 60, .chain = {wire("_xmpp._tcp.example.com")}};
    Bytes data{0, 0, 0, 0, 0x14, 0x66};
    append(data, wire_name(target));
    answer.records.push_back(data);
    desk.gate.pass(std::move(answer), dns::kTypeSrv, desk.judge("_xmpp._tcp.example.com").verdict, kNow);
  };
  CHECK_FALSE(desk.asks("chat.example.net"));
  lead("chat.example.net");
  CHECK(desk.asks("chat.example.net"));
  CHECK(desk.judge("chat.example.net").verdict.groups == Groups{0});
  CHECK_FALSE(desk.asks("x.chat.example.net"));
  CHECK(desk.judge("chat.example.net", kA, kNow + 361s).fate == Fate::reply);
  lead("evil.example");
  CHECK_FALSE(desk.asks("evil.example"));
  // Bounded.
  for (int count = 0; count < 3000; ++count) lead("t" + std::to_string(count) + ".example.net");
  CHECK(desk.asks("t100.example.net"));
  CHECK_FALSE(desk.asks("t2999.example.net"));
}

TEST_CASE("without IPv6 no name has such an address, and none is asked for") {
  for (const bool by_policy : {true, false}) {
    ResolverSettings settings = settings_of({"allow example.com"});
    (by_policy ? settings.policy.ipv6 : settings.ipv6) = false;
    Desk desk(settings);
    const Ruling ruling = desk.judge("example.com", kAaaa);
    CHECK(ruling.fate == Fate::reply);
    CHECK(ruling.reply.answer.rcode == dns::Rcode::none);
    CHECK_FALSE(ruling.refused);
    const Passed passed = desk.pass("example.com", {"2001:db8::1", "198.51.100.1"});
    CHECK(told(passed) == Texts{"198.51.100.1"});
    CHECK(passed.refused.empty());
  }
}

TEST_CASE("hosts(5): names of the rules are answered from it and nowhere else") {
  ResolverSettings settings = settings_of({"allow example.com", "allow lan.example.com local"});
  settings.hosts = {{Name{"example.com"}, {ip("198.51.100.9"), ip("10.0.0.9")}},
                    {Name{"lan.example.com"}, {ip("10.0.0.9")}},
                    {Name{"other.example"}, {ip("198.51.100.9")}}};
  const Desk desk(settings);
  CHECK(desk.judge("example.com").reply.answer.addresses == std::vector{ip("198.51.100.9")});
  CHECK(desk.judge("lan.example.com").reply.answer.addresses == std::vector{ip("10.0.0.9")});
  CHECK(desk.judge("example.com", kAaaa).reply.answer.negative());
  CHECK(desk.judge("example.com", dns::kTypeHttps).fate == Fate::reply);
  CHECK(desk.judge("other.example").reply.answer.rcode == dns::Rcode::name_error);
  CHECK(desk.gate.hosts().size() == 2);
}

TEST_CASE("search domains: the report has the name that was meant, and none for a detour") {
  ResolverSettings settings = settings_of({"allow example.com"});
  settings.search = {"corp.example.", "Cluster.Local"};
  const Desk desk(settings);
  CHECK_FALSE(desk.judge("example.com.corp.example").refused);
  CHECK_FALSE(desk.judge("example.com.cluster.local").refused);
  CHECK(desk.judge("evil.example.corp.example").refused->name == "evil.example");
  CHECK(desk.judge("printer.corp.example").refused->name == "printer.corp.example");
  CHECK(desk.judge("example.com.corp.example").reply.answer.rcode == dns::Rcode::name_error);
}

TEST_CASE("apt's detour by the place of a service is not told, where its host is allowed") {
  const Desk desk(settings_of({"allow example.com"}));
  for (const char* name : {"_http._tcp.example.com", "_https._tcp.example.com"}) {
    CHECK_FALSE(desk.judge(name).refused);
    CHECK(desk.judge(name).reply.answer.rcode == dns::Rcode::name_error);
  }
  CHECK(desk.judge("_http._tcp.example.net").refused);
  CHECK(desk.judge("_ldap._tcp.example.com").refused);
}

TEST_CASE("below a '*' a program has a budget; what a rule names exactly costs nothing") {
  Desk desk(Texts{"allow *.example.com", "allow cdn.example.com", "allow *.example.net"});
  const auto spend = [&](std::string_view name, Gate::Time now = kNow) {
    return !desk.gate.spend(wire(name), desk.judge(name).verdict, now).has_value();
  };
  // Ordinary use: some hundred names of a dozen letters.
  for (int count = 0; count < 300; ++count) REQUIRE(spend("image" + std::to_string(count) + ".example.com"));
  // A tunnel: 60 random letters in a name.
  std::mt19937 random(7);
  const auto secret = [&] {
    std::string name;
    for (int count = 0; count < 60; ++count)
      name.push_back("abcdefghijklmnopqrstuvwxyz234567"[random() % 32]);
    return name + ".example.com";
  };
  std::optional<RefusedName> refused;
  for (int carried = 0; !refused; ++carried) {
    REQUIRE(carried < 100);
    const std::string name = secret();
    refused = desk.gate.spend(wire(name), desk.judge(name).verdict, kNow);
  }
  CHECK(refused->why == Why::budget);
  CHECK(refused->detail == "*.example.com");
  CHECK(spend("cdn.example.com"));  // exact
  CHECK(spend("a.example.net"));    // another pattern
  // 64 bits come back each second.
  CHECK(spend("short.example.com", kNow + 2s));
  int later = 0;
  for (int second = 3; second < 103; ++second)
    while (spend(secret(), kNow + std::chrono::seconds(second))) ++later;
  CHECK(later <= 100 * 64 / 256 + 1);
}

TEST_CASE("entropy of names") {
  CHECK(entropy_bits("") == 0);
  CHECK(entropy_bits("aaaaaaaa") == 0);
  CHECK(entropy_bits("abababab") == 8);
  CHECK(entropy_bits("abcdefgh") == 24);
}

TEST_CASE("known addresses: what the kernel has to hear, and the limits") {
  KnownAddresses known({.of_name = 3, .of_jail = 5});
  const Ip one = ip("198.51.100.1");
  REQUIRE(known.add("a.example", one, 1, 60s, kNow));
  auto due = known.due(one, 0, 60s, kNow);
  REQUIRE(due);
  CHECK(due->timeout == 360s);
  known.opened(*due, 0, kNow);
  CHECK_FALSE(known.due(one, 0, 60s, kNow));
  CHECK_FALSE(known.due(one, 0, 10s, kNow + 20s));  // a shorter TTL does not shorten it
  CHECK_FALSE(known.due(one, 0, 60s, kNow + 60s));  // long enough
  CHECK(known.due(one, 0, 60s, kNow + 61s));
  CHECK(known.due(one, 0, 3600s, kNow)->timeout == 3900s);
  CHECK(known.due(one, 1, 60s, kNow));  // another group
  CHECK(known.name_of(one) == "a.example");

  for (const char* more : {"198.51.100.2", "198.51.100.3"})
    CHECK(known.add("a.example", ip(more), 1, 60s, kNow));
  CHECK_FALSE(known.add("a.example", ip("198.51.100.4"), 1, 60s, kNow));  // of_name
  CHECK(known.add("b.example", ip("198.51.100.4"), 1, 60s, kNow));
  CHECK(known.add("b.example", one, 1, 60s, kNow));  // it has two names now, and is told as the last one
  CHECK(known.name_of(one) == "b.example");
  CHECK(known.add("c.example", ip("198.51.100.5"), 1, 60s, kNow));
  CHECK_FALSE(known.add("d.example", ip("198.51.100.6"), 1, 60s, kNow));  // of_jail
  // When their time is over there is room again.
  CHECK(known.add("d.example", ip("198.51.100.6"), 1, 60s, kNow + 400s));
  CHECK(known.size() == 1);
  CHECK(known.name_of(one).empty());
}

TEST_CASE("answers are kept for their TTL, a second at least; the oldest make room") {
  AnswerCache cache(16);
  const auto answer = [](std::uint32_t ttl) {
    dns::Filtered filtered;
    filtered.answer = {.ttl = ttl, .chain = {wire("a.example")}};
    return filtered;
  };
  const std::string key = question_key(wire("a.example"), kA);
  CHECK(key != question_key(wire("a.example"), kAaaa));
  cache.keep(key, answer(60), kNow);
  CHECK(cache.find(key, kNow + 59s)->answer.ttl == 1);
  CHECK(cache.find(key, kNow + 60s) == nullptr);
  cache.keep(key, answer(0), kNow);
  CHECK(cache.find(key, kNow + 999ms)->answer.ttl == 0);
  CHECK(cache.find(key, kNow + 1s) == nullptr);
  for (int count = 0; count < 1000; ++count) cache.keep(std::to_string(count), answer(60), kNow);
  CHECK(cache.size() <= 16);
  CHECK(cache.find("999", kNow) != nullptr);
}
