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

inline bool has(std::string_view text, std::string_view part) { return text.find(part) != text.npos; }

}  // namespace netjail::test
