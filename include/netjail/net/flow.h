// What a packet of a jail is judged by: its destination, protocol and port. Pure.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "netjail/net/ip.h"

namespace netjail {

// IANA protocol numbers by the names people use.
inline constexpr std::uint8_t kIcmp = 1, kTcp = 6, kUdp = 17, kDccp = 33, kIcmp6 = 58, kSctp = 132,
                              kUdpLite = 136;

// Protocols whose header begins with source and destination port: TCP, UDP, DCCP, SCTP, UDP-Lite.
bool has_ports(std::uint8_t protocol);
// "tcp", "udp", "icmp", ...; a number for those without a name here.
std::string protocol_name(std::uint8_t protocol);
std::optional<std::uint8_t> parse_protocol(std::string_view name_or_number);

struct PortRange {
  std::uint16_t first = 0;
  std::uint16_t last = 65535;
  auto operator<=>(const PortRange&) const = default;
};

// One selector of the transport: every protocol, one protocol, one protocol with ports, one type of ICMP. A
// flow matches when every member that has a value agrees.
struct Service {
  std::optional<std::uint8_t> protocol;   // none: every protocol
  std::optional<PortRange> ports;         // only with a protocol that has ports
  std::optional<std::uint8_t> icmp_type;  // only with ICMP or ICMPv6
  auto operator<=>(const Service&) const = default;
};
// As it is written in a profile: "443/tcp", "8000-8100/udp", "icmp", "ping", "47/ip".
std::string to_string(const Service& service);

struct Flow {
  Ip destination;
  std::uint8_t protocol = kTcp;
  std::uint16_t port = 0;      // destination port; 0 for protocols without ports
  std::uint8_t icmp_type = 0;  // ICMP and ICMPv6 only
  auto operator<=>(const Flow&) const = default;
};
// "198.51.100.7:443/tcp", "[2001:db8::1]:53/udp", "198.51.100.7 icmp type 8", "198.51.100.7 protocol 47".
std::string to_string(const Flow& flow);
bool matches(const Service& service, const Flow& flow);

}  // namespace netjail
