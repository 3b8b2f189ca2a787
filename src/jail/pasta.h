// pasta(1), the way out without root: a process that holds the other end of a tap in the router's namespace
// and carries every flow by sockets of its own in the host's.
//
// It sees what the router's rules let through, after they have judged. It dies with us, however we end,
// inherits no descriptor of ours but those of the two namespaces that it joins, and all options that would
// let somebody in, or the jail reach the host's loopback, are off.
#pragma once

#include <sys/types.h>

#include "netjail/base/result.h"
#include "netjail/os/fd.h"
#include "netjail/plan/plan.h"
#include "router.h"

namespace netjail {

class Pasta {
 public:
  // Starts it and returns at once. `router`: its network namespace.
  // `user`: whose process it shall be, when root calls; he owns the router's user namespace.
  static Result<Pasta> start(const Fd& router, const UplinkPlan& plan, const JailAddresses& addresses,
                             const Owner& user);
  Pasta(Pasta&& other) noexcept;
  Pasta& operator=(Pasta&&) = delete;
  ~Pasta();  // ends it

  // Waits until the tap exists; at most 10 seconds.
  Status wait_link(Netlink& router_route);
  // Waits until it has nothing to do any more: 10 ms at least, a second at most.
  void settle() const;
  // Readable when it has ended.
  int pidfd() const { return pidfd_.get(); }

 private:
  Pasta(pid_t pid, Fd pidfd, Fd words) : pid_(pid), pidfd_(std::move(pidfd)), words_(std::move(words)) {}
  pid_t pid_;
  Fd pidfd_;
  Fd words_;  // its standard error
};

}  // namespace netjail
