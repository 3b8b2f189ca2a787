// A pasta that is missing, not to be trusted, old, or dies or hangs at any moment: a clear error or a run
// whose network has ended, never a hang and nothing left. Other programs stand in its place by a mount over
// it.
#include <doctest/doctest.h>

#include <csignal>

#include "e2e/user.h"

using namespace netjail;
using namespace netjail::test;

namespace {

const std::string kRun = std::string(kNetjail) + " run --profile internet -- ";

// Lines of root's shell that put `script` in pasta's place; /srv/pasta-itself is pasta.
std::string instead(const std::string& script) {
  static int count = 0;
  const std::string name = "fake" + std::to_string(++count);
  return "[ -e /srv/pasta-itself ] || { cp /usr/bin/pasta /srv/pasta-itself; "
         "[ ! -e /usr/bin/pasta.avx2 ] || cp /usr/bin/pasta.avx2 /srv/pasta-itself.avx2; }\ncp " +
         world().write(name, script) + " /srv/" + name + "\nchmod 755 /srv/" + name + "\nmount --bind /srv/" +
         name + " /usr/bin/pasta";
}
std::string sh(const std::string& commands) { return "#!/bin/sh\n" + commands + "\n"; }

void check_error(const Outcome& outcome, const std::string& told) {
  CHECK_MESSAGE(outcome.status == 125, outcome.describe());
  CHECK_MESSAGE(has(outcome.err, told), told << "\n" << outcome.describe());
  CHECK_MESSAGE(has(outcome.err, "\n  hint: "), outcome.describe());
  CHECK_MESSAGE(!has(outcome.out, "started"), outcome.describe());
}

bool all_gone() {
  return eventually([] { return descendants().empty(); }, 5s);
}

}  // namespace

TEST_CASE("a program in pasta's place is what is run") {
  if (!needs_root()) return;
  const Outcome outcome =
      user_after(instead(sh("exec /srv/pasta-itself \"$@\"")), kRun + kProbe + " echo 198.51.100.10 443");
  CHECK_MESSAGE(outcome.ok(), outcome.describe());
}

TEST_CASE("no pasta: which package has it") {
  if (!needs_root()) return;
  const Outcome outcome = user_after(
      "mkdir -p /srv/bin; mount --bind /usr/bin /srv/bin; mount -t tmpfs none /usr/bin\n"
      "/srv/bin/ln -s /srv/bin/* /usr/bin; /srv/bin/rm /usr/bin/pasta",
      kRun + "echo started");
  check_error(outcome, "/usr/bin/pasta: No such file");
  CHECK_MESSAGE(has(outcome.err, "apt install passt"), outcome.describe());
}

TEST_CASE("a pasta that is not root's alone to write is not trusted") {
  if (!needs_root()) return;
  const std::string itself = instead(sh("exec /srv/pasta-itself \"$@\""));
  for (const std::string change : {"chmod o+w", "chmod g+w", "chown 61999"}) {
    CAPTURE(change);
    check_error(user_after(itself + "\n" + change + " /usr/bin/pasta", kRun + "echo started"),
                "/usr/bin/pasta is not root's alone to write");
  }
}

TEST_CASE("one that ends at once: the error is in its own words") {
  if (!needs_root()) return;
  const std::string ended = "pasta ended before it was ready";
  for (const auto& [program, told] : std::vector<std::pair<std::string, std::string>>{
           // As one that is older than an option of ours.
           {sh("exec /srv/pasta-itself --of-another-year \"$@\""),
            ended + ": /srv/pasta-itself: unrecognized option '--of-another-year'\n"},
           {sh("echo one >&2; echo two >&2; exit 1"), ended + ": one; two\n"},
           {sh("exit 0"), ended + "\n"},
           {sh("kill -SEGV $$"), ended + "\n"},
           {"no program", ended + ": cannot execute pasta: Exec format error\n"}}) {
    CAPTURE(program);
    const Outcome outcome = user_after(instead(program), kRun + "echo started");
    check_error(outcome, told);
    CHECK_MESSAGE(outcome.took < 5s, outcome.describe());
  }
  CHECK(all_gone());
}

TEST_CASE("one that dies in its first moments: an error, or a run that is told of it") {
  if (!needs_root()) return;
  world().servers().forget();
  int errors = 0;
  int runs = 0;
  for (int milliseconds = 1; milliseconds <= 60; milliseconds += 3) {
    const std::string script = sh("exec timeout --signal KILL " + std::to_string(milliseconds / 1000.) +
                                  " setpriv --pdeathsig KILL /srv/pasta-itself \"$@\"");
    const Outcome outcome = user_after(
        instead(script), kRun + "sh -c \"sleep 0.1; " + kProbe + " tcp 192.168.77.10 443; exit 7\"");
    if (outcome.status == 125) {
      ++errors;
      CHECK_MESSAGE(outcome.err.starts_with("netjail: "), outcome.describe());
    } else {
      ++runs;
      CHECK_MESSAGE(outcome.status == 7, outcome.describe());
      CHECK_MESSAGE(has(outcome.err, "the jail has no way out any more"), outcome.describe());
      CHECK_MESSAGE(!has(outcome.out, ": ok"), outcome.describe());
    }
    CHECK_MESSAGE(outcome.took < 10s, outcome.describe());
  }
  CHECK(errors > 0);
  CHECK(runs > 0);
  CHECK(world().servers().arrivals().empty());
  CHECK(all_gone());
}

TEST_CASE("one that hangs before it is ready: an error after ten seconds, or the caller's Ctrl-C") {
  if (!needs_root()) return;
  // Together, for the time that they take. `exec`: netjail ends pasta, not its children.
  std::vector<Process> hanging;
  for (const char* commands :
       {"exec sleep 60", "echo waiting for the moon >&2; exec sleep 60", "kill -STOP $$"})
    hanging.push_back(
        world().start(after(instead(sh(commands)), {"sh", "-c", "exec " + kRun + "echo started"}, true)));
  Process interrupted =
      world().start(after(instead(sh("exec sleep 61")), {"sh", "-c", "exec " + kRun + "echo started"}, true));
  CHECK(eventually([&] { return descendants(interrupted.pid()).size() >= 2; }, 5s));
  interrupted.kill(SIGINT);
  const Outcome stopped = interrupted.wait();
  CHECK_MESSAGE(stopped.signal == SIGINT, stopped.describe());
  CHECK_MESSAGE(stopped.took < 5s, stopped.describe());
  for (Process& process : hanging) {
    const Outcome outcome = process.wait();
    check_error(outcome, "pasta was not ready within 10 seconds");
    CHECK_MESSAGE(outcome.took < 15s, outcome.describe());
  }
  CHECK(has(hanging[1].err(), "10 seconds: waiting for the moon\n"));
  CHECK(all_gone());
}

TEST_CASE("one that hangs in the middle: the run ends with its program, and so does pasta") {
  if (!needs_root()) return;
  Command command = as_user({kNetjail, "run", "--profile", "internet", "--", "sh", "-c",
                             std::string("echo up; read x; timeout 0.5 ") + kProbe +
                                 " tcp 198.51.100.10 443; echo tried; read x; exit 7"});
  command.keep_input_open = true;
  Process run = world().start(command);
  REQUIRE(run.wait_for("up"));
  REQUIRE(eventually([] { return pastas().size() == 1; }));
  REQUIRE(::kill(pastas().front(), SIGSTOP) == 0);
  REQUIRE(run.send("\n"));
  REQUIRE(run.wait_for("tried"));
  CHECK_MESSAGE(!has(run.out(), ": ok"), run.out());
  const auto before = std::chrono::steady_clock::now();
  run.close_input();
  const Outcome outcome = run.wait();
  CHECK_MESSAGE(outcome.status == 7, outcome.describe());
  CHECK(std::chrono::steady_clock::now() - before < 2s);
  CHECK(all_gone());
}
