#include <doctest/doctest.h>

#include <algorithm>
#include <bitset>
#include <chrono>
#include <random>

#include "netjail/net/ip.h"

using namespace netjail;

namespace {

Ip ip(std::string_view text) {
  const auto parsed = parse_ip(text);
  REQUIRE_MESSAGE(parsed, text);
  return *parsed;
}
Prefix prefix(std::string_view text) {
  const auto parsed = parse_prefix(text);
  REQUIRE_MESSAGE(parsed, text);
  return *parsed;
}
AddressRange range(std::string_view first, std::string_view last) { return {ip(first), ip(last)}; }

}  // namespace

TEST_CASE("addresses are read strictly") {
  for (const auto* text : {"0.0.0.0", "255.255.255.255", "198.51.100.7", "::", "::1", "2001:db8::1",
                           "ff02::1", "::ffff:198.51.100.7", "fe80::1:2:3:4"}) {
    CHECK(to_string(ip(text)) == text);
  }
  CHECK(ip("2001:DB8:0:0::1") == ip("2001:db8::1"));
  using namespace std::string_view_literals;
  for (const auto text : {""sv,
                          "1.2.3"sv,
                          "1.2.3.4.5"sv,
                          "127.0.0.999"sv,
                          "256.1.1.1"sv,
                          "01.2.3.4"sv,
                          "1.2.3.04"sv,
                          "0x7f.0.0.1"sv,
                          "127.1"sv,
                          "2130706433"sv,
                          " 1.2.3.4"sv,
                          "1.2.3.4 "sv,
                          "1.2.3.4\n"sv,
                          "1.2.3.4\0"sv,
                          "1.2.3.4\0x"sv,
                          "-1.2.3.4"sv,
                          "1.2.3.-4"sv,
                          "1..2.3"sv,
                          "fe80::1%eth0"sv,
                          "::1::"sv,
                          ":::"sv,
                          "12345::"sv,
                          "1:2:3:4:5:6:7"sv,
                          "1:2:3:4:5:6:7:8:9"sv,
                          "[::1]"sv,
                          "::1/128"sv,
                          "localhost"sv,
                          ":"sv,
                          "::ffff:1.2.3.400"sv,
                          "0000:0000:0000:0000:0000:0000:0000:0000:0000:0000"sv}) {
    CHECK_MESSAGE(!parse_ip(text), text);
  }
}

TEST_CASE("prefixes are read strictly") {
  for (const auto* text : {"10.0.0.0/8", "0.0.0.0/0", "::/0", "2001:db8::/32", "198.51.100.7", "2001:db8::1",
                           "128.0.0.0/1", "198.51.100.6/31"}) {
    CHECK(to_string(prefix(text)) == text);
  }
  CHECK(to_string(prefix("198.51.100.7/32")) == "198.51.100.7");
  CHECK(to_string(prefix("::1/128")) == "::1");
  for (const auto* text : {"10.0.0.1/8", "10.0.0.0/33", "10.0.0.0/", "10.0.0.0/08", "10.0.0.0/+8",
                           "10.0.0.0/-1", "10.0.0.0/8/8", "/8", "2001:db8::1/32", "::/129", "10.0.0.0/ 8",
                           "10.0.0.0/8 ", "10/8", "10.0.0.0/255.0.0.0", "10.0.0.0/4294967304"}) {
    CHECK_MESSAGE(!parse_prefix(text), text);
  }
}

TEST_CASE("prefixes contain what shares their bits") {
  CHECK(contains(prefix("10.0.0.0/8"), ip("10.255.255.255")));
  CHECK(!contains(prefix("10.0.0.0/8"), ip("11.0.0.0")));
  CHECK(!contains(prefix("0.0.0.0/0"), ip("::")));
  CHECK(contains(prefix("198.51.100.0/25"), ip("198.51.100.127")));
  CHECK(!contains(prefix("198.51.100.0/25"), ip("198.51.100.128")));
  CHECK(contains(prefix("10.0.0.0/8"), prefix("10.0.0.0/8")));
  CHECK(contains(prefix("10.0.0.0/8"), prefix("10.1.0.0/16")));
  CHECK(!contains(prefix("10.1.0.0/16"), prefix("10.0.0.0/8")));
  CHECK(make_prefix(ip("10.1.2.3"), 12) == prefix("10.0.0.0/12"));
  CHECK(make_prefix(ip("2001:db8:ffff::"), 33) == prefix("2001:db8:8000::/33"));
  CHECK(range_of(prefix("2001:db8::/33")) == range("2001:db8::", "2001:db8:7fff:ffff:ffff:ffff:ffff:ffff"));
  CHECK(range_of(prefix("::/0")).last == ip("ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff"));
}

TEST_CASE("next and previous carry and stop at the ends") {
  CHECK(next(ip("10.0.0.255")) == ip("10.0.1.0"));
  CHECK(previous(ip("10.0.1.0")) == ip("10.0.0.255"));
  CHECK(!next(ip("255.255.255.255")));
  CHECK(!previous(ip("0.0.0.0")));
  CHECK(next(ip("2001:db8::ffff:ffff")) == ip("2001:db8::1:0:0"));
  CHECK(!next(ip("ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff")));
  CHECK(!previous(ip("::")));
}

TEST_CASE("ranges print as what they are") {
  CHECK(to_string(range("192.0.2.0", "192.0.2.7")) == "192.0.2.0/29");
  CHECK(to_string(range("192.0.2.1", "192.0.2.7")) == "192.0.2.1-192.0.2.7");
  CHECK(to_string(range("192.0.2.1", "192.0.2.1")) == "192.0.2.1");
  CHECK(to_string(range("0.0.0.0", "255.255.255.255")) == "0.0.0.0/0");
  CHECK(to_string(range("2001:db8::", "2001:db8::1")) == "2001:db8::/127");
}

// ---- sets against an oracle
// ----------------------------------------------------------------------------------------

namespace {

// 256 addresses stand for all: 64 at each end of each family, where the edges are.
constexpr std::size_t kUniverse = 256;
using Bits = std::bitset<kUniverse>;

Ip address_at(std::size_t index) {
  Ip result{index < kUniverse / 2 ? Family::ipv4 : Family::ipv6, {}};
  const bool high = (index / 64) % 2 == 1;
  for (std::size_t i = 0; high && i < address_size(result.family); ++i) result.bytes[i] = 0xFF;
  auto& last = result.bytes[address_size(result.family) - 1];
  last = static_cast<std::uint8_t>(high ? 0xC0 + index % 64 : index % 64);
  return result;
}

struct Sample {
  AddressSet set;
  Bits bits;
};

Sample random_set(std::mt19937& random) {
  std::vector<AddressRange> ranges;
  Bits bits;
  const auto count = random() % 12;
  for (std::size_t i = 0; i < count; ++i) {
    const std::size_t half = random() % 2 * 128;  // a range stays in its family, may span the middle
    std::size_t first = half + random() % 128;
    std::size_t last = random() % 3 == 0 ? half + random() % 128 : std::min(first + random() % 4, half + 127);
    if (last < first) std::swap(first, last);
    ranges.push_back({address_at(first), address_at(last)});
    for (std::size_t at = first; at <= last; ++at) bits.set(at);
  }
  return {AddressSet(std::move(ranges)), bits};
}

void check_equal(const AddressSet& set, const Bits& bits) {
  for (std::size_t at = 0; at < kUniverse; ++at) {
    if (set.contains(address_at(at)) != bits.test(at)) FAIL(to_string(address_at(at)));
  }
  // Sorted, disjoint, not adjacent: one form per set.
  const auto ranges = set.ranges();
  for (std::size_t i = 0; i < ranges.size(); ++i) {
    REQUIRE(ranges[i].first <= ranges[i].last);
    REQUIRE(ranges[i].first.family == ranges[i].last.family);
    if (i == 0) continue;
    REQUIRE(ranges[i - 1].last < ranges[i].first);
    const auto behind = next(ranges[i - 1].last);
    REQUIRE((!behind || *behind != ranges[i].first));
  }
}

}  // namespace

TEST_CASE("set algebra equals the oracle") {
  std::mt19937 random(20261122);
  for (int round = 0; round < 3000; ++round) {
    const Sample a = random_set(random);
    const Sample b = random_set(random);
    check_equal(a.set, a.bits);
    check_equal(a.set.united(b.set), a.bits | b.bits);
    check_equal(a.set.intersected(b.set), a.bits & b.bits);
    check_equal(a.set.without(b.set), a.bits & ~b.bits);
    REQUIRE(a.set.united(b.set) == b.set.united(a.set));
    REQUIRE(a.set.intersected(b.set) == b.set.intersected(a.set));
    REQUIRE(a.set.without(b.set).united(a.set.intersected(b.set)) == a.set);
    const auto everything = AddressSet::everything();
    REQUIRE(everything.without(everything.without(a.set)) == a.set);
    std::size_t of_families = 0;
    for (const Family family : kFamilies) {
      for (const auto& one : a.set.ranges(family)) REQUIRE(one.first.family == family);
      of_families += a.set.ranges(family).size();
    }
    REQUIRE(of_families == a.set.ranges().size());
  }
}

TEST_CASE("sets at their limits") {
  const auto everything = AddressSet::everything();
  CHECK(everything.ranges().size() == 2);
  CHECK(everything.contains(ip("255.255.255.255")));
  CHECK(everything.contains(ip("::")));
  CHECK(everything.without(everything).empty());
  CHECK(AddressSet().without(everything).empty());
  CHECK(!AddressSet().contains(ip("::")));
  const AddressSet halves({range("128.0.0.0", "255.255.255.255"), range("0.0.0.0", "127.255.255.255")});
  CHECK(halves.ranges().size() == 1);
}

TEST_CASE("a hundred thousand ranges cost a sort") {
  const auto numbered = [](std::uint32_t n) {
    return Ip{Family::ipv4,
              {static_cast<std::uint8_t>(n >> 24), static_cast<std::uint8_t>(n >> 16),
               static_cast<std::uint8_t>(n >> 8), static_cast<std::uint8_t>(n)}};
  };
  std::vector<AddressRange> even, odd;
  for (std::uint32_t i = 0; i < 100'000; ++i) {
    even.push_back({numbered(i * 1024), numbered(i * 1024 + 99)});
    odd.push_back({numbered(i * 1024 + 50), numbered(i * 1024 + 199)});
  }
  std::mt19937 random(1);
  std::shuffle(even.begin(), even.end(), random);
  const auto start = std::chrono::steady_clock::now();
  const AddressSet a(even), b(odd);
  const auto both = a.united(b), common = a.intersected(b), rest = a.without(b);
  const auto whole = AddressSet::everything().without(a);
  std::uint32_t found = 0;
  for (std::uint32_t i = 0; i < 100'000; ++i) found += a.contains(numbered(i * 1024 + 99)) ? 1U : 0U;
  const auto took = std::chrono::steady_clock::now() - start;
  CHECK(a.ranges().size() == 100'000);
  CHECK(both.ranges().size() == 100'000);
  CHECK(common.ranges().size() == 100'000);
  CHECK(rest.ranges().size() == 100'000);
  CHECK(whole.ranges().size() == 100'001);
  CHECK(found == 100'000);
  // One quadratic step would take minutes.
  CHECK(took < std::chrono::seconds(10));
  MESSAGE(std::chrono::duration_cast<std::chrono::milliseconds>(took).count() << " ms");
}

// ---- local addresses
// -----------------------------------------------------------------------------------------------

namespace {

// Checks both ends of `text` in `set` and that its neighbours are out, unless a neighbour is named in
// `joined`.
void check_edges(const AddressSet& set, const AddressRange& edges, bool open_below, bool open_above) {
  CHECK_MESSAGE(set.contains(edges.first), to_string(edges));
  CHECK_MESSAGE(set.contains(edges.last), to_string(edges));
  if (const auto below = previous(edges.first))
    CHECK_MESSAGE(set.contains(*below) == open_below, to_string(edges));
  if (const auto above = next(edges.last))
    CHECK_MESSAGE(set.contains(*above) == open_above, to_string(edges));
}

Ip carried(std::string_view carrier, const Ip& ipv4, bool fill) {
  Ip result = prefix(carrier).base;
  const std::size_t at = prefix(carrier).length / 8;
  for (std::size_t i = 0; i < 4; ++i) result.bytes[at + i] = ipv4.bytes[i];
  for (std::size_t i = at + 4; fill && i < 16; ++i) result.bytes[i] = 0xFF;
  return result;
}

}  // namespace

TEST_CASE("local IPv4 ranges end where the registry says, plain and inside NAT64 and 6to4") {
  struct Edge {
    const char* text;
    bool below, above;  // the neighbouring address is local too
  };
  for (const auto& [text, below, above] : {Edge{"0.0.0.0/8", false, false},
                                           {"10.0.0.0/8", false, false},
                                           {"100.64.0.0/10", false, false},
                                           {"127.0.0.0/8", false, false},
                                           {"169.254.0.0/16", false, false},
                                           {"172.16.0.0/12", false, false},
                                           {"192.0.0.0/24", false, false},
                                           {"192.88.99.0/24", false, false},
                                           {"192.168.0.0/16", false, false},
                                           {"198.18.0.0/15", false, false},
                                           {"224.0.0.0/4", false, true},
                                           {"240.0.0.0/4", true, false}}) {
    const AddressRange plain = range_of(prefix(text));
    check_edges(local_addresses(), plain, below, above);
    for (const auto* carrier : {"64:ff9b::/96", "2002::/16"}) {
      const AddressRange inside{carried(carrier, plain.first, false), carried(carrier, plain.last, true)};
      check_edges(local_addresses(), inside, below, above);
    }
  }
  // 9 + 1 + 1 disjoint ones: 224/4 and 240/4 are one range.
  CHECK(local_addresses().ranges(Family::ipv4).size() == 11);
}

TEST_CASE("local IPv6 ranges end where the registry says") {
  check_edges(local_addresses(), range_of(prefix("::/96")), false, false);
  check_edges(local_addresses(), range_of(prefix("::ffff:0:0/96")), false, false);
  check_edges(local_addresses(), range_of(prefix("64:ff9b:1::/48")), false, false);
  check_edges(local_addresses(), range_of(prefix("100::/64")), false, false);
  check_edges(local_addresses(), range_of(prefix("2001::/32")), false, false);
  check_edges(local_addresses(), range_of(prefix("fc00::/7")), false, false);
  check_edges(local_addresses(), range_of(prefix("fe80::/10")), false, true);
  check_edges(local_addresses(), range_of(prefix("fec0::/10")), true, true);
  check_edges(local_addresses(), range_of(prefix("ff00::/8")), true, false);
  // fe80::/10, fec0::/10 and ff00::/8 are one range; 11 for each of NAT64 and 6to4.
  CHECK(local_addresses().ranges(Family::ipv6).size() == 7 + 2 * 11);
}

TEST_CASE("what is local and what is not") {
  for (const auto* text :
       {"169.254.169.254", "127.0.0.1", "::1", "::", "::ffff:8.8.8.8", "fd00:ec2::254", "64:ff9b::a9fe:a9fe",
        "2002:7f00:1::", "2002:c0a8:101:1::5", "ff02::fb", "255.255.255.255"}) {
    CHECK_MESSAGE(local_addresses().contains(ip(text)), text);
  }
  for (const auto* text :
       {"192.0.2.1", "198.51.100.7", "203.0.113.1", "2001:db8::1", "8.8.8.8", "2606:4700::1111",
        "64:ff9b::808:808", "2002:808:808::1", "64:ff9b::c633:6407", "2001:1::1"}) {
    CHECK_MESSAGE(!local_addresses().contains(ip(text)), text);
  }
}

TEST_CASE("what no router forwards") {
  const auto& set = unroutable_addresses();
  check_edges(set, range_of(prefix("0.0.0.0/8")), false, false);
  check_edges(set, range_of(prefix("127.0.0.0/8")), false, false);
  check_edges(set, range_of(prefix("224.0.0.0/4")), false, false);
  check_edges(set, range_of(prefix("255.255.255.255")), false, false);
  check_edges(set, range("::", "::1"), false, false);
  check_edges(set, range_of(prefix("fe80::/10")), false, false);
  check_edges(set, range_of(prefix("ff00::/8")), false, false);
  CHECK(set.ranges().size() == 7);
  CHECK(set.without(local_addresses()).empty());
}
