// The router: a private network namespace with the rules, and the links that join it to the jail and to the
// host.
#pragma once

#include "netjail/kernel/child.h"
#include "netjail/kernel/link.h"
#include "netjail/kernel/netlink.h"
#include "netjail/net/ip.h"
#include "netjail/plan/plan.h"

namespace netjail {

// Opened inside the router's namespace; they keep it.
struct Router {
  Fd netns;
  Netlink route;
  Netlink rules;
  Fd log;  // NETLINK_NETFILTER, for NFLOG
};

struct JailAddresses {
  std::optional<Ip> ipv4;
  std::optional<Ip> ipv6;
};

Result<Router> make_router(RouterSockets sockets);
// The host's end of the uplink, and a socket that reaches it.
struct HostLink {
  Netlink route;
  LinkInfo link;
};
// The veths jail <-> router, and router <-> host where the plan has an uplink: still closed at the jail's and
// the host's end. Uses no other socket of the router than the one given.
Result<std::optional<HostLink>> make_links(Netlink& router_route, int jail_netns, const UplinkPlan& plan);
// Opens them, claims the jail's addresses, makes the routes. The rules must stand.
Result<JailAddresses> open_links(Router& router, Netlink& jail_route, std::optional<HostLink> host,
                                 const UplinkPlan& plan);

// The jail's addresses where nobody else could have them: no way out, or a way without the host's network.
JailAddresses private_addresses(const UplinkPlan& plan);
// The router's own towards pasta.
JailAddresses tap_addresses(const UplinkPlan& plan);

// Opens the tap that pasta has made, and turns the default routes from the jail, where they led the proof's
// packets, to it.
Status attach_tap(Router& router, const JailAddresses& addresses, const UplinkPlan& plan);

// Until the jail receives what is sent to its addresses: the kernel's IPv6 makes the local route of a new
// address in a work of its own, after the address can be sent from already; a reply that comes before is
// dropped.
Status wait_addresses(Netlink& jail_route, const JailAddresses& addresses);

}  // namespace netjail
