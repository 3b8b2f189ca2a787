// What a run may leave behind, as lines of text: taken before and after, and compared.
//
// Only what belongs to the place and to the test's own processes is looked at, so that other work on the
// machine does not disturb: links, addresses, routes, rules, nft tables and sysctls of the place's network
// namespace; mounts and files under /run of its mount namespace; descendants of the test (daemons included:
// the test is a subreaper) and the network namespaces that they hold.
#pragma once

#include <set>
#include <string>

#include "namespaces.h"
#include "netjail/base/result.h"
#include "run.h"

namespace netjail::test {

struct Snapshot {
  std::set<std::string>
      facts;  // "link ...", "address ...", "route ...", "nft ...", "sysctl ...", "process ...", ...

  static Result<Snapshot> take(Place place);
};

// Empty when they are equal; else one line per difference: "+ link 7: nj0 ..." for what was added, "- ..."
// for what is gone.
std::string difference(const Snapshot& before, const Snapshot& after);

// Takes snapshots until there is no difference to `before`, at most until the deadline; then the last
// difference. netjail's keeper removes its table in the host about a second after the last jail has ended.
std::string leaked(Place place, const Snapshot& before, Milliseconds deadline = 5s);

}  // namespace netjail::test
