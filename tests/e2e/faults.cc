// Death and failing system calls at every moment: the program never gets more than the policy, and nothing is left.
#include <doctest/doctest.h>

#include <csignal>
#include <thread>

#include "support/world.h"

using namespace netjail;
using namespace netjail::test;

namespace {

using Words = std::vector<std::string>;

FakeWorld& world() {
  static FakeWorld made = [] {
    auto created = FakeWorld::create();
    if (!created) FAIL(render_error(created.error()));
    return std::move(*created);
  }();
  return made;
}

// A refused destination that would answer, in a jail with a way out.
Words forbidden() { return netjail_command({"run", "--profile", "internet", "--", kProbe, "echo", "192.168.77.10", "443"}); }

void check_nothing_arrived() {
  const auto arrivals = world().servers().arrivals();
  CHECK_MESSAGE(arrivals.empty(), describe(arrivals));
}

}  // namespace

TEST_CASE("SIGKILL of the supervisor, of init or of any process of the run at a hundred moments") {
  if (!needs_root()) return;
  REQUIRE(world().probe({"echo", "192.168.77.10", "443"}).ok());
  const Snapshot& before = world().untouched();
  world().servers().forget();
  for (int i = 0; i < 100; ++i) {
    Process process = world().start({.argv = forbidden()});
    // The moment is the test's input, not a wait for something: from 0 to 10 ms after the start.
    std::this_thread::sleep_for(std::chrono::microseconds(100 * i));
    const std::vector<pid_t> below = descendants(process.pid());
    if (i % 2 == 0 || below.empty())
      process.kill(SIGKILL);
    else
      ::kill(below[static_cast<std::size_t>(i / 2) % below.size()], SIGKILL);
    process.wait();
  }
  check_nothing_arrived();
  // The next run ends, and everything is as it was.
  CHECK(world().netjail({"--profile", "internet", "--", kProbe, "echo", "198.51.100.10", "443"}).ok());
  const std::string left = leaked(world().host(), before, std::chrono::seconds(10));
  CHECK_MESSAGE(left.empty(), left);
}

TEST_CASE("each system call of the set-up fails once: no start, or a start with all of the policy") {
  if (!needs_root()) return;
  REQUIRE_MESSAGE(world().call({"strace", "--version"}).ok(), "this test needs strace(1)");
  const Snapshot& before = world().untouched();
  world().servers().forget();
  int refused_to_start = 0;
  for (const char* call : {"clone", "unshare", "mount", "mount_setattr", "socket", "bind", "listen", "sendmsg", "recvmsg", "setsockopt",
                           "getsockopt", "capset", "prctl", "setresuid", "setresgid", "setgroups", "setrlimit", "seccomp", "close_range",
                           "epoll_create1", "epoll_ctl", "socketpair", "chdir", "signalfd4", "flock", "link", "getrandom", "ioctl"}) {
    for (const int when : {1, 2, 3, 5, 8}) {
      Words argv{"strace", "-f", "-o", "/dev/null", "-e", "inject=" + std::string(call) + ":error=EPERM:when=" + std::to_string(when)};
      for (const std::string& word : forbidden()) argv.push_back(word);
      const Outcome outcome = world().run({.argv = argv});
      CAPTURE(std::string(call));
      CAPTURE(when);
      CHECK_MESSAGE(outcome.status != 0, outcome.describe());  // the destination is never reached
      CHECK_MESSAGE(!outcome.timed_out, outcome.describe());
      if (outcome.status == 125) {
        ++refused_to_start;
        CHECK_MESSAGE(outcome.err.find("netjail: ") != std::string::npos, outcome.describe());
        CHECK_MESSAGE(outcome.out.empty(), outcome.describe());
      }
    }
  }
  CHECK(refused_to_start > 30);  // the injection does something
  check_nothing_arrived();
  const std::string left = leaked(world().host(), before, std::chrono::seconds(10));
  CHECK_MESSAGE(left.empty(), left);
}

TEST_CASE("a tight caller: few descriptors, no core, small files") {
  if (!needs_root()) return;
  const Snapshot& before = world().untouched();
  const std::string netjail = NETJAIL_BINARY;
  for (int limit = 3; limit <= 24; ++limit) {
    const Outcome outcome = world().call(
        {"sh", "-c", "ulimit -n " + std::to_string(limit) + "; exec " + netjail + " run --profile internet -- " + kProbe + " echo 192.168.77.10 443"});
    CHECK_MESSAGE(outcome.status != 0, outcome.describe());
    CHECK_MESSAGE(!outcome.timed_out, outcome.describe());
  }
  CHECK(world().call({"sh", "-c", "ulimit -c 0; ulimit -f 0; exec " + netjail + " run --profile offline -- true"}).ok());
  const std::string left = leaked(world().host(), before, std::chrono::seconds(10));
  CHECK_MESSAGE(left.empty(), left);
}
