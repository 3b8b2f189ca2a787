// A jail that tries what it is told.
#pragma once

#include <optional>
#include <string>

#include "e2e/fixture.h"

namespace netjail::test {

class JailShell {
 public:
  // `beside`: shell lines that run first, in the background.
  explicit JailShell(const std::string& beside = "", const std::string& profile = "internet")
      : process_(world().start({.argv = netjail_command(
                                    {"run", "--profile", profile, "--", "bash", "-c", beside + "\n" + kLoop}),
                                .keep_input_open = true,
                                .deadline = std::chrono::seconds(120)})) {
    REQUIRE_MESSAGE(process_.wait_for("ready"), process_.err());
  }

  JailShell(const JailShell&) = delete;
  JailShell& operator=(const JailShell&) = delete;
  // ~Process would take the keeper with it, who is its child.
  ~JailShell() { (void)end(); }

  // A line of the shell; true if it succeeds.
  bool does(const std::string& line) {
    const std::string n = " " + std::to_string(++asked_) + ".";
    REQUIRE(process_.send(line + "\n"));
    REQUIRE_MESSAGE(process_.wait_for(n, std::chrono::seconds(20)), (process_.out() + process_.err()));
    return has(process_.out(), "yes" + n);
  }
  // The probe's words: "tcp 198.51.100.10 443".
  bool reaches(const std::string& probe) { return does(kProbe + (" " + probe)); }
  Process& process() { return process_; }
  Outcome end() {
    process_.close_input();
    return process_.wait();
  }

 private:
  static constexpr const char* kLoop =
      "echo ready; n=0; while read a; do n=$((n+1)); if eval \"$a\"; then echo yes $n.; else echo no $n.; "
      "fi; "
      "done; exit 0";
  Process process_;
  int asked_ = 0;
};

}  // namespace netjail::test
