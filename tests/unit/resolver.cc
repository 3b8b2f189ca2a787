// The resolver over UDP: a real client, real upstream servers, all on loopback.
#include <doctest/doctest.h>
#include <sys/socket.h>

#include <algorithm>
#include <random>
#include <set>

#include "resolver_world.h"

using namespace netjail;
using namespace netjail::test;

namespace {

Messages good(const Bytes& asked, bool) { return {answer(asked)}; }
Messages nothing(const Bytes&, bool) { return {}; }
FakeUpstream::Reply says(int rcode) {
  return [rcode](const Bytes& asked, bool) { return Messages{with_rcode(answer(asked), rcode)}; };
}
// An answer after something else.
FakeUpstream::Reply after(std::function<Bytes(const Bytes&)> other) {
  return [other = std::move(other)](const Bytes& asked, bool) {
    return Messages{other(asked), answer(asked)};
  };
}
Bytes with(Bytes message, std::size_t at, int change) {
  message.at(at) = static_cast<std::uint8_t>(message.at(at) ^ change);
  return message;
}

// A server that nobody listens on.
Upstream dead() {
  const Fd socket = loopback_socket(SOCK_DGRAM);
  return {.address = *parse_ip("127.0.0.1"), .port = port_of(socket), .zone = {}};
}

struct OneUpstream : World {
  explicit OneUpstream(FakeUpstream::Reply reply, std::chrono::milliseconds try_timeout = kLong,
                       std::chrono::milliseconds total_timeout = kLong)
      : upstream(loop, std::move(reply)) {
    settings.try_timeout = try_timeout;
    settings.total_timeout = total_timeout;
    settings.upstreams = {upstream.upstream()};
    start();
  }
  FakeUpstream upstream;
};

struct TwoUpstreams : World {
  TwoUpstreams(FakeUpstream::Reply one, FakeUpstream::Reply two,
               std::chrono::milliseconds try_timeout = kLong)
      : first(loop, std::move(one)), second(loop, std::move(two)) {
    settings.try_timeout = try_timeout;
    settings.upstreams = {first.upstream(), second.upstream()};
    start();
  }
  FakeUpstream first, second;
};

}  // namespace

TEST_CASE("a question is answered, with the client's id and spelling") {
  OneUpstream world(good);
  const Bytes asked = query(0x4242, "WwW.Example.com");
  CHECK(world.ask(asked) == answer(asked));
  REQUIRE(world.upstream.asked.size() == 1);
  // Made anew: nothing but name and type is the client's.
  const Bytes sent = lowered(world.upstream.asked[0]);
  CHECK(Bytes(sent.begin() + 2, sent.end()) == [] {
    const Bytes same = query(0, "www.example.com", kA, 1232);
    return Bytes(same.begin() + 2, same.end());
  }());
  CHECK(world.upstream.asked[0] != sent);  // the spelling is random: equal once in 32,768
  CHECK(world.resolver->counts().questions == 1);
  CHECK(world.resolver->counts().answered == 1);
  CHECK(world.refused.empty());
}

TEST_CASE("each question has an id and a source port of its own") {
  OneUpstream world(good);
  std::set<int> ids, ports;
  for (int count = 0; count < 40; ++count)
    CHECK(rcode_of(world.ask(query(1, "a" + std::to_string(count) + ".example"))) == 0);
  for (const auto& asked : world.upstream.asked) ids.insert(id_of(asked));
  ports.insert(world.upstream.source_ports.begin(), world.upstream.source_ports.end());
  CHECK(ids.size() > 35);
  CHECK(ports.size() > 30);
}

TEST_CASE("what is no answer to the question is ignored, the answer after it is taken") {
  const std::vector<std::function<Bytes(const Bytes&)>> others{
      [](const Bytes& asked) { return with(answer(asked), 1, 1); },     // another id
      [](const Bytes& asked) { return with(answer(asked), 2, 0x80); },  // not a response
      [](const Bytes& asked) { return with(answer(asked), 2, 0x28); },  // opcode
      [](const Bytes& asked) { return with(answer(asked), 13, 1); },    // another name
      [](const Bytes& asked) { return with(answer(asked), 5, 2); },     // QDCOUNT
      [](const Bytes& asked) { return with(answer(asked), 7, 2); },     // records that are not there
      [](const Bytes& asked) { return answer(query(id_of(asked), "a.example", kAaaa)); },
      [](const Bytes&) { return Bytes{}; },
      [](const Bytes& asked) { return Bytes(asked.begin(), asked.begin() + 12); },
      [](const Bytes&) { return Bytes(3000, 0xc0); },
  };
  for (const auto& other : others) {
    OneUpstream world(after(other));
    const Bytes asked = query(77, "a.example");
    CHECK(world.ask(asked) == answer(asked));
    CHECK(world.upstream.asked.size() == 1);
    CHECK(world.resolver->counts().malformed == 1);
  }
}

TEST_CASE("wrong answers alone end in SERVFAIL when the time is over") {
  OneUpstream world([](const Bytes& asked, bool) { return Messages{with(answer(asked), 0, 1)}; },
                    std::chrono::milliseconds(100), std::chrono::milliseconds(300));
  const auto start = std::chrono::steady_clock::now();
  CHECK(rcode_of(world.ask(query(1, "a.example"))) == 2);
  CHECK(std::chrono::steady_clock::now() - start >= world.settings.total_timeout);
  CHECK(world.upstream.asked.size() > 1);  // 300 ms in turns of 100
  CHECK(world.upstream.asked.size() <= 3);
  CHECK(world.resolver->counts().failed == 1);
}

TEST_CASE("an answer from another source is not taken") {
  // The real server stays silent; somebody else, who knows id and port, answers in its place.
  World world;
  const Fd other = loopback_socket(SOCK_DGRAM);
  int forged = 0;
  FakeUpstream* server = nullptr;
  FakeUpstream upstream(world.loop, [&](const Bytes& asked, bool) {
    sockaddr_storage to{};
    socklen_t length = sizeof to;
    const Fd probe = connected_socket(SOCK_DGRAM, server->source_ports.back());
    REQUIRE(::getpeername(probe.get(), reinterpret_cast<sockaddr*>(&to), &length) == 0);
    const Bytes reply = answer(asked, 0x01020304);
    if (::sendto(other.get(), reply.data(), reply.size(), 0, reinterpret_cast<sockaddr*>(&to), length) > 0)
      ++forged;
    return forged == 1 ? Messages{} : Messages{answer(asked)};
  });
  server = &upstream;
  world.settings.try_timeout = std::chrono::milliseconds(200);
  world.settings.upstreams = {upstream.upstream()};
  world.start();
  const Bytes asked = query(1, "a.example");
  CHECK(world.ask(asked) == answer(asked));
  CHECK(forged >= 2);
}

TEST_CASE("an answer that was cut off is asked for again over TCP") {
  OneUpstream world([](const Bytes& asked, bool tcp) {
    return Messages{tcp ? text_answer(asked, 3000) : with(answer(asked), 2, 0x02)};
  });
  const Bytes asked = query(1, "a.example", kTxt, 4096);
  CHECK(count_of(world.ask(asked), 1) == 15);
  CHECK(world.upstream.asked.size() == 2);
  CHECK(world.upstream.connections == 1);
}

TEST_CASE("an answer in another spelling is asked for again over TCP; without TCP the server has its way") {
  const auto small = [](const Bytes& asked, bool) { return Messages{answer(lowered(asked))}; };
  {
    OneUpstream world(small);
    CHECK(rcode_of(world.ask(query(1, "spelling.example"))) == 0);
    CHECK(world.upstream.connections == 1);
  }
  // A server on a port where nobody takes a connection.
  World world;
  Fd udp = loopback_socket(SOCK_DGRAM);
  world.settings.upstreams = {{.address = *parse_ip("127.0.0.1"), .port = port_of(udp), .zone = {}}};
  world.start();
  int asked = 0;
  const Fd client = connected_socket(SOCK_DGRAM, world.udp_port);
  Bytes reply(512);
  const auto serve = [&] {
    Bytes message(512);
    sockaddr_storage from{};
    socklen_t length = sizeof from;
    const ssize_t got = ::recvfrom(udp.get(), message.data(), message.size(), MSG_DONTWAIT,
                                   reinterpret_cast<sockaddr*>(&from), &length);
    if (got > 0) {
      ++asked;
      message.resize(static_cast<std::size_t>(got));
      const Bytes said = answer(lowered(message));
      ::sendto(udp.get(), said.data(), said.size(), 0, reinterpret_cast<sockaddr*>(&from), length);
    }
    return ::recv(client.get(), reply.data(), reply.size(), MSG_DONTWAIT) > 0;
  };
  for (const auto& [name, questions] : {std::pair{"spelling.example", 2}, {"orthography.example", 3}}) {
    const Bytes question = query(1, name);
    REQUIRE(::send(client.get(), question.data(), question.size(), 0) > 0);
    REQUIRE(world.until(serve));
    CHECK(rcode_of(reply) == 0);
    CHECK(asked == questions);
  }
}

TEST_CASE("large answers: whole if the client takes them, else question and TC") {
  OneUpstream world([](const Bytes& asked, bool) { return Messages{text_answer(asked, 3000)}; });
  constexpr std::size_t kOpt = 11;
  for (const auto& [edns, whole] : {std::pair{0, false}, {1232, false}, {4096, true}}) {
    const Bytes asked = query(5, "big.example", kTxt, static_cast<std::uint16_t>(edns));
    const Bytes reply = world.ask(asked);
    CHECK(truncated(reply) == !whole);
    CHECK(reply.size() == (whole ? text_answer(asked, 3000).size() : 12 + 13 + 4) + (edns > 0 ? kOpt : 0));
    CHECK(count_of(reply, 1) == (whole ? 15 : 0));
  }
  world.upstream.use([](const Bytes& asked, bool) { return Messages{text_answer(asked, 60000)}; });
  const Bytes asked = query(6, "huge.example", kTxt, 65535);
  CHECK(world.ask(asked).size() == text_answer(asked, 60000).size() + kOpt);
}

TEST_CASE("a silent server: the next one is asked, and is the first from then on") {
  TwoUpstreams world(nothing, good, std::chrono::milliseconds(400));
  CHECK(rcode_of(world.ask(query(1, "a.example"))) == 0);
  CHECK(world.first.asked.size() == 1);
  CHECK(world.second.asked.size() == 1);
  // Another question to the other server has another id.
  CHECK(rcode_of(world.ask(query(2, "b.example"))) == 0);
  CHECK(world.first.asked.size() == 1);
  CHECK(world.second.asked.size() == 2);
}

TEST_CASE("a dead port, SERVFAIL and REFUSED: the next one is asked at once") {
  const auto at_once = [](World& world) {
    const auto start = std::chrono::steady_clock::now();
    const Bytes asked = query(1, "a.example");
    CHECK(world.ask(asked) == answer(asked));
    CHECK(std::chrono::steady_clock::now() - start < kLong);
  };
  for (const int rcode : {2, 5}) {
    TwoUpstreams world(says(rcode), good);
    at_once(world);
    CHECK(world.first.asked.size() == 1);
  }
  World world;
  FakeUpstream upstream(world.loop, good);
  world.settings.upstreams = {dead(), upstream.upstream()};
  world.start();
  at_once(world);
}

TEST_CASE("NXDOMAIN is an answer; other errors, and answers that make no sense, are none") {
  const auto empty = [](int rcode) -> FakeUpstream::Reply {
    return [rcode](const Bytes& asked, bool) {
      Bytes message = with_rcode(answer(asked), rcode);
      message.resize(message.size() - 16);  // the record
      message[7] = 0;
      return Messages{message};
    };
  };
  {
    TwoUpstreams world(empty(3), good);
    CHECK(rcode_of(world.ask(query(1, "a.example"))) == 3);
    CHECK(world.second.asked.empty());
  }
  for (const auto& bad : {empty(1), empty(4), says(3)}) {
    TwoUpstreams world(bad, good);
    CHECK(rcode_of(world.ask(query(1, "a.example"))) == 0);
    CHECK(world.second.asked.size() == 1);
  }
}

TEST_CASE("when all refuse or are dead: SERVFAIL, at once") {
  {
    TwoUpstreams world(says(5), says(2));
    CHECK(rcode_of(world.ask(query(1, "a.example"))) == 2);
    CHECK(world.first.asked.size() == 1);
    CHECK(world.second.asked.size() == 1);
  }
  World world;
  world.settings.upstreams = {dead(), dead()};
  world.start();
  const auto start = std::chrono::steady_clock::now();
  CHECK(rcode_of(world.ask(query(1, "a.example"))) == 2);
  CHECK(std::chrono::steady_clock::now() - start < kLong);
}

TEST_CASE("a name that no rule allows does not exist, is reported, and nobody is asked") {
  World world;
  FakeUpstream upstream(world.loop, good);
  world.settings.upstreams = {upstream.upstream()};
  world.settings.policy = policy_of({});
  world.start();
  Bytes asked = query(3, "Secret.Example.com", kTxt, 1232);
  CHECK(rcode_of(world.ask(asked)) == 3);
  asked[13] = 27;  // an escape
  CHECK(rcode_of(world.ask(asked)) == 3);
  REQUIRE(world.refused.size() == 2);
  CHECK(world.refused[0] == RefusedName{"secret.example.com", RefusedName::Why::rule, "default", 1});
  CHECK(world.refused[1].name == "\\027ecret.example.com");
  CHECK(upstream.asked.empty());
  CHECK(world.resolver->counts().refused == 2);
}

TEST_CASE("zone transfers are refused, the canary does not exist, nobody is asked") {
  OneUpstream world(good);
  CHECK(rcode_of(world.ask(query(1, "example.com", kAxfr))) == 5);
  CHECK(world.refused.size() == 1);
  const Bytes canary = world.ask(query(2, "use-application-dns.net"));
  CHECK(rcode_of(canary) == 3);
  CHECK(count_of(canary, 0) == 1);
  CHECK(world.upstream.asked.empty());
}

TEST_CASE("malformed questions: an answer where there is an id, silence for responses and fragments") {
  OneUpstream world(good);
  const Bytes asked = query(0x0102, "a.example");
  CHECK(rcode_of(world.ask(with(asked, 5, 1))) == 1);
  CHECK(rcode_of(world.ask(with(asked, 2, 0x28))) == 4);
  const Bytes reply = world.ask(Bytes(asked.begin(), asked.begin() + 14));
  CHECK(rcode_of(reply) == 1);
  CHECK(id_of(reply) == 0x0102);
  CHECK(rcode_of(world.ask(Bytes(9000, 0))) == 1);
  CHECK(world.silent(with(asked, 2, 0x80)));
  CHECK(world.silent(Bytes(asked.begin(), asked.begin() + 11)));
  CHECK(world.silent({}));
  CHECK(world.resolver->counts().malformed == 7);
  CHECK(world.upstream.asked.empty());
}

TEST_CASE("4,000 random and mutated datagrams from the client and the server do not hurt") {
  std::mt19937 random(7);
  const auto mutated = [&](Bytes message) {
    if (random() % 2)
      for (auto change = 1 + random() % 6; change > 0; --change)
        message[random() % message.size()] = static_cast<std::uint8_t>(random());
    else
      message.resize(random() % 300, static_cast<std::uint8_t>(random()));
    return message;
  };
  OneUpstream world([&](const Bytes& asked, bool) {
    return Messages{mutated(answer(asked)), mutated(text_answer(asked, 600)), answer(asked)};
  });
  world.settings.upstreams = {world.upstream.upstream()};
  const Fd socket = connected_socket(SOCK_DGRAM, world.udp_port);
  Bytes sink(65536);
  for (int count = 0; count < 4000; ++count) {
    Bytes message(random() % 120);
    for (auto& octet : message) octet = static_cast<std::uint8_t>(random());
    if (count % 2)
      message = mutated(query(static_cast<std::uint16_t>(count),
                              "mutated" + std::to_string(count) + ".example.com", kA, 1232));
    (void)::send(socket.get(), message.data(), message.size(), MSG_DONTWAIT);
    if (count % 50 == 0) world.drain();
    while (::recv(socket.get(), sink.data(), sink.size(), MSG_DONTWAIT) >= 0) {
    }
  }
  const Bytes asked = query(1, "after.example");
  world.upstream.use(good);
  CHECK(world.ask(asked) == answer(asked));
  CHECK(world.upstream.asked.size() > 30);  // most names are none any more
}

TEST_CASE("questions beyond max_in_flight: the older are dropped, the others are answered") {
  World world;
  std::vector<Bytes> held;
  FakeUpstream upstream(world.loop, [&](const Bytes& asked, bool) {
    held.push_back(asked);
    return Messages{};
  });
  world.settings.upstreams = {upstream.upstream()};
  world.settings.max_in_flight = 10;
  world.settings.try_timeout = world.settings.total_timeout = std::chrono::milliseconds(800);
  world.start();
  const Fd socket = connected_socket(SOCK_DGRAM, world.udp_port);
  for (std::uint16_t id = 0; id < 30; ++id) {
    const Bytes asked = query(id, "a" + std::to_string(id) + ".example");
    REQUIRE(::send(socket.get(), asked.data(), asked.size(), 0) > 0);
  }
  CHECK(world.until([&] { return world.resolver->counts().questions == 30; }));
  CHECK(world.resolver->counts().dropped == 20);
  CHECK(world.until([&] { return held.size() >= 10; }));
  for (int count = 0; count < 10; ++count) CHECK(rcode_of(world.receive(socket)) == 2);
  // There is room again.
  upstream.use(good);
  CHECK(rcode_of(world.ask(query(1, "a.example"))) == 0);
}

TEST_CASE("a flood of datagrams does not starve other work on the loop") {
  World world;
  world.settings.policy = policy_of({});
  world.start();
  const Fd socket = connected_socket(SOCK_DGRAM, world.udp_port);
  const Bytes asked = query(1, "a.example");
  for (int count = 0; count < 200; ++count)
    (void)::send(socket.get(), asked.data(), asked.size(), MSG_DONTWAIT);
  // One handler at a time: none of them takes more than 64.
  std::uint64_t before = 0, most = 0;
  CHECK(world.until([&] {
    const auto now = world.resolver->counts().questions;
    most = std::max(most, now - std::exchange(before, now));
    return now == 200;
  }));
  CHECK(most == 64);
}

TEST_CASE("stop() closes everything, whatever is under way; destruction in the middle is safe") {
  World world;
  FakeUpstream upstream(world.loop, nothing);
  world.settings.upstreams = {upstream.upstream()};
  world.start();
  const Fd socket = connected_socket(SOCK_DGRAM, world.udp_port);
  const auto ask = [&] {
    const Bytes asked = query(1, "a.example");
    (void)::send(socket.get(), asked.data(), asked.size(), 0);
  };
  ask();
  TcpClient client(world);
  client.send(framed(query(2, "b.example")));
  CHECK(world.until([&] { return upstream.asked.size() == 2; }));
  world.resolver->stop();
  CHECK(client.closed());
  CHECK(world.resolver->counts().questions == 2);
  world.resolver->stop();
  world.resolver.reset();
  world.drain();

  // Destroyed from its own callback.
  World other;
  other.settings.policy = policy_of({});
  Fd udp = loopback_socket(SOCK_DGRAM), tcp = loopback_socket(SOCK_STREAM);
  other.udp_port = port_of(udp);
  other.tcp_port = port_of(tcp);
  int called = 0;
  ResolverHooks hooks;
  hooks.on_refused = [&](const RefusedName&) {
    ++called;
    other.resolver.reset();
  };
  auto made = Resolver::create(other.loop, other.settings, std::move(udp), std::move(tcp), std::move(hooks));
  REQUIRE(made.has_value());
  other.resolver = std::move(*made);
  TcpClient last(other);
  Bytes two = framed(query(3, "a.example"));
  append(two, framed(query(4, "a.example")));
  last.send(two);
  CHECK(last.closed());
  CHECK(called == 1);
}

TEST_CASE("what is not a socket is refused") {
  asio::io_context loop;
  CHECK_FALSE(Resolver::create(loop, {}, Fd(), Fd(), {}).has_value());
}
