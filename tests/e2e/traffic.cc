// What is allowed arrives whole: many connections at once, both directions at full speed, datagrams of every
// size, pings. As root and, through pasta, without.
//
// A connection that idles is cut by nobody: conntrack forgets an established one after five days
// (nf_conntrack_tcp_timeout_established), and the activity timer of pasta, two hours, starts anew when it
// expires (tcp_timer_handler of passt 7c7625d compares what is left of an expired timer, 0, with two hours;
// with a pasta whose timer was patched to two seconds a connection lived on after nine).
#include <doctest/doctest.h>

#include <sys/resource.h>

#include "e2e/fixture.h"

using namespace netjail;
using namespace netjail::test;

namespace {

// To record every packet would cost more than to serve it.
FakeWorld& fast_world() {
  static FakeWorld made = [] {
    rlimit limit{};
    ::getrlimit(RLIMIT_NOFILE, &limit);
    limit.rlim_cur = limit.rlim_max;
    ::setrlimit(RLIMIT_NOFILE, &limit);
    return make_world({.watch = false});
  }();
  return made;
}

// The script prints "fine"; first without netjail, then in a jail.
void check_script(const std::string& name, const std::string& text, const Words& arguments) {
  const std::string script = fast_world().write(name, text);
  Words words{"python3", script};
  words.insert(words.end(), arguments.begin(), arguments.end());
  const Outcome open = fast_world().run({.argv = words, .deadline = 120s});
  REQUIRE_MESSAGE(open.out == "fine\n", open.describe());
  words.insert(words.begin(), {"run", "--profile", "internet", "--"});
  const Outcome outcome = fast_world().run({.argv = netjail_command(words), .deadline = 120s});
  CHECK_MESSAGE(outcome.ok(), outcome.describe());
  CHECK_MESSAGE(outcome.out == "fine\n", outcome.describe());
  MESSAGE(name << ": " << open.took.count() << " ms without netjail, " << outcome.took.count() << " ms with");
}

}  // namespace

TEST_CASE("a thousand connections at once, each with its own echo") {
  if (!needs_root()) return;
  for (const std::string address : {"198.51.100.10", "2001:db8:1::10"})
    check_script("thousand.py", R"(
import asyncio, sys
async def main():
    ends = await asyncio.gather(*(asyncio.open_connection(sys.argv[1], 443) for _ in range(1000)))
    for i, (reader, writer) in enumerate(ends):
        writer.write(b'%4d of 1000' % i)
    for i, (reader, writer) in enumerate(ends):
        assert await reader.readexactly(12) == b'%4d of 1000' % i, i
    print('fine')
import resource
hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
asyncio.run(main())
)",
                 {address});
}

// Slow now and then without root: pasta of 2023 drops what it cannot pass on at once, and the sender's
// time-outs take seconds (seen of pasta alone, too: 128 MiB in 1 to 17 s).
TEST_CASE("64 MiB there and back, to the octet") {
  if (!needs_root()) return;
  for (const std::string address : {"198.51.100.10", "2001:db8:1::10"})
    check_script("bulk.py", R"(
import hashlib, os, socket, sys, threading
size = int(sys.argv[2]) << 20
block = os.urandom(1 << 20)
s = socket.create_connection((sys.argv[1], 443))
sent, got = hashlib.sha256(), hashlib.sha256()
def send():
    for i in range(size >> 20):
        piece = i.to_bytes(8, 'big') + block[8:]
        sent.update(piece)
        s.sendall(piece)
thread = threading.Thread(target=send)
thread.start()
left = size
while left:
    piece = s.recv(min(left, 1 << 20))
    assert piece, left
    got.update(piece)
    left -= len(piece)
thread.join()
assert sent.digest() == got.digest()
print('fine')
)",
                 {address, "64"});
}

TEST_CASE("datagrams of every size") {
  if (!needs_root()) return;
  for (const std::string address : {"198.51.100.10", "2001:db8:1::10"})
    check_script("datagrams.py", R"(
import os, socket, sys
family = socket.AF_INET6 if ':' in sys.argv[1] else socket.AF_INET
s = socket.socket(family, socket.SOCK_DGRAM)
s.settimeout(5)
s.connect((sys.argv[1], 7))
for size in (1, 2, 511, 1232, 1472, 1473, 9000, 32768, 65000):
    data = os.urandom(size)
    s.send(data)
    assert s.recv(65536) == data, size
print('fine')
)",
                 {address});
}

// pasta pings by sockets of the caller's, which the host allows or not.
TEST_CASE("pings, where the host lets its users ping") {
  if (!needs_root()) return;
  const auto allow = [](const std::string& groups) {
    REQUIRE(fast_world().call({"sysctl", "-q", "net.ipv4.ping_group_range=" + groups}).ok());
  };
  for (const std::string address : {"198.51.100.10", "2001:db8:1::10"}) {
    CAPTURE(address);
    allow("0 2147483647");
    REQUIRE(fast_world().run({.argv = {kProbe, "ping", address}}).ok());
    const Outcome open = fast_world().netjail({"--profile", "internet", "--", kProbe, "ping", address});
    CHECK_MESSAGE(open.ok(), open.describe());
    allow("1 0");
    REQUIRE(fast_world().run({.argv = {kProbe, "ping", address}}).ok() != rootless());
    const Outcome shut = fast_world().netjail({"--profile", "internet", "--", kProbe, "ping", address});
    CHECK_MESSAGE(shut.ok() != rootless(), shut.describe());
  }
}

TEST_CASE("what the program sends last before it ends arrives") {
  if (!needs_root()) return;
  constexpr const char* kSend =
      "import socket; socket.socket(2, 2).sendto(b'last words', ('198.51.100.10', 123))";
  constexpr std::size_t kTimes = 10;
  fast_world().servers().forget();
  for (std::size_t i = 0; i < kTimes; ++i) {
    const Outcome sent =
        fast_world().netjail({"--allow", "198.51.100.10:123/udp", "--", "python3", "-c", kSend});
    CHECK_MESSAGE(sent.ok(), sent.describe());
  }
  const auto arrived = [] { return fast_world().servers().count("udp", "198.51.100.10", 123); };
  CHECK(eventually([&] { return arrived() == kTimes; }));
  MESSAGE(arrived(), " of ", kTimes, " arrived");
}
