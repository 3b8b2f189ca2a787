// Addresses, prefixes and sets of addresses: one type for IPv4 and IPv6. Pure.
#pragma once

#include <array>
#include <compare>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace netjail {

enum class Family : std::uint8_t { ipv4, ipv6 };
inline constexpr std::array kFamilies{Family::ipv4, Family::ipv6};

// Octets of an address: 4 or 16.
constexpr std::size_t address_size(Family family) { return family == Family::ipv4 ? 4 : 16; }
constexpr int address_bits(Family family) { return family == Family::ipv4 ? 32 : 128; }

// Network byte order in the first address_size(family) octets, the others zero. Ordered by family, then by
// value.
struct Ip {
  Family family = Family::ipv4;
  std::array<std::uint8_t, 16> bytes{};

  auto operator<=>(const Ip&) const = default;
  std::span<const std::uint8_t> octets() const { return {bytes.data(), address_size(family)}; }
};

// Strict text forms (inet_pton): no leading zeros, no "1.2.3", no zone.
std::optional<Ip> parse_ip(std::string_view text);
std::string to_string(const Ip& ip);
Ip make_ip(Family family, std::span<const std::uint8_t> octets);
// The address `by` above or below; nothing past the end of the family's space.
std::optional<Ip> next(const Ip& ip);
std::optional<Ip> previous(const Ip& ip);

// The IPv4 address that a host, translator or tunnel takes out of this IPv6 address: mapped, compatible,
// NAT64, 6to4, Teredo. A filter of single addresses (an address that is denied, an answer of DNS) has to
// judge it too; local_addresses() holds the local ones already, in these forms or with the whole of the form.
// In 64:ff9b:1::/48 an operator may choose another place for it (RFC 6052 section 2.2): that form is local as
// a whole, what is returned is the most usual reading.
std::optional<Ip> embedded_ipv4(const Ip& ip);

struct Prefix {
  Ip base;                  // host bits are zero
  std::uint8_t length = 0;  // bits

  auto operator<=>(const Prefix&) const = default;
};

// "10.0.0.0/8" or a bare address (full length). Host bits must be zero: nothing for "10.0.0.1/8".
std::optional<Prefix> parse_prefix(std::string_view text);
std::string to_string(const Prefix& prefix);   // a full-length prefix prints as the bare address
Prefix make_prefix(const Ip& ip, int length);  // host bits cleared
bool contains(const Prefix& outer, const Ip& ip);
bool contains(const Prefix& outer, const Prefix& inner);

// Inclusive; first and last have one family and first <= last.
struct AddressRange {
  Ip first;
  Ip last;
  auto operator<=>(const AddressRange&) const = default;
};
AddressRange range_of(const Prefix& prefix);
// "192.0.2.0-192.0.2.7", a prefix where the range is one, or an address.
std::string to_string(const AddressRange& range);

// A set of addresses of both families as sorted, disjoint, non-adjacent ranges.
class AddressSet {
 public:
  AddressSet() = default;
  explicit AddressSet(std::vector<AddressRange> ranges);  // any order, may overlap
  static AddressSet everything();

  bool contains(const Ip& ip) const;
  bool empty() const { return ranges_.empty(); }
  std::span<const AddressRange> ranges() const& { return ranges_; }
  std::span<const AddressRange> ranges() && = delete;  // a span into a temporary would dangle
  std::vector<AddressRange> ranges(Family family) const;
  AddressSet united(const AddressSet& other) const;
  AddressSet without(const AddressSet& other) const;
  AddressSet intersected(const AddressSet& other) const;

  bool operator==(const AddressSet&) const = default;

 private:
  std::vector<AddressRange> ranges_;
};

// Ranges that are never reached through "internet" or "any": private, shared, link-local, loopback, metadata,
// multicast, reserved, ULA, and the IPv4 ones among them inside IPv4-mapped, NAT64 and 6to4 addresses.
// Source: the IANA special-purpose registries (RFC 6890). The documentation ranges (RFC 5737, RFC 3849) are
// not local.
const AddressSet& local_addresses();
// Addresses no router can forward to: multicast, broadcast, unspecified, loopback, IPv6 link-local. A part of
// the local ones.
const AddressSet& unroutable_addresses();

}  // namespace netjail
