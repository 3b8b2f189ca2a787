#include <algorithm>
#include <array>

#include "netjail/net/ip.h"

namespace netjail {
namespace {

// IPv6 addresses that begin with the first `fixed` octets of `lead` carry an IPv4 address from octet `at` on,
// every octet of it xored with `mask`.
struct Carrier {
  std::array<std::uint8_t, 12> lead;
  std::size_t fixed;
  std::size_t at;
  std::uint8_t mask;
};
constexpr std::array<Carrier, 6> kCarriers{{
    {{0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff}, 12, 12, 0},  // ::ffff:0:0/96, mapped (RFC 4291)
    {{}, 12, 12, 0},                                          // ::/96, compatible, deprecated (RFC 4291)
    {{0, 0x64, 0xff, 0x9b}, 12, 12, 0},                       // 64:ff9b::/96, NAT64 (RFC 6052)
    {{0, 0x64, 0xff, 0x9b, 0, 1}, 6, 12, 0},                  // 64:ff9b:1::/48, local NAT64 (RFC 8215)
    {{0x20, 0x02}, 2, 2, 0},                                  // 2002::/16, 6to4 (RFC 3056)
    {{0x20, 0x01, 0, 0}, 4, 12, 0xff},                        // 2001::/32, Teredo (RFC 4380): the client's
}};

bool is_unspecified_or_loopback(const Ip& ip) {
  return std::all_of(ip.bytes.begin(), ip.bytes.end() - 1, [](std::uint8_t octet) { return octet == 0; }) &&
         ip.bytes.back() <= 1;
}

}  // namespace

std::optional<Ip> embedded_ipv4(const Ip& ip) {
  if (ip.family != Family::ipv6 || is_unspecified_or_loopback(ip)) return std::nullopt;
  for (const auto& carrier : kCarriers) {
    if (!std::equal(carrier.lead.begin(), carrier.lead.begin() + static_cast<std::ptrdiff_t>(carrier.fixed),
                    ip.bytes.begin()))
      continue;
    Ip ipv4{Family::ipv4, {}};
    for (std::size_t i = 0; i < address_size(Family::ipv4); ++i)
      ipv4.bytes[i] = static_cast<std::uint8_t>(ip.bytes[carrier.at + i] ^ carrier.mask);
    return ipv4;
  }
  return std::nullopt;
}

}  // namespace netjail
