// Commands in a namespace of the fake world: started, talked to, ended, and never left behind.
//
// The test process is a subreaper (PR_SET_CHILD_SUBREAPER): whatever a command leaves running, daemons
// included, becomes a child of the test and is found by descendants(). A command also dies with the test
// (PR_SET_PDEATHSIG), so start it from a thread that lives as long as the command does.
#pragma once

#include <sys/types.h>

#include <chrono>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "namespaces.h"
#include "netjail/base/result.h"
#include "netjail/os/fd.h"

namespace netjail::test {

using Milliseconds = std::chrono::milliseconds;
using namespace std::chrono_literals;

struct Identity {
  uid_t uid = 0;
  gid_t gid = 0;
  std::vector<gid_t> groups;
};

struct Command {
  std::vector<std::string> argv;  // argv[0] is looked up in PATH inside the place
  std::string input;              // stdin; a pipe that is closed after it
  bool keep_input_open = false;   // for send() later, instead of end of file
  bool terminal = false;  // a pseudo-terminal of its own as controlling terminal; then `err` stays empty
  std::optional<Identity> identity;
  std::map<std::string, std::string> environment;  // over a small fixed base; an empty value removes the name
  std::string directory = "/";
  std::map<int, int> descriptors;  // number in the command -> descriptor of the test; wins over 0, 1 and 2
  Milliseconds deadline = 20s;     // killed after it
};

struct Outcome {
  std::string out;
  std::string err;
  int status = -1;         // exit status, -1 when a signal ended it
  int signal = 0;          // the signal that ended it
  bool timed_out = false;  // we killed it at the deadline
  bool released =
      false;  // when it had ended nobody held its output any more: `cmd | cat` would have ended too
  Milliseconds took{};

  bool ok() const { return status == 0; }
  // `err` without the three lines that AddressSanitizer prints in a child that shares its parent's memory (a
  // note of the instrumented build about itself, not of the program).
  std::string said() const;
  std::string describe() const;  // everything, for a failing assertion
};

class Process {
 public:
  static Result<Process> start(Place place, const Command& command);
  Process(Process&& other) noexcept;
  Process& operator=(Process&&) = delete;
  ~Process();  // kills it and its descendants, reaps it

  pid_t pid() const { return pid_; }
  const std::string& out() const { return outcome_.out; }
  const std::string& err() const { return outcome_.err; }

  Status send(std::string_view keys);  // to stdin or the terminal
  void close_input();
  Status resize(unsigned short rows, unsigned short columns);  // of the terminal: SIGWINCH
  void kill(int signal) const;
  // True once `text` has appeared on stdout, stderr or the terminal; false when it ended or the time passed
  // before.
  bool wait_for(std::string_view text, Milliseconds deadline = 10s);
  // Until it ends (or the command's deadline passes).
  Outcome wait();

 private:
  Process() = default;
  // Reads what is there, waits at most until `until`; false when there is nothing more to wait for.
  bool pump(std::chrono::steady_clock::time_point until);
  void drain();
  bool reap(bool block);

  pid_t pid_ = -1;
  Fd pidfd_, in_, out_, err_;
  bool terminal_ = false;
  bool ended_ = false;
  std::string pending_input_;
  bool close_after_input_ = false;
  std::chrono::steady_clock::time_point started_, deadline_;
  Outcome outcome_;
};

Result<Outcome> run(Place place, const Command& command);

// Processes below the test process, orphans included, those excepted that have ended (they are reaped here if
// nobody else will).
std::vector<pid_t> descendants();
std::vector<pid_t> descendants(pid_t of);
// SIGKILL to each, by pid, and waits until they are gone.
void kill_all(const std::vector<pid_t>& pids);
// Asks again and again, some milliseconds apart, until `condition` holds; false when the time passed before.
bool eventually(const std::function<bool()>& condition, Milliseconds deadline = 5s);

}  // namespace netjail::test
