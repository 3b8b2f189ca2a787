// The supervisor's event loop: the program's init, signals, refused packets, the resolver.
#pragma once

#include <memory>

#include "host_addresses.h"
#include "netjail/jail/jail.h"
#include "netjail/kernel/child.h"
#include "netjail/kernel/nflog.h"

namespace netjail {

struct SuperviseInput {
  const Plan& plan;
  Child& child;
  LogReader& log;
  Fd udp;  // the resolver's sockets, invalid without one
  Fd tcp;
  Fd attempts;          // listener of the seccomp filter, invalid without one
  int uplink;           // pidfd of the process that is the way out, -1: none
  HostAddresses* host;  // where they must be watched
  Netlink& rules;       // the router's
  SuperviseOptions& options;
};

// Starts the program and returns when it has ended and what it was refused has been read.
Result<Outcome> supervise_child(SuperviseInput input);

}  // namespace netjail
