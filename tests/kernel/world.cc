// The fake world itself, without netjail: what an e2e test calls reachable is reachable, what it counts is
// counted, and what it would call a leak is found.
#include "support/world.h"

#include <doctest/doctest.h>
#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <csignal>

using namespace netjail;
using namespace netjail::test;

namespace {

FakeWorld make_world(const WorldOptions& options = {}) {
  auto world = FakeWorld::create(options);
  if (!world) FAIL(render_error(world.error()));
  return std::move(*world);
}

// One for the tests that do not change it.
FakeWorld& shared_world() {
  static FakeWorld world = make_world();
  world.servers().forget();
  return world;
}

bool has(const Outcome& outcome, std::string_view text) {
  return outcome.out.find(text) != std::string::npos;
}

#define CHECK_OK(outcome)                                  \
  do {                                                     \
    const Outcome nj_outcome = (outcome);                  \
    CHECK_MESSAGE(nj_outcome.ok(), nj_outcome.describe()); \
  } while (false)

}  // namespace

TEST_CASE("a world is made quickly") {
  if (!needs_root()) return;
  const auto start = std::chrono::steady_clock::now();
  const FakeWorld world = make_world();
  const auto took = std::chrono::duration_cast<Milliseconds>(std::chrono::steady_clock::now() - start);
  MESSAGE("world made in " << took.count() << " ms");
  CHECK(took < 2s);  // the aim is 150 ms; a loaded machine is no failure
}

TEST_CASE("every server answers over both families and is counted") {
  if (!needs_root()) return;
  FakeWorld& world = shared_world();
  for (const std::string address :
       {"198.51.100.10", "198.51.100.11", "203.0.113.10", "2001:db8:1::10", "2001:db8:2::10", "192.168.77.10",
        "10.77.0.10", "172.16.77.10", "100.64.77.10", "169.254.169.254", "fd77::10"}) {
    CAPTURE(address);

    CHECK_OK(world.probe({"tcp", address, "443"}));
    CHECK_OK(world.probe({"echo", address, "22"}));
    CHECK_OK(world.probe({"udp", address, "7"}));
    const Outcome http = world.probe({"http", address, "80", "/"});
    CHECK_MESSAGE(has(http, "server " + address + " port 80"), http.describe());
    CHECK(world.servers().count("tcp", address, 443) == 1);
    CHECK(world.servers().count("tcp", address, 22) == 1);
    CHECK(world.servers().count("udp", address, 7) == 1);
    CHECK(world.servers().count("tcp", address, 80) == 1);
    CHECK(world.servers().count("tcp", address, 8080) == 0);
  }
}

TEST_CASE("the host has services of its own") {
  if (!needs_root()) return;
  FakeWorld& world = shared_world();
  for (const std::string address :
       {"127.0.0.1", "::1", "198.51.100.2", "192.168.77.2", "2001:db8:1::2", "fd77::2"}) {
    CHECK_OK(world.probe({"echo", address, "22"}));
    CHECK_OK(world.probe({"udp", address, "7"}));
    CHECK(world.servers().count("tcp", address, 22) == 1);
    CHECK(world.servers().count("udp", address, 7) == 1);
  }
  CHECK_OK(world.probe({"echo", "127.0.0.1", "5432"}));
  CHECK_OK(world.probe({"udp", "127.0.0.1", "123"}));
  CHECK_OK(world.probe({"echo", "::1", "5433"}));
  CHECK_OK(world.probe({"dns", "allowed.test", "A", "udp", "127.0.0.53"}));
  CHECK(has(world.probe({"echo", "198.51.100.2", "5432"}), "ECONNREFUSED"));
}

TEST_CASE("large downloads arrive whole") {
  if (!needs_root()) return;
  FakeWorld& world = shared_world();
  CHECK(has(world.probe({"http", "198.51.100.10", "80", "/bytes/30000000"}), "ok 200 30000000 octets"));
  CHECK(has(world.probe({"http", "2001:db8:1::10", "80", "/bytes/0"}), "ok 200 0 octets"));
  CHECK(has(world.probe({"http", "198.51.100.10", "80", "/none"}), "404"));
}

TEST_CASE("closed ports refuse, and nothing is recorded as an arrival") {
  if (!needs_root()) return;
  FakeWorld& world = shared_world();
  CHECK(has(world.probe({"tcp", "198.51.100.10", "444"}), "ECONNREFUSED"));
  CHECK(has(world.probe({"udp", "2001:db8:1::10", "444"}), "ECONNREFUSED"));
  CHECK(world.servers().count() == 0);
  CHECK(world.servers().count_packets("198.51.100.10") > 0);
  CHECK(world.servers().count_packets("2001:db8:1::10") > 0);
}

TEST_CASE("the name server") {
  if (!needs_root()) return;
  FakeWorld& world = shared_world();
  CHECK(has(world.probe({"dns", "allowed.test", "A"}), "ok NOERROR 198.51.100.10 "));
  CHECK(has(world.probe({"dns", "Allowed.Test", "AAAA", "tcp"}), "ok NOERROR 2001:db8:1::10 "));
  CHECK(has(world.probe({"dns", "allowed.test", "A", "udp", "2001:db8:1::53"}), "ok NOERROR 198.51.100.10 "));
  CHECK(has(world.probe({"dns", "allowed.test", "MX"}), "ok NOERROR "));
  CHECK(has(world.probe({"dns", "alias.test", "A"}), "ok NOERROR type5 198.51.100.10 "));
  CHECK(has(world.probe({"dns", "big.test", "A"}), "ok NOERROR TC "));
  CHECK(has(world.probe({"dns", "big.test", "A", "tcp"}), "ok NOERROR 200 records"));
  CHECK(has(world.probe({"dns", "nx.test", "A"}), "NXDOMAIN"));
  const Outcome slow = world.probe({"dns", "slow.test", "A", "tcp"});
  CHECK(has(slow, "ok NOERROR 198.51.100.10 "));
  CHECK(slow.took >= 300ms);
  CHECK(has(world.call({"getent", "ahosts", "other.test"}), "203.0.113.10"));
  const auto arrivals = world.servers().arrivals();
  const auto asked = [&](const std::string& question, const std::string& protocol) {
    return std::ranges::any_of(
        arrivals, [&](const Arrival& a) { return a.question == question && a.protocol == protocol; });
  };
  CHECK_MESSAGE(asked("allowed.test 1", "udp"), describe(arrivals));
  CHECK(asked("allowed.test 28", "tcp"));
  CHECK(asked("nx.test 1", "udp"));
}

TEST_CASE("the table of names can be changed") {
  if (!needs_root()) return;
  FakeWorld& world = shared_world();
  DnsTable table = default_dns_table();
  table["allowed.test"].records = {dns_address("192.168.77.10", 1)};
  world.servers().set_dns(table);
  CHECK(has(world.probe({"dns", "allowed.test", "A"}), "NOERROR 192.168.77.10 "));
  world.servers().set_dns(default_dns_table());
  CHECK(has(world.probe({"dns", "allowed.test", "A"}), "NOERROR 198.51.100.10 "));
}

TEST_CASE("pings and spoofed datagrams are seen on the wire") {
  if (!needs_root()) return;
  FakeWorld& world = shared_world();
  CHECK_OK(world.probe({"ping", "198.51.100.10"}));
  CHECK_OK(world.probe({"ping", "2001:db8:2::10"}));
  CHECK_OK(world.probe({"spoof", "203.0.113.99", "198.51.100.10", "7"}));
  const auto packets = world.servers().packets();
  CHECK(std::ranges::any_of(packets, [](const Packet& p) { return p.protocol == 1; }));
  CHECK(std::ranges::any_of(packets, [](const Packet& p) { return p.protocol == 58; }));
  CHECK_MESSAGE(std::ranges::any_of(packets, [](const Packet& p) { return p.source == "203.0.113.99"; }),
                describe(packets));
}

TEST_CASE("variants") {
  if (!needs_root()) return;
  SUBCASE("without a default route") {
    const FakeWorld world = make_world({.default_route = false});
    CHECK(has(world.probe({"tcp", "203.0.113.10", "443"}), "ENETUNREACH"));
    CHECK_OK(world.probe({"tcp", "198.51.100.10", "443"}));
  }
  SUBCASE("IPv4 only") {
    const FakeWorld world = make_world({.ipv6 = false});
    CHECK_OK(world.probe({"tcp", "203.0.113.10", "443"}));
    CHECK_FALSE(world.probe({"tcp", "2001:db8:2::10", "443"}).ok());
  }
  SUBCASE("IPv6 only") {
    const FakeWorld world = make_world({.ipv4 = false});
    CHECK_OK(world.probe({"tcp", "2001:db8:2::10", "443"}));
    CHECK(has(world.probe({"tcp", "203.0.113.10", "443"}), "ENETUNREACH"));
    CHECK(has(world.probe({"dns", "allowed.test", "AAAA"}), "ok NOERROR 2001:db8:1::10"));
  }
  SUBCASE("with routes of a private network and a ruleset") {
    const FakeWorld world =
        make_world({.private_routes = true, .ruleset = "table inet other {\n  chain c {\n  }\n}\n"});
    CHECK(has(world.call({"ip", "route", "get", "10.99.0.1"}), "via 192.168.77.1"));
    CHECK(has(world.call({"nft", "list", "tables"}), "table inet other"));
  }
}

TEST_CASE("commands: streams, status, signal, deadline, identity, directory, descriptors") {
  if (!needs_root()) return;
  const FakeWorld& world = shared_world();
  const Outcome echo = world.run({.argv = {"sh", "-c", "cat; echo bad >&2; exit 7"}, .input = "text"});
  CHECK(echo.out == "text");
  CHECK(echo.err == "bad\n");
  CHECK(echo.status == 7);
  CHECK(echo.released);
  CHECK(world.call({"sh", "-c", "kill -TERM $$"}).signal == SIGTERM);
  CHECK(world.call({"/no/such/command"}).status == 125);
  const Outcome late = world.run({.argv = {"sleep", "60"}, .deadline = 100ms});
  CHECK(late.timed_out);
  CHECK(late.took < 5s);
  const Outcome who =
      world.run({.argv = {"id"}, .identity = Identity{.uid = 65534, .gid = 65534, .groups = {100}}});
  CHECK(has(who, "uid=65534"));
  CHECK(has(who, "100"));
  CHECK(world.run({.argv = {"pwd"}, .directory = "/srv"}).out == "/srv\n");
  const std::string big(1 << 20, 'x');
  CHECK(world.run({.argv = {"wc", "-c"}, .input = big}).out == "1048576\n");
  const Fd null(::open("/dev/null", O_RDONLY | O_CLOEXEC));
  CHECK(has(world.run({.argv = {kProbe, "fds"}, .descriptors = {{9, null.get()}}}), "9=/dev/null"));
  CHECK_FALSE(has(world.call({kProbe, "fds"}), " 3="));
}

TEST_CASE("what a command leaves running holds its output, is found, and dies with the process") {
  if (!needs_root()) return;
  const FakeWorld& world = shared_world();
  const Outcome outcome = world.call({"sh", "-c", "setsid sleep 61 & echo started"});
  CHECK(outcome.ok());
  CHECK_FALSE(outcome.released);
  const auto left = descendants();
  CHECK(left.size() == 1);
  kill_all(left);
  CHECK(descendants().empty());
  {
    Process process = world.start({.argv = {"sh", "-c", "echo ready; sleep 62; true"}});
    CHECK(process.wait_for("ready"));
    CHECK(eventually([] { return descendants().size() == 2; }));
  }
  CHECK(descendants().empty());
}

TEST_CASE("a command with a terminal: keys, screen, window size, interrupt") {
  if (!needs_root()) return;
  const FakeWorld& world = shared_world();
  Process shell = world.start({.argv = {"sh", "-c",
                                        "trap 'stty size' WINCH; stty size; read line; echo got:$line;"
                                        " while :; do read line; done"},
                               .terminal = true});
  CHECK(shell.wait_for("24 80"));
  CHECK(shell.send("hello\n").has_value());
  CHECK(shell.wait_for("got:hello"));
  CHECK(shell.resize(40, 100).has_value());
  CHECK(shell.send("\n").has_value());  // dash runs the trap after read
  CHECK(shell.wait_for("40 100"));
  CHECK(shell.send("\x03").has_value());
  CHECK(shell.wait().signal == SIGINT);
}

TEST_CASE("a process is talked to and killed at a moment") {
  if (!needs_root()) return;
  FakeWorld& world = shared_world();
  Process held = world.start({.argv = {kProbe, "hold", "198.51.100.10", "22"}, .keep_input_open = true});
  CHECK(held.wait_for("ready"));
  CHECK(held.send("one\n").has_value());
  CHECK(held.wait_for("echo 1: ok"));
  held.kill(SIGKILL);
  CHECK(held.wait().signal == SIGKILL);
}

TEST_CASE("leaks: nothing changes by itself, and each kind of leftover is named") {
  if (!needs_root()) return;
  const FakeWorld world = make_world();
  const Snapshot& before = world.untouched();
  CHECK(leaked(world.host(), before) == "");

  const auto leak = [&] { return leaked(world.host(), before, 0ms); };
  const auto undone = [&] { CHECK(leaked(world.host(), before) == ""); };
  SUBCASE("a link") {
    CHECK_OK(world.call({"ip", "link", "add", "nj0", "type", "veth"}));
    CHECK(leak().find("nj0") != std::string::npos);
    CHECK_OK(world.call({"ip", "link", "del", "nj0"}));
    undone();
  }
  SUBCASE("an address") {
    CHECK_OK(world.call({"ip", "addr", "add", "198.51.100.99/32", "dev", "eth0"}));
    CHECK(leak().find("198.51.100.99") != std::string::npos);
    CHECK_OK(world.call({"ip", "addr", "del", "198.51.100.99/32", "dev", "eth0"}));
    undone();
  }
  SUBCASE("a route") {
    CHECK_OK(world.call({"ip", "route", "add", "203.0.113.99", "dev", "eth0"}));
    CHECK(leak().find("203.0.113.99") != std::string::npos);
    CHECK_OK(world.call({"ip", "-6", "route", "add", "2001:db8:9::/64", "dev", "eth0"}));
    CHECK(leak().find("2001:db8:9::/64") != std::string::npos);
    CHECK_OK(world.call({"ip", "-6", "route", "del", "2001:db8:9::/64", "dev", "eth0"}));
    CHECK_OK(world.call({"ip", "route", "del", "203.0.113.99", "dev", "eth0"}));
    undone();
  }
  SUBCASE("a table") {
    CHECK_OK(world.call({"nft", "add", "table", "inet", "netjail"}));
    CHECK(leak().find("table inet netjail") != std::string::npos);
    CHECK_OK(world.call({"nft", "delete", "table", "inet", "netjail"}));
    undone();
  }
  SUBCASE("a sysctl") {
    CHECK_OK(world.call({"sh", "-c", "echo 1 > /proc/sys/net/ipv4/conf/eth0/forwarding"}));
    CHECK(leak().find("eth0/forwarding = 1") != std::string::npos);
    CHECK_OK(world.call({"sh", "-c", "echo 0 > /proc/sys/net/ipv4/conf/eth0/forwarding"}));
    undone();
  }
  SUBCASE("a mount and a file") {
    CHECK_OK(world.call({"sh", "-c", "mkdir /run/netjail && touch /run/netjail/lock"}));
    undone();  // an empty lock file carries no state
    CHECK_OK(world.call({"sh", "-c", "echo state > /run/netjail/state; mount -t tmpfs leak /mnt"}));
    CHECK(leak().find("/run/netjail/state") != std::string::npos);
    CHECK(leak().find(" /mnt ") != std::string::npos);
    CHECK_OK(world.call({"sh", "-c", "umount /mnt; rm -rf /run/netjail /run/mount"}));
    undone();
  }
  SUBCASE("a process with a network namespace") {
    CHECK(world.call({"sh", "-c", "unshare -n sleep 63 >/dev/null 2>&1 &"}).ok());
    CHECK(eventually([&] { return leak().find("sleep 63") != std::string::npos; }));
    CHECK(eventually([&] {
      const std::string text = leak();
      return text.find("+ namespace net:") != text.rfind("+ namespace net:") ||
             text.find("namespace") != text.npos;
    }));
    kill_all(descendants());
    undone();
  }
}

TEST_CASE("a world takes its processes and files with it") {
  if (!needs_root()) return;
  std::string directory;
  {
    const FakeWorld world = make_world();
    directory = world.directory();
    CHECK(::access(directory.c_str(), F_OK) == 0);
    CHECK(world.call({"sh", "-c", "setsid sleep 64 >/dev/null 2>&1 &"}).ok());
    CHECK(descendants().size() == 1);
  }
  CHECK(descendants().empty());
  CHECK(::access(directory.c_str(), F_OK) != 0);
}
