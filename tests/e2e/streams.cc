// Standard streams that are sockets: the program has pipes, and every octet arrives.
#include <doctest/doctest.h>

#include <arpa/inet.h>
#include <fcntl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <csignal>
#include <thread>

#include "e2e/fixture.h"

using namespace netjail;
using namespace netjail::test;

namespace {

struct Pair {
  Fd ours, theirs;
};

Pair unix_pair(int type = SOCK_STREAM) {
  int ends[2];
  REQUIRE(::socketpair(AF_UNIX, type | SOCK_CLOEXEC, 0, ends) == 0);
  return {Fd(ends[0]), Fd(ends[1])};
}

// A connection on the loopback of the test's own namespace: as inetd(8) gives one.
Pair tcp_pair() {
  const Fd listener(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t size = sizeof address;
  auto* name = reinterpret_cast<sockaddr*>(&address);
  REQUIRE(::bind(listener.get(), name, size) == 0);
  REQUIRE(::listen(listener.get(), 1) == 0);
  REQUIRE(::getsockname(listener.get(), name, &size) == 0);
  Fd ours(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  REQUIRE(::connect(ours.get(), name, size) == 0);
  return {std::move(ours), Fd(::accept4(listener.get(), nullptr, nullptr, SOCK_CLOEXEC))};
}

Command command(Words words, const std::map<int, int>& descriptors) {
  words.insert(words.begin(), {"run", "--profile", "offline", "-v", "--"});
  return {.argv = netjail_command(words), .descriptors = descriptors};
}

std::string read_all(int fd) {
  std::string all;
  char chunk[65536];
  for (ssize_t got = 0; (got = ::read(fd, chunk, sizeof chunk)) > 0;)
    all.append(chunk, static_cast<std::size_t>(got));
  return all;
}

}  // namespace

TEST_CASE("a socket as standard input and output is two pipes inside, and nothing is lost") {
  if (!needs_root()) return;
  std::string sent;
  for (int i = 0; sent.size() < 5'000'000; ++i) sent += std::to_string(i) + "\n";
  for (const bool tcp : {false, true}) {
    Pair pair = tcp ? tcp_pair() : unix_pair();
    Process run = world().start(command({"cat"}, {{0, pair.theirs.get()}, {1, pair.theirs.get()}}));
    pair.theirs.reset();
    std::thread writer([&] {
      (void)!write_all(pair.ours.get(), sent).has_value();
      ::shutdown(pair.ours.get(), SHUT_WR);
    });
    const std::string back = read_all(pair.ours.get());
    writer.join();
    const Outcome outcome = run.wait();
    CHECK_MESSAGE(outcome.ok(), outcome.describe());
    CHECK(back.size() == sent.size());
    CHECK(back == sent);
    CHECK_MESSAGE(has(outcome.err, "standard input is a socket"), outcome.describe());
  }
}

TEST_CASE("inside there is no socket, and no way to what is behind it") {
  if (!needs_root()) return;
  Pair pair = tcp_pair();
  Process run = world().start(command({kProbe, "fds"}, {{0, pair.theirs.get()}, {1, pair.theirs.get()}}));
  pair.theirs.reset();
  const std::string told = read_all(pair.ours.get());
  CHECK(run.wait().ok());
  CHECK_MESSAGE(has(told, "0=pipe:"), told);
  CHECK_MESSAGE(has(told, "1=pipe:"), told);
  CHECK_MESSAGE(!has(told, "socket:"), told);
}

TEST_CASE("standard error is passed on, too, netjail's own words among it") {
  if (!needs_root()) return;
  Pair pair = unix_pair();
  Process run = world().start(command({"sh", "-c", "echo program >&2; exit 3"}, {{2, pair.theirs.get()}}));
  pair.theirs.reset();
  const std::string told = read_all(pair.ours.get());
  CHECK(run.wait().status == 3);
  CHECK_MESSAGE(has(told, "program"), told);
  CHECK_MESSAGE(has(told, "standard error is a socket"), told);
  // A mistake before the program starts is told there, too.
  Pair other = unix_pair();
  Process wrong = world().start({.argv = netjail_command({"run", "--allow", "x..y", "--", "true"}),
                                 .descriptors = {{2, other.theirs.get()}}});
  other.theirs.reset();
  const std::string mistake = read_all(other.ours.get());
  CHECK(wrong.wait().status == 125);
  CHECK_MESSAGE(has(mistake, "x..y"), mistake);
}

TEST_CASE("a reader that is gone ends the program as a pipe does") {
  if (!needs_root()) return;
  Pair pair = unix_pair();
  Process run = world().start(command({"yes"}, {{1, pair.theirs.get()}}));
  pair.theirs.reset();
  char octet = 0;
  REQUIRE(::read(pair.ours.get(), &octet, 1) == 1);
  pair.ours.reset();
  const Outcome outcome = run.wait();
  CHECK_MESSAGE(outcome.status == 128 + SIGPIPE, outcome.describe());
}

TEST_CASE("sockets for which a pipe cannot stand are refused") {
  if (!needs_root()) return;
  const Pair datagrams = unix_pair(SOCK_DGRAM), packets = unix_pair(SOCK_SEQPACKET);
  const Fd inet(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)), udp(::socket(AF_INET, SOCK_DGRAM, 0));
  REQUIRE(::listen(inet.get(), 1) == 0);
  for (const int fd : {datagrams.theirs.get(), packets.theirs.get(), inet.get(), udp.get()})
    for (const int number : {0, 1}) {
      const Outcome outcome = world().run(command({"echo", "started"}, {{number, fd}}));
      CHECK_MESSAGE(outcome.status == 125, outcome.describe());
      CHECK_MESSAGE(has(outcome.err, "a stream socket whose peer is there"), outcome.describe());
    }
}
