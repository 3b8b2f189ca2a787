#include "netjail/base/text.h"
#include "run.h"

namespace netjail::test {

std::string Outcome::describe() const {
  std::string text = timed_out     ? "killed at the deadline"
                     : signal != 0 ? "signal " + std::to_string(signal)
                                   : "status " + std::to_string(status);
  text += " after " + std::to_string(took.count()) + " ms\n--- stdout\n" + out + "--- stderr\n" + err + "---";
  return text;
}

std::string Outcome::said() const {
  std::string text;
  for (const auto line : split(err, '\n')) {
    const bool note = line.find("WARNING: ASan is ignoring requested __asan_handle_no_return") != line.npos ||
                      line == "False positive error reports may follow" ||
                      line == "For details see https://github.com/google/sanitizers/issues/189";
    if (!note) text.append(line).push_back('\n');
  }
  text.pop_back();  // split() gives the empty piece behind the last line too
  return text;
}

}  // namespace netjail::test
