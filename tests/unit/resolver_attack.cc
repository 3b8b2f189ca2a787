// What a program that works together with the servers of a name tried: findings, each kept as a test.
#include <doctest/doctest.h>
#include <sys/socket.h>

#include <algorithm>
#include <cmath>

#include "dns_build.h"
#include "resolver_gate.h"

using namespace netjail;
using namespace netjail::test;
using namespace std::chrono_literals;

namespace {

using Why = RefusedName::Why;
using Groups = std::vector<std::size_t>;
const auto kNow = std::chrono::steady_clock::now();

// A gate that is told answers.
struct Told {
  explicit Told(const std::vector<std::string>& rules) : gate(settings_of(rules)) {}
  static ResolverSettings settings_of(const std::vector<std::string>& rules) {
    ResolverSettings settings;
    settings.policy = policy_of(rules);
    return settings;
  }
  Ruling judge(std::string_view asked, std::uint16_t type = kA) const {
    return gate.judge(name(asked), type, known, kNow);
  }
  Passed pass(std::string_view asked, std::uint16_t type, const std::vector<Rr>& records) {
    const Bytes question = query(1, asked, type);
    return gate.pass(teach(question, {.answers = records}), type, judge(asked, type).verdict, kNow);
  }
  Gate gate;
  KnownAddresses known;
};

struct AttackWorld : World {
  AttackWorld(const std::vector<std::string>& rules, FakeUpstream::Reply reply)
      : upstream(loop, std::move(reply)) {
    settings.policy = policy_of(rules);
    settings.upstreams = {upstream.upstream()};
    start();
  }
  // Questions that leave the machine when `names` are asked again and again for a moment.
  std::size_t flood(const std::vector<std::string>& names, int rounds) {
    for (int round = 0; round < rounds; ++round)
      for (const std::string& asked : names) ask(query(1, asked, kTxt, 4096));
    return upstream.asked.size();
  }
  FakeUpstream upstream;
};

}  // namespace

TEST_CASE("a name that an answer leads to keeps its own denials") {
  Told told({"allow a.example 22/tcp", "deny b.example 22/tcp"});
  // As an alias within one answer: both groups.
  CHECK(told.pass("a.example", kA, {cname("a.example", "b.example"), address("b.example", "198.51.100.1")})
            .learners.groups == Groups{0, 1});
  // The same, found out step by step.
  told.pass("a.example", dns::kTypeCname, {cname("a.example", "b.example")});
  REQUIRE(told.judge("b.example").fate == Ruling::Fate::ask);
  CHECK(told.pass("b.example", kA, {address("b.example", "198.51.100.1")}).learners.groups == Groups{0, 1});
}

TEST_CASE("what an alias leads to is denied what the alias is") {
  Told told({"allow a.example 22/tcp", "deny b.example 22/tcp"});
  told.pass("a.example", dns::kTypeHttps,
            {cname("a.example", "b.example"), https("b.example", 1, "c.example")});
  CHECK(told.pass("c.example", kA, {address("c.example", "198.51.100.1")}).learners.groups == Groups{0, 1});
}

TEST_CASE("an alias below a denied '*' is denied, whatever its labels are made of") {
  Told told({"allow a.example", "deny *.tracker.example"});
  for (const char* alias : {"x!y.tracker.example", "x y.tracker.example", "*.tracker.example"}) {
    const Passed passed =
        told.pass("a.example", kA, {cname("a.example", alias), address(alias, "198.51.100.1")});
    CHECK_MESSAGE(passed.filtered.answer.rcode == dns::Rcode::name_error, alias);
    CHECK(passed.filtered.answer.addresses.empty());
  }
}

TEST_CASE("hints of a denied target are not told, nor opened without its denials") {
  Told told({"allow a.example 22/tcp", "deny b.example", "deny c.example 22/tcp"});
  const Parameters hint{{4, octets_of({"198.51.100.1"})}};
  const Passed passed =
      told.pass("a.example", dns::kTypeHttps,
                {https("a.example", 1, "b.example", hint), https("a.example", 2, "c.example", hint)});
  REQUIRE(passed.filtered.answer.services.size() == 1);
  CHECK(passed.filtered.answer.services[0].target == name("c.example"));
  CHECK(passed.learners.groups == Groups{0, 1});
  REQUIRE(passed.refused.size() == 1);
  CHECK(passed.refused[0].detail == "deny-1");
}

TEST_CASE("reverse names of addresses that are denied do not leave, whoever else allows them") {
  Told told({"allow 203.0.113.0/24", "deny 203.0.113.66", "deny 203.0.113.67 22/tcp"});
  CHECK(told.judge("65.113.0.203.in-addr.arpa", dns::kTypePtr).fate == Ruling::Fate::ask);
  CHECK(told.judge("66.113.0.203.in-addr.arpa", dns::kTypePtr).fate == Ruling::Fate::reply);
  CHECK(told.judge("67.113.0.203.in-addr.arpa", dns::kTypePtr).fate == Ruling::Fate::ask);
}

TEST_CASE("which of the names that answers lead to is asked says something: they have a budget") {
  Told told({"allow _x._tcp.a.example"});
  std::vector<Rr> places;
  for (int count = 0; count < 900; ++count) {
    Bytes data{0, 0, 0, 0, 0, 80};
    append(data, wire_name("place" + std::to_string(count) + ".b.example"));
    places.push_back(rr("_x._tcp.a.example", dns::kTypeSrv, data));
  }
  told.pass("_x._tcp.a.example", dns::kTypeSrv, places);
  int asked = 0;
  std::optional<RefusedName> refused;
  for (int count = 0; count < 900 && !refused; ++count) {
    const std::string place = "place" + std::to_string(count) + ".b.example";
    const Ruling ruling = told.judge(place);
    REQUIRE(ruling.fate == Ruling::Fate::ask);
    refused = told.gate.spend(name(place), ruling.verdict, kNow);
    if (!refused) ++asked;
  }
  CHECK(asked > 100);
  REQUIRE(refused);
  CHECK(refused->why == Why::budget);
}

TEST_CASE("which of many names below a '*' is asked again says as much as it costs") {
  for (const double names : {16.0, 2000.0}) {
    WildcardBudget budget;
    const auto day = kNow + 24h;  // the budget is full again
    auto now = kNow;
    for (int name = 0; name < names; ++name) {
      now += 10s;
      REQUIRE(budget.take(0, "n" + std::to_string(name), now));
    }
    int repeats = 0;
    while (budget.take(0, "n" + std::to_string(repeats % static_cast<int>(names)), day)) ++repeats;
    CHECK(repeats * std::log2(names) <= kBudgetBits);
    CHECK(repeats >= 2000);
  }
}

TEST_CASE("which type of an exact name is asked how often says something: failures are kept, too") {
  AttackWorld world({"allow a.example"},
                    [](const Bytes& asked, bool) { return Messages{with_rcode(answer(asked), 2)}; });
  CHECK(world.flood({"a.example"}, 20) <= 2);
  CHECK(rcode_of(world.ask(query(1, "a.example", kTxt))) == 2);
}

TEST_CASE("... and so are answers that are large") {
  AttackWorld world({"allow a.example", "allow b.example"}, [](const Bytes& asked, bool tcp) {
    return Messages{tcp ? text_answer(asked, 60000) : text_answer(asked, 3000)};
  });
  CHECK(world.flood({"a.example", "b.example"}, 20) <= 4);
}

TEST_CASE("an address that a denial has learned is denied for longer than it is allowed") {
  // b.example's denial is younger than a.example's, and both stand for one address.
  AttackWorld world(
      {"allow a.example 443/tcp", "allow b.example 22/tcp", "deny a.example 22/tcp", "deny b.example 22/tcp"},
      [](const Bytes& asked, bool) { return Messages{answer(asked)}; });
  world.ask(query(1, "a.example"));
  world.ask(query(2, "b.example"));
  std::chrono::milliseconds allowed{}, denied{};
  for (const Opening& opening : world.opened)
    (opening.group == 2 ? denied : allowed) = opening.addresses.at(0).timeout;
  REQUIRE(denied.count() > 0);
  CHECK(denied >= allowed + 60s);
  // Nor can a name whose answer holds a day, the longest, outlast it.
  CHECK(denied >= 86400s + kLearnedGrace + 60s);
}

TEST_CASE("questions that nobody answers do not keep others out") {
  const auto only_good = [](const Bytes& asked, bool) {
    return asked[12] == 4 ? Messages{answer(asked)} : Messages{};  // "good"
  };
  for (const bool many_names : {true, false}) {
    World world;
    FakeUpstream upstream(world.loop, only_good);
    world.settings.upstreams = {upstream.upstream()};
    world.settings.max_in_flight = 16;
    world.settings.max_waiting = 64;
    world.start();
    const Fd client = connected_socket(SOCK_DGRAM, world.udp_port);
    for (std::uint16_t id = 0; id < 500; ++id) {
      const Bytes asked = query(id, "silent" + std::to_string(many_names ? id : id % 4) + ".example");
      REQUIRE(::send(client.get(), asked.data(), asked.size(), 0) > 0);
      world.drain();
    }
    CHECK(world.until([&] { return world.resolver->counts().questions == 500; }));
    CHECK(rcode_of(world.ask(query(1, "good.example"))) == 0);
  }
}

TEST_CASE("names that cost nothing do not push what is known of exact names out") {
  AttackWorld world({"allow a.example", "allow 10.0.0.0/8"},
                    [](const Bytes& asked, bool) { return Messages{with_rcode(answer(asked), 2)}; });
  const auto asked = [&] {
    return std::ranges::count_if(world.upstream.asked,
                                 [](const Bytes& one) { return one[12] == 1 && one[14] == 7; });
  };
  std::size_t reverse = 0;
  const auto start = std::chrono::steady_clock::now();
  while (std::chrono::steady_clock::now() - start < 700ms || reverse < 2500) {
    world.ask(query(1, "a.example"));
    for (int count = 0; count < 250; ++count, ++reverse)
      world.ask(
          query(2, std::to_string(reverse % 250) + "." + std::to_string(reverse / 250) + ".0.10.in-addr.arpa",
                dns::kTypePtr));
  }
  const auto seconds =
      std::chrono::ceil<std::chrono::seconds>(std::chrono::steady_clock::now() - start).count();
  CHECK(asked() <= seconds);
}

TEST_CASE("the names below one '*' do not take all the room for addresses") {
  KnownAddresses known({.of_name = 4, .of_pattern = 8, .of_jail = 16});
  int last = 0;
  const auto add = [&](const std::string& name, const std::string& pattern,
                       std::chrono::steady_clock::time_point now) {
    return known.add(name, *parse_ip("198.51.100." + std::to_string(++last)), 1, 60s, now, pattern);
  };
  int added = 0;
  for (int name = 0; name < 16; ++name)
    added += add("n" + std::to_string(name) + ".a.example", "*.a.example", kNow) ? 1 : 0;
  CHECK(added == 8);
  CHECK(add("b.example", {}, kNow));
  CHECK(add("n.c.example", "*.c.example", kNow));
  // An address that gets another name is charged to that one.
  CHECK(known.add("b.example", *parse_ip("198.51.100.1"), 1, 60s, kNow));
  CHECK(add("again.a.example", "*.a.example", kNow));
  CHECK_FALSE(add("more.a.example", "*.a.example", kNow));
  for (int name = 0; name < 8; ++name)
    CHECK(add("n" + std::to_string(name) + ".a.example", "*.a.example", kNow + 400s));
  CHECK(known.size() == 8);
}
