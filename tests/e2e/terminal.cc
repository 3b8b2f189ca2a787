// Terminal and job control as if netjail were not there.
#include <doctest/doctest.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <csignal>

#include "e2e/fixture.h"

using namespace netjail;
using namespace netjail::test;

namespace {

Command in_jail(Words program, bool terminal = true) {
  Words arguments{"run", "--profile", "internet", "--"};
  arguments.insert(arguments.end(), program.begin(), program.end());
  return {.argv = netjail_command(arguments), .keep_input_open = true, .terminal = terminal};
}

std::string netjail_text(const std::string& rest) {
  std::string text;
  for (const std::string& word : netjail_command({"run", "--profile", "internet", "--"})) text += word + " ";
  return text + rest;
}

constexpr const char* kInterrupt = "\x03";
constexpr const char* kSuspend = "\x1a";
constexpr const char* kEnd = "\x04";

}  // namespace

TEST_CASE("Ctrl-C ends a program that takes no notice of it with 130, and no earlier than it ends") {
  if (!needs_root()) return;
  Process process = world().start(in_jail({"sh", "-c", "echo ready; exec cat"}));
  REQUIRE(process.wait_for("ready"));
  REQUIRE(process.send(kInterrupt));
  const Outcome outcome = process.wait();
  CHECK_MESSAGE(outcome.status == 128 + SIGINT, outcome.describe());
}

TEST_CASE("Ctrl-C reaches a program that handles it once, and its own status comes back") {
  if (!needs_root()) return;
  Process process = world().start(
      in_jail({"sh", "-c", "trap 'echo got-it; exit 5' INT; echo ready; while :; do read x; done"}));
  REQUIRE(process.wait_for("ready"));
  REQUIRE(process.send(kInterrupt));
  const Outcome outcome = process.wait();
  CHECK_MESSAGE(outcome.status == 5, outcome.describe());
  CHECK_MESSAGE(outcome.out.find("got-it") == outcome.out.rfind("got-it"), outcome.describe());
}

TEST_CASE("Ctrl-Z stops the job for the shell outside, fg goes on with it") {
  if (!needs_root()) return;
  Process shell =
      world().start({.argv = {"bash", "--norc", "-i"}, .keep_input_open = true, .terminal = true});
  // The terminal's echo can be cut by a line of the shell's: only the program says "got".
  REQUIRE(shell.send(netjail_text("sh -c 'echo rea\"\"dy; while read x; do echo got $x; done'\n")));
  REQUIRE_MESSAGE(shell.wait_for("ready\r"), shell.out());
  REQUIRE(shell.send(kSuspend));
  REQUIRE_MESSAGE(shell.wait_for("Stopped"), shell.out());
  REQUIRE(shell.send("echo out\"\"side; fg\n"));
  REQUIRE_MESSAGE(shell.wait_for("outside"), shell.out());
  REQUIRE(shell.send("back again\n"));
  REQUIRE_MESSAGE(shell.wait_for("got back again"), shell.out());
  REQUIRE(shell.send(kEnd));
  REQUIRE(shell.send("echo status=$?\n"));
  CHECK_MESSAGE(shell.wait_for("status=0"), shell.out());
  REQUIRE(shell.send("exit 0\n"));
  CHECK(shell.wait().status == 0);
}

TEST_CASE("a window that changes its size is told to the program") {
  if (!needs_root()) return;
  Process process = world().start(
      in_jail({"bash", "-c", "trap 'stty size; exit 0' WINCH; echo ready; while :; do read -t 1 x; done"}));
  REQUIRE(process.wait_for("ready"));
  REQUIRE(process.resize(41, 97));
  CHECK_MESSAGE(process.wait_for("41 97"), process.out());
  CHECK(process.wait().status == 0);
}

TEST_CASE("a program that halts the terminal does not halt the supervisor") {
  if (!needs_root()) return;
  const std::string script = world().write("halt.py", R"(
import socket, sys, termios
termios.tcflow(1, termios.TCOOFF)
for port in range(1, 30):  # each is a line of netjail's on the terminal
    try:
        socket.create_connection(('192.168.77.10', port), 2)
    except OSError:
        pass
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
s.settimeout(3)
s.sendto(b'\x00\x01\x01\x00\x00\x01\x00\x00\x00\x00\x00\x00\x01a\x04test\x00\x00\x01\x00\x01', ('127.0.0.1', 53))
try:
    answered = len(s.recv(512)) > 0
except TimeoutError:
    answered = False
termios.tcflow(1, termios.TCOON)
sys.exit(0 if answered else 9)
)");
  Process process = world().start(in_jail({"python3", script}));
  const Outcome outcome = process.wait();
  CHECK_MESSAGE(outcome.status == 0, outcome.describe());
  CHECK_MESSAGE(has(outcome.out, "192.168.77.10"), outcome.describe());
}

TEST_CASE("an interactive shell inside has job control, and the terminal comes back") {
  if (!needs_root()) return;
  Process shell =
      world().start({.argv = {"bash", "--norc", "-i"}, .keep_input_open = true, .terminal = true});
  REQUIRE(shell.send(netjail_text("bash --norc -i; echo status=$?\n")));
  REQUIRE(shell.send("echo jail=$NETJAIL\n"));
  REQUIRE_MESSAGE(shell.wait_for("jail=internet"), shell.out());
  CHECK(shell.out().find("no job control") == std::string::npos);
  REQUIRE(shell.send("sh -c 'echo in\"\"ner; exec cat'\n"));
  REQUIRE(shell.wait_for("inner\r"));
  REQUIRE(shell.send(kSuspend));
  REQUIRE_MESSAGE(shell.wait_for("Stopped"), shell.out());  // the inner job alone
  // Not `wait` at once: bash still believes the job stopped, warns and goes on.
  REQUIRE(shell.send("kill -9 %1; while kill -0 %1 2>&-; do sleep 0.01; done; echo cl\"\"eaned\n"));
  REQUIRE_MESSAGE(shell.wait_for("cleaned"), shell.out());
  REQUIRE(shell.send("exit 7\n"));
  CHECK_MESSAGE(shell.wait_for("status=7"), shell.out());
  REQUIRE(shell.send("exit 0\n"));
  CHECK(shell.wait().status == 0);
}

TEST_CASE("a signal to the own group stays inside, although it is the caller's group") {
  if (!needs_root()) return;
  constexpr long kCreateRuleset = 444, kVersion = 1;
  if (::syscall(kCreateRuleset, nullptr, 0, kVersion) < 6) return;  // Linux 6.12: SECURITY.md says so
  Process shell = world().start(
      {.argv = {"sh", "-c",
                "sleep 60 & " + netjail_text("sh -c 'trap \"\" TERM; kill -TERM 0; kill -TERM 0; exit 5'") +
                    "; echo status=$?; kill -0 $! && echo al\"\"ive; kill $!"},
       .terminal = true});
  CHECK_MESSAGE(shell.wait_for("status=5"), shell.out());
  CHECK_MESSAGE(shell.wait_for("alive"), shell.out());
  (void)shell.wait();
}

TEST_CASE("a pipe that is closed ends the program as it would without netjail") {
  if (!needs_root()) return;
  const Outcome outcome =
      world().run({.argv = {"bash", "-c", netjail_text("yes | head -n 1; echo ${PIPESTATUS[0]}")}});
  CHECK_MESSAGE(outcome.out == "y\n141\n", outcome.describe());
}

TEST_CASE("the supervisor dies with its terminal, and takes the program with it") {
  if (!needs_root()) return;
  const Snapshot& before = world().untouched();
  {
    // Ignores the hang-up, as nohup would: it must end all the same.
    Process process =
        world().start(in_jail({"sh", "-c", "trap '' HUP; echo ready; while :; do sleep 60; done"}));
    REQUIRE(process.wait_for("ready"));
    process.close_input();  // the master side: the terminal hangs up
    process.kill(SIGHUP);
    const Outcome outcome = process.wait();
    CHECK_MESSAGE(!outcome.timed_out, outcome.describe());
  }
  const std::string left = leaked(world().host(), before);
  CHECK_MESSAGE(left.empty(), left);
}

TEST_CASE("signals sent to netjail reach the program") {
  if (!needs_root()) return;
  for (const auto& [signal, name] :
       {std::pair{SIGTERM, "TERM"}, {SIGUSR1, "USR1"}, {SIGUSR2, "USR2"}, {SIGQUIT, "QUIT"}}) {
    const std::string script =
        std::string("trap 'echo got; exit 9' ") + name + "; echo ready; while :; do read -t 1 x; done";
    Process process = world().start(in_jail({"bash", "-c", script}, false));
    REQUIRE(process.wait_for("ready"));
    process.kill(signal);
    const Outcome outcome = process.wait();
    CAPTURE(name);
    CHECK_MESSAGE(outcome.status == 9, outcome.describe());
  }
}

TEST_CASE("init reaps orphans, and reports the program alone") {
  if (!needs_root()) return;
  const Outcome outcome =
      world().netjail({"--profile", "offline", "--", "sh", "-c",
                       "for i in 1 2 3 4 5 6 7 8; do (setsid sh -c 'exit 1' &) ; done; while ps -e -o stat= "
                       "| grep -q Z; do :; done; echo clean; exit 4"});
  CHECK_MESSAGE(outcome.status == 4, outcome.describe());
  CHECK(outcome.out == "clean\n");
}
