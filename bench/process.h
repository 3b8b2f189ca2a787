// Processes of the bench: started, timed, reaped.
//
// A measured program is `stamp` (or a dynamic `true`), started by a launcher. Three times tell all: before
// the launcher is spawned, the program's first instruction (what `stamp` prints), the return of waitpid for
// the launcher.
#pragma once
#include <sys/types.h>

#include <cstdint>
#include <string>
#include <vector>

namespace netjail::bench {

using Command = std::vector<std::string>;

// Says what broke and ends the bench with status 1. A number that was not measured is never printed.
[[noreturn]] void fail(const std::string& what);

std::int64_t now();  // CLOCK_MONOTONIC, ns

struct Timing {
  double launch = 0;  // ms, spawn → first instruction; 0 when the program prints no stamp
  double whole = 0;   // ms, spawn → reaped
  double reap = 0;    // ms, first instruction (stamp exits right after it) → reaped
};

// stdin and stderr are /dev/null. Fails when the status is not 0.
Timing run_timed(const Command& command);
std::string run_captured(const Command& command);

// For rounds of many at once: start, and wait for whichever ends.
pid_t start(const Command& command);
pid_t wait_any();  // fails when the status is not 0; reaps strangers (orphans that were given to us) silently

// Processes that stay: each prints a line when it is alive and ends when the group's pipe is closed.
class Crowd {
 public:
  explicit Crowd(const Command& command) : command_(command) {}
  ~Crowd() { disperse(); }
  Crowd(const Crowd&) = delete;
  Crowd& operator=(const Crowd&) = delete;
  void grow(std::size_t count);
  void disperse();
  const std::vector<pid_t>& pids() const { return pids_; }

 private:
  Command command_;
  std::vector<pid_t> pids_;
  int pipe_[2] = {-1, -1};
};

// A helper that serves for the bench's whole life in the network namespace `netns`; returns when it said
// "ready".
void start_server(int netns, const Command& command);

// Shell text in a network namespace; fails when it does.
void shell(int netns, const std::string& text);

}  // namespace netjail::bench
