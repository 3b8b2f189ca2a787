// Each process of a run is killed or stopped, while it starts and while the program sends: nothing more is
// reached than before, nothing is reached afterwards, nothing is left. (Death of the whole set-up at a
// hundred moments: faults.cc.)
#include <doctest/doctest.h>
#include <unistd.h>

#include <csignal>
#include <filesystem>
#include <fstream>
#include <thread>

#include "e2e/fixture.h"
#include "e2e/jail_shell.h"
#include "netjail/base/text.h"

using namespace netjail;
using namespace netjail::test;

namespace {

namespace fs = std::filesystem;

// It executes itself anew as passt.avx2 where the processor has that.
const std::string kPasta = "pas";

// A refused destination that would answer, thousands of times a second from two senders.
const std::string kFlood =
    "for i in 1 2; do (exec 3<>/dev/udp/192.168.77.10/7; while :; do echo leak >&3; done) 2>/dev/null & done";

std::string name_of(pid_t pid) {
  const auto name = read_file("/proc/" + std::to_string(pid) + "/comm");
  return name ? std::string(trim(*name)) : std::string();
}

// Of all processes of the world: by the beginning of their name.
std::vector<pid_t> named(std::string_view start) {
  std::vector<pid_t> found;
  for (const pid_t pid : descendants())
    if (name_of(pid).starts_with(start)) found.push_back(pid);
  return found;
}

std::vector<std::string> roles() {
  return rootless() ? std::vector<std::string>{"netjail", "netjail-init", kPasta}
                    : std::vector<std::string>{"netjail", "netjail-init", "netjail-keeper"};
}

// A control group whose memory runs out, of version 1 or 2.
class SmallMemory {
 public:
  SmallMemory() {
    const bool old = fs::exists("/sys/fs/cgroup/memory/memory.limit_in_bytes");
    folder_ = std::string(old ? "/sys/fs/cgroup/memory" : "/sys/fs/cgroup") + "/netjail-test-" +
              std::to_string(::getpid());
    // Of version 2 the controller must be handed down.
    if (!old) std::ofstream("/sys/fs/cgroup/cgroup.subtree_control") << "+memory";
    fs::create_directory(folder_);
    limit_ = folder_ + (old ? "/memory.limit_in_bytes" : "/memory.max");
    events_ = folder_ + (old ? "/memory.oom_control" : "/memory.events");
    REQUIRE(fs::exists(limit_));
    set_limit("96M");
  }
  SmallMemory(const SmallMemory&) = delete;
  SmallMemory& operator=(const SmallMemory&) = delete;
  ~SmallMemory() {
    (void)eventually([this] { return ::rmdir(folder_.c_str()) == 0; });
  }
  void take_in(pid_t pid) { std::ofstream(folder_ + "/cgroup.procs") << pid << std::flush; }
  void set_limit(const std::string& limit) { REQUIRE((std::ofstream(limit_) << limit << std::flush).good()); }
  bool has_killed() const {
    const auto events = read_file(events_);
    return events && events->find("oom_kill ") != std::string::npos &&
           events->find("oom_kill 0") == std::string::npos;
  }

 private:
  std::string folder_;
  std::string limit_;
  std::string events_;
};

// The supervisor's name is the beginning of the others'.
pid_t find(const std::string& role, JailShell& jail) {
  if (role == "netjail") return jail.process().pid();
  REQUIRE(eventually([&role] { return named(role).size() == 1; }));
  return named(role).front();
}

void check_nothing_arrived() {
  CHECK_MESSAGE(world().servers().count_packets("192.168.77.10") == 0, describe(world().servers().packets()));
}

// After the process of the role has been killed.
void check_end(const std::string& role, JailShell& jail) {
  if (role == kPasta) {
    CHECK(eventually([] { return named(kPasta).empty(); }));
    CHECK_FALSE(jail.reaches("echo 198.51.100.10 443"));
    CHECK_MESSAGE(has(jail.end().err, "pasta has ended"), "");
    return;
  }
  const Outcome outcome = jail.process().wait();
  CHECK_MESSAGE(!outcome.ok(), outcome.describe());
  CHECK(eventually([] { return named("bash").empty() && named("netjail-probe").empty(); }));
}

void check_as_before() {
  const std::string left = leaked(world().host(), world().untouched(), std::chrono::seconds(10));
  CHECK_MESSAGE(left.empty(), left);
}

}  // namespace

TEST_CASE("SIGKILL of each process while the program floods a refused destination") {
  if (!needs_root()) return;
  REQUIRE(world().probe({"udp", "192.168.77.10", "7"}).ok());
  for (const std::string& role : roles()) {
    CAPTURE(role);
    for (int i = 0; i < (role == kPasta ? 1 : 3); ++i) {
      world().servers().forget();
      JailShell jail(kFlood);
      REQUIRE(jail.reaches("echo 198.51.100.10 443"));
      ::kill(find(role, jail), SIGKILL);
      if (role != "netjail-keeper") {
        check_end(role, jail);
      } else {
        CHECK(jail.reaches("echo 198.51.100.10 443"));
        CHECK_FALSE(jail.reaches("tcp 198.51.100.2 22"));
        // The next run has a keeper again.
        CHECK(world().netjail({"--profile", "internet", "--", "true"}).ok());
        CHECK(eventually([] { return named("netjail-keeper").size() == 1; }));
      }
      check_nothing_arrived();
    }
  }
  check_as_before();
}

// The one of whom the kernel thinks first. The keeper is not in the cgroup of a jail.
TEST_CASE("the memory runs out, and the kernel ends each process") {
  if (!needs_root()) return;
  for (const std::string& role : roles()) {
    if (role == "netjail-keeper") continue;
    CAPTURE(role);
    world().servers().forget();
    SmallMemory memory;
    JailShell jail(kFlood);
    REQUIRE(jail.reaches("echo 198.51.100.10 443"));
    const pid_t pid = find(role, jail);
    for (const char* name : {"netjail", "bash", "pas"})
      for (const pid_t one : named(name))
        if (name_of(one) != "netjail-keeper") memory.take_in(one);
    std::ofstream("/proc/" + std::to_string(pid) + "/oom_score_adj") << 1000 << std::flush;
    // Several, so that none has more than the whole, which is what the 1000 adds to the other.
    REQUIRE(jail.does("for i in 1 2 3; do (sleep 0.5; exec tail /dev/zero) & done"));
    CHECK(eventually([&] { return memory.has_killed(); }));
    CHECK(eventually([&] { return name_of(pid).empty() || named(role).empty(); }));
    memory.set_limit("512M");
    for (const pid_t one : named("tail")) ::kill(one, SIGKILL);
    check_end(role, jail);
    check_nothing_arrived();
  }
  check_as_before();
}

TEST_CASE("SIGKILL of each process while it starts") {
  if (!needs_root()) return;
  world().servers().forget();
  for (const std::string& role : roles()) {
    CAPTURE(role);
    int met = 0;
    for (int i = 0; i < 40; ++i) {
      Process process = world().start({.argv = netjail_command({"run", "--profile", "internet", "--", kProbe,
                                                                "udp", "192.168.77.10", "7"})});
      // The moment is the test's input, not a wait for something.
      std::this_thread::sleep_for(std::chrono::microseconds((rootless() ? 500 : 250) * i));
      const auto found = role == "netjail" ? std::vector<pid_t>{process.pid()} : named(role);
      for (const pid_t pid : found) met += ::kill(pid, SIGKILL) == 0;
      const Outcome outcome = process.wait();
      CHECK_MESSAGE(!outcome.ok(), outcome.describe());
      CHECK_MESSAGE(!outcome.timed_out, outcome.describe());
    }
    CHECK(met > 5);
  }
  check_nothing_arrived();
  CHECK(world().netjail({"--profile", "internet", "--", kProbe, "echo", "198.51.100.10", "443"}).ok());
  check_as_before();
}

TEST_CASE("SIGSTOP of each process: nothing more is reached") {
  if (!needs_root()) return;
  for (const std::string& role : roles()) {
    CAPTURE(role);
    world().servers().forget();
    JailShell jail(kFlood);
    REQUIRE(jail.reaches("echo 198.51.100.10 443"));
    const pid_t pid = find(role, jail);
    ::kill(pid, SIGSTOP);
    for (const char* refused : {"tcp 192.168.77.10 443", "tcp 198.51.100.2 22", "udp 192.168.77.10 7",
                                "tcp 10.77.0.10 443", "tcp 2001:db8:1::2 22"})
      CHECK_FALSE(jail.reaches(refused));
    // Without its carrier nothing is reached at all.
    CHECK(jail.reaches("echo 198.51.100.10 443") == (role != kPasta));
    if (!rootless()) {  // what guards the host needs nobody
      REQUIRE(world().call({"ip", "address", "add", "203.0.113.200", "dev", "lo"}).ok());
      REQUIRE(world().probe({"tcp", "203.0.113.200", "22"}).ok());
      CHECK_FALSE(jail.reaches("tcp 203.0.113.200 22"));
      REQUIRE(world().call({"nft", "flush", "ruleset"}).ok());
      CHECK_FALSE(jail.reaches("tcp 203.0.113.200 22"));
      REQUIRE(world().call({"ip", "address", "del", "203.0.113.200/32", "dev", "lo"}).ok());
    }
    ::kill(pid, SIGCONT);
    // pasta of 2023 does not go on where packets waited for it meanwhile: the jail has no way out then.
    if (role != kPasta) CHECK(eventually([&] { return jail.reaches("echo 198.51.100.10 443"); }));
    const Outcome outcome = jail.end();
    CHECK_MESSAGE(outcome.ok(), outcome.describe());
    check_nothing_arrived();
  }
  check_as_before();
}
