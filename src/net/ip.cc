#include "netjail/net/ip.h"

#include <arpa/inet.h>

#include <algorithm>
#include <cstring>

#include "netjail/base/text.h"

namespace netjail {
namespace {

// Sets every bit from `length` on to `bit`.
Ip fill_host_bits(Ip ip, int length, bool bit) {
  for (std::size_t i = 0; i < address_size(ip.family); ++i) {
    const int kept = std::clamp(length - static_cast<int>(i) * 8, 0, 8);
    const auto host = static_cast<std::uint8_t>(0xFF >> kept);
    ip.bytes[i] = static_cast<std::uint8_t>(bit ? ip.bytes[i] | host : ip.bytes[i] & ~host);
  }
  return ip;
}

}  // namespace

Ip make_ip(Family family, std::span<const std::uint8_t> octets) {
  Ip ip{family, {}};
  std::copy_n(octets.begin(), std::min(octets.size(), address_size(family)), ip.bytes.begin());
  return ip;
}

std::optional<Ip> parse_ip(std::string_view text) {
  // inet_pton wants a terminated string: a NUL inside the text would end it early.
  if (text.size() >= INET6_ADDRSTRLEN || text.find('\0') != std::string_view::npos) return std::nullopt;
  char terminated[INET6_ADDRSTRLEN] = {};
  std::copy(text.begin(), text.end(), terminated);
  const bool colon = text.find(':') != std::string_view::npos;
  Ip ip{colon ? Family::ipv6 : Family::ipv4, {}};
  if (inet_pton(colon ? AF_INET6 : AF_INET, terminated, ip.bytes.data()) != 1) return std::nullopt;
  return ip;
}

std::string to_string(const Ip& ip) {
  char text[INET6_ADDRSTRLEN] = {};
  inet_ntop(ip.family == Family::ipv4 ? AF_INET : AF_INET6, ip.bytes.data(), text, sizeof text);
  return text;
}

std::optional<Ip> next(const Ip& ip) {
  Ip result = ip;
  for (std::size_t i = address_size(ip.family); i-- > 0;) {
    if (++result.bytes[i] != 0) return result;
  }
  return std::nullopt;
}

std::optional<Ip> previous(const Ip& ip) {
  Ip result = ip;
  for (std::size_t i = address_size(ip.family); i-- > 0;) {
    if (result.bytes[i]-- != 0) return result;
  }
  return std::nullopt;
}

Prefix make_prefix(const Ip& ip, int length) {
  const int bits = std::clamp(length, 0, address_bits(ip.family));
  return {fill_host_bits(ip, bits, false), static_cast<std::uint8_t>(bits)};
}

std::optional<Prefix> parse_prefix(std::string_view text) {
  const std::size_t slash = text.find('/');
  const auto ip = parse_ip(text.substr(0, slash));
  if (!ip) return std::nullopt;
  const auto bits = static_cast<std::uint64_t>(address_bits(ip->family));
  if (slash == std::string_view::npos) return make_prefix(*ip, static_cast<int>(bits));
  const auto length = parse_number(text.substr(slash + 1), bits);
  if (!length) return std::nullopt;
  const Prefix prefix = make_prefix(*ip, static_cast<int>(*length));
  if (prefix.base != *ip) return std::nullopt;  // 10.0.0.1/8: which of the two was meant?
  return prefix;
}

std::string to_string(const Prefix& prefix) {
  std::string text = to_string(prefix.base);
  if (prefix.length == address_bits(prefix.base.family)) return text;
  return text + '/' + std::to_string(prefix.length);
}

bool contains(const Prefix& outer, const Ip& ip) {
  return outer.base.family == ip.family && fill_host_bits(ip, outer.length, false) == outer.base;
}

bool contains(const Prefix& outer, const Prefix& inner) {
  return outer.length <= inner.length && contains(outer, inner.base);
}

AddressRange range_of(const Prefix& prefix) {
  return {prefix.base, fill_host_bits(prefix.base, prefix.length, true)};
}

std::string to_string(const AddressRange& range) {
  // The common leading bits are the only prefix length that the range can be.
  int common = 0;
  const int bits = address_bits(range.first.family);
  const auto bit = [](const Ip& ip, int index) {
    return ip.bytes[static_cast<std::size_t>(index / 8)] >> (7 - index % 8) & 1;
  };
  while (common < bits && bit(range.first, common) == bit(range.last, common)) ++common;
  const Prefix prefix = make_prefix(range.first, common);
  if (range_of(prefix) == range) return to_string(prefix);
  return to_string(range.first) + '-' + to_string(range.last);
}

}  // namespace netjail
