// Links, addresses and routes: rtnetlink(7) messages appended to a MessageBuffer, and the few look-ups
// netjail needs.
//
// Every veth is a point-to-point link without neighbour discovery: both ends have one MAC address and
// IFF_NOARP, so that a frame addressed to "the other end" carries the address of either. No ARP, no neighbour
// messages, nothing to spoof, no gateway address. One queue each: the default of one per CPU costs two RCU
// grace periods.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "netjail/base/result.h"
#include "netjail/kernel/netlink.h"
#include "netjail/net/ip.h"

namespace netjail {

struct Veth {
  std::string name;  // end in the socket's namespace
  std::uint32_t index = 0;
  std::string peer_name;         // end in `peer_netns`
  std::uint32_t peer_index = 0;  // 0: the kernel chooses
  int peer_netns = -1;
  std::uint32_t mtu = 1500;
};
// Both ends are down: append_link_up() opens them.
void append_veth(MessageBuffer& messages, const Veth& veth);
// No ARP, no neighbour discovery (a tap, which knows nothing of it), and an MTU.
void append_link_settings(MessageBuffer& messages, std::uint32_t index, std::uint32_t mtu);
// Up, without an IPv6 link-local address. `forwarding`: IPv4 forwarding of this link alone.
void append_link_up(MessageBuffer& messages, std::uint32_t index, bool forwarding);
// Nothing passes any more, in either direction; the routes through it go.
void append_link_down(MessageBuffer& messages, std::uint32_t index);
// A host address (/32, /128), without duplicate address detection.
void append_address(MessageBuffer& messages, std::uint32_t index, const Ip& ip);
// Directly through the link. `exclusive`: EEXIST if there is a route for exactly this prefix already;
// `replace`: what is there goes.
enum class RouteMode : std::uint8_t { add, exclusive, replace };
void append_route(MessageBuffer& messages, const Prefix& prefix, std::uint32_t index, RouteMode mode);

struct LinkInfo {
  std::uint32_t index = 0;
  std::uint32_t mtu = 0;
  bool carrier = false;  // of a veth pair: both ends are up
  std::string name;
};
Result<LinkInfo> find_link(Netlink& route, const std::string& name);
Result<LinkInfo> find_link(Netlink& route, std::uint32_t index);

// Waits until packets can leave through these links. Of a veth pair the end that was opened first gets its
// queue from the kernel's linkwatch work, some time later; until then what is sent through it is dropped in
// silence (net/core/link_watch.c). Since Linux 6.8 the question itself brings the work forward.
Status wait_operational(Netlink& route, const std::vector<std::uint32_t>& indices);

// What one end of a veth sends reaches the other in order. By itself it waits on the CPU that sent it, and a
// flow that is sent from two of them (the program on one, the answers that let it go on by an interrupt on
// another) overtakes itself. A receiving end with GRO has a ring instead, which a sender without TSO uses
// (veth_skb_is_eligible_for_gro in drivers/net/veth.c). TCP of a kernel takes it lightly; pasta, without
// SACK, drops what comes too early, and each costs a time-out: 0.3 Gbit/s instead of 11. Only for links whose
// MTU is about that of a TSO packet.
struct VethEnd {
  Netlink& route;
  std::string name;
};
Status keep_order(const VethEnd& sender, const VethEnd& receiver);

// The entry of the routing tables that a packet would match.
struct RouteInfo {
  std::uint32_t index = 0;  // outgoing link, 0: none
  std::uint8_t length = 0;  // prefix length of the entry
  bool local = false;       // an address of this host
};
// One for each destination; nothing where there is no way.
Result<std::vector<std::optional<RouteInfo>>> find_routes(Netlink& route,
                                                          const std::vector<Ip>& destinations);

// A socket that can be read when the way to the Internet may have changed: a default route, a half of one, or
// a policy rule has come. Other routes wake nobody: a launch adds two.
Result<Fd> watch_ways();

}  // namespace netjail
