// Packets as octets: the start of a logged one read, a small one written for the proof before exec. Pure.
#pragma once

#include <cstddef>
#include <optional>
#include <span>
#include <vector>

#include "netjail/net/flow.h"

namespace netjail {

// The flow of an IPv4 or IPv6 packet that begins at its network header; nothing if it is cut off before what
// is needed. A later fragment has port 0. IPv6 extension headers (RFC 8200) are walked.
std::optional<Flow> parse_packet(std::span<const std::byte> octets);

// A whole packet with correct checksums: an empty TCP SYN, UDP datagram, ICMP echo request, or bare IP
// protocol.
std::vector<std::byte> make_packet(const Ip& source, const Flow& flow, std::uint8_t ttl);

}  // namespace netjail
