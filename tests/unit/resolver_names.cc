// The resolver and the rules by name: what it opens before it answers, and what it asks of whom.
#include <doctest/doctest.h>
#include <sys/socket.h>

#include "resolver_world.h"

using namespace netjail;
using namespace netjail::test;

namespace {

using Why = RefusedName::Why;
Messages good(const Bytes& asked, bool) { return {answer(asked)}; }

struct NamesWorld : World {
  explicit NamesWorld(const std::vector<std::string>& rules, FakeUpstream::Reply reply = good)
      : upstream(loop, std::move(reply)) {
    settings.policy = policy_of(rules);
    settings.upstreams = {upstream.upstream()};
    start();
  }
  FakeUpstream upstream;
};

}  // namespace

TEST_CASE("an address is open before it is told, for the groups of the rules that name the name") {
  NamesWorld world({"allow a.example.com", "allow *.example.com 22/tcp", "allow b.test"});
  CHECK(rcode_of(world.ask(query(1, "a.example.com"))) == 0);
  REQUIRE(world.opened.size() == 2);
  CHECK(world.opened[0].group == 0);
  CHECK(world.opened[1].group == 1);
  REQUIRE(world.opened[0].addresses.size() == 1);
  CHECK(to_string(world.opened[0].addresses[0].address) == "198.51.100.7");
  CHECK(world.opened[0].addresses[0].timeout == std::chrono::seconds(360));
  CHECK(world.resolver->name_of(*parse_ip("198.51.100.7")) == "a.example.com");
  CHECK(world.refused.empty());
}

TEST_CASE("what cannot be opened is not told") {
  NamesWorld world({"allow a.example", "allow b.example"});
  world.open_fails = std::unexpected(Error{.what = "no room", .code = ENFILE});
  CHECK(rcode_of(world.ask(query(1, "a.example"))) == 2);
  REQUIRE(world.refused.size() == 1);
  CHECK(world.refused[0] == RefusedName{"a.example", Why::full, "no room", 1});
  // The kernel is left alone for a while, then there is room again; the failure was kept for a second only.
  world.open_fails = {};
  CHECK(rcode_of(world.ask(query(2, "b.example"))) == 2);
  CHECK(world.opened.empty());
  CHECK(world.until([&] { return rcode_of(world.ask(query(3, "a.example"))) == 0; }));
  CHECK(world.opened.size() == 1);
}

TEST_CASE("an answer that holds is not asked for again, and its addresses need not be opened again") {
  NamesWorld world({"allow a.example"});
  for (int count = 0; count < 5; ++count) CHECK(count_of(world.ask(query(1, "A.example")), 1) == 1);
  CHECK(world.upstream.asked.size() == 1);
  CHECK(world.opened.size() == 1);
  CHECK(world.resolver->counts().cached == 4);
  CHECK(rcode_of(world.ask(query(1, "a.example", kAaaa))) == 0);
  CHECK(world.upstream.asked.size() == 2);
}

TEST_CASE("what several ask at once is asked once") {
  std::vector<Bytes> held;
  NamesWorld world({"allow a.example"}, [&](const Bytes& asked, bool) {
    held.push_back(asked);
    return Messages{};
  });
  std::vector<Fd> clients;
  for (std::uint16_t id = 0; id < 20; ++id) {
    clients.push_back(connected_socket(SOCK_DGRAM, world.udp_port));
    const Bytes asked = query(id, id % 2 ? "A.EXAMPLE" : "a.example");
    REQUIRE(::send(clients.back().get(), asked.data(), asked.size(), 0) > 0);
  }
  CHECK(world.until([&] { return world.resolver->counts().questions == 20; }));
  world.drain();
  CHECK(held.size() == 1);
  world.upstream.use(good);
  // Its first server does not answer: another client's question does not make it ask again.
  CHECK(world.opened.empty());
}

TEST_CASE("a flood of one question, while its answer is out, is bounded") {
  NamesWorld world({"allow a.example"}, [](const Bytes&, bool) { return Messages{}; });
  const Fd client = connected_socket(SOCK_DGRAM, world.udp_port);
  for (std::uint16_t id = 0; id < 200; ++id) {
    const Bytes asked = query(id, "a.example");
    REQUIRE(::send(client.get(), asked.data(), asked.size(), 0) > 0);
  }
  CHECK(world.until([&] { return world.resolver->counts().questions == 200; }));
  CHECK(world.resolver->counts().dropped == 200 - 64);
  CHECK(world.upstream.asked.size() == 1);
}

TEST_CASE("types: others than the profile's are refused and reported") {
  World world;
  FakeUpstream upstream(world.loop, good);
  world.settings.upstreams = {upstream.upstream()};
  world.settings.types = {kA, kAaaa};
  world.start();
  CHECK(rcode_of(world.ask(query(1, "a.example"))) == 0);
  CHECK(rcode_of(world.ask(query(2, "a.example", kTxt))) == 5);
  CHECK(rcode_of(world.ask(query(3, "a.example", 255))) == 5);
  REQUIRE(world.refused.size() == 2);
  CHECK(world.refused[0] == RefusedName{"a.example", Why::type, "TXT", 1});
  CHECK(world.refused[1].detail == "ANY");
  CHECK(upstream.asked.size() == 1);
}

TEST_CASE("a name with a local address: blocked, reported, with the reason for who knows EDNS") {
  NamesWorld world({"allow a.example"},
                   [](const Bytes& asked, bool) { return Messages{answer(asked, 0x0a000001)}; });
  const Bytes reply = world.ask(query(1, "a.example", kA, 1232));
  CHECK(rcode_of(reply) == 0);
  CHECK(count_of(reply, 1) == 0);
  CHECK(Bytes(reply.end() - 6, reply.end()) == Bytes{0, 15, 0, 2, 0, 15});
  REQUIRE(world.refused.size() == 1);
  CHECK(world.refused[0] == RefusedName{"a.example", Why::address, "10.0.0.1", 1});
  CHECK(world.opened.empty());
}

TEST_CASE("names of hosts(5) are open before the first question; without room nothing starts") {
  World world;
  world.settings.policy = policy_of({"allow a.example", "allow lan.example local"});
  world.settings.hosts = {{Name{"a.example"}, {*parse_ip("198.51.100.9")}},
                          {Name{"lan.example"}, {*parse_ip("10.0.0.9")}}};
  world.start();
  CHECK(world.opened.size() == 2);
  CHECK(world.opened[0].addresses[0].timeout > std::chrono::hours(24 * 365));
  CHECK(count_of(world.ask(query(1, "a.example")), 1) == 1);
  CHECK(world.resolver->name_of(*parse_ip("10.0.0.9")) == "lan.example");

  ResolverHooks hooks;
  hooks.open = [](std::span<const Opening>) -> Status { return fail("no"); };
  CHECK_FALSE(Resolver::create(world.loop, world.settings, loopback_socket(SOCK_DGRAM),
                               loopback_socket(SOCK_STREAM), std::move(hooks))
                  .has_value());
}

TEST_CASE("names below a '*' that carry data: SERVFAIL and a report, others go on") {
  NamesWorld world({"allow *.a.example", "allow b.example"});
  int refused_at = 0;
  for (int count = 0; count < 2000 && refused_at == 0; ++count) {
    const std::string label = "x7k2m9q4w8z3v6n1p5t0r" + std::to_string(100000 + count * 7919) + "hgjdfsa";
    if (rcode_of(world.ask(query(1, label + ".a.example"))) == 2) refused_at = count;
  }
  CHECK(refused_at > 100);
  CHECK(refused_at < 400);
  REQUIRE(world.refused.size() == 1);
  CHECK(world.refused[0].why == Why::budget);
  CHECK(world.refused[0].detail == "*.a.example");
  CHECK(static_cast<int>(world.upstream.asked.size()) == refused_at);
  CHECK(rcode_of(world.ask(query(1, "b.example"))) == 0);
}
