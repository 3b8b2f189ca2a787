// The module profile checks the names of socket families, the module kernel numbers them: one list, written
// twice because neither module knows the other.
#include <doctest/doctest.h>

#include <algorithm>

#include "netjail/kernel/seccomp.h"
#include "netjail/profile/keys.h"

TEST_CASE("a profile accepts exactly the socket families that the seccomp filter knows") {
  const auto written = netjail::socket_family_names();
  std::vector<std::string> accepted(written.begin(), written.end()), known = netjail::family_names();
  std::ranges::sort(accepted);
  std::ranges::sort(known);
  CHECK(accepted == known);
  CHECK(std::ranges::all_of(netjail::kDefaultFamilies, [&](const std::string& name) {
    return std::ranges::binary_search(known, name);
  }));
}
