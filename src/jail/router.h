// The router: a private network namespace with the rules, and the links that join it to the jail and to the
// host.
#pragma once

#include "netjail/kernel/child.h"
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

// A new namespace with nothing in it yet.
Result<Router> make_router();
// The rules loaded in one batch, every ack checked, and read back.
Status load_rules(Router& router, const RouterPlan& plan);

// jail <-> router, and router <-> host where the plan has an uplink. Claims the jail's addresses.
Result<JailAddresses> join_links(Router& router, Netlink& jail_route, int jail_netns, const UplinkPlan& plan);

// Until the jail receives what is sent to its addresses: the kernel's IPv6 makes the local route of a new
// address in a work of its own, after the address can be sent from already; a reply that comes before is
// dropped.
Status wait_addresses(Netlink& jail_route, const JailAddresses& addresses);

}  // namespace netjail
