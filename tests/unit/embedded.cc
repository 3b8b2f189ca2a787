// IPv4 addresses inside IPv6 addresses.
#include <doctest/doctest.h>

#include <random>

#include "netjail/net/ip.h"

using namespace netjail;

TEST_CASE("the IPv4 address in an IPv6 address") {
  const auto inside = [](std::string_view text) {
    const auto ip = parse_ip(text);
    REQUIRE_MESSAGE(ip.has_value(), std::string(text));
    const auto ipv4 = embedded_ipv4(*ip);
    return ipv4 ? to_string(*ipv4) : "";
  };
  CHECK(inside("::ffff:192.168.1.2") == "192.168.1.2");
  CHECK(inside("::192.168.1.2") == "192.168.1.2");
  CHECK(inside("::0.0.0.2") == "0.0.0.2");
  CHECK(inside("64:ff9b::192.168.1.2") == "192.168.1.2");
  CHECK(inside("64:ff9b:1::192.168.1.2") == "192.168.1.2");
  CHECK(inside("64:ff9b:1:abcd:ef01:2345:192.168.1.2") == "192.168.1.2");
  CHECK(inside("2002:c0a8:102::") == "192.168.1.2");
  CHECK(inside("2002:c0a8:102:ffff::1") == "192.168.1.2");
  CHECK(inside("2001::4136:e378:8000:63bf:3f57:fefd") == "192.168.1.2");  // Teredo: inverted
  // Next to each form, and what has none.
  for (const auto* text : {"::", "::1", "::1:192.168.1.2", "::fffe:192.168.1.2", "::ffff:0:192.168.1.2",
                           "64:ff9b::1:192.168.1.2", "64:ff9b:2::192.168.1.2", "64:ff9a::192.168.1.2",
                           "2001:1::192.168.1.2", "2003:c0a8:102::", "2001:db8::1", "192.168.1.2"})
    CHECK_MESSAGE(inside(text).empty(), text);
}

TEST_CASE("an IPv6 address with a local IPv4 address inside is local itself") {
  std::mt19937 random(1);
  std::vector<Ip> ipv4;
  for (const auto& range : local_addresses().ranges(Family::ipv4))
    ipv4.insert(ipv4.end(), {range.first, range.last});
  int found = 0;
  for (const auto* text : {"::ffff:0:0", "::", "64:ff9b::", "64:ff9b:1::", "2002::", "2001::"}) {
    for (int round = 0; round < 2000; ++round) {
      Ip ip = *parse_ip(text);
      // A random address below the carrier's first 48 bits, some with a local address in either place.
      for (std::size_t at = round % 2 ? 12 : 2; at < 16; ++at)
        if (at >= 12 || text == std::string_view("2002::"))
          ip.bytes[at] = static_cast<std::uint8_t>(random());
      const Ip& local = ipv4[random() % ipv4.size()];
      for (std::size_t i = 0; round % 3 == 0 && i < 4; ++i)
        ip.bytes[(text == std::string_view("2002::") ? 2 : 12) + i] = local.bytes[i];
      const auto inside = embedded_ipv4(ip);
      if (!inside || !local_addresses().contains(*inside)) continue;
      ++found;
      CHECK_MESSAGE(local_addresses().contains(ip), to_string(ip));
    }
  }
  CHECK(found > 2000);
}
