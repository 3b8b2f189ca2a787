// The resolver over TCP.
#include <doctest/doctest.h>
#include <sys/socket.h>

#include <algorithm>
#include <set>

#include "resolver_world.h"

using namespace netjail;
using namespace netjail::test;

namespace {

Messages good(const Bytes& asked, bool) { return {answer(asked)}; }
Messages nothing(const Bytes&, bool) { return {}; }

struct TcpWorld : World {
  explicit TcpWorld(FakeUpstream::Reply reply) : upstream(loop, std::move(reply)) {
    settings.upstreams = {upstream.upstream()};
    settings.max_connections = 4;
    start();
  }
  FakeUpstream upstream;
};

}  // namespace

TEST_CASE("TCP: large answers whole") {
  TcpWorld world([](const Bytes& asked, bool tcp) {
    if (tcp) return Messages{text_answer(asked, 50000)};
    Bytes cut = answer(asked);
    cut[2] |= 0x02;
    return Messages{cut};
  });
  TcpClient client(world);
  const Bytes asked = query(0x1111, "Big.example", kTxt);
  client.send(framed(asked));
  CHECK(client.receive() == text_answer(asked, 50000));
  CHECK(world.upstream.connections == 1);
  // The connection serves further questions.
  client.send(framed(query(0x2222, "other.example", kTxt)));
  CHECK(id_of(client.receive()) == 0x2222);
}

TEST_CASE("TCP: pipelined questions, answers as they come") {
  // Some of the names are answered when they are asked for the second time only.
  std::set<Bytes> slow;
  TcpWorld world([&](const Bytes& asked, bool) {
    const Bytes plain = lowered(asked);
    if (plain.at(13) == 's' && slow.insert(Bytes(plain.begin() + 12, plain.end())).second) return Messages{};
    return Messages{answer(asked)};
  });
  world.resolver.reset();
  world.settings.try_timeout = std::chrono::milliseconds(200);
  world.start();
  TcpClient client(world);
  Bytes all;
  for (std::uint16_t id = 0; id < 100; ++id)
    append(all, framed(query(id, (id % 25 == 3 ? "s" : "n") + std::to_string(id) + ".example")));
  client.send(all);
  std::vector<std::uint16_t> ids;
  for (int count = 0; count < 100; ++count) {
    const Bytes reply = client.receive();
    REQUIRE(rcode_of(reply) == 0);
    ids.push_back(id_of(reply));
  }
  CHECK_FALSE(std::ranges::is_sorted(ids));
  CHECK(std::set(ids.begin(), ids.end()).size() == 100);
  CHECK(slow.size() == 4);
}

TEST_CASE("TCP: octet by octet") {
  TcpWorld world(good);
  TcpClient client(world);
  const Bytes asked = query(9, "slow.example", kA, 1232);
  for (const std::uint8_t octet : framed(asked)) {
    client.send({octet});
    world.drain();
  }
  CHECK(count_of(client.receive(), 1) == 1);
}

TEST_CASE("TCP: half a question, then nothing: closed; half a question, then the end: closed") {
  TcpWorld world(good);
  world.resolver.reset();
  world.settings.idle_timeout = std::chrono::milliseconds(200);
  world.start();
  const Bytes message = framed(query(1, "a.example"));
  const Bytes half(message.begin(), message.begin() + 9);
  TcpClient silent(world);
  silent.send(half);
  CHECK(silent.closed());
  TcpClient ended(world);
  ended.send(half);
  ended.finish_sending();
  CHECK(ended.closed());
  CHECK(world.upstream.asked.empty());
}

TEST_CASE("TCP: who ends his side after the question still gets the answer, then the end") {
  TcpWorld world(good);
  TcpClient client(world);
  client.send(framed(query(5, "a.example")));
  client.finish_sending();
  CHECK(id_of(client.receive()) == 5);
  CHECK(client.closed());
}

TEST_CASE("TCP: an idle connection is closed, one that waits for its answer is not") {
  TcpWorld world(nothing);
  world.resolver.reset();
  world.settings.idle_timeout = std::chrono::milliseconds(100);
  world.settings.total_timeout = std::chrono::milliseconds(800);
  world.start();
  TcpClient idle(world);
  TcpClient waiting(world);
  waiting.send(framed(query(1, "a.example")));
  CHECK(idle.closed());
  CHECK(waiting.is_open());
  CHECK(rcode_of(waiting.receive()) == 2);  // after 800 ms
  CHECK(waiting.closed());
}

TEST_CASE("TCP: beyond max_connections the one idle longest goes; if none is idle who waits longest") {
  TcpWorld world(nothing);
  std::vector<std::unique_ptr<TcpClient>> clients;
  for (int count = 0; count < 4; ++count) {
    clients.push_back(std::make_unique<TcpClient>(world));
    world.drain();
  }
  // The first has asked last: of the two that are owed nothing the second is idle longer.
  clients[0]->send(framed(query(1, "a.example", kAxfr)));
  CHECK(rcode_of(clients[0]->receive()) == 5);
  clients[2]->send(framed(query(1, "a.example")));
  clients[3]->send(framed(query(1, "b.example")));
  CHECK(world.until([&] { return world.upstream.asked.size() == 2; }));
  TcpClient fifth(world);
  CHECK(clients[1]->closed());
  CHECK(clients[0]->is_open());
  fifth.send(framed(query(2, "c.example")));
  clients[0]->send(framed(query(2, "d.example")));
  CHECK(world.until([&] { return world.upstream.asked.size() == 4; }));
  TcpClient sixth(world);
  CHECK(clients[2]->closed());
  CHECK(world.resolver->counts().dropped == 1);
  CHECK(sixth.is_open());
  for (const std::size_t other : {0U, 3U}) CHECK(clients[other]->is_open());
}

TEST_CASE("TCP: one connection has 32 questions under way at most") {
  TcpWorld world(nothing);
  TcpClient client(world);
  Bytes all;
  for (std::uint16_t id = 0; id < 100; ++id)
    append(all, framed(query(id, "a" + std::to_string(id) + ".example")));
  client.send(all);
  CHECK(world.until([&] { return world.upstream.asked.size() == 32; }));
  world.drain();
  CHECK(world.upstream.asked.size() == 32);
  CHECK(world.resolver->counts().questions == 32);
}

TEST_CASE("TCP: a client that does not read is not read from; it gets all when it does") {
  TcpWorld world([](const Bytes& asked, bool) { return Messages{text_answer(asked, 40000)}; });
  TcpClient client(world);
  // 400 answers of 43 KB do not fit into the kernel's buffers.
  Bytes all;
  for (std::uint16_t id = 0; id < 400; ++id)
    append(all, framed(query(id, "big" + std::to_string(id) + ".example", kTxt)));
  client.send(all);
  // Until nothing moves any more.
  for (std::size_t before = 0; before != world.upstream.asked.size() || before == 0;) {
    before = world.upstream.asked.size();
    world.drain();
  }
  CHECK(world.upstream.asked.size() < 400);
  for (int count = 0; count < 400; ++count) REQUIRE(client.receive().size() > 40000);
  CHECK(world.upstream.asked.size() == 400);
}

TEST_CASE("TCP: malformed messages") {
  TcpWorld world(good);
  TcpClient client(world);
  Bytes broken = query(0x77, "a.example");
  broken[5] = 2;
  Bytes all = framed({});                              // dropped
  append(all, framed(Bytes(11, 0)));                   // dropped
  append(all, framed(answer(query(1, "a.example"))));  // a response: dropped
  append(all, framed(broken));                         // FORMERR
  append(all, framed(query(0x78, "a.example", kAxfr)));
  append(all, framed(query(0x79, "a.example")));
  client.send(all);
  CHECK(rcode_of(client.receive()) == 1);
  CHECK(rcode_of(client.receive()) == 5);
  CHECK(rcode_of(client.receive()) == 0);
  CHECK(world.resolver->counts().malformed == 4);
  // No question is that long: there is no telling what follows.
  client.send(Bytes(5000, 0xff));
  CHECK(client.closed());
}

TEST_CASE("TCP: fail-over from a dead port, a wrong answer, an early end, silence") {
  World world;
  const auto dead_port = port_of(loopback_socket(SOCK_STREAM));
  FakeUpstream wrong(world.loop, [](const Bytes& asked, bool) {
    Bytes reply = answer(asked);
    reply[1] ^= 1;
    return Messages{reply};
  });
  FakeUpstream silent(world.loop, nothing);
  FakeUpstream refuses(world.loop,
                       [](const Bytes& asked, bool) { return Messages{with_rcode(answer(asked), 5)}; });
  FakeUpstream right(world.loop, good);
  world.settings.upstreams = {{.address = *parse_ip("127.0.0.1"), .port = dead_port, .zone = {}},
                              wrong.upstream(),
                              silent.upstream(),
                              refuses.upstream(),
                              right.upstream()};
  world.settings.try_timeout = std::chrono::milliseconds(300);
  world.start();
  TcpClient client(world);
  const Bytes asked = query(1, "a.example");
  client.send(framed(asked));
  CHECK(client.receive() == answer(asked));
  CHECK(wrong.asked.size() == 1);
  CHECK(silent.asked.size() == 1);
  CHECK(refuses.asked.size() == 1);
}

TEST_CASE("TCP: a server that answers something else has had its turn at once") {
  World world;
  FakeUpstream wrong(world.loop, [](const Bytes& asked, bool tcp) {
    Bytes cut = answer(asked);
    cut[2] |= 0x02;
    return Messages{tcp ? answer(query(id_of(asked), "b")) : cut};
  });
  FakeUpstream right(world.loop, good);
  world.settings.upstreams = {wrong.upstream(), right.upstream()};
  world.start();
  TcpClient client(world);
  const Bytes asked = query(1, "a.example");
  client.send(framed(asked));
  CHECK(client.receive() == answer(asked));
  CHECK(wrong.asked.size() == 2);
}

TEST_CASE("TCP: a name that no rule allows") {
  World world;
  world.settings.policy = policy_of({});
  world.start();
  TcpClient client(world);
  client.send(framed(query(1, "a.example", kAaaa)));
  CHECK(rcode_of(client.receive()) == 3);
  REQUIRE(world.refused.size() == 1);
  CHECK(world.refused[0].name == "a.example");
}
