// A process that has its capabilities over namespaces of its own only.
#pragma once

#include <doctest/doctest.h>
#include <fcntl.h>
#include <sched.h>
#include <sys/wait.h>
#include <unistd.h>

#include <functional>
#include <string>

#include "netjail/kernel/netlink.h"

namespace netjail::test {

// `body` in a child that is root of a user namespace of its own only: the send and receive buffers are
// bounded by net.core.{w,r}mem_max then. Empty: it went well.
inline std::string without_privilege(const std::function<std::string(Netlink&)>& body) {
  int ends[2];
  REQUIRE(pipe2(ends, O_CLOEXEC) == 0);
  const pid_t child = fork();
  REQUIRE(child >= 0);
  if (child == 0) {
    std::string problem;
    if (unshare(CLONE_NEWUSER | CLONE_NEWNET) != 0) {
      problem = "unshare";
    } else if (auto netfilter = Netlink::open(NETLINK_NETFILTER); !netfilter) {
      problem = render_error(netfilter.error());
    } else {
      problem = body(*netfilter);
    }
    (void)write_all(ends[1], problem);
    _exit(0);
  }
  close(ends[1]);
  std::string problem;
  char buffer[4096];
  for (ssize_t got = 0; (got = read(ends[0], buffer, sizeof buffer)) > 0;)
    problem.append(buffer, static_cast<std::size_t>(got));
  close(ends[0]);
  int status = 0;
  REQUIRE(waitpid(child, &status, 0) == child);
  REQUIRE(status == 0);
  return problem;
}

}  // namespace netjail::test
