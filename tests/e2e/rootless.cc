// What is special to a caller without root: pasta, user namespaces, and what is said where one of them is
// missing. The cases that hold for everybody are in smoke.cc, which is run in both modes.
#include <doctest/doctest.h>

#include <csignal>
#include <thread>

#include "e2e/user.h"

using namespace netjail;
using namespace netjail::test;

namespace {

const Words kEcho{kNetjail, "run", "--profile", "internet", "--", kProbe, "echo", "198.51.100.10", "443"};

}  // namespace

TEST_CASE("doctor tells what there is, as root and without") {
  if (!needs_root()) return;
  for (const bool root : {true, false}) {
    const Outcome outcome = root ? world().call({kNetjail, "doctor"}) : user({kNetjail, "doctor"});
    CHECK_MESSAGE(outcome.ok(), outcome.describe());
    CHECK_MESSAGE(has(outcome.out, "ok       a jail was made, proved and left\n"), outcome.describe());
    CHECK_MESSAGE(has(outcome.out, root ? "running as root" : "running without root"), outcome.describe());
  }
}

TEST_CASE("a profile that opens nothing needs no pasta") {
  if (!needs_root()) return;
  const Outcome outcome =
      user_after("mount -t tmpfs none /dev/net", std::string(kNetjail) + " run --profile offline -- true");
  CHECK_MESSAGE(outcome.ok(), outcome.describe());
}

TEST_CASE(
    "uplink = \"pasta\" as root: nothing of the host's is touched, and whoever is inside is who he would "
    "be") {
  if (!needs_root()) return;
  CHECK(eventually([] { return descendants().empty(); }, 5s));  // keepers
  FakeWorld fresh = make_world();
  const std::string profile = fresh.write("pasta.toml", R"([network]
uplink = "pasta"
[[allow]]
to = ["internet"]
)");
  for (const Words& identity : {Words{}, Words{"--user", std::to_string(kOrdinaryUser)}}) {
    Words words{kNetjail, "run", "--verbose", "--profile", profile};
    words.insert(words.end(), identity.begin(), identity.end());
    for (const char* word : {"--", "sh", "-c"}) words.emplace_back(word);
    words.push_back(
        std::string("id -u; grep -E '^Cap(Prm|Eff|Bnd)' /proc/self/status | grep -c '0000000000000000$';") +
        kProbe + " echo 198.51.100.10 443 && " + kProbe + " echo 192.168.77.10 443; read x");
    Command command{.argv = words, .keep_input_open = true};
    Process run = fresh.start(command);
    REQUIRE_MESSAGE(run.wait_for("refused 192.168.77.10:443/tcp"), run.out(), run.err());
    CHECK(eventually([] { return pastas().size() == 1; }));
    // What root's process inherited is out of reach of the one for whom it acts.
    for (const pid_t pid : descendants(run.pid())) {
      const std::string process = "/proc/" + std::to_string(pid);
      std::string name;
      std::ifstream(process + "/comm") >> name;
      if (!name.starts_with("netjail")) continue;
      CAPTURE(name);
      CHECK(fresh.call({"cat", process + "/environ"}).ok());
      CHECK(!fresh.run(as_user({"cat", process + "/environ"})).ok());
    }
    CHECK(fresh.call({"stat", "-c", "%u", "/proc/" + std::to_string(run.pid())}).out == "0\n");
    CHECK(!has(fresh.call({"nft", "list", "tables"}).out, "netjail"));
    CHECK(fresh.call({"cat", "/proc/sys/net/ipv4/conf/eth0/forwarding"}).out == "0\n");
    run.close_input();
    const Outcome outcome = run.wait();
    CHECK_MESSAGE(has(outcome.out, (identity.empty() ? "0" : identity[1]) + "\n3\n"), outcome.describe());
    CHECK(eventually([] { return pastas().empty(); }, 5s));
  }
  CHECK(leaked(fresh.host(), fresh.untouched()) == "");
}

TEST_CASE("what is missing is named, with the remedy") {
  if (!needs_root()) return;
  const std::string run = std::string(kNetjail) + " run --profile internet -- true";
  const Outcome tun = user_after("mount -t tmpfs none /dev/net", run);
  CHECK_MESSAGE(tun.status == 125, tun.describe());
  CHECK_MESSAGE(has(tun.err, "/dev/net/tun"), tun.describe());
  const std::string id = std::to_string(kOrdinaryUser);
  const Outcome shut = user({"unshare", "--user", "--map-user=" + id, "--map-group=" + id, "--keep-caps",
                             "sh", "-c", "echo 0 > /proc/sys/user/max_user_namespaces && exec " + run});
  CHECK_MESSAGE(shut.status == 125, shut.describe());
  CHECK_MESSAGE(has(shut.err, "sysctl user.max_user_namespaces"), shut.describe());
}

// pasta of 2023 takes what follows the fixed header for the transport's header: without the router's chain
// "plain-packets" each of these reached a port that the profile does not open.
TEST_CASE("fragments and extension headers do not get past the ports of the profile") {
  if (!needs_root()) return;
  const std::string script = world().write("pieces.py", R"(
import socket, struct, sys, time
if sys.argv[1] == 'ipv4':  # the second fragment begins with a UDP header from 40053 to 53
    s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    s.setsockopt(socket.IPPROTO_IP, 10, 0)              # IP_MTU_DISCOVER: fragment
    s.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 400000)
    data = bytearray(65507)
    data[-19:] = struct.pack('!HHHH', 40053, 53, 19, 0) + b'EVIL-PORT53'
    s.sendto(bytes(data), ('198.51.100.10', 443))
if sys.argv[1] == 'ipv6':
    s = socket.socket(socket.AF_INET6, socket.SOCK_DGRAM)
    s.setsockopt(socket.IPPROTO_IPV6, 24, 1280)         # IPV6_MTU
    s.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 400000)
    s.sendto(b'Z' * 65527, ('2001:db8:1::10', 443))
if sys.argv[1] == 'routing':
    s = socket.socket(socket.AF_INET6, socket.SOCK_DGRAM)
    hop = socket.inet_pton(socket.AF_INET6, '2001:db8:1::11')
    s.setsockopt(socket.IPPROTO_IPV6, 57, struct.pack('!BBBBBBH', 0, 4, 4, 1, 1, 0, 0) + bytes(16) + hop)
    s.sendto(b'TUNNEL', ('2001:db8:1::10', 443))
if sys.argv[1] == 'whole':
    for family, address in ((socket.AF_INET, '198.51.100.10'), (socket.AF_INET6, '2001:db8:1::10')):
        socket.socket(family, socket.SOCK_DGRAM).sendto(b'fine', (address, 443))
time.sleep(0.3)
)");
  const auto send = [&](const std::string& what) {
    world().servers().forget();
    const Outcome outcome = user({kNetjail, "run", "--profile", "browser", "--", "python3", script, what});
    CHECK_MESSAGE(outcome.ok(), outcome.describe());
    return world().servers().packets().size();
  };
  REQUIRE(send("whole") >= 2);  // the way is open to packets in one piece
  for (const std::string what : {"ipv4", "ipv6", "routing"}) {
    CAPTURE(what);
    CHECK(send(what) == 0);
    CHECK(world().servers().arrivals().empty());
  }
}

TEST_CASE("the program does not choose the port that pasta takes on the host") {
  if (!needs_root()) return;
  world().servers().forget();
  const std::string script = world().write("port.py", R"(
import socket
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
s.settimeout(2)
s.bind(('', 9053))
s.sendto(b'x', ('198.51.100.10', 7))
print(s.recv(9), flush=True)
input()
)");
  Command command = as_user({kNetjail, "run", "--profile", "internet", "--", "python3", script});
  command.keep_input_open = true;
  Process run = world().start(command);
  REQUIRE(run.wait_for("b'x'"));
  const Outcome sockets = world().call({"ss", "--udp", "--numeric", "--all"});
  CHECK_MESSAGE(!has(sockets.out, ":9053"), sockets.out);
  run.close_input();
  (void)run.wait();
}

TEST_CASE("a caller that ignores SIGPIPE, as services do") {
  if (!needs_root()) return;
  Words words{"sh", "-c", "trap '' PIPE; exec \"$@\"", "sh"};
  words.insert(words.end(), kEcho.begin(), kEcho.end());
  const Outcome outcome = user(words);
  CHECK_MESSAGE(outcome.ok(), outcome.describe());
}

TEST_CASE("a supervisor that is killed at any moment of set-up leaves nothing") {
  if (!needs_root()) return;
  for (int i = 0; i < 60; ++i) {
    Process run = world().start(as_user({kNetjail, "run", "--profile", "internet", "--", "sleep", "60"}));
    std::this_thread::sleep_for(std::chrono::microseconds(300 * i));
    run.kill(SIGKILL);
    (void)run.wait();
  }
  const bool gone = eventually([] { return descendants().empty(); }, 5s);
  CHECK(gone);
}

TEST_CASE("a supervisor that is killed takes pasta and the jail with it") {
  if (!needs_root()) return;
  Process run = world().start(
      as_user({kNetjail, "run", "--profile", "internet", "--", "sh", "-c", "echo up; sleep 60"}));
  REQUIRE(run.wait_for("up"));
  REQUIRE(eventually([] { return pastas().size() == 1; }));
  run.kill(SIGKILL);
  (void)run.wait();
  CHECK(eventually([] { return pastas().empty(); }, 5s));
}

// As where an AppArmor profile is of pasta alone; here execve(2) takes it away for a file capability.
TEST_CASE("pasta ends with its supervisor also when it has lost the parent-death signal") {
  if (!needs_root()) return;
  const std::string copy = world().directory() + "/pasta";  // /srv is nosuid
  const std::string capability = "import os; os.setxattr(\"" + copy +
                                 "\", \"security.capability\", bytes.fromhex(" +
                                 "\"0100000200040000000000000000000000000000\"))";  // cap_net_bind_service=ep
  const std::string preparation = "cp --remove-destination /usr/bin/passt " + copy + "; python3 -c '" +
                                  capability + "'; mount --bind " + copy + " /usr/bin/passt; mount --bind " +
                                  copy + " /usr/bin/passt.avx2";
  const std::string id = std::to_string(kOrdinaryUser);
  for (const bool killed : {true, false}) {
    CAPTURE(killed);
    Process run = world().start(
        {.argv = {"unshare", "--mount", "--propagation", "private", "sh", "-ec",
                  preparation + "; exec setpriv --reuid " + id + " --regid " + id + " --clear-groups " +
                      kNetjail + " run --profile internet -- sh -c 'echo up; read x'"},
         .keep_input_open = true});
    REQUIRE(run.wait_for("up"));
    REQUIRE(eventually([] { return pastas().size() == 1; }));
    if (killed) run.kill(SIGKILL);
    run.close_input();
    (void)run.wait();
    CHECK(eventually([] { return pastas().empty(); }, 5s));
  }
}

TEST_CASE("when pasta ends the network ends, is said to have ended, and the program goes on") {
  if (!needs_root()) return;
  Command command = as_user({kNetjail, "run", "--profile", "internet", "--", "sh", "-c",
                             std::string("echo up; read x; timeout 2 ") + kProbe +
                                 " echo 198.51.100.10 443; " + kProbe + " tcp 192.168.77.10 443; exit 7"});
  command.keep_input_open = true;
  Process run = world().start(command);
  REQUIRE(run.wait_for("up"));
  REQUIRE(eventually([] { return pastas().size() == 1; }));
  REQUIRE(::kill(pastas().front(), SIGKILL) == 0);
  CHECK(run.wait_for("the jail has no way out any more"));
  world().servers().forget();
  run.close_input();
  const Outcome outcome = run.wait();
  CHECK_MESSAGE(outcome.status == 7, outcome.describe());
  CHECK_MESSAGE(!has(outcome.out, ": ok"), outcome.describe());
  CHECK(world().servers().arrivals().empty());
}

TEST_CASE("a supervisor that stops with its program lets nothing out meanwhile") {
  if (!needs_root()) return;
  const auto state = [](pid_t pid) {
    const auto stat = read_file("/proc/" + std::to_string(pid) + "/stat").value_or("");
    const auto name = stat.rfind(')');
    return name == stat.npos ? ' ' : stat.at(name + 2);
  };
  const std::string program =
      std::string("echo up; kill -STOP $$; exec ") + kProbe + " echo 198.51.100.10 443";
  // A job of a shell: who leads its own session has nobody to stop for.
  Process run = world().start(as_user({"sh", "-c", "\"$@\"; exit $?", "sh", kNetjail, "run", "--profile",
                                       "internet", "--", "sh", "-c", program}));
  REQUIRE(run.wait_for("up"));
  REQUIRE(eventually([] { return pastas().size() == 1; }, 5s));  // that of the test before is gone
  const pid_t pasta = pastas().front();
  CHECK(eventually([&] { return state(pasta) == 'T'; }, 5s));
  const auto supervisor = [&]() -> pid_t {
    for (const pid_t pid : descendants())
      if (read_file("/proc/" + std::to_string(pid) + "/comm").value_or("") == "netjail\n" &&
          state(pid) == 'T')
        return pid;
    return -1;
  };
  REQUIRE(eventually([&] { return supervisor() > 0; }, 5s));
  REQUIRE(::kill(supervisor(), SIGCONT) == 0);
  const Outcome outcome = run.wait();
  CHECK_MESSAGE(outcome.status == 0, outcome.describe());
}

TEST_CASE("many at once by one user") {
  if (!needs_root()) return;
  std::vector<Process> runs;
  for (int i = 0; i < 20; ++i) runs.push_back(world().start(as_user(kEcho)));
  for (Process& run : runs) {
    const Outcome outcome = run.wait();
    CHECK_MESSAGE(outcome.ok(), outcome.describe());
  }
  CHECK(eventually([] { return pastas().empty(); }, 5s));
}

TEST_CASE("many at once by a user who may have few processes: each works or says why not") {
  if (!needs_root()) return;
  Words words{"bash", "-c", "ulimit -u 40; exec \"$@\"", "sh"};
  words.insert(words.end(), kEcho.begin(), kEcho.end());
  std::vector<Process> runs;
  for (int i = 0; i < 30; ++i) runs.push_back(world().start(as_user(words)));
  int refused = 0;
  for (Process& run : runs) {
    const Outcome outcome = run.wait();
    CHECK_MESSAGE(!outcome.timed_out, outcome.describe());
    if (outcome.ok()) continue;
    ++refused;
    CHECK_MESSAGE(outcome.status == 125, outcome.describe());
    CHECK_MESSAGE(outcome.err.starts_with("netjail: "), outcome.describe());
  }
  CHECK(refused > 0);
  CHECK(eventually([] { return descendants().empty(); }, 5s));
}
