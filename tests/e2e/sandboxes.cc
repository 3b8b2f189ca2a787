// Programs that make namespaces themselves: refused unless the profile says user-namespaces = true or
// mount-namespaces = true, told why, and with them no nearer to the network.
#include <doctest/doctest.h>

#include <filesystem>

#include "e2e/fixture.h"

using namespace netjail;
using namespace netjail::test;

namespace {

const std::string kUser = std::to_string(kOrdinaryUser);

// The ordinary user inside, whoever calls.
Outcome jailed(const std::string& profile, const Words& words, const Words& options = {}) {
  Words arguments{"--profile", profile, "--user", kUser};
  arguments.insert(arguments.end(), options.begin(), options.end());
  arguments.emplace_back("--");
  arguments.insert(arguments.end(), words.begin(), words.end());
  return world().netjail(arguments);
}

Words bwrap(const Words& options, const Words& words) {
  Words out{"bwrap", "--ro-bind", "/", "/", "--proc", "/proc", "--dev", "/dev"};
  out.insert(out.end(), options.begin(), options.end());
  out.insert(out.end(), words.begin(), words.end());
  return out;
}

const Words kEcho{kProbe, "echo", "198.51.100.10", "443"};
const Words kEchoRefused{kProbe, "echo", "198.51.100.10", "22"};
const std::string kHint =
    "netjail: refused a new user namespace to bwrap; to open it: user-namespaces = true";

// A folder that the ordinary user may write.
std::string home() {
  const std::string path = "/srv/home";
  const Outcome made = world().call({"install", "-d", "-o", kUser, "-g", kUser, path});
  REQUIRE_MESSAGE(made.ok(), made.describe());
  return path;
}

// As `browser`, and what bubblewrap wants beside it.
std::string with_mounts() {
  return world().write("mounts.toml", "extends = [\"browser\"]\n[process]\nmount-namespaces = true\n");
}

Words chromium(const std::string& url) {
  return {"env", "HOME=" + home(), "chromium-headless-shell", "--disable-gpu", "--timeout=8000", "--dump-dom",
          url};
}

}  // namespace

TEST_CASE("Chromium with its own sandbox, under the shipped profile") {
  if (!needs_root()) return;
  const Outcome reached = jailed("browser", chromium("http://198.51.100.10/"));
  CHECK_MESSAGE(has(reached.out, "server 198.51.100.10 port 80"), reached.describe());
  world().servers().forget();
  const Outcome refused = jailed("browser", chromium("http://192.168.77.10/"));
  CHECK_MESSAGE(!has(refused.out, "server "), refused.describe());
  CHECK_MESSAGE(has(refused.err, "192.168.77.10:80/tcp"), refused.describe());
  CHECK(world().servers().arrivals().empty());
  // It does not run without its sandbox, which another profile does not let it make.
  const Outcome shut = jailed("internet", chromium("http://198.51.100.10/"));
  CHECK_MESSAGE(!shut.ok(), shut.describe());
  CHECK_MESSAGE(has(shut.err, "netjail: refused a new user namespace to chromium"), shut.describe());
}

TEST_CASE("bubblewrap inside") {
  if (!needs_root()) return;
  const Words shared = bwrap({"--unshare-all", "--share-net"}, kEcho);
  const Outcome works = jailed(with_mounts(), shared);
  CHECK_MESSAGE(works.ok(), works.describe());
  const Outcome refused = jailed(with_mounts(), bwrap({"--unshare-all", "--share-net"}, kEchoRefused));
  CHECK_MESSAGE(has(refused.out, "ECONNREFUSED"), refused.describe());
  CHECK_MESSAGE(has(refused.err, "198.51.100.10:22/tcp"), refused.describe());
  const Outcome without = jailed(with_mounts(), bwrap({"--unshare-all"}, kEcho));
  CHECK_MESSAGE(!without.ok(), without.describe());

  const Outcome mounts = jailed("browser", shared);
  CHECK_MESSAGE(!mounts.ok(), mounts.describe());
  CHECK_MESSAGE(has(mounts.err,
                    "refused a new mount namespace to bwrap; to open it: mount-namespaces = true in "
                    "[process]"),
                mounts.describe());

  const Outcome shut = jailed("internet", shared);
  CHECK_MESSAGE(!shut.ok(), shut.describe());
  CHECK_MESSAGE(has(shut.err, kHint), shut.describe());
  const std::string report = home() + "/report.json";
  (void)jailed("internet", shared, {"--json", report});
  const Outcome json = world().call({"cat", report});
  CHECK_MESSAGE(has(json.out, R"("event":"refused-namespace")"), json.describe());
  CHECK_MESSAGE(has(json.out, R"("program":"bwrap")"), json.describe());
}

TEST_CASE("user 0 inside gets no user namespace, and is told") {
  if (!needs_root() || rootless()) return;  // only root can be user 0
  const Outcome outcome = world().netjail({"--profile", "browser", "--", "unshare", "--user", "true"});
  CHECK_MESSAGE(!outcome.ok(), outcome.describe());
  CHECK_MESSAGE(has(outcome.err, "there is none for user 0 inside"), outcome.describe());
}

// A process that serves a file system to itself cannot be killed while it waits: the jail would not end.
TEST_CASE("there is no /dev/fuse") {
  if (!needs_root()) return;
  const std::string preparation =
      "mount -t tmpfs none /mnt; mknod -m 666 /mnt/fuse c 10 229; mount --bind /mnt/fuse "
      "/dev/fuse";
  const Words show{"stat", "-c", "%t:%T", "/dev/fuse"};
  const Outcome outside = world().run(after(preparation, show));
  REQUIRE_MESSAGE(outside.out == "a:e5\n", outside.describe());
  Words words{kNetjail, "run", "--profile", "browser", "--user", kUser, "--"};
  words.insert(words.end(), show.begin(), show.end());
  const Outcome inside = world().run(after(preparation, words));
  CHECK_MESSAGE(has(inside.err, "No such file"), inside.describe());
}

// All capabilities in a user namespace of one's own: what each attempt would need is one in another.
TEST_CASE("a user namespace inside leads nowhere") {
  if (!needs_root()) return;
  const std::string script = world().write("nested.sh", R"sh(
try() { name=$1; shift; "$@" >/dev/null 2>&1 && echo "$name: DONE" || echo "$name: refused"; }
echo "uid $(id -u) $(grep CapEff /proc/self/status)"
try address     ip address add 10.9.9.9/32 dev eth0
try route       ip route add 203.0.113.0/24 dev lo
try link        ip link set eth0 down
try veth        ip link add n0 type veth peer name n1
try raw         python3 -c 'import socket; socket.socket(socket.AF_INET, socket.SOCK_RAW, 255)'
try packet      python3 -c 'import socket; socket.socket(socket.AF_PACKET, socket.SOCK_RAW)'
try nft         nft list tables
try setns       nsenter --net=/proc/self/ns/net true
try sysctl      sh -c 'echo 1 > /proc/sys/net/ipv4/ip_forward'
try umount      umount /proc
export u=/tmp/under.$$
try uncover     sh -c 'mkdir -p $u && mount --bind / $u && ls $u/proc/router'
try device      mknod /tmp/device.$$ c 1 1
try own-link    unshare --net ip link set lo up
try own-address unshare --net ip address add 198.51.100.10/32 dev lo
umount $u 2>/dev/null
rm -f /tmp/device.$$; rmdir $u
)sh");
  const Outcome inside =
      jailed(with_mounts(), {"unshare", "--user", "--map-root-user", "--mount", "sh", script});
  CHECK_MESSAGE(has(inside.out, "uid 0 CapEff:"), inside.describe());
  CHECK_MESSAGE(!has(inside.out, "CapEff:\t0000000000000000"), inside.describe());
  for (const char* name : {"address", "route", "link", "veth", "raw", "packet", "nft", "setns", "sysctl",
                           "umount", "uncover", "device"})
    CHECK_MESSAGE(has(inside.out, std::string(name) + ": refused"), inside.describe());
  // What is his own he may change.
  for (const char* name : {"own-link", "own-address"})
    CHECK_MESSAGE(has(inside.out, std::string(name) + ": DONE"), inside.describe());
  // Each can be done where the network namespace is one's own, or by root: nothing but the jail refuses.
  const Outcome outside =
      world().call({"unshare", "--net", "--mount", "sh", "-c",
                    "ip link add eth0 type veth peer name eth1; ip link set lo up; exec sh " + script});
  for (const char* name : {"address", "route", "link", "veth", "raw", "packet", "nft", "setns", "sysctl"})
    CHECK_MESSAGE(has(outside.out, std::string(name) + ": DONE"), outside.describe());
}

// overlayfs shows a folder without what is mounted in it, and a name made there is one outside it, too.
TEST_CASE("under the shipped profile a cover over a socket cannot be lifted") {
  if (!needs_root()) return;
  constexpr const char* kServe = R"(
import os, socket, sys
os.makedirs('kept'); open('kept/beside', 'w').close()
s = socket.socket(socket.AF_UNIX); s.bind(os.getcwd() + '/kept/S'); s.listen()
print('ready', flush=True)
sys.stdin.read()
)";
  const std::string own = home() + "/overlaid";
  const std::string script = world().write("lift.sh", R"sh(
cd "$1" || exit 9
mkdir lower upper work merged
unshare --user --map-root-user --mount sh -c '
  mount -t overlay -o userxattr,lowerdir=lower,upperdir=upper,workdir=work none merged &&
    mv kept upper/kept && ln merged/kept/S merged/lifted'
"$2" unix "$1/upper/lifted"
)sh");
  for (const bool mounts : {false, true}) {
    REQUIRE(world().call({"install", "-d", "-o", kUser, "-g", kUser, own}).ok());
    Process server = world().start({.argv = {"python3", "-c", kServe},
                                    .keep_input_open = true,
                                    .identity = Identity{kOrdinaryUser, kOrdinaryUser, {}},
                                    .directory = own,
                                    .deadline = 60s});
    REQUIRE(server.wait_for("ready"));
    const Outcome outcome = jailed(mounts ? with_mounts() : "browser", {"sh", script, own, kProbe});
    CHECK_MESSAGE(outcome.ok() == mounts, outcome.describe());
    CHECK_MESSAGE(has(outcome.err, "refused a new mount namespace to unshare") != mounts, outcome.describe());
    REQUIRE(world().call({"rm", "-rf", own}).ok());
  }
}
