#include "netjail/kernel/link.h"

#include <arpa/inet.h>
#include <linux/ethtool.h>
#include <linux/filter.h>
#include <linux/if.h>
#include <linux/if_addr.h>
#include <linux/if_link.h>
#include <linux/rtnetlink.h>
#include <linux/sockios.h>
#include <linux/veth.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

#include <array>
#include <cerrno>
#include <chrono>
#include <cstddef>
#include <cstring>

namespace netjail {
namespace {

constexpr std::array<std::uint8_t, 6> kMac{0x02, 0x6e, 0x6a,
                                           0x61, 0x69, 0x6c};  // "njail", locally administered
constexpr std::uint8_t kAddrGenNone = 1;                       // IN6_ADDR_GEN_MODE_NONE
constexpr int kIpv4DevconfForwarding = 1;                      // IPV4_DEVCONF_FORWARDING

std::uint8_t address_family(Family family) { return family == Family::ipv4 ? AF_INET : AF_INET6; }

void append_common(MessageBuffer& messages, const std::string& name, std::uint32_t mtu) {
  messages.put_string(IFLA_IFNAME, name);
  messages.put(IFLA_ADDRESS, kMac.data(), kMac.size());
  messages.put_u32(IFLA_MTU, mtu);
  messages.put_u32(IFLA_NUM_TX_QUEUES, 1);
  messages.put_u32(IFLA_NUM_RX_QUEUES, 1);
}

// Attributes of `message` behind its family header; `visit(type, data, size)`.
template <class Header, class Visit>
void each_attribute(const nlmsghdr* message, Visit visit) {
  if (message->nlmsg_len < NLMSG_LENGTH(sizeof(Header))) return;
  const auto* at = static_cast<const char*>(NLMSG_DATA(message)) + NLMSG_ALIGN(sizeof(Header));
  std::size_t left = message->nlmsg_len - NLMSG_LENGTH(sizeof(Header));
  while (left >= sizeof(rtattr)) {
    rtattr attribute;
    std::memcpy(&attribute, at, sizeof attribute);
    if (attribute.rta_len < sizeof(rtattr) || attribute.rta_len > left) return;
    visit(attribute.rta_type & ~NLA_F_NESTED, at + sizeof(rtattr), attribute.rta_len - sizeof(rtattr));
    const std::size_t step = std::min<std::size_t>(RTA_ALIGN(attribute.rta_len), left);
    at += step;
    left -= step;
  }
}

template <class T>
T value_at(const char* data, std::size_t size) {
  T value{};
  std::memcpy(&value, data, std::min(size, sizeof value));
  return value;
}

Result<LinkInfo> get_link(Netlink& route, MessageBuffer& messages, const std::string& what) {
  LinkInfo info;
  NJ_TRY(route.request(messages, what, [&info](const nlmsghdr* message) {
    if (message->nlmsg_type != RTM_NEWLINK) return;
    const auto* header = static_cast<const ifinfomsg*>(NLMSG_DATA(message));
    info.index = static_cast<std::uint32_t>(header->ifi_index);
    info.carrier = (header->ifi_flags & IFF_LOWER_UP) != 0;
    each_attribute<ifinfomsg>(message, [&info](int type, const char* data, std::size_t size) {
      if (type == IFLA_MTU) info.mtu = value_at<std::uint32_t>(data, size);
      if (type == IFLA_IFNAME) info.name = std::string(data, strnlen(data, size));
    });
  }));
  return info;
}

// Nothing for an entry that leads nowhere (unreachable, blackhole).
std::optional<RouteInfo> read_route(const nlmsghdr* message) {
  const auto* reply = static_cast<const rtmsg*>(NLMSG_DATA(message));
  if (reply->rtm_type != RTN_UNICAST && reply->rtm_type != RTN_LOCAL) return std::nullopt;
  RouteInfo info;
  info.length = reply->rtm_dst_len;
  info.local = reply->rtm_type == RTN_LOCAL;
  each_attribute<rtmsg>(message, [&info](int type, const char* data, std::size_t size) {
    if (type == RTA_OIF) info.index = value_at<std::uint32_t>(data, size);
    if (type == RTA_MULTIPATH && size >= sizeof(rtnexthop))
      info.index = static_cast<std::uint32_t>(value_at<rtnexthop>(data, size).rtnh_ifindex);
  });
  return info;
}

// By ioctl: netlink would want the id of the ethtool family first, and a bit set.
Status set_feature(const VethEnd& end, std::uint32_t command, std::uint32_t value) {
  ethtool_value feature{command, value};
  ifreq request{};
  end.name.copy(request.ifr_name, IFNAMSIZ - 1);
  request.ifr_data = reinterpret_cast<char*>(&feature);
  if (::ioctl(end.route.fd(), SIOCETHTOOL, &request) != 0)
    return fail_errno("cannot set how " + end.name + " queues packets");
  return {};
}

}  // namespace

void append_veth(MessageBuffer& messages, const Veth& veth) {
  ifinfomsg header{};
  header.ifi_family = AF_UNSPEC;
  header.ifi_index = static_cast<int>(veth.index);
  header.ifi_flags = IFF_NOARP;
  header.ifi_change = IFF_NOARP;
  messages.begin(RTM_NEWLINK, NLM_F_REQUEST | NLM_F_ACK | NLM_F_CREATE | NLM_F_EXCL, header);
  append_common(messages, veth.name, veth.mtu);
  const auto info = messages.open_nest(IFLA_LINKINFO);
  messages.put_string(IFLA_INFO_KIND, "veth");
  const auto data = messages.open_nest(IFLA_INFO_DATA);
  const auto peer = messages.open_nest(VETH_INFO_PEER);
  header.ifi_index = static_cast<int>(veth.peer_index);
  messages.append(&header, sizeof header);
  append_common(messages, veth.peer_name, veth.mtu);
  messages.put_u32(IFLA_NET_NS_FD, static_cast<std::uint32_t>(veth.peer_netns));
  messages.close_nest(peer);
  messages.close_nest(data);
  messages.close_nest(info);
}

void append_link_settings(MessageBuffer& messages, std::uint32_t index, std::uint32_t mtu) {
  ifinfomsg header{};
  header.ifi_family = AF_UNSPEC;
  header.ifi_index = static_cast<int>(index);
  header.ifi_flags = IFF_NOARP;
  header.ifi_change = IFF_NOARP;
  messages.begin(RTM_NEWLINK, NLM_F_REQUEST | NLM_F_ACK, header);
  messages.put_u32(IFLA_MTU, mtu);
}

void append_link_up(MessageBuffer& messages, std::uint32_t index, bool forwarding) {
  // Two messages: the kernel handles the flags of one before its IFLA_AF_SPEC.
  ifinfomsg header{};
  header.ifi_family = AF_UNSPEC;
  header.ifi_index = static_cast<int>(index);
  messages.begin(RTM_NEWLINK, NLM_F_REQUEST | NLM_F_ACK, header);
  const auto spec = messages.open_nest(IFLA_AF_SPEC);
  if (forwarding) {
    const auto inet = messages.open_nest(AF_INET);
    const auto conf = messages.open_nest(IFLA_INET_CONF);
    messages.put_u32(kIpv4DevconfForwarding, 1);
    messages.close_nest(conf);
    messages.close_nest(inet);
  }
  const auto inet6 = messages.open_nest(AF_INET6);
  messages.put_u8(IFLA_INET6_ADDR_GEN_MODE, kAddrGenNone);
  messages.close_nest(inet6);
  messages.close_nest(spec);

  header.ifi_flags = IFF_UP;
  header.ifi_change = IFF_UP;
  messages.begin(RTM_NEWLINK, NLM_F_REQUEST | NLM_F_ACK, header);
}

void append_link_down(MessageBuffer& messages, std::uint32_t index) {
  ifinfomsg header{};
  header.ifi_family = AF_UNSPEC;
  header.ifi_index = static_cast<int>(index);
  header.ifi_change = IFF_UP;
  messages.begin(RTM_NEWLINK, NLM_F_REQUEST | NLM_F_ACK, header);
}

void append_address(MessageBuffer& messages, std::uint32_t index, const Ip& ip) {
  ifaddrmsg header{};
  header.ifa_family = address_family(ip.family);
  header.ifa_prefixlen = static_cast<std::uint8_t>(address_bits(ip.family));
  header.ifa_flags = ip.family == Family::ipv6 ? IFA_F_NODAD : 0;
  header.ifa_index = index;
  messages.begin(RTM_NEWADDR, NLM_F_REQUEST | NLM_F_ACK | NLM_F_CREATE | NLM_F_EXCL, header);
  messages.put(IFA_LOCAL, ip.bytes.data(), address_size(ip.family));
  messages.put(IFA_ADDRESS, ip.bytes.data(), address_size(ip.family));
}

void append_route(MessageBuffer& messages, const Prefix& prefix, std::uint32_t index, RouteMode mode) {
  rtmsg header{};
  header.rtm_family = address_family(prefix.base.family);
  header.rtm_dst_len = prefix.length;
  header.rtm_table = RT_TABLE_MAIN;
  header.rtm_protocol = RTPROT_STATIC;
  header.rtm_scope = RT_SCOPE_LINK;
  header.rtm_type = RTN_UNICAST;
  constexpr std::array kModeFlags{0, NLM_F_EXCL, NLM_F_REPLACE};
  const auto flags = static_cast<std::uint16_t>(NLM_F_REQUEST | NLM_F_ACK | NLM_F_CREATE |
                                                kModeFlags[static_cast<std::size_t>(mode)]);
  messages.begin(RTM_NEWROUTE, flags, header);
  messages.put(RTA_DST, prefix.base.bytes.data(), address_size(prefix.base.family));
  messages.put_u32(RTA_OIF, index);
}

Result<LinkInfo> find_link(Netlink& route, const std::string& name) {
  MessageBuffer messages;
  messages.begin(RTM_GETLINK, NLM_F_REQUEST | NLM_F_ACK, ifinfomsg{});
  messages.put_string(IFLA_IFNAME, name);
  return get_link(route, messages, "cannot look up link " + name);
}

Result<LinkInfo> find_link(Netlink& route, std::uint32_t index) {
  MessageBuffer messages;
  ifinfomsg header{};
  header.ifi_index = static_cast<int>(index);
  messages.begin(RTM_GETLINK, NLM_F_REQUEST | NLM_F_ACK, header);
  return get_link(route, messages, "cannot look up link " + std::to_string(index));
}

Status wait_operational(Netlink& route, const std::vector<std::uint32_t>& indices) {
  const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(5);
  while (true) {
    MessageBuffer messages;
    for (const std::uint32_t index : indices) {
      ifinfomsg header{};
      header.ifi_index = static_cast<int>(index);
      messages.begin(RTM_GETLINK, NLM_F_REQUEST | NLM_F_ACK, header);
    }
    std::size_t ready = 0;
    NJ_TRY(route.request(messages, "cannot look at the jail's links", [&ready](const nlmsghdr* message) {
      each_attribute<ifinfomsg>(message, [&ready](int type, const char* data, std::size_t size) {
        if (type == IFLA_OPERSTATE && value_at<std::uint8_t>(data, size) == IF_OPER_UP) ++ready;
      });
    }));
    if (ready == indices.size()) return {};
    if (std::chrono::steady_clock::now() > deadline) return fail("the jail's links do not come up");
    pause_briefly();
  }
}

Status keep_order(const VethEnd& sender, const VethEnd& receiver) {
  NJ_TRY(set_feature(receiver, ETHTOOL_SGRO, 1));
  return set_feature(sender, ETHTOOL_STSO, 0);
}

Result<std::vector<std::optional<RouteInfo>>> find_routes(Netlink& route,
                                                          const std::vector<Ip>& destinations) {
  std::vector<std::optional<RouteInfo>> out(destinations.size());
  std::size_t first = 0;
  while (first < destinations.size()) {
    MessageBuffer messages;
    for (std::size_t i = first; i < destinations.size(); ++i) {
      rtmsg header{};
      header.rtm_family = address_family(destinations[i].family);
      header.rtm_dst_len = static_cast<std::uint8_t>(address_bits(destinations[i].family));
      header.rtm_flags = RTM_F_FIB_MATCH;
      messages.begin(RTM_GETROUTE, NLM_F_REQUEST | NLM_F_ACK, header);
      messages.put(RTA_DST, destinations[i].bytes.data(), address_size(destinations[i].family));
    }
    std::size_t next = first;  // answers come in the order of the questions, one each until one fails
    const auto done = route.transact(messages, [&](const nlmsghdr* message) {
      if (message->nlmsg_type == RTM_NEWROUTE && next < out.size()) out[next++] = read_route(message);
    });
    if (done) return out;
    const int code = done.error().error.code;
    const std::size_t failed = first + done.error().message;
    if (code != ENETUNREACH && code != EHOSTUNREACH && code != EACCES) {
      Error error = done.error().error;
      error.what = "cannot look up the route to " + to_string(destinations[failed]);
      return std::unexpected(std::move(error));
    }
    first = failed + 1;
  }
  return out;
}

Result<Fd> watch_ways() {
  const std::string what = "cannot watch the host's routes";
  Fd socket(::socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, NETLINK_ROUTE));
  if (!socket) return fail_errno(what);
  constexpr std::uint32_t kMessageType = offsetof(nlmsghdr, nlmsg_type);
  constexpr std::uint32_t kLength = NLMSG_HDRLEN + offsetof(rtmsg, rtm_dst_len);
  // BPF reads numbers as big-endian.
  std::array<sock_filter, 7> code{{
      BPF_STMT(BPF_LD | BPF_H | BPF_ABS, kMessageType),
      BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, htons(RTM_NEWRULE), 3, 0),
      BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, htons(RTM_NEWROUTE), 0, 3),
      BPF_STMT(BPF_LD | BPF_B | BPF_ABS, kLength),
      BPF_JUMP(BPF_JMP | BPF_JGT | BPF_K, 1, 1, 0),
      BPF_STMT(BPF_RET | BPF_K, UINT32_MAX),
      BPF_STMT(BPF_RET | BPF_K, 0),
  }};
  const sock_fprog program{code.size(), code.data()};
  if (::setsockopt(socket.get(), SOL_SOCKET, SO_ATTACH_FILTER, &program, sizeof program) != 0)
    return fail_errno(what);
  sockaddr_nl address{};
  address.nl_family = AF_NETLINK;
  for (const auto group : {RTNLGRP_IPV4_ROUTE, RTNLGRP_IPV4_RULE, RTNLGRP_IPV6_ROUTE, RTNLGRP_IPV6_RULE})
    address.nl_groups |= 1u << (group - 1);
  if (::bind(socket.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0)
    return fail_errno(what);
  return socket;
}

}  // namespace netjail
