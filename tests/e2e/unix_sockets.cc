// Sockets of the host's that lie in its file system, and what of its files the jail has for itself.
#include <doctest/doctest.h>

#include <fcntl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <filesystem>
#include <fstream>

#include "e2e/fixture.h"
#include "e2e/offline.h"

using namespace netjail;
using namespace netjail::test;

namespace {

namespace fs = std::filesystem;

// Binds them as root in the host, and keeps them: "ready" when all are there. A path that is renamed after
// that is told by ">".
constexpr const char* kServer = R"(
import os, socket, sys
kept = []
for word in sys.argv[1:]:
    path, _, later = word.partition('>')
    os.makedirs(os.path.dirname(path), exist_ok=True)
    s = socket.socket(socket.AF_UNIX)
    s.bind(path)
    s.listen()
    os.chmod(path, 0o777)
    if later:
        os.rename(path, later)
    kept.append(s)
print('ready', flush=True)
sys.stdin.read()
)";

Process serve(const Words& paths) {
  Words words{"python3", "-c", kServer};
  words.insert(words.end(), paths.begin(), paths.end());
  Process server =
      world().start({.argv = words, .keep_input_open = true, .identity = Identity{}, .deadline = 60s});
  REQUIRE(server.wait_for("ready"));
  return server;
}

}  // namespace

TEST_CASE("no socket that was bound outside is reached, wherever it lies") {
  if (!needs_root()) return;
  const std::string own = home();
  const std::string socket_folder = "/srv/netjail-test";
  const Words paths{"/run/a.sock",        "/run/user/61999/bus", "/tmp/netjail-test.sock",
                    "/var/tmp/nj.sock",   "/dev/shm/nj.sock",    own + "/.s",
                    own + "/.ssh/master", socket_folder + "/s",  "/opt/netjail-test.sock"};
  Words bound = paths;
  bound.push_back(own + "/.ssh/temporary>" + own + "/.ssh/renamed");
  const Process server = serve(bound);
  bound.back() = own + "/.ssh/renamed";
  for (const std::string& path : bound) {
    INFO(path);
    CHECK(world().call(connect(path)).ok());
    const Outcome inside = jailed({}, connect(path));
    CHECK_MESSAGE(!inside.ok(), inside.describe());
    const bool refused = has(inside.out, "ECONNREFUSED") || has(inside.out, "ENOENT");
    CHECK_MESSAGE(refused, inside.describe());
    const Outcome open = jailed({"--unix", path}, connect(path));
    CHECK_MESSAGE(open.ok(), open.describe());
  }
  // From where it stands, and where another mount shows the same folder.
  CHECK(!jailed({}, connect("s"), socket_folder).ok());
  const std::string view = "mkdir -p /srv/view\nmount -n --bind " + socket_folder + " /srv/view";
  CHECK(world().run(after(view, connect("/srv/view/s"), false)).ok());
  Words run = netjail_command({"run", "--profile", "offline", "--"});
  for (const std::string& word : connect("/srv/view/s")) run.push_back(word);
  const Outcome viewed = world().run(after(view, run));
  CHECK_MESSAGE(has(viewed.out, "unix /srv/view/s: E"), viewed.describe());
  // A folder that is shared is shared without its sockets.
  CHECK(!jailed({"--share", "/tmp"}, connect("/tmp/netjail-test.sock")).ok());
  for (const std::string& path : bound) fs::remove(path);
  fs::remove(socket_folder);
}

TEST_CASE("what the program binds itself works, in every folder that it may write") {
  if (!needs_root()) return;
  constexpr const char* kTalk = R"(
import os, socket, sys
for folder in sys.argv[1:]:
    for kind in (socket.SOCK_STREAM, socket.SOCK_SEQPACKET, socket.SOCK_DGRAM):
        path = folder + '/inside.sock'
        server, client = socket.socket(socket.AF_UNIX, kind), socket.socket(socket.AF_UNIX, kind)
        server.bind(path)
        if kind != socket.SOCK_DGRAM: server.listen()
        client.connect(path)
        client.send(b'x')
        assert (server if kind == socket.SOCK_DGRAM else server.accept()[0]).recv(1) == b'x'
        os.unlink(path)
print('talked')
)";
  const Outcome outcome = jailed({}, {"python3", "-c", kTalk, "/tmp", "/var/tmp", "/dev/shm",
                                      "/run/user/" + std::to_string(rootless() ? kOrdinaryUser : 0), home()});
  CHECK_MESSAGE(has(outcome.out, "talked"), outcome.describe());
}

TEST_CASE("a socket that is not there, a word that is none: told with the remedy") {
  if (!needs_root()) return;
  for (const auto& [options, told] : std::vector<std::pair<Words, Words>>{
           {{"--unix", "/run/no.sock"}, {"no unix socket /run/no.sock", "running"}},
           {{"--unix", "waylnad"}, {"waylnad", "wayland"}},
           {{"--unix", "@abstract"}, {"abstract"}},
           {{"--unix", "/etc/passwd"}, {"no unix socket /etc/passwd", "--share"}},
           {{"--share", "/tmp/../etc"}, {"'..'"}},
           {{"--share", "tmp"}, {"no path"}},
           {{"--share", "/dev/sda"}, {"devices"}},
           {{"--share", "/tmp/not-there"}, {"/tmp/not-there", "not there"}}}) {
    const Outcome outcome = jailed(options, {"echo", "started"});
    CHECK_MESSAGE(outcome.status == 125, outcome.describe());
    CHECK_MESSAGE(!has(outcome.out, "started"), outcome.describe());
    for (const std::string& part : told) CHECK_MESSAGE(has(outcome.err, part), outcome.describe());
  }
}

TEST_CASE("a preset that has no socket is left out, one that has is there with its variable") {
  if (!needs_root()) return;
  const Outcome none = jailed({"--unix", "wayland", "--unix", "x11"}, {"echo", "started"});
  CHECK_MESSAGE(has(none.out, "started"), none.describe());
  const std::string runtime = "/run/user/" + std::to_string(rootless() ? kOrdinaryUser : 0);
  const Process server = serve({runtime + "/wayland-7"});
  if (rootless()) REQUIRE(world().call({"chown", "-R", std::to_string(kOrdinaryUser), runtime}).ok());
  const std::map<std::string, std::string> environment{
      {"WAYLAND_DISPLAY", "wayland-7"}, {"XDG_RUNTIME_DIR", runtime}, {"TMUX", "/tmp/tmux-0/default,1,0"}};
  const Words show{
      "sh", "-c",
      "echo [$WAYLAND_DISPLAY] [$TMUX]; " + std::string(kProbe) + " unix " + runtime + "/wayland-7"};
  const Outcome open = jailed({"--unix", "wayland", "-v"}, show, "/", environment);
  CHECK_MESSAGE(has(open.out, "[wayland-7] []"), open.describe());
  CHECK_MESSAGE(open.ok(), open.describe());
  CHECK_MESSAGE(has(open.err, "TMUX"), open.describe());
  const Outcome shut = jailed({}, show, "/", environment);
  CHECK_MESSAGE(has(shut.out, "[] []"), shut.describe());
  CHECK(!shut.ok());
  CHECK(world().call({"rm", "-r", runtime}).ok());
}

TEST_CASE(
    "in /tmp the program finds what it is given, and nothing else; what it leaves is gone, and said so") {
  if (!needs_root()) return;
  const std::string script = world().write("script", "cat \"$(dirname \"$0\")/beside\"\n");
  world().write("beside", "found\n");
  const Outcome given = jailed({}, {"sh", script});
  CHECK_MESSAGE(has(given.out, "found"), given.describe());
  // The world's folder is the home's, too, so another one.
  const Outcome alone = jailed({}, {"ls", "-A", "/tmp"}, "/", {{"HOME", "/"}});
  CHECK_MESSAGE(alone.out.empty(), alone.describe());
  const Outcome here = jailed({}, {"cat", "beside"}, world().directory(), {{"HOME", "/"}});
  CHECK_MESSAGE(has(here.out, "found"), here.describe());

  const std::string lost = "/tmp/netjail-lost-" + std::to_string(::getpid());
  const Outcome left = jailed({}, {"sh", "-c", "echo x > $1; cat $1", "sh", lost});
  CHECK_MESSAGE(has(left.out, "x"), left.describe());
  CHECK_MESSAGE(has(left.err, lost + " will be"), left.describe());
  CHECK(!fs::exists(lost));
  const Outcome kept = jailed({"--share", "/tmp"}, {"sh", "-c", "echo x > $1", "sh", lost});
  CHECK_MESSAGE(kept.err.empty(), kept.describe());
  CHECK(fs::remove(lost));
}

TEST_CASE("/dev has harmless nodes and what the profile names") {
  if (!needs_root()) return;
  const Outcome own = jailed({}, {"ls", "/dev"});
  constexpr const char* kNodes =
      "fd\nfull\nnull\nptmx\npts\nrandom\nshm\nstderr\nstdin\nstdout\ntty\nurandom\nzero\n";
  CHECK_MESSAGE(own.out == kNodes, own.describe());
  const std::string profile = world().write(
      "devices.toml", std::string(kShut) + "[process]\ndevices = [\"/dev/net/tun\", \"/dev/not-there\"]\n");
  const Outcome more = world().netjail({"--profile", profile, "--", "ls", "/dev/net"});
  CHECK_MESSAGE(more.out == "tun\n", more.describe());
}

TEST_CASE("a profile without unix shuts also what is bound while the program runs; pairs work") {
  if (!needs_root()) return;
  const std::string path = home() + "/late";
  const std::string profile = world().write(
      "no-unix.toml", std::string(kShut) + "[seccomp]\nfamilies = [\"inet\", \"inet6\", \"netlink\"]\n");
  constexpr const char* kTry = R"(
import socket, sys
print('started', flush=True)
sys.stdin.readline()
for make in (lambda: socket.socket(socket.AF_UNIX).connect(sys.argv[1]),
             lambda: socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM),
             lambda: socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM),
             lambda: socket.socketpair(socket.AF_UNIX, socket.SOCK_RAW),
             lambda: socket.socketpair(socket.AF_UNIX, socket.SOCK_STREAM),
             lambda: socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)):
    try:
        made = make()
        if isinstance(made, tuple): made[0].send(b'x'); assert made[1].recv(1) == b'x'
        print('yes', end=' ')
    except OSError as error:
        print(error.errno, end=' ')
)";
  // The contrast: with unix sockets it is reached, before Linux 7.1.
  for (const bool shut : {true, false}) {
    Words options{"run", "--profile", shut ? profile : "offline", "--", "python3", "-c", kTry, path};
    Process run = world().start(
        {.argv = netjail_command(options), .keep_input_open = true, .environment = {{"HOME", home()}}});
    REQUIRE(run.wait_for("started"));
    const Process server = serve({path});
    REQUIRE(run.send("go\n").has_value());
    const Outcome outcome = run.wait();
    const std::string kRefused = std::to_string(EAFNOSUPPORT) + " ";
    const std::string wanted = kRefused + kRefused + kRefused + kRefused + "yes yes ";
    CHECK_MESSAGE(has(outcome.out, wanted) == shut, outcome.describe());
    CHECK_MESSAGE(has(outcome.out, "yes yes "), outcome.describe());
    fs::remove(path);
  }
}

// Each of these was a way in, found by somebody who looked for one.
TEST_CASE("what an earlier program has turned is not followed, and root lends nobody its rights") {
  if (!needs_root()) return;
  const std::string own = home();
  const std::string user = std::to_string(kOrdinaryUser);
  const Process server = serve({"/run/nj-turned/bus", "/srv/nj-secret/S", "/srv/nj-passed/S"});
  const auto as_root = [](const std::string& script) { REQUIRE(world().call({"sh", "-ec", script}).ok()); };
  as_root("ln -sfn /run/nj-turned/bus " + own + "/S; chown -h " + user + " " + own +
          "/S; chmod 711 /srv/nj-passed; chmod 700 /srv/nj-secret");
  const Outcome turned = jailed({"--unix", own + "/S"}, connect("/run/nj-turned/bus"));
  CHECK_MESSAGE(turned.status == 125, turned.describe());
  CHECK_MESSAGE(has(turned.err, "symbolic link"), turned.describe());
  const Words inside = rootless() ? Words{} : Words{"--user", user};
  // A folder that can be passed through and not be listed.
  REQUIRE(
      world()
          .run({.argv = connect("/srv/nj-passed/S"), .identity = Identity{kOrdinaryUser, kOrdinaryUser, {}}})
          .ok());
  CHECK(!jailed(inside, connect("/srv/nj-passed/S")).ok());
  // A socket that the user cannot reach is not there for him.
  Words secret = inside;
  secret.insert(secret.end(), {"--unix", "/srv/nj-secret/S"});
  const Outcome lent = jailed(secret, {"true"});
  CHECK_MESSAGE(lent.status == 125, lent.describe());
  as_root("rm -rf " + own + "/S /srv/nj-passed /srv/nj-secret /run/nj-turned");
}

TEST_CASE("a file of the kernel's is no standard stream") {
  if (!needs_root()) return;
  for (const char* path :
       {"/proc/self/mem", "/proc/sys/net/ipv4/ip_forward", "/sys/kernel/mm/transparent_hugepage/enabled"}) {
    const Fd file(::open(path, O_RDONLY | O_CLOEXEC));
    if (!file) continue;  // not every kernel has the last one
    const Outcome outcome =
        world().run({.argv = netjail_command({"run", "--profile", "offline", "--", "echo", "started"}),
                     .descriptors = {{0, file.get()}}});
    CHECK_MESSAGE(outcome.status == 125, outcome.describe());
    CHECK_MESSAGE(has(outcome.err, "the kernel's"), outcome.describe());
  }
}
