#include "process.h"

#include <fcntl.h>
#include <sched.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <ctime>

namespace netjail::bench {
namespace {

int null_fd() {
  static const int fd = ::open("/dev/null", O_RDWR | O_CLOEXEC);
  return fd;
}

std::string text_of(const Command& command) {
  std::string text;
  for (const auto& word : command) text += (text.empty() ? "" : " ") + word;
  return text;
}

// posix_spawn is a vfork: the driver's size does not weigh on the measured launch.
pid_t spawn(const Command& command, int in, int out, int err) {
  std::vector<char*> argv;
  for (const auto& word : command) argv.push_back(const_cast<char*>(word.c_str()));
  argv.push_back(nullptr);
  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  posix_spawn_file_actions_adddup2(&actions, in, 0);
  posix_spawn_file_actions_adddup2(&actions, out, 1);
  posix_spawn_file_actions_adddup2(&actions, err, 2);
  pid_t pid = -1;
  const int error = posix_spawn(&pid, argv[0], &actions, nullptr, argv.data(), environ);
  posix_spawn_file_actions_destroy(&actions);
  if (error != 0) fail("cannot start " + text_of(command) + ": " + std::strerror(error));
  return pid;
}

void check(int status, const Command& command) {
  if (WIFEXITED(status) && WEXITSTATUS(status) == 0) return;
  std::fflush(stdout);
  std::fprintf(stderr, "netjail-bench: it failed (wait status %d); once more, to see what it says:\n",
               status);
  const pid_t pid = spawn(command, null_fd(), 2, 2);
  ::waitpid(pid, nullptr, 0);
  fail(text_of(command));
}

std::string read_all(int fd) {
  std::string text;
  char buffer[256];
  for (ssize_t n; (n = ::read(fd, buffer, sizeof buffer)) > 0;)
    text.append(buffer, static_cast<std::size_t>(n));
  return text;
}

struct Run {
  Timing timing;
  std::string output;
};

// A launcher that hangs must not hang the bench. We are the first process of our pid namespace: all end with
// us.
constexpr unsigned kPatience = 120;  // seconds
char running[256];
void give_up(int) {
  constexpr char text[] = "netjail-bench: still running after two minutes, given up: ";
  (void)!::write(2, text, sizeof text - 1);
  (void)!::write(2, running, std::strlen(running));
  (void)!::write(2, "\n", 1);
  ::_exit(1);
}
void watch(const Command& command) {
  const std::string text = text_of(command);
  running[text.copy(running, sizeof running - 1)] = 0;
  std::signal(SIGALRM, give_up);
  ::alarm(kPatience);
}

Run run(const Command& command) {
  watch(command);
  int ends[2];
  if (::pipe2(ends, O_CLOEXEC) != 0) fail("pipe2");
  const std::int64_t start = now();
  const pid_t pid = spawn(command, null_fd(), ends[1], null_fd());
  int status = 0;
  while (::waitpid(pid, &status, 0) < 0 && errno == EINTR) {
  }
  const std::int64_t end = now();
  ::close(ends[1]);
  Run result;
  result.output = read_all(ends[0]);
  ::close(ends[0]);
  ::alarm(0);
  check(status, command);
  const auto stamp = std::strtoll(result.output.c_str(), nullptr, 10);
  result.timing.whole = static_cast<double>(end - start) / 1e6;
  if (stamp >= start && stamp <= end) {
    result.timing.launch = static_cast<double>(stamp - start) / 1e6;
    result.timing.reap = static_cast<double>(end - stamp) / 1e6;
  }
  return result;
}

std::vector<std::pair<pid_t, Command>> started;

}  // namespace

void fail(const std::string& what) {
  std::fflush(stdout);
  std::fprintf(stderr, "netjail-bench: %s\n", what.c_str());
  std::exit(1);
}

std::int64_t now() {
  timespec t{};
  ::clock_gettime(CLOCK_MONOTONIC, &t);
  return static_cast<std::int64_t>(t.tv_sec) * 1'000'000'000 + t.tv_nsec;
}

Timing run_timed(const Command& command) { return run(command).timing; }
std::string run_captured(const Command& command) { return run(command).output; }

pid_t start(const Command& command) {
  const pid_t pid = spawn(command, null_fd(), null_fd(), null_fd());
  started.emplace_back(pid, command);
  return pid;
}

pid_t wait_any() {
  for (;;) {
    int status = 0;
    const pid_t pid = ::waitpid(-1, &status, 0);
    if (pid < 0 && errno != EINTR) fail(std::string("waitpid: ") + std::strerror(errno));
    const auto at =
        std::find_if(started.begin(), started.end(), [&](const auto& s) { return s.first == pid; });
    if (at == started.end()) continue;
    const Command command = at->second;
    started.erase(at);
    check(status, command);
    return pid;
  }
}

void Crowd::grow(std::size_t count) {
  if (pipe_[0] < 0 && ::pipe2(pipe_, O_CLOEXEC) != 0) fail("pipe2");
  while (pids_.size() < count) {
    int alive[2];
    if (::pipe2(alive, O_CLOEXEC) != 0) fail("pipe2");
    pids_.push_back(spawn(command_, pipe_[0], alive[1], null_fd()));
    ::close(alive[1]);
    char byte = 0;
    if (::read(alive[0], &byte, 1) != 1) fail("it did not come alive: " + text_of(command_));
    ::close(alive[0]);
  }
}

void Crowd::disperse() {
  ::close(pipe_[0]);
  ::close(pipe_[1]);
  pipe_[0] = pipe_[1] = -1;
  for (const pid_t pid : pids_) {
    int status = 0;
    ::waitpid(pid, &status, 0);
    check(status, command_);
  }
  pids_.clear();
}

void start_server(int netns, const Command& command) {
  int ends[2];
  if (::pipe2(ends, O_CLOEXEC) != 0) fail("pipe2");
  const int home = ::open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC);
  ::setns(netns, CLONE_NEWNET);  // the child is born there
  spawn(command, null_fd(), ends[1], 2);
  ::setns(home, CLONE_NEWNET);
  ::close(home);
  ::close(ends[1]);
  char line[8] = {};
  if (::read(ends[0], line, 5) != 5 || std::strcmp(line, "ready") != 0)
    fail("not ready: " + text_of(command));
  ::close(ends[0]);
}

void shell(int netns, const std::string& text) {
  const int home = ::open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC);
  ::setns(netns, CLONE_NEWNET);
  const Command command = {"/bin/sh", "-ec", text};
  const pid_t pid = spawn(command, null_fd(), 2, 2);
  ::setns(home, CLONE_NEWNET);
  ::close(home);
  int status = 0;
  ::waitpid(pid, &status, 0);
  if (status != 0) fail("failed: " + text);
}

}  // namespace netjail::bench
