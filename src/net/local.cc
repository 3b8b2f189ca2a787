// The ranges that "internet" and "any" leave out, from the IANA special-purpose registries (RFC 6890).
#include <algorithm>
#include <array>

#include "netjail/net/ip.h"

namespace netjail {
namespace {

constexpr std::array<std::string_view, 12> kLocalIpv4{
    "0.0.0.0/8",       // this network (RFC 791); Linux takes 0.0.0.0 for the host itself
    "10.0.0.0/8",      // private (RFC 1918)
    "100.64.0.0/10",   // shared, carrier NAT (RFC 6598)
    "127.0.0.0/8",     // loopback (RFC 1122)
    "169.254.0.0/16",  // link-local (RFC 3927), cloud metadata
    "172.16.0.0/12",   // private (RFC 1918)
    "192.0.0.0/24",    // IETF protocol assignments (RFC 6890), DS-Lite
    "192.88.99.0/24",  // 6to4 relay anycast, deprecated (RFC 7526)
    "192.168.0.0/16",  // private (RFC 1918)
    "198.18.0.0/15",   // benchmarking (RFC 2544)
    "224.0.0.0/4",     // multicast (RFC 5771)
    "240.0.0.0/4",     // reserved (RFC 1112), limited broadcast
};

constexpr std::array<std::string_view, 11> kLocalIpv6{
    "::/128",          // unspecified
    "::1/128",         // loopback
    "::/96",           // IPv4-compatible, deprecated (RFC 4291)
    "::ffff:0:0/96",   // IPv4-mapped: never on the wire
    "64:ff9b:1::/48",  // local-use NAT64 (RFC 8215)
    "100::/64",        // discard-only (RFC 6666)
    "2001::/32",       // Teredo (RFC 4380): carries any IPv4 address, obfuscated
    "fc00::/7",        // unique local (RFC 4193)
    "fe80::/10",       // link-local (RFC 4291)
    "fec0::/10",       // site-local, deprecated (RFC 3879)
    "ff00::/8",        // multicast (RFC 4291)
};

constexpr std::array<std::string_view, 8> kUnroutable{
    "0.0.0.0/8", "127.0.0.0/8", "224.0.0.0/4", "255.255.255.255", "::", "::1", "fe80::/10", "ff00::/8",
};

// `ipv4` as it stands inside the IPv6 prefix `outer`, whose length is a whole number of octets: the form that
// a translator or tunnel (NAT64, 6to4) unpacks again behind a filter that looked at IPv6 only.
Prefix embed(const Prefix& outer, const Prefix& ipv4) {
  Ip ip = outer.base;
  std::ranges::copy(ipv4.base.octets(), ip.bytes.begin() + outer.length / 8);
  return make_prefix(ip, outer.length + ipv4.length);
}

// The constants above are well-formed; tests/unit/net.cc counts and probes every one.
Prefix known(std::string_view text) { return parse_prefix(text).value_or(Prefix{}); }

AddressSet make_local() {
  std::vector<AddressRange> ranges;
  for (const auto text : kLocalIpv6) ranges.push_back(range_of(known(text)));
  for (const auto text : kLocalIpv4) {
    const Prefix prefix = known(text);
    ranges.push_back(range_of(prefix));
    for (const auto carrier : {"64:ff9b::/96", "2002::/16"}) {
      ranges.push_back(range_of(embed(known(carrier), prefix)));
    }
  }
  return AddressSet(std::move(ranges));
}

AddressSet make_unroutable() {
  std::vector<AddressRange> ranges;
  for (const auto text : kUnroutable) ranges.push_back(range_of(known(text)));
  return AddressSet(std::move(ranges));
}

}  // namespace

const AddressSet& local_addresses() {
  static const AddressSet set = make_local();
  return set;
}

const AddressSet& unroutable_addresses() {
  static const AddressSet set = make_unroutable();
  return set;
}

}  // namespace netjail
