// What every end-to-end test begins with.
#pragma once

#include <doctest/doctest.h>

#include <string>
#include <string_view>
#include <vector>

#include "support/world.h"

namespace netjail::test {

using Words = std::vector<std::string>;

// A world; without one there is nothing to test.
inline FakeWorld make_world(const WorldOptions& options = {}) {
  auto created = FakeWorld::create(options);
  if (!created) FAIL(render_error(created.error()));
  return std::move(*created);
}

// One world for the whole file.
inline FakeWorld& world() {
  static FakeWorld made = make_world();
  return made;
}

// TEST_CASE("..." * only_root("why")): a case about what exists in one mode only. Where it does not, doctest
// counts it as skipped, not as passed.
struct OnlyIn {
  bool skip;
  const char* why;
  void fill(doctest::detail::TestCase& test) const {
    test.m_skip = skip;
    test.m_description = why;
  }
};
inline OnlyIn only_root(const char* why) { return {rootless(), why}; }

// `command` of the caller's (see FakeWorld::run), after the shell lines `preparation` as root in a mount
// namespace of its own, where they may cover a file of the host's.
inline Command after(const std::string& preparation, const Words& command, bool as_user = rootless()) {
  const std::string id = std::to_string(kOrdinaryUser);
  Words words{"unshare", "--mount", "--propagation", "private", "sh", "-ec", preparation + "\nexec \"$@\"",
              "sh"};
  if (as_user) words.insert(words.end(), {"setpriv", "--reuid", id, "--regid", id, "--clear-groups"});
  words.insert(words.end(), command.begin(), command.end());
  return {.argv = words, .identity = Identity{}};
}

inline bool has(std::string_view text, std::string_view part) { return text.find(part) != text.npos; }

}  // namespace netjail::test
