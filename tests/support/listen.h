// Opening the sockets of the servers, and the addresses they see. Dual-stack sockets: IPv4 appears as
// ::ffff:a.b.c.d.
#pragma once

#include <netinet/in.h>
#include <sys/socket.h>

#include <string>
#include <string_view>

#include "servers.h"

namespace netjail::test {

struct Peer {
  std::string address;  // IPv4-mapped ones as IPv4
  std::uint16_t port = 0;
};
Peer to_peer(const sockaddr_storage& address);
std::string to_text(const in6_addr& address);

// In the namespaces of the calling thread.
Result<Fd> open_listener(const Listener& listener);
Result<Fd> open_packet_socket(const std::string& interface);

struct Datagram {
  std::string text;
  sockaddr_storage from{};
  in6_addr to{};  // address it was sent to; IPv4-mapped for IPv4
  bool dual = false;
};
// False when there is none.
bool receive(int fd, Datagram& datagram);
// Back to the sender, from the address it had been sent to.
void reply(int fd, const Datagram& datagram, std::string_view text);

// A packet socket's bytes (from the network header on). Nothing for what watch() leaves out.
std::optional<Packet> read_packet(std::string_view bytes);

}  // namespace netjail::test
