// The real binary in the fake world: what a profile opens is reached, what it does not open is refused at
// once, nothing arrives, the refusal explains itself, the program's status is its own, and nothing is left
// behind.
//
// Each test of a refusal first proves, from the host, that the same path works without netjail.
#include <doctest/doctest.h>

#include <unistd.h>

#include <algorithm>
#include <csignal>
#include <cstdlib>
#include <filesystem>

#include "e2e/fixture.h"

using namespace netjail;
using namespace netjail::test;

namespace {

Words joined(Words first, const Words& second) {
  first.insert(first.end(), second.begin(), second.end());
  return first;
}

// The probe in a jail: `options` of netjail run, then the probe's arguments.
Outcome jailed(const Words& options, const Words& probe) {
  world().servers().forget();
  return world().netjail(joined(joined(options, {"--", kProbe}), probe));
}
Outcome on_internet(const Words& probe) { return jailed({"--profile", "internet"}, probe); }

// The probe's own measure of one attempt: "tcp 198.51.100.10 443: ECONNREFUSED 3ms".
int milliseconds(const Outcome& outcome) {
  const auto end = outcome.out.rfind("ms");
  const auto start = outcome.out.rfind(' ', end);
  if (end == std::string::npos || start == std::string::npos) return -1;
  return std::atoi(outcome.out.substr(start + 1, end - start - 1).c_str());
}

bool at_once(const Outcome& outcome) { return milliseconds(outcome) >= 0 && milliseconds(outcome) < 200; }

// What an ICMP or ICMPv6 "administratively prohibited" (or a port that is unreachable) makes of a socket.
bool icmp_error(const Outcome& outcome) {
  return has(outcome.out, ": ECONNREFUSED ") || has(outcome.out, ": EHOSTUNREACH ") ||
         has(outcome.out, ": EACCES ") || has(outcome.out, ": ENETUNREACH ");
}

// A line of `text` that has every one of `parts`.
bool has_line(const std::string& text, const Words& parts) {
  std::size_t start = 0;
  while (start < text.size()) {
    const std::size_t end = std::min(text.find('\n', start), text.size());
    const std::string_view line = std::string_view(text).substr(start, end - start);
    if (std::ranges::all_of(parts, [&](const std::string& part) { return has(line, part); })) return true;
    start = end + 1;
  }
  return false;
}

void check_reached(const Outcome& outcome) {
  CHECK_MESSAGE(outcome.status == 0, outcome.describe());
  CHECK_MESSAGE(has(outcome.out, ": ok"), outcome.describe());
}

// The path works from the host; from a jail with `options` the same attempt is refused at once and nothing
// arrives.
void check_refused(const Words& options, const Words& probe, bool tcp) {
  const Outcome open = world().probe(probe);
  REQUIRE_MESSAGE(open.ok(), "the path does not work without netjail: " << open.describe());
  const Outcome outcome = jailed(options, probe);
  const auto arrivals = world().servers().arrivals();
  CHECK_MESSAGE(outcome.status == 1, outcome.describe());
  CHECK_MESSAGE((tcp ? has(outcome.out, ": ECONNREFUSED ") : icmp_error(outcome)), outcome.describe());
  CHECK_MESSAGE(at_once(outcome), outcome.describe());
  CHECK_MESSAGE(arrivals.empty(), describe(arrivals));
}

// "netjail run OPTIONS -- sh -c SCRIPT"
Outcome shell(const Words& options, const std::string& script) {
  return world().netjail(joined(options, {"--", "sh", "-c", script}));
}

}  // namespace

TEST_CASE("internet: allowed TCP, HTTP and UDP are reached over IPv4 and IPv6") {
  if (!needs_root()) return;
  for (const std::string address : {"198.51.100.10", "203.0.113.10", "2001:db8:1::10", "2001:db8:2::10"}) {
    CAPTURE(address);
    check_reached(on_internet({"echo", address, "443"}));
    CHECK(world().servers().count("tcp", address, 443) == 1);
    check_reached(on_internet({"udp", address, "7"}));
    CHECK(world().servers().count("udp", address, 7) == 1);
    const Outcome http = on_internet({"http", address, "80", "/"});
    check_reached(http);
    CHECK_MESSAGE(has(http.out, "server " + address + " port 80"), http.describe());
  }
}

TEST_CASE("internet: the first packets of a jail are not delayed, over either family") {
  if (!needs_root()) return;
  // A link that is not ready when the program starts costs the first connection a second (a lost solicitation
  // or SYN).
  for (const std::string address : {"198.51.100.10", "2001:db8:1::10"}) {
    const Outcome outcome = on_internet({"tcp", address, "443"});
    check_reached(outcome);
    CHECK_MESSAGE(at_once(outcome), outcome.describe());
  }
}

TEST_CASE("internet: what arrives carries the host's address") {
  if (!needs_root()) return;
  check_reached(on_internet({"echo", "198.51.100.10", "443"}));
  auto arrivals = world().servers().arrivals();
  REQUIRE(arrivals.size() == 1);
  CHECK(arrivals[0].peer == "198.51.100.2");
  check_reached(on_internet({"echo", "2001:db8:1::10", "443"}));
  arrivals = world().servers().arrivals();
  REQUIRE(arrivals.size() == 1);
  CHECK(arrivals[0].peer == "2001:db8:1::2");
}

TEST_CASE("internet: large transfers arrive whole") {
  if (!needs_root()) return;
  for (const std::string address : {"198.51.100.10", "2001:db8:2::10"}) {
    const Outcome outcome = on_internet({"http", address, "80", "/bytes/20000000"});
    CHECK_MESSAGE(has(outcome.out, "ok 200 20000000 octets"), outcome.describe());
  }
}

TEST_CASE("internet: names resolve over UDP and TCP, and through the C library") {
  if (!needs_root()) return;
  const Outcome a = on_internet({"dns", "allowed.test", "A"});
  CHECK_MESSAGE(has(a.out, "ok NOERROR 198.51.100.10 "), a.describe());
  const Outcome aaaa = on_internet({"dns", "allowed.test", "AAAA"});
  CHECK_MESSAGE(has(aaaa.out, "ok NOERROR 2001:db8:1::10 "), aaaa.describe());
  const Outcome tcp = on_internet({"dns", "allowed.test", "A", "tcp"});
  CHECK_MESSAGE(has(tcp.out, "ok NOERROR 198.51.100.10 "), tcp.describe());
  const Outcome none = on_internet({"dns", "nx.test", "A"});
  CHECK_MESSAGE(has(none.out, "NXDOMAIN"), none.describe());
  const Outcome libc = shell({"--profile", "internet"}, "getent ahosts other.test");
  CHECK_MESSAGE(libc.status == 0, libc.describe());
  CHECK_MESSAGE(has(libc.out, "203.0.113.10"), libc.describe());
}

TEST_CASE("internet: a large answer is truncated over UDP and whole over TCP") {
  if (!needs_root()) return;
  const Outcome udp = on_internet({"dns", "big.test", "A"});
  CHECK_MESSAGE(has(udp.out, "NOERROR TC "), udp.describe());
  const Outcome tcp = on_internet({"dns", "big.test", "A", "tcp"});
  CHECK_MESSAGE(has(tcp.out, "ok NOERROR 200 records"), tcp.describe());
}

TEST_CASE("internet: local addresses are refused at once") {
  if (!needs_root()) return;
  for (const std::string address : {"192.168.77.10", "10.77.0.10", "172.16.77.10", "100.64.77.10",
                                    "169.254.169.254", "192.168.77.1", "fd77::10"}) {
    CAPTURE(address);
    check_refused({"--profile", "internet"}, {"tcp", address, "443"}, true);
    check_refused({"--profile", "internet"}, {"udp", address, "7"}, false);
  }
}

TEST_CASE("internet: the host's own addresses and services are refused at once") {
  if (!needs_root()) return;
  for (const std::string address : {"198.51.100.2", "192.168.77.2", "2001:db8:1::2", "fd77::2"}) {
    CAPTURE(address);
    check_refused({"--profile", "internet"}, {"tcp", address, "22"}, true);
    check_refused({"--profile", "internet"}, {"tcp", address, "80"}, true);
    check_refused({"--profile", "internet"}, {"udp", address, "7"}, false);
  }
}

TEST_CASE("internet: the loopback of the host is not the loopback of the jail") {
  if (!needs_root()) return;
  for (const Words& probe : {Words{"tcp", "127.0.0.1", "5432"}, Words{"tcp", "127.0.0.1", "22"},
                             Words{"tcp", "::1", "5433"}, Words{"tcp", "127.0.0.53", "53"}}) {
    CAPTURE(probe[1]);
    check_refused({"--profile", "internet"}, probe, true);
  }
  check_refused({"--profile", "internet"}, {"udp", "127.0.0.1", "123"}, false);
}

TEST_CASE("not one packet of a refused flow leaves the host") {
  if (!needs_root()) return;
  // A port without a service: the exchange is over when the attempt returns, so no late packet blurs the
  // record.
  for (const std::string address : {"192.168.77.10", "fd77::10"}) {
    CAPTURE(address);
    world().servers().forget();
    (void)world().probe({"tcp", address, "9999"});
    REQUIRE(world().servers().count_packets(address) > 0);
    const Outcome outcome = on_internet({"tcp", address, "9999"});
    CHECK_MESSAGE(has(outcome.out, ": ECONNREFUSED "), outcome.describe());
    // The wire is known to be quiet once a packet sent later has been seen.
    CHECK(world().probe({"ping", address}).ok());
    const auto packets = world().servers().packets();
    CHECK(world().servers().count_packets(address) > 0);
    CHECK_MESSAGE(std::ranges::none_of(packets, [](const Packet& packet) { return packet.port == 9999; }),
                  describe(packets));
  }
}

TEST_CASE("a profile that names a port opens that port and no other") {
  if (!needs_root()) return;
  const std::string profile = world().write("port.toml", R"(description = "one port"
[[allow]]
to = ["internet"]
service = ["443/tcp"]
)");
  for (const std::string address : {"198.51.100.10", "2001:db8:1::10"}) {
    CAPTURE(address);
    check_reached(jailed({"--profile", profile}, {"echo", address, "443"}));
    check_refused({"--profile", profile}, {"tcp", address, "80"}, true);
    check_refused({"--profile", profile}, {"udp", address, "443"}, false);
    CHECK(world().probe({"ping", address}).ok());
    const Outcome ping = jailed({"--profile", profile}, {"ping", address});
    CHECK_MESSAGE(ping.status == 1, ping.describe());
    CHECK_MESSAGE(icmp_error(ping), ping.describe());  // silence is no refusal
    CHECK_MESSAGE(at_once(ping), ping.describe());
  }
}

TEST_CASE("each shipped profile opens what it says, and nothing beside it") {
  if (!needs_root()) return;
  const std::string address = "198.51.100.10";
  struct Shipped {
    const char* profile;
    std::vector<const char*> open, shut;  // TCP ports
    bool quic;                            // 443/udp
  };
  for (const Shipped& shipped :
       {Shipped{"internet", {"22", "443", "5432"}, {}, true},
        Shipped{"browser", {"443"}, {"22", "7", "5432"}, true},
        Shipped{"ci", {"22", "443"}, {"7", "5432"}, true}, Shipped{"default", {}, {"22", "443"}, false},
        Shipped{"offline", {}, {"22", "443"}, false}}) {
    CAPTURE(shipped.profile);
    const Words options{"--profile", shipped.profile};
    for (const char* port : shipped.open) check_reached(jailed(options, {"echo", address, port}));
    for (const char* port : shipped.shut) check_refused(options, {"tcp", address, port}, true);
    if (shipped.quic)
      check_reached(jailed(options, {"udp", address, "443"}));
    else
      check_refused(options, {"udp", address, "443"}, false);
    check_refused(options, {"tcp", "192.168.77.10", "443"}, true);
  }
}

TEST_CASE("--allow opens one thing, --deny closes one, and a denial beats every allowance") {
  if (!needs_root()) return;
  const Words lan{"--profile", "internet", "--allow", "192.168.77.10:443/tcp"};
  check_reached(jailed(lan, {"echo", "192.168.77.10", "443"}));
  check_refused(lan, {"tcp", "192.168.77.10", "22"}, true);
  check_refused(lan, {"tcp", "192.168.77.53", "443"}, true);
  const Words denied{"--profile", "internet", "--deny", "203.0.113.0/24"};
  check_reached(jailed(denied, {"echo", "198.51.100.10", "443"}));
  check_refused(denied, {"tcp", "203.0.113.10", "443"}, true);
  check_refused(joined(denied, {"--allow", "203.0.113.10:443"}), {"tcp", "203.0.113.10", "443"}, true);
}

TEST_CASE("offline: nothing at all, names included") {
  if (!needs_root()) return;
  for (const std::string address : {"198.51.100.10", "2001:db8:1::10", "192.168.77.10", "198.51.100.2"}) {
    CAPTURE(address);
    REQUIRE(world().probe({"tcp", address, "443"}).ok());
    const Outcome outcome = jailed({"--profile", "offline"}, {"tcp", address, "443"});
    CHECK_MESSAGE(outcome.status == 1, outcome.describe());
    CHECK_MESSAGE(at_once(outcome), outcome.describe());
    CHECK(world().servers().count() == 0);
  }
  REQUIRE(world().probe({"dns", "allowed.test", "A"}).ok());
  const Outcome name = jailed({"--profile", "offline"}, {"dns", "allowed.test", "A"});
  CHECK_MESSAGE(name.status == 1, name.describe());
  CHECK(world().servers().count() == 0);
}

TEST_CASE("status: the program's own, 128+N for a signal, 126 and 127") {
  if (!needs_root()) return;
  const Words internet{"--profile", "internet"};
  CHECK(shell(internet, "exit 0").status == 0);
  CHECK(shell(internet, "exit 42").status == 42);
  CHECK(shell(internet, "exit 255").status == 255);
  CHECK(shell(internet, "kill -TERM $$").status == 128 + SIGTERM);
  CHECK(shell(internet, "kill -KILL $$").status == 128 + SIGKILL);
  const Outcome missing = world().netjail(joined(internet, {"--", "no-such-command-anywhere"}));
  CHECK_MESSAGE(missing.status == 127, missing.describe());
  CHECK_MESSAGE(has(missing.err, "no-such-command-anywhere"), missing.describe());
  const std::string plain = world().write("not-executable", "text\n");
  const Outcome plain_file = world().netjail(joined(internet, {"--", plain}));
  CHECK_MESSAGE(plain_file.status == 126, plain_file.describe());
  const Outcome no_profile = world().netjail({"--profile", "no-such-profile", "--", "true"});
  CHECK_MESSAGE(no_profile.status == 125, no_profile.describe());
}

TEST_CASE("streams pass through unchanged, and nothing holds them when the run is over") {
  if (!needs_root()) return;
  const std::string text(200000, 'x');
  const Outcome cat =
      world().run({.argv = netjail_command({"run", "--profile", "internet", "--", "cat"}), .input = text});
  CHECK(cat.status == 0);
  CHECK(cat.out == text);
  CHECK_MESSAGE(cat.said().empty(), cat.err);  // nothing was refused: nothing is said
  CHECK(cat.released);
  const Outcome error = shell({"--profile", "internet"}, "echo bad >&2");
  CHECK(error.said() == "bad\n");
}

TEST_CASE("the summary names each refused destination, how often, and what would open it") {
  if (!needs_root()) return;
  const std::string probe = kProbe;
  const Outcome outcome = shell({"--profile", "internet"},
                                probe + " tcp 192.168.77.10 443; " + probe + " tcp 192.168.77.10 443; " +
                                    probe + " udp fd77::10 7; " + probe + " tcp 198.51.100.2 22; exit 5");
  CHECK(outcome.status == 5);
  CHECK_MESSAGE(has_line(outcome.err, {"192.168.77.10:443/tcp", "2", "--allow 192.168.77.10:443"}),
                outcome.describe());
  CHECK_MESSAGE(has_line(outcome.err, {"[fd77::10]:7/udp", "1", "--allow", "[fd77::10]:7/udp"}),
                outcome.describe());
  // No --allow opens the host itself.
  CHECK_MESSAGE(has_line(outcome.err, {"198.51.100.2:22/tcp", "1"}), outcome.describe());
  CHECK_FALSE(has_line(outcome.err, {"198.51.100.2", "--allow"}));
}

TEST_CASE("the line to add that the summary gives opens what was refused") {
  if (!needs_root()) return;
  const Outcome refused = on_internet({"tcp", "192.168.77.10", "443"});
  const std::size_t at = refused.err.find("--allow ");
  REQUIRE_MESSAGE(at != std::string::npos, refused.describe());
  const std::size_t start = at + 8;
  std::string spec = refused.err.substr(start, refused.err.find_first_of(" \n)", start) - start);
  std::erase(spec, '\'');
  check_reached(jailed({"--profile", "internet", "--allow", spec}, {"echo", "192.168.77.10", "443"}));
}

TEST_CASE("-q is silent, --fail-on-deny fails, --json tells the same") {
  if (!needs_root()) return;
  const Words probe{"tcp", "192.168.77.10", "443"};
  const Outcome quiet = jailed({"--profile", "internet", "-q"}, probe);
  CHECK_MESSAGE(quiet.said().empty(), quiet.describe());
  const std::string script = std::string(kProbe) + " tcp 192.168.77.10 443; exit 0";
  CHECK(shell({"--profile", "internet"}, script).status == 0);
  const Outcome failed = shell({"--profile", "internet", "--fail-on-deny"}, script);
  CHECK_MESSAGE(failed.status != 0, failed.describe());
  CHECK(shell({"--profile", "internet", "--fail-on-deny"}, "exit 0").status == 0);
  const std::string file = world().write("report.jsonl", "");
  std::filesystem::permissions(file, std::filesystem::perms(0666));  // netjail may be run by another user
  (void)jailed({"--profile", "internet", "--json", file}, probe);
  const auto report = read_file(file);
  REQUIRE(report.has_value());
  CHECK_MESSAGE(has_line(*report, {"192.168.77.10", "443", "tcp"}), *report);
}

TEST_CASE("the program has no privilege and no descriptor that it was not given") {
  if (!needs_root()) return;
  const Outcome ids = on_internet({"ids"});
  REQUIRE_MESSAGE(ids.ok(), ids.describe());
  for (const char* set : {"CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb"})
    CHECK_MESSAGE(has(ids.out, std::string(set) + "=0000000000000000"), ids.describe());
  CHECK_MESSAGE(has(ids.out, "NoNewPrivs=1"), ids.describe());
  CHECK_MESSAGE(has(ids.out, "Seccomp=2"), ids.describe());
  const Fd extra(::dup(0));
  const Words command = netjail_command({"run", "--profile", "internet", "--", kProbe, "fds"});
  REQUIRE(has(world().run({.argv = {kProbe, "fds"}, .descriptors = {{9, extra.get()}}}).out, " 9="));
  const Outcome fds = world().run({.argv = command, .descriptors = {{9, extra.get()}}});
  CHECK_MESSAGE(fds.ok(), fds.describe());
  CHECK_MESSAGE(!has(fds.out, " 9="), fds.describe());
  CHECK_MESSAGE(!has(fds.out, " 3="), fds.describe());
  const Outcome families = on_internet({"families"});
  for (const char* family : {"packet=ok", "vsock=ok", "inet-raw=ok", "alg=ok", "netlink-netfilter=ok"})
    CHECK_MESSAGE(!has(families.out, family), families.describe());
  CHECK_MESSAGE(has(families.out, "inet=ok"), families.describe());
}

TEST_CASE("nothing is left behind, however the run ends") {
  if (!needs_root()) return;
  const Snapshot& before = world().untouched();
  const Words command =
      netjail_command({"run", "--profile", "internet", "--", "sh", "-c", "echo ready; exec sleep 60"});
  SUBCASE("by itself") { check_reached(on_internet({"echo", "198.51.100.10", "443"})); }
  SUBCASE("a daemon stays behind") {
    const Outcome outcome = shell({"--profile", "internet"}, "setsid sleep 60 & exit 3");
    CHECK(outcome.status == 3);
    CHECK(outcome.released);
  }
  SUBCASE("the supervisor is killed") {
    Process process = world().start({.argv = command});
    REQUIRE_MESSAGE(process.wait_for("ready"), process.err());
    CHECK(difference(before, *Snapshot::take(world().host())) != "");  // the snapshot sees a running jail
    process.kill(SIGKILL);
    CHECK(process.wait().signal == SIGKILL);
  }
  SUBCASE("the supervisor is told to end") {
    Process process = world().start({.argv = command});
    REQUIRE_MESSAGE(process.wait_for("ready"), process.err());
    process.kill(SIGTERM);
    const Outcome outcome = process.wait();
    CHECK_MESSAGE(outcome.status == 128 + SIGTERM, outcome.describe());
  }
  SUBCASE("the program cannot be started") {
    CHECK(world().netjail({"--profile", "internet", "--", "no-such-command-anywhere"}).status == 127);
  }
  const std::string left = leaked(world().host(), before);
  CHECK_MESSAGE(left.empty(), left);
}
