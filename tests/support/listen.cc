#include "listen.h"

#include <arpa/inet.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <net/if.h>

#include <cstring>

namespace netjail::test {
namespace {

bool is_udp(Serve serve) { return serve == Serve::udp_echo || serve == Serve::udp_dns; }

Status set_option(const Fd& fd, int level, int name) {
  const int on = 1;
  if (::setsockopt(fd.get(), level, name, &on, sizeof on) != 0)
    return fail_errno("cannot set a socket option");
  return {};
}

std::string address_text(int family, std::string_view octets) {
  char text[INET6_ADDRSTRLEN];
  return ::inet_ntop(family, octets.data(), text, sizeof text) != nullptr ? text : "?";
}

std::uint16_t port_at(std::string_view bytes, std::size_t at) {
  if (bytes.size() < at + 4) return 0;
  return static_cast<std::uint16_t>(static_cast<unsigned char>(bytes[at + 2]) << 8 |
                                    static_cast<unsigned char>(bytes[at + 3]));
}

bool protocol_has_ports(std::uint8_t protocol) {
  return protocol == IPPROTO_TCP || protocol == IPPROTO_UDP || protocol == IPPROTO_SCTP ||
         protocol == IPPROTO_DCCP || protocol == IPPROTO_UDPLITE;
}

}  // namespace

std::string to_text(const in6_addr& address) {
  const auto* octets = reinterpret_cast<const char*>(&address);
  if (IN6_IS_ADDR_V4MAPPED(&address)) return address_text(AF_INET, {octets + 12, 4});
  return address_text(AF_INET6, {octets, 16});
}

Peer to_peer(const sockaddr_storage& address) {
  if (address.ss_family == AF_INET) {
    sockaddr_in in;
    std::memcpy(&in, &address, sizeof in);
    return {address_text(AF_INET, {reinterpret_cast<const char*>(&in.sin_addr), 4}), ntohs(in.sin_port)};
  }
  sockaddr_in6 in6;
  std::memcpy(&in6, &address, sizeof in6);
  return {to_text(in6.sin6_addr), ntohs(in6.sin6_port)};
}

Result<Fd> open_listener(const Listener& listener) {
  sockaddr_storage address{};
  socklen_t size = sizeof(sockaddr_in6);
  sockaddr_in in{.sin_family = AF_INET, .sin_port = htons(listener.port), .sin_addr = {}, .sin_zero = {}};
  sockaddr_in6 in6{};
  in6.sin6_family = AF_INET6;
  in6.sin6_port = htons(listener.port);
  const bool v4 = ::inet_pton(AF_INET, listener.address.c_str(), &in.sin_addr) == 1;
  if (v4) {
    std::memcpy(&address, &in, sizeof in);
    size = sizeof in;
  } else {
    if (!listener.address.empty() && ::inet_pton(AF_INET6, listener.address.c_str(), &in6.sin6_addr) != 1)
      return fail("not an address: " + listener.address);
    std::memcpy(&address, &in6, sizeof in6);
  }
  const bool udp = is_udp(listener.serve);
  const std::string what = "port " + std::to_string(listener.port) + (udp ? "/udp" : "/tcp");
  Fd fd(::socket(address.ss_family, (udp ? SOCK_DGRAM : SOCK_STREAM) | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  if (!fd) return fail_errno("cannot open a socket for " + what);
  NJ_TRY(set_option(fd, SOL_SOCKET, SO_REUSEADDR));
  if (udp)
    NJ_TRY(v4 ? set_option(fd, IPPROTO_IP, IP_PKTINFO) : set_option(fd, IPPROTO_IPV6, IPV6_RECVPKTINFO));
  if (::bind(fd.get(), reinterpret_cast<const sockaddr*>(&address), size) != 0)
    return fail_errno("cannot bind " + what);
  if (!udp && ::listen(fd.get(), 1024) != 0) return fail_errno("cannot listen on " + what);
  return fd;
}

Result<Fd> open_packet_socket(const std::string& interface) {
  Fd fd(::socket(AF_PACKET, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  if (!fd) return fail_errno("cannot open a packet socket");
  NJ_TRY(set_option(fd, SOL_PACKET, PACKET_IGNORE_OUTGOING));
  sockaddr_ll address{};
  address.sll_family = AF_PACKET;
  address.sll_protocol = htons(ETH_P_ALL);
  address.sll_ifindex = static_cast<int>(::if_nametoindex(interface.c_str()));
  if (address.sll_ifindex == 0) return fail_errno("no interface " + interface);
  if (::bind(fd.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0)
    return fail_errno("cannot watch " + interface);
  return fd;
}

bool receive(int fd, Datagram& datagram) {
  datagram.text.resize(65536);
  iovec data{datagram.text.data(), datagram.text.size()};
  alignas(cmsghdr) char control[256];
  msghdr message{};
  message.msg_name = &datagram.from;
  message.msg_namelen = sizeof datagram.from;
  message.msg_iov = &data;
  message.msg_iovlen = 1;
  message.msg_control = control;
  message.msg_controllen = sizeof control;
  const ssize_t got = ::recvmsg(fd, &message, 0);
  if (got < 0) return false;
  datagram.text.resize(static_cast<std::size_t>(got));
  for (cmsghdr* part = CMSG_FIRSTHDR(&message); part != nullptr; part = CMSG_NXTHDR(&message, part)) {
    if (part->cmsg_level == IPPROTO_IPV6 && part->cmsg_type == IPV6_PKTINFO) {
      in6_pktinfo info;
      std::memcpy(&info, CMSG_DATA(part), sizeof info);
      datagram.to = info.ipi6_addr;
      datagram.dual = true;
    } else if (part->cmsg_level == IPPROTO_IP && part->cmsg_type == IP_PKTINFO) {
      in_pktinfo info;
      std::memcpy(&info, CMSG_DATA(part), sizeof info);
      const auto mapped = reinterpret_cast<unsigned char*>(&datagram.to);
      mapped[10] = mapped[11] = 0xff;
      std::memcpy(mapped + 12, &info.ipi_addr, 4);
      datagram.dual = false;
    }
  }
  return true;
}

void reply(int fd, const Datagram& datagram, std::string_view text) {
  iovec data{const_cast<char*>(text.data()), text.size()};
  alignas(cmsghdr) char control[CMSG_SPACE(sizeof(in6_pktinfo))]{};
  msghdr message{};
  message.msg_name = const_cast<sockaddr_storage*>(&datagram.from);
  message.msg_namelen = datagram.from.ss_family == AF_INET ? sizeof(sockaddr_in) : sizeof(sockaddr_in6);
  message.msg_iov = &data;
  message.msg_iovlen = 1;
  if (datagram.dual) {  // a socket bound to one address needs no help
    message.msg_control = control;
    message.msg_controllen = sizeof control;
    cmsghdr* part = CMSG_FIRSTHDR(&message);
    part->cmsg_level = IPPROTO_IPV6;
    part->cmsg_type = IPV6_PKTINFO;
    part->cmsg_len = CMSG_LEN(sizeof(in6_pktinfo));
    const in6_pktinfo info{.ipi6_addr = datagram.to, .ipi6_ifindex = 0};
    std::memcpy(CMSG_DATA(part), &info, sizeof info);
  }
  ::sendmsg(fd, &message, MSG_NOSIGNAL);  // a lost answer is the network's business
}

std::optional<Packet> read_packet(std::string_view bytes) {
  if (bytes.empty()) return std::nullopt;
  Packet packet;
  const int version = static_cast<unsigned char>(bytes[0]) >> 4;
  if (version == 4 && bytes.size() >= 20) {
    packet.protocol = static_cast<std::uint8_t>(bytes[9]);
    packet.source = address_text(AF_INET, bytes.substr(12, 4));
    packet.destination = address_text(AF_INET, bytes.substr(16, 4));
    const std::size_t header = (static_cast<unsigned char>(bytes[0]) & 15u) * 4u;
    if (protocol_has_ports(packet.protocol)) packet.port = port_at(bytes, header);
    return packet;
  }
  if (version != 6 || bytes.size() < 40) return std::nullopt;
  packet.protocol = static_cast<std::uint8_t>(bytes[6]);
  packet.source = address_text(AF_INET6, bytes.substr(8, 16));
  packet.destination = address_text(AF_INET6, bytes.substr(24, 16));
  if (protocol_has_ports(packet.protocol)) packet.port = port_at(bytes, 40);
  if (packet.protocol == IPPROTO_ICMPV6 && bytes.size() > 40) {
    const auto type = static_cast<unsigned char>(bytes[40]);
    if (type >= 130 && type <= 137) return std::nullopt;  // MLD, router and neighbour discovery, redirect
  }
  // A multicast listener report hides behind a hop-by-hop header with the router alert option.
  if (packet.protocol == IPPROTO_HOPOPTS && bytes.size() > 48 && bytes[40] == IPPROTO_ICMPV6 &&
      static_cast<unsigned char>(bytes[48]) == 143)
    return std::nullopt;
  return packet;
}

}  // namespace netjail::test
