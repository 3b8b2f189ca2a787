#include "netjail/net/packet.h"

#include <algorithm>
#include <cstring>

namespace netjail {
namespace {

std::uint8_t octet(std::span<const std::byte> octets, std::size_t at) {
  return std::to_integer<std::uint8_t>(octets[at]);
}

std::uint16_t word(std::span<const std::byte> octets, std::size_t at) {
  return static_cast<std::uint16_t>(octet(octets, at) << 8 | octet(octets, at + 1));
}

void put_word(std::vector<std::byte>& out, std::size_t at, std::uint16_t value) {
  out[at] = static_cast<std::byte>(value >> 8);
  out[at + 1] = static_cast<std::byte>(value & 0xff);
}

// RFC 1071.
std::uint32_t sum(std::span<const std::byte> octets, std::uint32_t start) {
  std::uint32_t total = start;
  for (std::size_t i = 0; i + 1 < octets.size(); i += 2) total += word(octets, i);
  if (octets.size() % 2 == 1) total += static_cast<std::uint32_t>(octet(octets, octets.size() - 1)) << 8;
  return total;
}

std::uint16_t fold(std::uint32_t total) {
  while (total > 0xffff) total = (total & 0xffff) + (total >> 16);
  return static_cast<std::uint16_t>(~total & 0xffff);
}

Ip ip_at(std::span<const std::byte> octets, std::size_t at, Family family) {
  std::array<std::uint8_t, 16> bytes{};
  for (std::size_t i = 0; i < address_size(family); ++i) bytes[i] = octet(octets, at + i);
  return make_ip(family, {bytes.data(), address_size(family)});
}

void read_transport(std::span<const std::byte> rest, Flow& flow) {
  if (has_ports(flow.protocol) && rest.size() >= 4) flow.port = word(rest, 2);
  if ((flow.protocol == kIcmp || flow.protocol == kIcmp6) && !rest.empty()) flow.icmp_type = octet(rest, 0);
}

std::optional<Flow> parse_v4_packet(std::span<const std::byte> octets) {
  const std::size_t header = static_cast<std::size_t>(octet(octets, 0) & 15) * 4;
  if (octets.size() < 20 || header < 20 || octets.size() < header) return std::nullopt;
  Flow flow;
  flow.destination = ip_at(octets, 16, Family::ipv4);
  flow.protocol = octet(octets, 9);
  const bool later_fragment = (word(octets, 6) & 0x1fff) != 0;
  if (!later_fragment) read_transport(octets.subspan(header), flow);
  return flow;
}

std::optional<Flow> parse_v6_packet(std::span<const std::byte> octets) {
  if (octets.size() < 40) return std::nullopt;
  Flow flow;
  flow.destination = ip_at(octets, 24, Family::ipv6);
  flow.protocol = octet(octets, 6);
  std::size_t at = 40;
  // Hop-by-hop, routing, fragment, destination options, authentication, mobility, HIP, shim6.
  while (octets.size() >= at + 8) {
    const std::uint8_t next = flow.protocol;
    if (next == 44) {
      flow.protocol = octet(octets, at);
      if ((word(octets, at + 2) & 0xfff8) != 0) return flow;
      at += 8;
    } else if (next == 51) {
      flow.protocol = octet(octets, at);
      at += (static_cast<std::size_t>(octet(octets, at + 1)) + 2) * 4;
    } else if (next == 0 || next == 43 || next == 60 || next == 135 || next == 139 || next == 140) {
      flow.protocol = octet(octets, at);
      at += (static_cast<std::size_t>(octet(octets, at + 1)) + 1) * 8;
    } else {
      break;
    }
  }
  if (at <= octets.size()) read_transport(octets.subspan(at), flow);
  return flow;
}

std::vector<std::byte> make_transport(const Flow& flow) {
  std::vector<std::byte> out;
  // Source port 9 (discard): the program may never use it, ports below 1024 need a capability that it has
  // not.
  switch (flow.protocol) {
    case kTcp:
      out.resize(20);
      put_word(out, 0, 9);
      put_word(out, 2, flow.port);
      out[12] = std::byte{5 << 4};
      out[13] = std::byte{0x02};  // SYN
      put_word(out, 14, 1024);
      break;
    case kUdp:
    case kUdpLite:
      out.resize(8);
      put_word(out, 0, 9);
      put_word(out, 2, flow.port);
      put_word(out, 4, 8);
      break;
    case kIcmp:
    case kIcmp6:
      out.resize(8);
      out[0] = static_cast<std::byte>(flow.icmp_type);
      break;
    default:
      out.resize(16);
      put_word(out, 0, 9);
      put_word(out, 2, flow.port);
  }
  return out;
}

std::size_t checksum_offset(std::uint8_t protocol) {
  switch (protocol) {
    case kTcp: return 16;
    case kUdp:
    case kUdpLite: return 6;
    case kIcmp:
    case kIcmp6: return 2;
    default: return 0;
  }
}

}  // namespace

std::optional<Flow> parse_packet(std::span<const std::byte> octets) {
  if (octets.empty()) return std::nullopt;
  switch (octet(octets, 0) >> 4) {
    case 4: return parse_v4_packet(octets);
    case 6: return parse_v6_packet(octets);
    default: return std::nullopt;
  }
}

std::vector<std::byte> make_packet(const Ip& source, const Flow& flow, std::uint8_t ttl) {
  const bool v6 = flow.destination.family == Family::ipv6;
  const std::size_t header = v6 ? 40 : 20;
  std::vector<std::byte> transport = make_transport(flow);

  if (const std::size_t at = checksum_offset(flow.protocol); at != 0) {
    std::uint32_t pseudo = 0;
    if (flow.protocol != kIcmp) {  // ICMP of IPv4 has no pseudo header
      pseudo = sum(std::as_bytes(source.octets()), pseudo);
      pseudo = sum(std::as_bytes(flow.destination.octets()), pseudo);
      pseudo += flow.protocol + static_cast<std::uint32_t>(transport.size());
    }
    const std::uint16_t checksum = fold(sum(transport, pseudo));
    put_word(transport, at, checksum == 0 && flow.protocol == kUdp ? 0xffff : checksum);
  }

  std::vector<std::byte> out(header);
  const auto copy = [&out](const Ip& ip, std::size_t at) {
    std::memcpy(out.data() + at, ip.bytes.data(), address_size(ip.family));
  };
  if (v6) {
    out[0] = std::byte{6 << 4};
    put_word(out, 4, static_cast<std::uint16_t>(transport.size()));
    out[6] = static_cast<std::byte>(flow.protocol);
    out[7] = static_cast<std::byte>(ttl);
    copy(source, 8);
    copy(flow.destination, 24);
  } else {
    out[0] = std::byte{0x45};
    put_word(out, 2, static_cast<std::uint16_t>(header + transport.size()));
    out[8] = static_cast<std::byte>(ttl);
    out[9] = static_cast<std::byte>(flow.protocol);
    copy(source, 12);
    copy(flow.destination, 16);
    put_word(out, 10, fold(sum(out, 0)));
  }
  out.insert(out.end(), transport.begin(), transport.end());
  return out;
}

}  // namespace netjail
