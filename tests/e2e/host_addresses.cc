// What the host takes for itself is out of the jail's reach, whenever and however it became the host's. Run
// in both modes: as root a chain of the host guards it, without root the router alone.
#include "e2e/fixture.h"

using namespace netjail;
using namespace netjail::test;

namespace {

// Something that makes an address the host's own; undone at the end.
class Gets {
 public:
  explicit Gets(std::vector<Words> commands) : commands_(std::move(commands)) {
    for (const Words& command : commands_) run(command, "add");
  }
  Gets(const Gets&) = delete;
  Gets& operator=(const Gets&) = delete;
  ~Gets() {
    for (const Words& command : commands_) run(command, "del");
  }

 private:
  // The verb is the second word: ip address add ...
  static void run(const Words& command, const char* verb) {
    Words words{"ip", command.front(), verb};
    words.insert(words.end(), command.begin() + 1, command.end());
    CHECK(world().call(words).ok());
  }
  std::vector<Words> commands_;
};

const std::vector<Words> kAddresses{{"address", "203.0.113.200/32", "dev", "lo"},
                                    {"address", "2001:db8:9::200/128", "dev", "lo"}};
const std::vector<Words> kRoutes{{"route", "local", "203.0.113.128/25", "dev", "lo"},
                                 {"route", "local", "2001:db8:9::/64", "dev", "lo"}};
const Words kTargets{"203.0.113.200", "2001:db8:9::200"};

Process shell(const std::string& script) {
  Process process = world().start({.argv = netjail_command({"run", "--profile", "internet", "--", "sh", "-c",
                                                            "echo ready; read x; " + script}),
                                   .keep_input_open = true,
                                   .deadline = std::chrono::seconds(60)});
  REQUIRE_MESSAGE(process.wait_for("ready"), process.err());
  return process;
}

// Tries until it is refused; 9 if it never is. The address is announced before its `ip` returns, and in the
// router's sets some hundred microseconds later.
std::string until_refused(const std::string& probe) {
  return "i=0; while " + std::string(kProbe) + " " + probe +
         "; do i=$((i+1)); [ $i -lt 100 ] || exit 9; done; " + kProbe + " " + probe + "; ";
}

}  // namespace

TEST_CASE("a range that is the host's by a route alone") {
  if (!needs_root()) return;
  const Gets gets(kRoutes);
  for (const std::string& target : kTargets) {
    CAPTURE(target);
    // Any process of the host, such as pasta, reaches a server of the host there.
    REQUIRE(world().probe({"tcp", target, "22"}).ok());
    const Outcome outcome = world().netjail({"--profile", "internet", "--", kProbe, "tcp", target, "22"});
    CHECK_MESSAGE(outcome.status == 1, outcome.describe());
    CHECK_MESSAGE(has(outcome.out, "ECONNREFUSED"), outcome.describe());
    CHECK_MESSAGE(has(outcome.err, "address of this machine itself"), outcome.describe());
  }
}

TEST_CASE("what the host gets while the jail runs") {
  if (!needs_root()) return;
  for (const auto& later : {kAddresses, kRoutes}) {
    CAPTURE(later.front().front());
    {
      const Gets gets(later);
      for (const std::string& target : kTargets) REQUIRE(world().probe({"tcp", target, "22"}).ok());
    }
    for (const std::string& target : kTargets) {
      CAPTURE(target);
      Process jail = shell(until_refused("tcp " + target + " 22"));
      const Gets gets(later);
      REQUIRE(jail.send("go\n"));
      const Outcome outcome = jail.wait();
      CHECK_MESSAGE(outcome.status == 1, outcome.describe());
      CHECK_MESSAGE(has(outcome.out, "ECONNREFUSED"), outcome.describe());
    }
  }
}

TEST_CASE("several in a row, and the rest of the world stays open") {
  if (!needs_root()) return;
  Process jail = shell(until_refused("tcp 203.0.113.201 22") + until_refused("tcp 203.0.113.203 22") +
                       until_refused("tcp 203.0.113.202 22") + "exec " + std::string(kProbe) +
                       " echo 198.51.100.10 443");
  std::vector<Words> many;
  for (int i = 0; i < 60; ++i)
    many.push_back(
        {"address", "203.0.113." + std::to_string(i % 2 == 0 ? 150 + i : 250 - i) + "/32", "dev", "lo"});
  const Gets gets(many);
  REQUIRE(world().probe({"tcp", "203.0.113.202", "22"}).ok());
  REQUIRE(jail.send("go\n"));
  const Outcome outcome = jail.wait();
  CHECK_MESSAGE(outcome.ok(), outcome.describe());
  CHECK_MESSAGE(has(outcome.out, "echo 198.51.100.10 443: ok"), outcome.describe());
}

TEST_CASE("where a new address cannot be refused the jail ends") {
  if (!needs_root() || !rootless()) return;  // as root nobody watches: the host's chain holds
  Process jail = shell("exec sleep 60");
  const Outcome limited =
      world().run({.argv = {"prlimit", "--pid", std::to_string(jail.pid()), "--nofile=3:3"},
                   .identity = Identity{kOrdinaryUser, kOrdinaryUser, {}}});
  REQUIRE_MESSAGE(limited.ok(), limited.describe());
  const Gets gets(kAddresses);
  const Outcome outcome = jail.wait();
  CHECK_MESSAGE(outcome.status == 125, outcome.describe());
  CHECK_MESSAGE(has(outcome.err, "cannot refuse an address that the host has got"), outcome.describe());
}

// pasta's socket of a UDP flow goes on sending to the address, whosever it is by now.
TEST_CASE("a flow that was admitted while the address was somebody else's") {
  if (!needs_root()) return;
  const std::string script = world().write("flow.py", R"(
import socket, sys
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
s.connect(('203.0.113.10', 7))
def ask():
    s.send(b'x')
    return s.recv(9)
s.settimeout(3)
print(ask(), flush=True)      # admitted
input()
for i in range(100):
    try:
        ask()
    except OSError as error:
        print('refused:', error, flush=True)
        sys.exit(4)
)");
  // Without netjail such a flow ends at the host's own server.
  const Words free{"python3", "-c",
                   "import socket; s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); "
                   "s.sendto(b'x', ('203.0.113.10', 7)); print(s.recv(9)); input(); "
                   "s.sendto(b'x', ('203.0.113.10', 7)); print('again', s.recv(9))"};
  const Words jailed = netjail_command({"run", "--profile", "internet", "--", "python3", script});
  for (const bool contrast : {true, false}) {
    CAPTURE(contrast);
    Process process = world().start({.argv = contrast ? free : jailed, .keep_input_open = true});
    REQUIRE_MESSAGE(process.wait_for("b'x'"), process.err());
    const Gets gets({{"address", "203.0.113.10/32", "dev", "lo"}});
    world().servers().forget();
    REQUIRE(process.send("go\n"));
    const Outcome outcome = process.wait();
    CHECK_MESSAGE(outcome.status == (contrast ? 0 : 4), outcome.describe());
    if (!contrast) continue;
    REQUIRE(world().servers().arrivals().size() == 1);
    CHECK(world().servers().arrivals().front().zone == "host");
  }
}
