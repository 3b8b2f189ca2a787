// Hosts that are not as the usual one: a VPN, a tunnel as the only way out, a /proc that hides processes, a
// disk that is full. As root and without. (One family only, no default route: bad_input.cc.)
#include <doctest/doctest.h>

#include "e2e/fixture.h"

using namespace netjail;
using namespace netjail::test;

namespace {

const Words kEcho{kNetjail, "run", "--profile", "internet", "--", kProbe, "echo", "198.51.100.10", "443"};

// The way that a jail's connection takes, by the address that the server sees.
void check_way(FakeWorld& place, const std::string& server, const std::string& peer) {
  place.servers().forget();
  REQUIRE(place.probe({"echo", server, "443"}).ok());
  const auto arrivals = place.servers().arrivals();
  REQUIRE_MESSAGE((arrivals.size() == 1 && arrivals[0].peer == peer), describe(arrivals));
  place.servers().forget();
  const Outcome outcome = place.netjail({"--profile", "internet", "--", kProbe, "echo", server, "443"});
  CHECK_MESSAGE(outcome.ok(), outcome.describe());
  const auto jailed = place.servers().arrivals();
  CHECK_MESSAGE((jailed.size() == 1 && jailed[0].peer == peer), describe(jailed));
  // Addresses of the VPN's own network are local ones.
  CHECK(place.probe({"tcp", "10.8.0.1", "443"}).ok());
  const Outcome local = place.netjail({"--profile", "internet", "--", kProbe, "tcp", "10.8.0.1", "443"});
  CHECK_MESSAGE(has(local.out, "ECONNREFUSED"), local.describe());
}

void sh(FakeWorld& place, const std::string& commands) {
  const Outcome outcome = place.call({"sh", "-ec", commands});
  REQUIRE_MESSAGE(outcome.ok(), outcome.describe());
}

}  // namespace

TEST_CASE("a VPN beside the default route: a pair of routes that are more specific") {
  if (!needs_root()) return;
  FakeWorld place = make_world();
  const std::string internet = place.internet().path();
  sh(place, "ip link add vpn0 index 104 type veth peer name vpn0 netns " + internet +
                "\nip address add 10.8.0.2/24 dev vpn0; ip address add fd08::2/64 dev vpn0 nodad\n"
                "ip link set vpn0 up\nnsenter --net=" +
                internet +
                " sh -ec 'ip address add 10.8.0.1/24 dev vpn0; ip address add fd08::1/64 dev vpn0 nodad\n"
                "ip link set vpn0 up'\n"
                "ip route add 0.0.0.0/1 via 10.8.0.1; ip route add 128.0.0.0/1 via 10.8.0.1\n"
                "ip route add ::/1 via fd08::1; ip route add 8000::/1 via fd08::1");
  REQUIRE(wait_for_ipv6(place.host(), "vpn0"));
  REQUIRE(wait_for_ipv6(place.internet().place(), "vpn0"));
  check_way(place, "2001:db8:2::10", "fd08::2");
  check_way(place, "203.0.113.10", "10.8.0.2");
}

// Without a hardware address, as ppp and wireguard are: pasta of 2023 takes none such by itself.
TEST_CASE("a tunnel is the only way out") {
  if (!needs_root()) return;
  FakeWorld place = make_world({.default_route = false});
  const std::string script = place.write("tunnel.py", R"(
import ctypes, fcntl, os, select, struct, subprocess, sys
def open_tun(address):
    tun = os.open('/dev/net/tun', os.O_RDWR)
    fcntl.ioctl(tun, 0x400454ca, struct.pack('16sH22x', b'vpn0', 0x1001))  # TUNSETIFF: IFF_TUN | IFF_NO_PI
    subprocess.run(f'ip address add {address}/24 dev vpn0; ip link set vpn0 up', shell=True, check=True)
    return tun
here = open_tun('10.8.0.2')
assert ctypes.CDLL(None).setns(os.open(sys.argv[1], os.O_RDONLY), 0) == 0
there = open_tun('10.8.0.1')
print('up', flush=True)
while True:
    for ready in select.select([here, there], [], [])[0]:
        try:
            os.write(there if ready == here else here, os.read(ready, 65536))
        except OSError:
            pass
)");
  Process tunnel = place.start(
      {.argv = {"python3", script, place.internet().path()}, .identity = Identity{}, .deadline = 60s});
  REQUIRE_MESSAGE(tunnel.wait_for("up"), tunnel.err());
  sh(place, "ip route add default via 10.8.0.1");
  check_way(place, "203.0.113.10", "10.8.0.2");
}

TEST_CASE("a /proc that hides the processes of others") {
  if (!needs_root()) return;
  const std::string hidden = "mount -n -t proc -o hidepid=2 proc /proc";
  const Outcome seen = world().run(after(hidden, {"sh", "-c", "[ -e /proc/1 ] && echo seen"}));
  REQUIRE(has(seen.out, "seen") != rootless());
  const Outcome outcome = world().run(after(hidden, kEcho));
  CHECK_MESSAGE(outcome.ok(), outcome.describe());
}

TEST_CASE("a user whom /etc/subuid does not know") {
  if (!needs_root()) return;
  const Outcome outcome =
      world().run(after(": > /srv/empty; for f in /etc/subuid /etc/subgid; do [ ! -e $f ] || mount -n --bind "
                        "/srv/empty $f; done",
                        kEcho));
  CHECK_MESSAGE(outcome.ok(), outcome.describe());
}

TEST_CASE("a full disk is no matter, but for the report") {
  if (!needs_root()) return;
  const std::string full =
      "cp -r $XDG_CONFIG_HOME /srv/config-$$\nmount -n -t tmpfs -o size=4k,mode=1777 none /tmp\n"
      "dd if=/dev/zero of=/tmp/fill bs=4k 2>/dev/null || true\n"
      "export XDG_CONFIG_HOME=/srv/config-$$ HOME=/tmp TMPDIR=/tmp";
  const Outcome filled = world().run(after(full, {"sh", "-c", "echo x > /tmp/x"}));
  REQUIRE_MESSAGE(filled.status != 0, filled.describe());
  const Outcome outcome = world().run(after(full, kEcho));
  CHECK_MESSAGE(outcome.ok(), outcome.describe());
  const Outcome read_only = world().run(after(full + "\nmount -n -o remount,ro /tmp", kEcho));
  CHECK_MESSAGE(read_only.ok(), read_only.describe());
  // The program has run, so the status is its own; what is lost is said.
  const Words report{kNetjail,      "run", "--profile", "internet", "--json",
                     "/tmp/report", "--",  "sh",        "-c",       "echo ran; exit 7"};
  const Outcome lost = world().run(after(full, report));
  CHECK_MESSAGE(lost.status == 7, lost.describe());
  CHECK_MESSAGE(lost.out == "ran\n", lost.describe());
  CHECK_MESSAGE(has(lost.err, "/tmp/report"), lost.describe());
  CHECK_MESSAGE(has(lost.err, "No space left"), lost.describe());
  // Where it cannot even be opened nothing is started.
  const Outcome shut = world().run(after(full + "\nmount -n -o remount,ro /tmp", report));
  CHECK_MESSAGE(shut.status == 125, shut.describe());
  CHECK_MESSAGE(has(shut.err, "/tmp/report: Read-only"), shut.describe());
  CHECK_MESSAGE(shut.out.empty(), shut.describe());
}

TEST_CASE("what is changed on the host cannot be recorded: nothing is changed" *
          only_root("without root nothing of the host is changed")) {
  if (!needs_root()) return;
  const Snapshot& before = world().untouched();
  const std::string run = "mount -n -t tmpfs -o size=4k none /run";
  for (const std::string& shut : {run + "; mount -n -o remount,ro /run",
                                  run + "; dd if=/dev/zero of=/run/fill bs=4k 2>/dev/null || true"}) {
    REQUIRE(leaked(world().host(), before, 10s).empty());  // no other jail's forwarding is left on
    const Outcome outcome = world().run(after(shut, kEcho));
    CHECK_MESSAGE(outcome.status == 125, outcome.describe());
    CHECK_MESSAGE(has(outcome.err, "/run/netjail"), outcome.describe());
  }
  const std::string left = leaked(world().host(), before, 10s);
  CHECK_MESSAGE(left.empty(), left);
}

TEST_CASE("files of the host that are covered by a device" *
          only_root("inside is no root where there is none outside")) {
  if (!needs_root()) return;
  const std::string null = world().write("covered-by-null", "text\n");
  const std::string log = world().write("covered-by-kmsg", "text\n");
  const std::string preparation =
      "mkdir -p /srv/devices; mount -t devtmpfs none /srv/devices; mount --bind "
      "/srv/devices/null " +
      null + "; mount --bind /srv/devices/kmsg " + log;
  const Words inside{"sh", "-c",
                     "cat " + null + " && echo empty; (exec <" + log + ") && echo opened; ls /srv/devices"};
  const Outcome outside = world().run(after(preparation, inside));
  CHECK_MESSAGE(outside.out.starts_with("empty\nopened\n"), outside.describe());
  CHECK_MESSAGE(has(outside.out, "kmsg"), outside.describe());
  Words words{kNetjail, "run", "--profile", "offline", "--"};
  words.insert(words.end(), inside.begin(), inside.end());
  const Outcome outcome = world().run(after(preparation, words));
  CHECK_MESSAGE(outcome.out == "empty\n", outcome.describe());
  CHECK_MESSAGE(has(outcome.err, "Permission denied"), outcome.describe());
}
