// Death and failing system calls at every moment: the program never gets more than the policy, and nothing is
// left.
#include <doctest/doctest.h>

#include <csignal>
#include <thread>

#include "e2e/fixture.h"

using namespace netjail;
using namespace netjail::test;

namespace {

// A refused destination that would answer, in a jail with a way out.
Words forbidden() {
  return netjail_command({"run", "--profile", "internet", "--", kProbe, "echo", "192.168.77.10", "443"});
}

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
    // The moment is the test's input, not a wait for something: from 0 to 10 ms after the start, and to 25 ms
    // with pasta.
    std::this_thread::sleep_for(std::chrono::microseconds((rootless() ? 250 : 100) * i));
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
  // A jail that lives meanwhile keeps the keeper: else strace would wait for a new one in every run.
  Process other = world().start(
      {.argv = netjail_command({"run", "--profile", "internet", "--", "sh", "-c", "echo ready; read line"}),
       .keep_input_open = true,
       .deadline = std::chrono::seconds(600)});
  REQUIRE_MESSAGE(other.wait_for("ready"), other.err());
  int refused_to_start = 0;
  for (const char* call :
       {"clone",      "unshare",   "mount",      "mount_setattr", "socket",      "bind",          "listen",
        "sendmsg",    "recvmsg",   "setsockopt", "getsockopt",    "capset",      "prctl",         "setresuid",
        "setresgid",  "setgroups", "setrlimit",  "seccomp",       "close_range", "epoll_create1", "epoll_ctl",
        "socketpair", "chdir",     "signalfd4",  "flock",         "link",        "getrandom",     "ioctl",
        "vfork",      "pipe2",     "pidfd_open", "ppoll"}) {
    for (const int when : {1, 2, 3, 5, 8}) {
      Words argv{"strace",
                 "-f",
                 "-o",
                 "/dev/null",
                 "-e",
                 "inject=" + std::string(call) +
                     ":error=" + (std::string(call) == "epoll_ctl" ? "ENOMEM" : "EPERM") +
                     ":when=" + std::to_string(when)};
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
  other.kill(SIGTERM);
  other.wait();
  CHECK(refused_to_start > 30);  // the injection does something
  check_nothing_arrived();
  const std::string left = leaked(world().host(), before, std::chrono::seconds(10));
  CHECK_MESSAGE(left.empty(), left);
}

TEST_CASE("a program that floods a refused destination gets nothing through when the supervisor is killed") {
  if (!needs_root()) return;
  const std::string probe = kProbe;
  REQUIRE(world().probe({"udp", "192.168.77.10", "7"}).ok());
  world().servers().forget();
  // bash sends a datagram for each echo: thousands a second from four senders.
  const std::string flood =
      "for i in 1 2 3 4; do (exec 3<>/dev/udp/192.168.77.10/7; while :; do echo leak >&3; done) 2>/dev/null "
      "& done; echo ready; wait";
  for (int i = 0; i < 15; ++i) {
    Process process = world().start(
        {.argv = netjail_command({"run", "-q", "--profile", "internet", "--", "bash", "-c", flood})});
    REQUIRE_MESSAGE(process.wait_for("ready"), process.err());
    std::this_thread::sleep_for(std::chrono::milliseconds(5 + i));  // the moment is the test's input
    process.kill(SIGKILL);
    process.wait();
  }
  check_nothing_arrived();
  CHECK(world().servers().count_packets("192.168.77.10") == 0);
}

TEST_CASE("a caller that ignores SIGCHLD") {
  if (!needs_root()) return;
  const Outcome outcome = world().run({.argv = {"bash", "-c",
                                                "trap '' CHLD; exec " + netjail_command({}).front() +
                                                    " run --profile internet -- sh -c 'exit 5'"}});
  CHECK_MESSAGE(outcome.status == 5, outcome.describe());
}

TEST_CASE("root inside cannot reach what the keeper restores, nor the host's sysctls by another mount" *
          only_root("inside is no root where there is none outside")) {
  if (!needs_root()) return;
  const std::string other = world().directory() + "/proc";
  const Outcome outcome = world().call(
      {"unshare", "-m", "sh", "-c", "mkdir -p $1 && mount -n -t proc p $1 && shift && exec \"$@\"", "sh",
       other, NETJAIL_BINARY, "run", "--profile", "internet", "--", "sh", "-c",
       "ls -A /run/netjail; for f in /proc/sys/kernel/core_pattern " + other +
           "/sys/kernel/core_pattern /sys/kernel/mm/ksm/run; do "
           "(echo x > $f) 2>/dev/null && echo written $f; done; ls /dev | sort | tr '\\n' ' '"});
  CHECK_MESSAGE(outcome.out == "fd full null ptmx pts random shm stderr stdin stdout tty urandom zero ",
                outcome.describe());
}

TEST_CASE("the keeper outlives signals, and restores what was there" *
          only_root("without root nothing of the host is changed")) {
  if (!needs_root()) return;
  const Snapshot& before = world().untouched();
  Process process = world().start(
      {.argv = netjail_command({"run", "--profile", "internet", "--", "sh", "-c", "echo ready; read line"}),
       .keep_input_open = true});
  REQUIRE(process.wait_for("ready"));
  for (const pid_t pid : descendants(process.pid()))
    for (const int signal : {SIGTERM, SIGINT, SIGHUP}) ::kill(pid, signal);
  process.kill(SIGTERM);
  process.wait();
  const std::string left = leaked(world().host(), before, std::chrono::seconds(10));
  CHECK_MESSAGE(left.empty(), left);
}

TEST_CASE("a tight caller: few descriptors, no core") {
  if (!needs_root()) return;
  const Snapshot& before = world().untouched();
  const std::string netjail = netjail_command({}).front();
  for (int limit = 3; limit <= 24; ++limit) {
    const Outcome outcome =
        world().run({.argv = {"sh", "-c",
                              "ulimit -n " + std::to_string(limit) + "; exec " + netjail +
                                  " run --profile internet -- " + kProbe + " echo 192.168.77.10 443"}});
    CHECK_MESSAGE(outcome.status != 0, outcome.describe());
    CHECK_MESSAGE(!outcome.timed_out, outcome.describe());
  }
  // Nothing can be recorded on the host: an error, not the end by a signal.
  const Outcome small =
      world().run({.argv = {"sh", "-c", "ulimit -f 0; exec " + netjail + " run --profile internet -- true"}});
  CHECK_MESSAGE((small.status == 125 || small.status == 0), small.describe());
  CHECK(world()
            .run({.argv = {"sh", "-c", "ulimit -c 0; exec " + netjail + " run --profile offline -- true"}})
            .ok());
  const std::string left = leaked(world().host(), before, std::chrono::seconds(10));
  CHECK_MESSAGE(left.empty(), left);
}
