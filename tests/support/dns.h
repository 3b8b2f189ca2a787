// The DNS server of the fake world, without its sockets: a table of names, and a query turned into an answer.
// Written from RFC 1035 by hand, on purpose not with the library that netjail uses.
#pragma once

#include <chrono>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace netjail::test {

inline constexpr std::uint16_t kTypeA = 1, kTypeCname = 5, kTypeTxt = 16, kTypeAaaa = 28, kTypeHttps = 65;

struct DnsRecord {
  std::uint16_t type = kTypeA;
  std::string data;  // rdata, wire format
  std::uint32_t ttl = 60;
};
DnsRecord dns_address(std::string_view address, std::uint32_t ttl = 60);  // A or AAAA
DnsRecord dns_alias(std::string_view name, std::uint32_t ttl = 60);
DnsRecord dns_text(std::string_view text, std::uint32_t ttl = 60);

struct DnsName {
  std::vector<DnsRecord> records;
  std::chrono::milliseconds delay{0};  // of every answer
  bool silent = false;                 // no answer at all
  bool numbered = false;               // addresses end in the number (hex) that is the first label
};
// Lower-case names without the last dot; "*.zone.test" is every name below zone.test that has no entry.
using DnsTable = std::map<std::string, DnsName>;

// allowed.test other.test v4only.test v6only.test alias.test (CNAME of allowed.test) lan.test (local
// addresses) mixed.test (one public, one local) big.test (200 addresses) slow.test (300 ms) silent.test
// cloaked.test (CNAME of other.test) *.zone.test *.rotate.test (numbered, IPv6, TTL 0);
// every other name, nx.test say, does not exist.
DnsTable default_dns_table();

struct DnsQuestion {
  std::string name;  // lower case
  std::uint16_t type = 0;
  bool operator==(const DnsQuestion&) const = default;
};
std::optional<DnsQuestion> read_dns_question(std::string_view query);
// Truncated (TC, no records) when longer than `limit` octets or than the query's EDNS size announces, 512
// without EDNS; a `limit` of 65535 (TCP) ignores what the query announces. Empty: not a query.
std::string make_dns_answer(std::string_view query, const DnsTable& table, std::size_t limit);

}  // namespace netjail::test
