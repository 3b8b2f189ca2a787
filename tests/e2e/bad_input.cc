// What a person types wrongly, and hosts that are not as they should be: one glance, the remedy, status 125,
// nothing started, nothing left.
#include <doctest/doctest.h>

#include <fcntl.h>
#include <sys/socket.h>

#include <filesystem>

#include "e2e/fixture.h"

using namespace netjail;
using namespace netjail::test;

namespace {

struct Case {
  Words arguments;
  int status;
  Words told;  // each must be in stderr
};

void check(FakeWorld& place, const Case& bad) {
  const Outcome outcome = place.run({.argv = netjail_command(bad.arguments)});
  CHECK_MESSAGE(outcome.status == bad.status, outcome.describe());
  CHECK_MESSAGE(!has(outcome.out, "started"), outcome.describe());
  for (const std::string& part : bad.told)
    CHECK_MESSAGE(has(outcome.err, part), part << "\n" << outcome.describe());
}

Words run_with(Words options) {
  options.insert(options.begin(), "run");
  for (const char* word : {"--", "echo", "started"}) options.emplace_back(word);
  return options;
}

}  // namespace

TEST_CASE("typing errors name the mistake and the remedy") {
  if (!needs_root()) return;
  const Snapshot& before = world().untouched();
  const std::string cyclic = world().write("cyclic.toml", "extends = [\"./cyclic.toml\"]\n");
  const std::string binary = world().write("binary.toml", std::string("a\0b", 3));
  const std::string broken = world().write(
      "broken.toml",
      "descripton = \"x\"\n[[allow]]\nto = [\"127.0.0.999\", \"example.com/\"]\nservice = [\"70000/tcp\"]\n");
  const std::string later = world().write("later.toml", "[limits]\nconnections = 5\n");
  const std::string script = world().write("script", "#!/no/such/interpreter\n");
  std::filesystem::permissions(script, std::filesystem::perms(0755));
  for (const Case& bad : std::vector<Case>{
           {{}, 125, {"Usage:", "run"}},
           {{"rnu"}, 125, {"unknown command rnu", "netjail run"}},
           {{"run"}, 125, {"no command", "--help"}},
           {{"run", "--porfile", "internet", "--", "echo", "started"}, 125, {"--porfile", "--profile"}},
           {{"run", "--profile"}, 125, {"--profile needs a value"}},
           {run_with({"--profile", "intrenet"}), 125, {"intrenet", "internet"}},
           {run_with({"--profile", "/no/such/file.toml"}), 125, {"/no/such/file.toml"}},
           {run_with({"--profile", "/etc"}), 125, {"/etc"}},
           {run_with({"--profile", cyclic}), 125, {"cyclic.toml"}},
           {run_with({"--profile", binary}), 125, {"binary.toml"}},
           {run_with({"--profile", broken}),
            125,
            {"broken.toml:1:", "descripton", "description", "127.0.0.999", "example.com", "70000"}},
           {run_with({"--profile", later}), 125, {"connections"}},
           {run_with({"--allow", "198.51.100.7:nosuchservice"}), 125, {"nosuchservice"}},
           {run_with({"--allow", "198.51.100.7:99999"}), 125, {"99999"}},
           {run_with({"--allow", "*.com:443"}), 125, {"'com' is a top-level name"}},
           {run_with({"--allow", "2001:db8:1:2:3:4:5:6:443"}), 125, {"["}},
           {run_with({"--user", "nobody-of-that-name"}), 125, {"nobody-of-that-name"}},
           {run_with({"--keep-fd", "77"}), 125, {"77"}},
           {run_with({"--json", "/no/such/folder/x"}), 125, {"/no/such/folder/x"}},
           {run_with({"-q", "-v"}), 125, {"--quiet"}},
           {{"plan", "--format", "yaml", "true"}, 125, {"yaml", "json"}},
           {{"explain", "internet"}, 125, {"is a profile", "destination"}},
           {{"explain", "internet", "example..com:443/tcp"}, 125, {"cannot read example..com:443/tcp"}},
           {{"explain", "internet", "198.51.100.7:443", "x"}, 125, {"one destination"}},
           {{"completions", "tcsh"}, 125, {"bash"}},
           {{"run", "--profile", "offline", "--", "no-such-program"}, 127, {"no-such-program"}},
           {{"run", "--profile", "offline", "--", ""}, 127, {"''"}},
           {{"run", "--profile", "offline", "--", script}, 127, {script, "interpreter"}},
           {{"run", "--profile", "offline", "--", "/etc"}, 126, {"/etc", "directory"}},
           {{"run", "--profile", "offline", "--", "/etc/passwd"}, 126, {"/etc/passwd", "executable"}},
           {{"run", "--profile", "offline", "--allow", "198.51.100.7:443", "--", "true"},
            125,
            {"--profile default"}},
           {{"--profile", "internet", "--", "id"}, 125, {"netjail run --profile"}},
           {{"curl", "http://198.51.100.7/"}, 125, {"netjail run -- curl http://198.51.100.7/"}},
           {run_with({"--user", ""}), 125, {"--user needs a value"}},
           {{"run", "--profile", "--", "id"}, 125, {"--profile needs a value"}}})
    check(world(), bad);
  const std::string left = leaked(world().host(), before);
  CHECK_MESSAGE(left.empty(), left);
}

TEST_CASE("a host without a default route, or without a resolver") {
  if (!needs_root()) return;
  {
    FakeWorld cut = make_world({.default_route = false});
    check(cut, {run_with({"--profile", "internet"}), 125, {"no route", "--profile offline"}});
    CHECK(cut.netjail({"--profile", "offline", "--", "true"}).ok());
    // What is reached without the default route is still open to a rule that names it.
    CHECK(cut.netjail({"--allow", "192.168.77.10:443", "--", kProbe, "echo", "192.168.77.10", "443"}).ok());
  }
  const Outcome outcome = world().run(
      after("mount --bind /dev/null /etc/resolv.conf", netjail_command(run_with({"--profile", "internet"}))));
  CHECK(outcome.status == 125);
  CHECK_MESSAGE(has(outcome.err, "nameserver"), outcome.describe());
}

TEST_CASE("a host whose routes cover 10/8 and 172.16/12: the jail takes its address elsewhere") {
  if (!needs_root()) return;
  FakeWorld vpn = make_world({.private_routes = true});
  const Outcome outcome =
      vpn.netjail({"--profile", "internet", "--", "sh", "-c",
                   std::string(kProbe) + " echo 198.51.100.10 443; ip -4 addr show eth0"});
  CHECK_MESSAGE(has(outcome.out, ": ok"), outcome.describe());
  CHECK_MESSAGE(!has(outcome.out, "inet 10."), outcome.describe());
  CHECK_MESSAGE(!has(outcome.out, "inet 172."), outcome.describe());
}

TEST_CASE("every address pool is routed: an error for root, not an address that is somebody's") {
  if (!needs_root()) return;
  FakeWorld full = make_world({.private_routes = true});
  for (const char* prefix : {"100.64.0.0/10", "198.18.0.0/15", "192.168.0.0/16"})
    REQUIRE(full.call({"ip", "route", "add", prefix, "via", "192.168.77.1"}).ok());
  if (rootless())  // nobody else sees the jail's address
    CHECK(full.netjail({"--profile", "internet", "--", kProbe, "echo", "198.51.100.10", "443"}).ok());
  else
    check(full, {run_with({"--profile", "internet"}), 125, {"no address is left"}});
}

TEST_CASE("hosts with one family only") {
  if (!needs_root()) return;
  FakeWorld v4 = make_world({.ipv6 = false});
  CHECK(v4.netjail({"--profile", "internet", "--", kProbe, "echo", "198.51.100.10", "443"}).ok());
  CHECK_FALSE(v4.netjail({"--profile", "internet", "--", kProbe, "tcp", "2001:db8:1::10", "443"}).ok());
  FakeWorld v6 = make_world({.ipv4 = false});
  const Outcome outcome =
      v6.netjail({"--profile", "internet", "--", kProbe, "echo", "2001:db8:1::10", "443"});
  CHECK_MESSAGE(outcome.ok(), outcome.describe());
}

TEST_CASE("closed standard streams, a folder that vanished") {
  if (!needs_root()) return;
  const auto shell = [](const std::string& script) {
    return world().run({.argv = {"sh", "-c", script, "sh", netjail_command({}).front()}});
  };
  const Outcome closed = shell("$1 run --profile offline -- sh -c 'ls -l /proc/self/fd/0; exit 6' <&-");
  CHECK_MESSAGE(closed.status == 6, closed.describe());
  CHECK_MESSAGE(has(closed.out, "/dev/null"), closed.describe());
  const Outcome all = shell("$1 run --profile internet -- sh -c 'exit 8' <&- >&- 2>&-");
  CHECK_MESSAGE(all.status == 8, all.describe());
  const Outcome vanished =
      shell("cd $(mktemp -d) && rmdir $PWD && exec $1 run --profile offline -- echo started");
  CHECK_MESSAGE(vanished.status == 125, vanished.describe());
  CHECK_MESSAGE(has(vanished.err, "directory"), vanished.describe());
}

TEST_CASE("what one may do and the other not, and what needs no root" *
          only_root("it calls netjail as both")) {
  if (!needs_root()) return;
  // The build folder may be closed to others: a clone below /root.
  const auto as_nobody = [](Words arguments) {
    arguments.insert(arguments.begin(), kNetjail);
    return world().run({.argv = std::move(arguments), .identity = Identity{65534, 65534, {}}});
  };
  const std::string host =
      world().write("host.toml", "[network]\nuplink = \"host\"\n[[allow]]\nto = [\"internet\"]\n");
  for (const Case& bad :
       std::vector<Case>{{run_with({"--profile", host}), 125, {"needs root", "sudo netjail"}},
                         {run_with({"--profile", "internet", "--user", "root"}), 125, {"only root"}}}) {
    const Outcome run = as_nobody(bad.arguments);
    CHECK_MESSAGE(run.status == bad.status, run.describe());
    for (const std::string& part : bad.told) CHECK_MESSAGE(has(run.err, part), run.describe());
  }
  for (const Words& arguments :
       {Words{"plan", "--profile", "internet", "true"},
        Words{"plan", "--format", "json", "--profile", "internet"},
        Words{"plan", "--format", "nft", "--profile", "browser"}, Words{"check"}, Words{"profiles"},
        Words{"explain", "internet", "198.51.100.7:443/tcp"}, Words{"--version"}, Words{"run", "--help"}}) {
    const Outcome outcome = as_nobody(arguments);
    CHECK_MESSAGE(outcome.ok(), outcome.describe());
    CHECK_MESSAGE(!outcome.out.empty(), outcome.describe());
  }
  CHECK(as_nobody({"explain", "internet", "10.0.0.1:443/tcp"}).status == 1);
}

TEST_CASE("sockets as standard streams or kept descriptors are refused") {
  if (!needs_root()) return;
  int pair[2];
  REQUIRE(::socketpair(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0, pair) == 0);
  const Fd ours(pair[0]);
  const Fd theirs(pair[1]);
  const Fd inet(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  const Fd folder(::open("/", O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  const Fd netns(::open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC));
  const auto command = netjail_command(run_with({"--profile", "offline"}));
  for (const int fd : {theirs.get(), inet.get()}) {
    const Outcome outcome = world().run({.argv = command, .descriptors = {{0, fd}}});
    CHECK_MESSAGE(outcome.status == 125, outcome.describe());
    CHECK_MESSAGE(has(outcome.err, "socket"), outcome.describe());
  }
  for (const int fd : {theirs.get(), inet.get(), folder.get(), netns.get()}) {
    const Outcome outcome =
        world().run({.argv = netjail_command(run_with({"--profile", "offline", "--keep-fd", "9"})),
                     .descriptors = {{9, fd}}});
    CHECK_MESSAGE(outcome.status == 125, outcome.describe());
  }
  const Fd file(::open("/dev/null", O_RDONLY | O_CLOEXEC));
  const Outcome kept =
      world().run({.argv = netjail_command({"run", "--profile", "offline", "--keep-fd", "9", "--", "sh", "-c",
                                            "ls /proc/self/fd/9 /proc/self/fd/8"}),
                   .descriptors = {{8, file.get()}, {9, file.get()}}});
  CHECK_MESSAGE(kept.out == "/proc/self/fd/9\n", kept.describe());
}
