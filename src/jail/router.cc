#include "router.h"

#include <fcntl.h>
#include <linux/netlink.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <chrono>
#include <cstring>

#include "host_state.h"
#include "netjail/base/format.h"
#include "netjail/kernel/link.h"
#include "netjail/kernel/nft.h"

namespace netjail {
namespace {

constexpr const char* kEth0 = "eth0";  // the jail's end

// Fixed in namespaces of our own, so that no look-up is needed. The two ends of a pair differ: where they are
// equal the kernel takes a carrier that comes up for no urgent news, and lets it wait up to a second
// (linkwatch_urgent_event).
constexpr std::uint32_t kEth0Index = 2;
constexpr std::uint32_t kJailIndex = 3;  // router's end towards the jail
constexpr std::uint32_t kUplinkIndex =
    7236096;  // router's end towards the host, whose index the kernel chooses

Prefix host_prefix(const Ip& ip) { return make_prefix(ip, address_bits(ip.family)); }
Prefix default_route(Family family) { return Prefix{Ip{family, {}}, 0}; }

// The n-th address of a pool.
Ip pick(const Prefix& pool, std::uint32_t slot) {
  Ip ip = pool.base;
  const std::size_t size = address_size(ip.family);
  for (std::size_t i = 0; i < 4; ++i) {
    const auto octet = static_cast<std::uint8_t>(slot >> (8 * i));
    ip.bytes[size - 1 - i] = static_cast<std::uint8_t>(ip.bytes[size - 1 - i] | octet);
  }
  return ip;
}

std::uint32_t pool_size(const Prefix& pool) {
  return 1u << std::min(address_bits(pool.base.family) - pool.length, 30);
}

// Free means: the host would send a packet there by its default route, or has no route for it. A VPN makes
// its own default route of two halves, 0.0.0.0/1 and 128.0.0.0/1; no private network is larger
// than 10.0.0.0/8.
bool is_free(const std::optional<RouteInfo>& found) {
  constexpr int kLargestNetwork = 8;
  return !found || (found->length < kLargestNetwork && !found->local);
}

// One try: both families with the same slot number. Nothing when another jail has it.
Result<std::optional<JailAddresses>> claim(Netlink& host_route, std::uint32_t link, const Prefix& pool,
                                           std::uint32_t slot, const UplinkPlan& plan) {
  JailAddresses addresses{pick(pool, slot), std::nullopt};
  if (plan.ipv6) {
    // The octets of the IPv4 address make the IPv6 one unique too.
    const auto& v4 = addresses.ipv4->bytes;
    addresses.ipv6 = pick(plan.pool_ipv6, static_cast<std::uint32_t>(v4[0]) << 24 |
                                              static_cast<std::uint32_t>(v4[1]) << 16 |
                                              static_cast<std::uint32_t>(v4[2]) << 8 | v4[3]);
  }
  MessageBuffer messages;
  append_route(messages, host_prefix(*addresses.ipv4), link, RouteMode::exclusive);
  if (addresses.ipv6) append_route(messages, host_prefix(*addresses.ipv6), link, RouteMode::exclusive);
  const auto done = host_route.transact(messages);
  if (done) return addresses;
  if (done.error().message == 0 && done.error().error.code == EEXIST) return std::nullopt;
  Error error = done.error().error;
  error.what = fmt::format("cannot add the route to {} on the host",
                           to_string(done.error().message == 0 ? *addresses.ipv4 : *addresses.ipv6));
  return std::unexpected(std::move(error));
}

Result<JailAddresses> claim_addresses(Netlink& host_route, std::uint32_t link, const UplinkPlan& plan) {
  constexpr std::uint32_t kTries = 4096;  // of one pool: sixteen times as many jails as anybody has run
  // Launchers start at different places, so that they seldom meet; consecutive pids do not.
  const std::uint32_t start = static_cast<std::uint32_t>(::getpid()) * 7u + 11u;
  for (const Prefix& pool : plan.pools) {
    const std::uint32_t size = pool_size(pool);
    for (std::uint32_t i = 0; i < std::min(kTries, size - 2); ++i) {
      const std::uint32_t slot = 1 + (start + i) % (size - 2);
      const Ip ip = pick(pool, slot);
      NJ_TRY_AS(const auto routes, find_routes(host_route, {ip, pick(pool, 1), pick(pool, size - 2)}));
      if (!is_free(routes[0])) {
        // A route of the host covers this part; where it covers the pool's ends too, try the next pool.
        if (!is_free(routes[1]) && !is_free(routes[2])) break;
        continue;
      }
      NJ_TRY_AS(const auto addresses, claim(host_route, link, pool, slot, plan));
      if (addresses) return *addresses;
    }
  }
  return fail(
      "no address is left for the jail",
      "the host routes or uses all of the address pools (see netjail plan); free one, or end some jails");
}

Result<HostLink> make_host_link(Netlink& router_route, const UplinkPlan& plan) {
  NJ_TRY_AS(Netlink host_route, Netlink::open(NETLINK_ROUTE));
  const Fd host_netns(::open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC));
  if (!host_netns) return fail_errno("cannot open /proc/self/ns/net");
  // A pid is one of a pid namespace; two of those may share this network namespace.
  std::string name = fmt::format("{}{}", kHostInterfacePrefix, ::getpid());
  MessageBuffer messages;
  for (int suffix = 0;; ++suffix) {
    messages.clear();
    append_veth(messages, {std::string(kUplinkInterface), kUplinkIndex, name, 0, host_netns.get(), plan.mtu});
    const Status made = router_route.request(messages, "cannot make the veth pair of the uplink");
    if (made) break;
    if (made.error().code != EEXIST || suffix == 99) return std::unexpected(made.error());
    name = fmt::format("{}{}x{}", kHostInterfacePrefix, ::getpid(), suffix);
  }
  NJ_TRY_AS(LinkInfo link, find_link(host_route, name));
  for (const SysctlSetting& setting : plan.link_sysctls) {
    if (setting.path.starts_with("net/ipv4/")) continue;  // goes with the message that opens it
    NJ_TRY(set_sysctl({std::string(setting.path).replace(setting.path.find("%s"), 2, name), setting.value}));
  }
  return HostLink{std::move(host_route), std::move(link)};
}

Result<JailAddresses> open_host_link(HostLink& host, const UplinkPlan& plan) {
  MessageBuffer messages;
  append_link_up(messages, host.link.index, true);
  NJ_TRY(host.route.request(messages, "cannot bring up " + host.link.name));
  return claim_addresses(host.route, host.link.index, plan);
}

void append_ways(MessageBuffer& messages, const JailAddresses& addresses, std::uint32_t index,
                 RouteMode mode = RouteMode::add) {
  for (const auto& ip : {addresses.ipv4, addresses.ipv6})
    if (ip) append_route(messages, default_route(ip->family), index, mode);
}

JailAddresses nth_addresses(const UplinkPlan& plan, std::uint32_t n) {
  JailAddresses addresses{pick(plan.pools.front(), n), std::nullopt};
  if (plan.ipv6) addresses.ipv6 = pick(plan.pool_ipv6, n);
  return addresses;
}

Status configure_router(Netlink& route, const JailAddresses& addresses, bool has_uplink) {
  MessageBuffer messages;
  append_link_up(messages, kJailIndex, true);
  if (has_uplink) append_link_up(messages, kUplinkIndex, true);
  for (const auto& ip : {addresses.ipv4, addresses.ipv6})
    if (ip) append_route(messages, host_prefix(*ip), kJailIndex, RouteMode::add);
  // Without a way out the default route leads back: packets still meet the rules, which refuse and count
  // them.
  append_ways(messages, addresses, has_uplink ? kUplinkIndex : kJailIndex);
  // The router speaks (ICMPv6 errors) from here; its IPv4 ones come from 192.0.0.8 (RFC 7600).
  if (addresses.ipv6) append_address(messages, kJailIndex, *parse_ip("fe80::1"));
  return route.request(messages, "cannot configure the router's links");
}

Status configure_jail(Netlink& route, const JailAddresses& addresses) {
  MessageBuffer messages;
  append_link_up(messages, kEth0Index, false);
  for (const auto& ip : {addresses.ipv4, addresses.ipv6})
    if (ip) append_address(messages, kEth0Index, *ip);
  append_ways(messages, addresses, kEth0Index);
  return route.request(messages, "cannot configure eth0 of the jail");
}

}  // namespace

JailAddresses private_addresses(const UplinkPlan& plan) { return nth_addresses(plan, 1); }
JailAddresses tap_addresses(const UplinkPlan& plan) { return nth_addresses(plan, 2); }

Result<Router> make_router(RouterSockets sockets) {
  NJ_TRY_AS(Netlink route, Netlink::adopt(std::move(sockets.route), NETLINK_ROUTE));
  NJ_TRY_AS(Netlink rules, Netlink::adopt(std::move(sockets.rules), NETLINK_NETFILTER));
  return Router{std::move(sockets.netns), std::move(route), std::move(rules), std::move(sockets.log)};
}

Result<std::optional<HostLink>> make_links(Netlink& router_route, int jail_netns, const UplinkPlan& plan) {
  MessageBuffer messages;
  append_veth(messages, {std::string(kJailInterface), kJailIndex, kEth0, kEth0Index, jail_netns, plan.mtu});
  NJ_TRY(router_route.request(messages, "cannot make the veth pair of the jail"));
  std::optional<HostLink> host;
  if (plan.kind == UplinkPlan::Kind::host) {
    NJ_TRY_AS(host, make_host_link(router_route, plan));
  }
  return host;
}

Result<JailAddresses> open_links(Router& router, Netlink& jail_route, std::optional<HostLink> host,
                                 const UplinkPlan& plan) {
  JailAddresses addresses = private_addresses(plan);
  if (host) {
    NJ_TRY_AS(addresses, open_host_link(*host, plan));
  }
  if (plan.kind == UplinkPlan::Kind::pasta)
    NJ_TRY(keep_order({jail_route, kEth0}, {router.route, std::string(kJailInterface)}));
  // First the jail: what the kernel makes of its IPv6 address later (wait_addresses()) it makes beside the
  // rest.
  NJ_TRY(configure_jail(jail_route, addresses));
  NJ_TRY(configure_router(router.route, addresses, host.has_value()));
  // Of each pair the end that was opened first.
  NJ_TRY(wait_operational(jail_route, {kEth0Index}));
  if (host) NJ_TRY(wait_operational(host->route, {host->link.index}));
  return addresses;
}

Status attach_tap(Router& router, const JailAddresses& addresses, const UplinkPlan& plan) {
  NJ_TRY_AS(const LinkInfo tap, find_link(router.route, std::string(kUplinkInterface)));
  MessageBuffer messages;
  append_link_settings(messages, tap.index, plan.mtu);
  append_link_up(messages, tap.index, true);
  const JailAddresses own = tap_addresses(plan);
  for (const auto& ip : {own.ipv4, own.ipv6})
    if (ip) append_address(messages, tap.index, *ip);
  append_ways(messages, addresses, tap.index, RouteMode::replace);
  return router.route.request(messages, "cannot configure the router's uplink");
}

Status wait_addresses(Netlink& jail_route, const JailAddresses& addresses) {
  const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(20);
  while (addresses.ipv6) {
    NJ_TRY_AS(const auto routes, find_routes(jail_route, {*addresses.ipv6}));
    if (routes[0] && routes[0]->local) return {};
    if (std::chrono::steady_clock::now() > deadline) return fail("the jail's IPv6 address does not come up");
    pause_briefly();
  }
  return {};
}

}  // namespace netjail
