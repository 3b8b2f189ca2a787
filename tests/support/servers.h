// The servers of the fake world: one thread, one epoll, sockets opened in several namespaces (a socket keeps
// the namespace in which it was opened). Each arrival is recorded before it is answered, so that a test of a
// refusal can assert that nothing arrived.
//
// A listener without an address takes every address of its namespace, of both families.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "dns.h"
#include "namespaces.h"
#include "netjail/base/result.h"

namespace netjail::test {

enum class Serve : std::uint8_t {
  tcp_echo,
  http,  // GET /: "server ADDRESS port PORT client ADDRESS\n"; GET /bytes/N: N octets
  tcp_dns,
  udp_echo,
  udp_dns,
};

struct Listener {
  Serve serve = Serve::tcp_echo;
  std::uint16_t port = 0;
  std::string address;  // "127.0.0.1"; empty: all
};

// A connection that was accepted or a datagram that was read.
struct Arrival {
  std::string zone;      // as given to open(): "internet", "lan", "host"
  std::string protocol;  // "tcp", "udp"
  std::string address;   // of the server: "198.51.100.10", "2001:db8:1::10"
  std::uint16_t port = 0;
  std::string peer;      // address it came from
  std::string question;  // of DNS: "allowed.test 28"
  std::string message;   // of DNS: the octets
};

// One packet as it came in at an interface of a namespace, whatever its protocol: see Servers::watch.
struct Packet {
  std::string zone;
  std::string source, destination;
  std::uint8_t protocol = 0;
  std::uint16_t port = 0;  // destination port, 0 without
};

class Servers {
 public:
  static Result<Servers> create();
  Servers(Servers&&) noexcept;
  ~Servers();  // ends the thread, closes every socket

  // Opens the listeners in `place`; what arrives there carries `zone`.
  Status open(const std::string& zone, Place place, const std::vector<Listener>& listeners);
  // Records every IPv4 and IPv6 packet that comes in at `interface`, neighbour discovery and multicast
  // listener reports excepted. It costs speed: not for measurements.
  Status watch(const std::string& zone, Place place, const std::string& interface);

  // Each waits until the thread has handled all that is there now.
  std::vector<Arrival> arrivals() const;
  std::vector<Packet> packets() const;
  std::size_t count() const { return arrivals().size(); }
  std::size_t count(const std::string& protocol, const std::string& address, std::uint16_t port) const;
  std::size_t count_packets(const std::string& destination) const;
  void forget();  // empties both lists

  void set_dns(DnsTable table);

 private:
  struct Loop;
  explicit Servers(std::unique_ptr<Loop> loop);
  std::unique_ptr<Loop> loop_;
};

std::string describe(const std::vector<Arrival>& arrivals);
std::string describe(const std::vector<Packet>& packets);

}  // namespace netjail::test
