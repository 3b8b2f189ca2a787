// The host's own addresses: read before the plan is made, and kept complete in the router's sets while the
// jail runs.
//
// What is announced says only that something has changed; what is the host's is read anew, so nothing that
// was announced between, or lost, is missed. An address that has been the host's once stays refused for the
// life of the jail.
#pragma once

#include "netjail/kernel/local.h"
#include "netjail/plan/plan.h"

namespace netjail {

// As Policy::host: without those that are refused before it comes to the host's, loopback and link-local.
Result<AddressSet> list_host(Netlink& route);

class HostAddresses {
 public:
  // `known`: those that are in the router's sets from the start, read after `watch` was opened.
  HostAddresses(LocalWatch watch, AddressSet known)
      : watch_(std::move(watch)), start_(std::move(known)), known_(start_) {}

  int fd() const { return watch_.fd(); }  // readable: call refuse_new()
  // Refuses what the host has got since the last time. Needs: the host's network namespace. After an error
  // the jail must not go on. `rules`: the router's.
  Status refuse_new(Netlink& rules);

 private:
  Status read_anew(Netlink& rules);
  LocalWatch watch_;
  AddressSet start_;
  AddressSet known_;
};

}  // namespace netjail
