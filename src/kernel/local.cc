#include "netjail/kernel/local.h"

#include <arpa/inet.h>
#include <linux/filter.h>
#include <linux/if_addr.h>
#include <linux/rtnetlink.h>
#include <sys/socket.h>

#include <array>
#include <cerrno>
#include <cstddef>

#include "attribute.h"
#include "netjail/kernel/link.h"

namespace netjail {
namespace {

constexpr int kAttempts = 20;  // a change by somebody else makes a dump start again

struct Own {
  Prefix prefix;
  std::uint32_t table = RT_TABLE_LOCAL;
};

void append_dumps(MessageBuffer& messages) {
  messages.begin(RTM_GETADDR, NLM_F_REQUEST | NLM_F_DUMP, ifaddrmsg{});
  // The kernel picks by type (strict checking): the routes of a thousand jails are walked, 60 µs, not sent.
  // Of the other types there is none in the other family. A table that is named must exist: IPv6 always has
  // it.
  struct Dump {
    int family;
    int type;
    int table;
  };
  for (const Dump& one : {Dump{AF_INET, RTN_LOCAL, RT_TABLE_UNSPEC},
                          {AF_INET, RTN_BROADCAST, RT_TABLE_UNSPEC},
                          {AF_INET6, RTN_LOCAL, RT_TABLE_UNSPEC},
                          {AF_INET6, RTN_ANYCAST, RT_TABLE_LOCAL}}) {
    rtmsg header{};
    header.rtm_family = static_cast<std::uint8_t>(one.family);
    header.rtm_type = static_cast<std::uint8_t>(one.type);
    header.rtm_table = static_cast<std::uint8_t>(one.table);
    messages.begin(RTM_GETROUTE, NLM_F_REQUEST | NLM_F_DUMP, header);
  }
}

void append_routes(MessageBuffer& messages) {
  for (const int family : {AF_INET, AF_INET6}) {
    rtmsg header{};
    header.rtm_family = static_cast<std::uint8_t>(family);
    header.rtm_type = RTN_UNICAST;
    header.rtm_table = RT_TABLE_MAIN;
    messages.begin(RTM_GETROUTE, NLM_F_REQUEST | NLM_F_DUMP, header);
  }
}

std::optional<Ip> address_in(Octets attributes, std::uint16_t type, Family family) {
  const auto payload = find_attribute(attributes, type);
  if (!payload || payload->size() != address_size(family)) return std::nullopt;
  return make_ip(family, {reinterpret_cast<const std::uint8_t*>(payload->data()), payload->size()});
}

template <class Header>
std::optional<Header> header_of(const nlmsghdr* message) {
  Header header;
  if (message->nlmsg_len < NLMSG_LENGTH(sizeof header)) return std::nullopt;
  std::memcpy(&header, NLMSG_DATA(message), sizeof header);
  return header;
}

std::optional<Own> read_address(const nlmsghdr* message) {
  const auto header = header_of<ifaddrmsg>(message);
  if (!header || (header->ifa_family != AF_INET && header->ifa_family != AF_INET6)) return std::nullopt;
  const Family family = header->ifa_family == AF_INET ? Family::ipv4 : Family::ipv6;
  const Octets attributes = message_attributes(message, sizeof(ifaddrmsg));
  // Of a point-to-point link IFA_ADDRESS is the other end.
  auto ip = address_in(attributes, IFA_LOCAL, family);
  if (!ip) ip = address_in(attributes, IFA_ADDRESS, family);
  if (!ip) return std::nullopt;
  return Own{make_prefix(*ip, address_bits(family)), RT_TABLE_LOCAL};
}

std::optional<Own> read_route(const nlmsghdr* message) {
  const auto header = header_of<rtmsg>(message);
  if (!header || (header->rtm_family != AF_INET && header->rtm_family != AF_INET6)) return std::nullopt;
  const Family family = header->rtm_family == AF_INET ? Family::ipv4 : Family::ipv6;
  const Octets attributes = message_attributes(message, sizeof(rtmsg));
  // Without a destination it is the route for everything.
  const auto ip = address_in(attributes, RTA_DST, family);
  Own own{make_prefix(ip.value_or(Ip{family, {}}), header->rtm_dst_len), header->rtm_table};
  if (const auto table = find_attribute(attributes, RTA_TABLE); table && table->size() == sizeof own.table)
    std::memcpy(&own.table, table->data(), sizeof own.table);
  return own;
}

bool always_consulted(std::uint32_t table) {
  return table == RT_TABLE_LOCAL || table == RT_TABLE_MAIN || table == RT_TABLE_DEFAULT;
}

// What the answers to `append` say.
Result<std::vector<Own>> dump(Netlink& route, void (*append)(MessageBuffer&), const std::string& what) {
  for (int attempt = 1;; ++attempt) {
    MessageBuffer messages;
    append(messages);
    std::vector<Own> found;
    const Status done = route.request(messages, what, [&found](const nlmsghdr* message) {
      const auto own = message->nlmsg_type == RTM_NEWADDR    ? read_address(message)
                       : message->nlmsg_type == RTM_NEWROUTE ? read_route(message)
                                                             : std::nullopt;
      if (own) found.push_back(*own);
    });
    if (done) return found;
    if (done.error().code != EINTR || attempt == kAttempts) return std::unexpected(done.error());
  }
}

}  // namespace

Result<AddressSet> list_local(Netlink& route) {
  NJ_TRY_AS(const std::vector<Own> found,
            dump(route, append_dumps, "cannot list the host's addresses and local routes"));
  std::vector<AddressRange> ranges;
  for (const Own& own : found) {
    const AddressRange range = range_of(own.prefix);
    if (!always_consulted(own.table)) {
      NJ_TRY_AS(const auto met, find_routes(route, {range.first, range.last}));
      if (!(met[0] && met[0]->local) && !(met[1] && met[1]->local)) continue;
    }
    ranges.push_back(range);
  }
  return AddressSet(std::move(ranges));
}

Result<std::vector<Prefix>> list_networks(Netlink& route) {
  NJ_TRY_AS(const std::vector<Own> found, dump(route, append_routes, "cannot list the host's routes"));
  std::vector<Prefix> networks;
  for (const Own& own : found)
    if (own.prefix.length > 0 && own.prefix.length < address_bits(own.prefix.base.family))
      networks.push_back(own.prefix);
  return networks;
}

Result<LocalWatch> LocalWatch::open() {
  const std::string what = "cannot watch the host's addresses";
  Fd socket(::socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, NETLINK_ROUTE));
  if (!socket) return fail_errno(what);
  // Wakes nobody for other routes: a launch as root adds two. BPF reads numbers as big-endian.
  constexpr std::uint32_t kMessageType = offsetof(nlmsghdr, nlmsg_type);
  constexpr std::uint32_t kRouteType = NLMSG_HDRLEN + offsetof(rtmsg, rtm_type);
  static_assert(RTN_LOCAL + 1 == RTN_BROADCAST && RTN_BROADCAST + 1 == RTN_ANYCAST);
  std::array<sock_filter, 10> code{{
      BPF_STMT(BPF_LD | BPF_H | BPF_ABS, kMessageType),
      BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, htons(RTM_NEWADDR), 6, 0),
      BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, htons(RTM_NEWRULE), 5, 0),
      BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, htons(RTM_DELRULE), 4, 0),
      BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, htons(RTM_NEWROUTE), 0, 4),
      BPF_STMT(BPF_LD | BPF_B | BPF_ABS, kRouteType),
      BPF_STMT(BPF_ALU | BPF_SUB | BPF_K, RTN_LOCAL),
      BPF_JUMP(BPF_JMP | BPF_JGT | BPF_K, RTN_ANYCAST - RTN_LOCAL, 1, 0),
      BPF_STMT(BPF_RET | BPF_K, UINT32_MAX),
      BPF_STMT(BPF_RET | BPF_K, 0),
  }};
  const sock_fprog program{code.size(), code.data()};
  if (::setsockopt(socket.get(), SOL_SOCKET, SO_ATTACH_FILTER, &program, sizeof program) != 0)
    return fail_errno(what);
  sockaddr_nl address{};
  address.nl_family = AF_NETLINK;
  // Addresses too, though each gets a route: an IPv6 one is announced a second before it is in use.
  for (const auto group : {RTNLGRP_IPV4_IFADDR, RTNLGRP_IPV4_ROUTE, RTNLGRP_IPV4_RULE, RTNLGRP_IPV6_IFADDR,
                           RTNLGRP_IPV6_ROUTE, RTNLGRP_IPV6_RULE})
    address.nl_groups |= 1u << (group - 1);
  if (::bind(socket.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0)
    return fail_errno(what);
  return LocalWatch(std::move(socket));
}

bool LocalWatch::changed() {
  bool news = false;
  char octet;  // the rest of a message is of no interest: what is local is read anew
  while (::recv(socket_.get(), &octet, sizeof octet, 0) >= 0 || errno == EINTR || errno == ENOBUFS)
    news = true;
  return news;
}

}  // namespace netjail
