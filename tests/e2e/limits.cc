// What one jail can use up: the entries of connection-tracking tables, source ports, pasta's sockets. It is
// bounded and told, and the host and other jails go on. Run in both modes.
#include <algorithm>
#include <cstdint>

#include "e2e/fixture.h"
#include "netjail/base/text.h"

using namespace netjail;
using namespace netjail::test;

namespace {

constexpr std::uint64_t kMost = 16384;  // netjail/policy/policy.h
constexpr std::uint64_t kMany = 30000;

// Datagrams, each a flow of its own, to addresses where nobody answers.
const char* const kFlood = R"(
import socket, sys
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
refused = 0
for i in range(30000):
    try:
        s.sendto(b'x', ('203.0.113.%d' % (100 + i % 50), 1000 + i // 50))
    except OSError:
        refused += 1
print('flooded', refused, flush=True)
sys.stdin.readline()
)";

// The host's entries, of all that passes through it and of its own.
std::uint64_t tracked(const FakeWorld& world) {
  const Outcome outcome = world.call({"cat", "/proc/sys/net/netfilter/nf_conntrack_count"});
  REQUIRE_MESSAGE(outcome.ok(), outcome.describe());
  return parse_number(trim(outcome.out), UINT32_MAX).value_or(0);
}

std::uint64_t host_sockets(const FakeWorld& world) {
  const Outcome outcome = world.call({"ss", "--udp", "--all", "--no-header", "--numeric"});
  REQUIRE_MESSAGE(outcome.ok(), outcome.describe());
  return static_cast<std::uint64_t>(std::ranges::count(outcome.out, '\n'));
}

Process jail_of(const FakeWorld& world, const Words& words) {
  Words arguments{"run", "--profile", "internet", "--"};
  arguments.insert(arguments.end(), words.begin(), words.end());
  return world.start({.argv = netjail_command(arguments), .keep_input_open = true, .deadline = 100s});
}

Outcome echo(const FakeWorld& world, const char* address) {
  return world.netjail({"--profile", "internet", "--", kProbe, "echo", address, "443"});
}

}  // namespace

TEST_CASE("without netjail nothing bounds what a program has the host track" *
          only_root("without root the host tracks nothing for a jail")) {
  if (!needs_root()) return;
  const FakeWorld open = make_world({.watch = false});
  Process jail = jail_of(open, {"sh", "-c", "echo ready; read x"});  // with it the host tracks connections
  REQUIRE(jail.wait_for("ready"));
  Process flood = open.start(
      {.argv = {"python3", open.write("flood.py", kFlood)}, .keep_input_open = true, .deadline = 60s});
  REQUIRE_MESSAGE(flood.wait_for("flooded", 60s), flood.err());
  CHECK(tracked(open) > kMany * 9 / 10);
}

TEST_CASE("a flood of flows is bounded and told; the host and other jails go on") {
  if (!needs_root()) return;
  const FakeWorld quiet = make_world({.watch = false});
  Process other = jail_of(quiet, {"sh", "-c",
                                  "echo ready; read x; " + std::string(kProbe) +
                                      " echo 198.51.100.10 443; exec " + kProbe + " udp 2001:db8:1::10 7"});
  REQUIRE(other.wait_for("ready"));
  Process flood = jail_of(quiet, {"python3", quiet.write("flood.py", kFlood)});
  REQUIRE_MESSAGE(flood.wait_for("flooded", 90s), flood.err());
  if (rootless()) {
    CHECK(host_sockets(quiet) < kMost + 100);
  } else {
    const std::uint64_t entries = tracked(quiet);
    MESSAGE("the host tracks " << entries);
    CHECK(entries > kMost * 2 / 3);
    CHECK(entries < kMost + 100);  // and those of the other jail, of DNS, ...
  }
  CHECK(quiet.probe({"echo", "198.51.100.10", "443"}).ok());
  const Outcome beside = echo(quiet, "2001:db8:1::10");
  CHECK_MESSAGE(beside.ok(), beside.describe());
  REQUIRE(other.send("go\n"));
  const Outcome before = other.wait();
  CHECK_MESSAGE(before.ok(), before.describe());
  CHECK_MESSAGE(has(before.out, "echo 198.51.100.10 443: ok"), before.describe());
  REQUIRE(flood.send("end\n"));
  const Outcome outcome = flood.wait();
  CHECK_MESSAGE(outcome.ok(), outcome.describe());
  CHECK_MESSAGE(has(outcome.err, "the jail has too many connections"), outcome.err.substr(0, 2000));
  // It is open already.
  CHECK_MESSAGE(!has(outcome.err, "--allow"), outcome.err.substr(0, 2000));
}

// Packets that are refused are dropped before conntrack confirms their entry.
TEST_CASE("what is refused leaves no entry" * only_root("without root the host tracks nothing for a jail")) {
  if (!needs_root()) return;
  const FakeWorld quiet = make_world({.watch = false});
  std::string shut = kFlood;
  for (std::size_t at = 0; (at = shut.find("203.0.113", at)) != shut.npos;) shut.replace(at, 9, "172.16.99");
  Process flood = jail_of(quiet, {"python3", quiet.write("flood.py", shut)});
  REQUIRE_MESSAGE(flood.wait_for("flooded", 90s), flood.err());
  CHECK(tracked(quiet) < 100);
  REQUIRE(flood.send("end\n"));
  const Outcome outcome = flood.wait();
  CHECK_MESSAGE(has(outcome.err, "refused 30000 attempts"), outcome.err.substr(0, 2000));
}
