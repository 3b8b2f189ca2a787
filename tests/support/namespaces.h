// Network and mount namespaces for tests, held by descriptors: when the last descriptor closes, the kernel
// takes the namespace and everything in it away. No process holds them, no name under /run/netns stands for
// them, so a test that dies leaves nothing behind.
//
// A namespace is made, and entered, by a short-lived thread: unshare(2) and setns(2) act on the calling
// thread only, so the test's own thread never leaves the machine's namespaces.
#pragma once

#include <functional>
#include <string>

#include "netjail/base/result.h"
#include "netjail/os/fd.h"

namespace netjail::test {

// False when the test cannot run here (not root, or no CAP_NET_ADMIN and CAP_SYS_ADMIN): it then returns at
// once, and the program ends with status 77, which ctest shows as "Skipped". With NETJAIL_TESTS_MUST_RUN=1
// the test fails instead.
//
//   TEST_CASE("...") {
//     if (!needs_root()) return;
bool needs_root();

// Where a command or function runs. -1: where the test itself is.
struct Place {
  int network = -1;  // descriptors of namespaces; not owned
  int mount = -1;
};

class NetworkNamespace {
 public:
  // A fresh one; its loopback is up, duplicate address detection is off (an address is usable at once).
  static Result<NetworkNamespace> create();

  int fd() const { return fd_.get(); }
  Place place() const { return {.network = fd_.get()}; }
  std::string path() const;  // "/proc/PID/fd/N", for `ip ... netns PATH`
  std::string id() const;    // "net:[4026532345]"

 private:
  explicit NetworkNamespace(Fd fd) : fd_(std::move(fd)) {}
  Fd fd_;
};

// Runs `body` in a thread of its own inside `place` and waits for it. Sockets that it opens keep the
// namespace.
Status in_place(Place place, const std::function<Status()>& body);

// A copy of the caller's mount namespace, private, in which `body` has run with the root's view; `network`
// (may be -1) is entered first, so that a sysfs mounted by `body` shows that namespace.
Result<Fd> create_mount_namespace(int network, const std::function<Status()>& body);

// ip(8) with one command per line, in one process. For set-up only: the code under test never calls it.
Status ip_batch(Place place, const std::string& lines);
// Until IPv6 works on the link: the kernel makes an interface ready some milliseconds after it has a carrier,
// and a neighbour solicitation that comes before is lost, which costs its sender a second.
Status wait_for_ipv6(Place place, const std::string& link);
// A veth pair, both ends up, made in place.
Status add_veth(const NetworkNamespace& a, const std::string& name_a, const NetworkNamespace& b,
                const std::string& name_b);

}  // namespace netjail::test
