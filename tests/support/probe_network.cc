#include <arpa/inet.h>
#include <netinet/icmp6.h>
#include <netinet/in.h>
#include <netinet/ip.h>
#include <netinet/ip_icmp.h>
#include <netinet/udp.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>

#include "probe.h"
#include "probe_socket.h"

namespace probe {
namespace {

Result echo_over(int fd, const std::string& text) {
  std::string back;
  if (!send_all(fd, text) || !read_some(fd, back, text.size())) return bad_errno();
  return back == text ? good() : bad("wrong echo of " + std::to_string(back.size()) + " octets");
}

std::string connected_to(const Address& address) { return address.family() == AF_INET ? "4" : "6"; }

std::uint16_t checksum(const std::string& bytes) {
  std::uint32_t sum = 0;
  for (std::size_t i = 0; i < bytes.size(); i += 2) {
    const auto high = static_cast<unsigned char>(bytes[i]);
    const auto low = i + 1 < bytes.size() ? static_cast<unsigned char>(bytes[i + 1]) : 0u;
    sum += static_cast<std::uint32_t>(high << 8 | low);
  }
  while (sum >> 16 != 0) sum = (sum & 0xffff) + (sum >> 16);
  return htons(static_cast<std::uint16_t>(~sum));
}

}  // namespace

Result connect_tcp(const Arguments& arguments) {
  Address address;
  if (!parse(arguments[0], arguments[1], address)) return bad("not an address");
  return open_connected(address, SOCK_STREAM) < 0 ? bad_errno() : good();
}

Result echo_tcp(const Arguments& arguments) {
  Address address;
  if (!parse(arguments[0], arguments[1], address)) return bad("not an address");
  const int fd = open_connected(address, SOCK_STREAM);
  return fd < 0 ? bad_errno() : echo_over(fd, "netjail-probe over IPv" + connected_to(address) + "\n");
}

Result hold_tcp(const Arguments& arguments) {
  Address address;
  if (!parse(arguments[0], arguments[1], address)) return bad("not an address");
  const int fd = open_connected(address, SOCK_STREAM);
  if (fd < 0) return bad_errno();
  std::printf("ready\n");
  std::fflush(stdout);
  char line[256];
  int echoes = 0;
  while (std::fgets(line, sizeof line, stdin) != nullptr) {
    const Result result = echo_over(fd, line);
    std::printf("echo %d: %s\n", ++echoes, result.text.c_str());
    std::fflush(stdout);
    if (!result.good) return result;
  }
  return good(std::to_string(echoes) + " echoes");
}

Result echo_udp(const Arguments& arguments) {
  Address address;
  if (!parse(arguments[0], arguments[1], address)) return bad("not an address");
  const int fd = open_connected(address, SOCK_DGRAM);
  if (fd < 0) return bad_errno();
  return echo_over(fd, "netjail-probe\n");  // an ICMP error comes back as the socket's error
}

Result ping(const Arguments& arguments) {
  Address address;
  if (!parse(arguments[0], "0", address)) return bad("not an address");
  const bool v4 = address.family() == AF_INET;
  const int protocol = v4 ? static_cast<int>(IPPROTO_ICMP) : static_cast<int>(IPPROTO_ICMPV6);
  // Whoever may not open a ping socket may be able to open a raw one.
  const char* kind = "ping";
  int fd = open_connected(address, SOCK_DGRAM, protocol);
  if (fd < 0 && (errno == EACCES || errno == EPERM)) {
    fd = open_connected(address, SOCK_RAW, protocol);
    kind = "raw";
  }
  if (fd < 0) return bad_errno();
  const int on = 1;
  ::setsockopt(fd, v4 ? IPPROTO_IP : IPPROTO_IPV6, v4 ? IP_RECVERR : IPV6_RECVERR, &on, sizeof on);
  std::string request(16, '\0');
  request[0] = v4 ? static_cast<char>(ICMP_ECHO) : static_cast<char>(ICMP6_ECHO_REQUEST);
  request[7] = 1;
  if (v4) {  // the kernel fills in the one of ICMPv6
    const std::uint16_t sum = checksum(request);
    std::memcpy(&request[2], &sum, sizeof sum);
  }
  if (!send_all(fd, request)) return bad_errno();
  const auto reply_type = v4 ? ICMP_ECHOREPLY : ICMP6_ECHO_REPLY;
  while (true) {
    if (!wait_for(fd, POLLIN)) return bad_errno();
    char answer[1024];
    const ssize_t got = ::recv(fd, answer, sizeof answer, 0);
    if (got < 0 && errno == EAGAIN) continue;
    if (got < 0) return bad_errno();
    // A raw IPv4 socket hands over the IP header too.
    const std::size_t offset =
        v4 && std::string(kind) == "raw" ? (static_cast<unsigned char>(answer[0]) & 15u) * 4u : 0;
    if (static_cast<std::size_t>(got) > offset && static_cast<unsigned char>(answer[offset]) == reply_type)
      return good(kind);
  }
}

Result fetch_http(const Arguments& arguments) {
  Address address;
  if (!parse(arguments[0], arguments[1], address)) return bad("not an address");
  const int fd = open_connected(address, SOCK_STREAM);
  if (fd < 0) return bad_errno();
  std::string text;
  if (!send_all(fd, "GET " + arguments[2] + " HTTP/1.1\r\nHost: " + arguments[0] +
                        "\r\nConnection: close\r\n\r\n") ||
      !read_some(fd, text, 1u << 30))
    return bad_errno();
  const auto end = text.find("\r\n\r\n");
  if (end == std::string::npos || text.size() < 12) return bad("not HTTP");
  std::string body = text.substr(end + 4);
  const std::string size = std::to_string(body.size());
  if (body.size() > 200) body = "...";
  while (!body.empty() && body.back() == '\n') body.pop_back();
  const std::string details = text.substr(9, 3) + " " + size + " octets: " + body;
  return text.substr(9, 3) == "200" ? good(details) : bad(details);
}

Result spoof_udp(const Arguments& arguments) {
  Address source, destination;
  if (!parse(arguments[0], "0", source) || !parse(arguments[1], arguments[2], destination) ||
      source.family() != AF_INET || destination.family() != AF_INET)
    return bad("not an IPv4 address");
  const int fd = ::socket(AF_INET, SOCK_RAW | SOCK_CLOEXEC, IPPROTO_RAW);
  if (fd < 0) return bad_errno();
  const std::string payload = "spoofed";
  iphdr ip{};
  ip.version = 4;
  ip.ihl = 5;
  ip.ttl = 64;
  ip.protocol = IPPROTO_UDP;
  ip.tot_len = htons(static_cast<std::uint16_t>(sizeof(iphdr) + sizeof(udphdr) + payload.size()));
  sockaddr_in in;
  std::memcpy(&in, &source.storage, sizeof in);
  ip.saddr = in.sin_addr.s_addr;
  std::memcpy(&in, &destination.storage, sizeof in);
  ip.daddr = in.sin_addr.s_addr;
  udphdr udp{};
  udp.source = htons(40000);
  udp.dest = in.sin_port;
  udp.len = htons(static_cast<std::uint16_t>(sizeof(udphdr) + payload.size()));
  std::string packet(sizeof ip + sizeof udp, '\0');
  std::memcpy(packet.data(), &ip, sizeof ip);
  std::memcpy(packet.data() + sizeof ip, &udp, sizeof udp);
  packet += payload;
  if (::sendto(fd, packet.data(), packet.size(), 0, destination.get(), destination.size) < 0)
    return bad_errno();
  return good("sent");
}

Result listen_tcp(const Arguments& arguments) {
  Address address;
  if (!parse(arguments[0], arguments[1], address)) return bad("not an address");
  const int fd = ::socket(address.family(), SOCK_STREAM | SOCK_CLOEXEC, 0);
  const int on = 1;
  if (fd < 0 || ::setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on) != 0 ||
      ::bind(fd, address.get(), address.size) != 0 || ::listen(fd, 16) != 0)
    return bad_errno();
  std::printf("ready\n");
  std::fflush(stdout);
  pollfd watched{fd, POLLIN, 0};
  if (::poll(&watched, 1, 20000) <= 0) return bad("nobody connected");
  const int peer = ::accept4(fd, nullptr, nullptr, SOCK_CLOEXEC);
  if (peer < 0) return bad_errno();
  char chunk[4096];
  const ssize_t got = ::recv(peer, chunk, sizeof chunk, 0);
  if (got < 0 || !send_all(peer, {chunk, static_cast<std::size_t>(got)})) return bad_errno();
  return good(std::to_string(got) + " octets");
}

Result connect_unix(const Arguments& arguments) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  const std::string& path = arguments[0];
  if (path.empty() || path.size() >= sizeof address.sun_path) return bad("not a path");
  std::memcpy(address.sun_path, path.data(), path.size());
  if (path[0] == '@') address.sun_path[0] = '\0';
  const int fd = ::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  const auto size =
      static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + path.size() + (path[0] == '@' ? 0 : 1));
  if (fd < 0 || ::connect(fd, reinterpret_cast<const sockaddr*>(&address), size) != 0) return bad_errno();
  return good();
}

}  // namespace probe
