#include "run.h"

#include <fcntl.h>
#include <poll.h>
#include <pty.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <cstdlib>
#include <cstring>
#include <iterator>
#include <memory>

#include "children.h"

namespace netjail::test {
namespace {

using Clock = std::chrono::steady_clock;

std::map<std::string, std::string> make_environment(const Command& command) {
  std::map<std::string, std::string> environment{
      {"PATH", "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"},
      {"HOME", "/root"},
      {"LANG", "C.UTF-8"},
      {"TERM", "xterm"}};
  // What instrumented builds (sanitizers, coverage) need to know.
  for (const char* name :
       {"ASAN_OPTIONS", "UBSAN_OPTIONS", "LSAN_OPTIONS", "GCOV_PREFIX", "LLVM_PROFILE_FILE"})
    if (const char* value = std::getenv(name)) environment[name] = value;
  for (const auto& [name, value] : command.environment) {
    if (value.empty())
      environment.erase(name);
    else
      environment[name] = value;
  }
  return environment;
}

// Everything the child needs, made before fork: the test has threads, so between fork and exec only system
// calls run.
struct Launch {
  Place place;
  std::vector<std::string> texts;  // keeps the strings of argv and envp alive
  std::vector<char*> argv, envp;
  const char* directory = nullptr;
  const Identity* identity = nullptr;
  bool terminal = false;
  std::vector<std::pair<int, int>> moves;  // source, number in the child
  pid_t parent = 0;
};

[[noreturn]] void child_failed(const char* what) {
  const char* reason = ::strerrordesc_np(errno);
  for (const char* text : {"netjail test: child cannot ", what, ": ", reason, "\n"}) {
    if (::write(2, text, std::strlen(text)) < 0) break;
  }
  ::_exit(125);
}

[[noreturn]] void child_main(Launch& launch) {
  // Before the descriptors move: a namespace's number may be one that a command wants.
  if (launch.place.network >= 0 && ::setns(launch.place.network, CLONE_NEWNET) != 0)
    child_failed("enter the network namespace");
  if (launch.place.mount >= 0 && ::setns(launch.place.mount, CLONE_NEWNS) != 0)
    child_failed("enter the mount namespace");
  // What the test's own caller left open (ctest, a shell) is no business of the command.
  if (::syscall(SYS_close_range, 3u, ~0u, 4u /* CLOSE_RANGE_CLOEXEC */) != 0)
    child_failed("close descriptors");
  // First to numbers that nobody wants, then to the wanted ones: no move may overwrite the source of another.
  for (auto& [source, number] : launch.moves) {
    source = ::fcntl(source, F_DUPFD_CLOEXEC, 200);
    if (source < 0) child_failed("move a descriptor");
  }
  if (launch.terminal && ::setsid() < 0) child_failed("start a session");
  for (const auto& [source, number] : launch.moves) {
    if (::dup2(source, number) < 0) child_failed("move a descriptor");
  }
  if (launch.terminal && ::ioctl(0, TIOCSCTTY, 0) != 0) child_failed("take the terminal");
  sigset_t none;
  ::sigemptyset(&none);
  ::sigprocmask(SIG_SETMASK, &none, nullptr);
  ::signal(SIGPIPE, SIG_DFL);
  if (::chdir(launch.directory) != 0) child_failed("change the directory");
  if (const Identity* who = launch.identity) {
    // The raw calls: glibc's would signal threads that do not exist in this process.
    if (::syscall(SYS_setgroups, who->groups.size(), who->groups.data()) != 0 ||
        ::syscall(SYS_setresgid, who->gid, who->gid, who->gid) != 0 ||
        ::syscall(SYS_setresuid, who->uid, who->uid, who->uid) != 0)
      child_failed("change its identity");
  }
  // After the identity: a change of credentials clears it.
  if (::prctl(PR_SET_PDEATHSIG, SIGKILL) != 0 || ::getppid() != launch.parent) ::_exit(125);
  ::execvpe(launch.argv[0], launch.argv.data(), launch.envp.data());
  const int code = errno;
  child_failed(code == ENOENT ? "find the command" : "execute the command");
}

Launch make_launch(Place place, const Command& command) {
  Launch launch{.place = place,
                .directory = command.directory.c_str(),
                .identity = command.identity ? &*command.identity : nullptr,
                .terminal = command.terminal,
                .parent = ::getpid()};
  launch.texts = command.argv;
  for (const auto& [name, value] : make_environment(command)) launch.texts.push_back(name + "=" + value);
  for (std::size_t i = 0; i < launch.texts.size(); ++i)
    (i < command.argv.size() ? launch.argv : launch.envp).push_back(launch.texts[i].data());
  launch.argv.push_back(nullptr);
  launch.envp.push_back(nullptr);
  return launch;
}

struct Pipe {
  Fd read, write;
};
Result<Pipe> make_pipe() {
  int ends[2];
  if (::pipe2(ends, O_CLOEXEC) != 0) return fail_errno("cannot make a pipe");
  return Pipe{Fd(ends[0]), Fd(ends[1])};
}

void set_nonblocking(const Fd& fd) { ::fcntl(fd.get(), F_SETFL, ::fcntl(fd.get(), F_GETFL) | O_NONBLOCK); }

// Appends what can be read now; closes the descriptor at end of file.
void read_available(Fd& fd, std::string& text) {
  char chunk[16384];
  while (fd) {
    const ssize_t got = ::read(fd.get(), chunk, sizeof chunk);
    if (got > 0) {
      text.append(chunk, static_cast<std::size_t>(got));
      continue;
    }
    if (got < 0 && errno == EINTR) continue;
    if (got < 0 && errno == EAGAIN) return;
    fd.reset();  // end of file; EIO is a terminal's end of file
  }
}

}  // namespace

Process::Process(Process&& other) noexcept
    : pid_(std::exchange(other.pid_, -1)),
      pidfd_(std::move(other.pidfd_)),
      in_(std::move(other.in_)),
      out_(std::move(other.out_)),
      err_(std::move(other.err_)),
      terminal_(other.terminal_),
      ended_(other.ended_),
      pending_input_(std::move(other.pending_input_)),
      close_after_input_(other.close_after_input_),
      started_(other.started_),
      deadline_(other.deadline_),
      outcome_(std::move(other.outcome_)) {}

Result<Process> Process::start(Place place, const Command& command) {
  if (command.argv.empty()) return fail("no command");
  ::signal(SIGPIPE, SIG_IGN);  // a command that does not read its input must not end the test
  if (::prctl(PR_SET_CHILD_SUBREAPER, 1) != 0) return fail_errno("cannot become a subreaper");

  Process process;
  Launch launch = make_launch(place, command);
  std::vector<Fd> theirs;
  if (command.terminal) {
    int master = -1, slave = -1;
    const winsize size{.ws_row = 24, .ws_col = 80, .ws_xpixel = 0, .ws_ypixel = 0};
    if (::openpty(&master, &slave, nullptr, nullptr, &size) != 0) return fail_errno("cannot open a terminal");
    process.out_ = Fd(master);
    process.terminal_ = true;
    ::fcntl(master, F_SETFD, FD_CLOEXEC);
    ::fcntl(slave, F_SETFD, FD_CLOEXEC);
    theirs.emplace_back(slave);
    for (const int number : {0, 1, 2}) launch.moves.emplace_back(slave, number);
  } else {
    NJ_TRY_AS(Pipe in, make_pipe());
    NJ_TRY_AS(Pipe out, make_pipe());
    NJ_TRY_AS(Pipe err, make_pipe());
    launch.moves = {{in.read.get(), 0}, {out.write.get(), 1}, {err.write.get(), 2}};
    process.in_ = std::move(in.write);
    process.out_ = std::move(out.read);
    process.err_ = std::move(err.read);
    set_nonblocking(process.in_);
    set_nonblocking(process.err_);
    theirs.push_back(std::move(in.read));
    theirs.push_back(std::move(out.write));
    theirs.push_back(std::move(err.write));
  }
  set_nonblocking(process.out_);
  for (const auto& [number, source] : command.descriptors) {
    std::erase_if(launch.moves, [&](const auto& move) { return move.second == number; });
    launch.moves.emplace_back(source, number);
  }
  process.pending_input_ = command.input;
  process.close_after_input_ = !command.keep_input_open && !command.terminal;
  process.started_ = Clock::now();
  process.deadline_ = process.started_ + command.deadline;

  process.pid_ = ::fork();
  if (process.pid_ < 0) return fail_errno("cannot fork");
  if (process.pid_ == 0) child_main(launch);
  own_child(process.pid_);
  process.pidfd_ = Fd(static_cast<int>(::syscall(SYS_pidfd_open, process.pid_, 0)));
  if (!process.pidfd_) return fail_errno("cannot watch the child");
  return process;
}

Process::~Process() {
  if (pid_ < 0) return;
  if (!ended_) {
    auto below = descendants(pid_);
    kill(SIGKILL);
    reap(true);
    kill_all(below);
  }
}

void Process::kill(int signal) const {
  if (!ended_) ::syscall(SYS_pidfd_send_signal, pidfd_.get(), signal, nullptr, 0);
}

bool Process::reap(bool block) {
  if (ended_) return true;
  int status = 0;
  pid_t got = 0;
  do {
    got = ::waitpid(pid_, &status, block ? 0 : WNOHANG);
  } while (got < 0 && errno == EINTR);
  if (got != pid_) return false;
  ended_ = true;
  disown_child(pid_);
  outcome_.took = std::chrono::duration_cast<Milliseconds>(Clock::now() - started_);
  if (WIFEXITED(status)) outcome_.status = WEXITSTATUS(status);
  if (WIFSIGNALED(status)) outcome_.signal = WTERMSIG(status);
  return true;
}

Status Process::send(std::string_view keys) {
  if (terminal_) return write_all(out_.get(), keys);
  pending_input_ += keys;
  pump(Clock::now());
  return {};
}

void Process::close_input() {
  close_after_input_ = true;
  pump(Clock::now());
}

Status Process::resize(unsigned short rows, unsigned short columns) {
  const winsize size{.ws_row = rows, .ws_col = columns, .ws_xpixel = 0, .ws_ypixel = 0};
  if (::ioctl(out_.get(), TIOCSWINSZ, &size) != 0) return fail_errno("cannot resize the terminal");
  return {};
}

void Process::drain() {
  read_available(out_, outcome_.out);
  read_available(err_, outcome_.err);
}

bool Process::pump(Clock::time_point until) {
  if (ended_) return false;
  if (in_ && pending_input_.empty() && close_after_input_) in_.reset();
  pollfd watched[4]{
      {pidfd_.get(), POLLIN, 0}, {out_.get(), POLLIN, 0}, {err_.get(), POLLIN, 0}, {-1, POLLOUT, 0}};
  if (in_ && !pending_input_.empty()) watched[3].fd = in_.get();
  const auto left = std::chrono::ceil<Milliseconds>(until - Clock::now()).count();
  const int ready = ::poll(watched, 4, static_cast<int>(std::max<decltype(left)>(left, 0)));
  if (ready < 0) return errno == EINTR;
  if (watched[3].revents != 0) {
    const ssize_t put = ::write(in_.get(), pending_input_.data(), pending_input_.size());
    if (put > 0) pending_input_.erase(0, static_cast<std::size_t>(put));
    if (put < 0 && errno == EPIPE) pending_input_.clear(), close_after_input_ = true;
  }
  drain();
  if (watched[0].revents != 0 && reap(false)) {
    drain();  // what it wrote last
    pollfd output[2]{{out_.get(), POLLIN, 0}, {err_.get(), POLLIN, 0}};
    ::poll(output, 2, 0);
    drain();
    outcome_.released = !out_ && !err_;
  }
  return !ended_;
}

bool Process::wait_for(std::string_view text, Milliseconds deadline) {
  const auto until = std::min(deadline_, Clock::now() + deadline);
  while (true) {
    if (outcome_.out.find(text) != std::string::npos || outcome_.err.find(text) != std::string::npos)
      return true;
    if (ended_ || Clock::now() >= until) return false;
    pump(until);
  }
}

Outcome Process::wait() {
  while (!ended_) {
    if (Clock::now() >= deadline_) {
      outcome_.timed_out = true;
      auto below = descendants(pid_);
      kill(SIGKILL);
      reap(true);
      kill_all(below);
      drain();
      break;
    }
    pump(deadline_);
  }
  return outcome_;
}

Result<Outcome> run(Place place, const Command& command) {
  NJ_TRY_AS(Process process, Process::start(place, command));
  return process.wait();
}

bool eventually(const std::function<bool()>& condition, Milliseconds deadline) {
  const auto until = Clock::now() + deadline;
  while (!condition()) {
    if (Clock::now() >= until) return false;
    ::poll(nullptr, 0, 2);
  }
  return true;
}

}  // namespace netjail::test
