// What a network namespace takes for itself: a packet to it goes to a socket there, not on.
//
// More than the addresses of the links. A route of type local makes a whole range the namespace's own (AnyIP:
// ip route add local 203.0.113.0/24 dev lo), datagrams to the broadcast address of a subnet go to the
// namespace's sockets too, and so do those to the anycast address that a forwarding link has (RFC 4291
// section 2.6.1).
#pragma once

#include <vector>

#include "netjail/base/result.h"
#include "netjail/kernel/netlink.h"
#include "netjail/net/ip.h"
#include "netjail/os/fd.h"

namespace netjail {

// Addresses, also those that are not in use yet (a link that is down, duplicate address detection); prefixes
// of the routes of type local, broadcast and anycast. Of tables that the default rules do not consult only
// what an unmarked packet meets: a transparent proxy has local routes for everything in a table of its own.
Result<AddressSet> list_local(Netlink& route);

// Networks to which the main table has a route, the default one and single addresses (a jail's, for one) left
// out.
Result<std::vector<Prefix>> list_networks(Netlink& route);

// Tells when that may have changed. The kernel looks at every such listener on the machine for each
// notification of rtnetlink, 20 to 40 ns: a thousand of them add 5 ms to a launch (measured), so netjail has
// one only where nothing else guards the host.
class LocalWatch {
 public:
  // In the network namespace of the calling thread. What comes after open() has returned is told.
  static Result<LocalWatch> open();
  int fd() const { return socket_.get(); }  // readable: ask
  // Whether there were news since the last time; lost ones are news, too.
  bool changed();

 private:
  explicit LocalWatch(Fd socket) : socket_(std::move(socket)) {}
  Fd socket_;
};

}  // namespace netjail
