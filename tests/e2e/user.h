// Commands of the ordinary user, for cases that are about netjail without root alone.
#pragma once

#include <fstream>

#include "e2e/fixture.h"
#include "support/children.h"

namespace netjail::test {

inline Command as_user(Words argv) {
  return {.argv = std::move(argv), .identity = Identity{kOrdinaryUser, kOrdinaryUser, {}}};
}
inline Outcome user(Words argv) { return world().run(as_user(std::move(argv))); }
// See after(): as root `preparation`, then `command` of a shell as the user.
inline Outcome user_after(const std::string& preparation, const std::string& command) {
  return world().run(after(preparation, {"sh", "-c", command}, true));
}

// pids of processes that run pasta, among those that this test started. For moments there are more: it clones
// itself to look into its namespaces. By its name, for it hides its executable: it unmounts everything.
inline std::vector<pid_t> pastas() {
  std::vector<pid_t> out;
  for (const pid_t pid : descendants()) {
    std::string name;
    std::ifstream("/proc/" + std::to_string(pid) + "/comm") >> name;
    if (name.starts_with("passt") || name.starts_with("pasta")) out.push_back(pid);
  }
  return out;
}

}  // namespace netjail::test
