#include "netjail/net/flow.h"

#include <doctest/doctest.h>

using namespace netjail;

namespace {

Ip ip(std::string_view text) {
  const auto parsed = parse_ip(text);
  REQUIRE_MESSAGE(parsed, text);
  return *parsed;
}

}  // namespace

TEST_CASE("protocols have names and numbers") {
  CHECK(protocol_name(kTcp) == "tcp");
  CHECK(protocol_name(kIcmp6) == "icmpv6");
  CHECK(protocol_name(253) == "253");
  for (int number = 0; number <= 255; ++number) {
    const auto protocol = static_cast<std::uint8_t>(number);
    CHECK(parse_protocol(protocol_name(protocol)) == protocol);
    CHECK(parse_protocol(std::to_string(number)) == protocol);
  }
  for (const auto* text : {"", "256", "-1", "06", "TCP", "tcp ", "any"})
    CHECK_MESSAGE(!parse_protocol(text), text);
  for (int number = 0; number <= 255; ++number) {
    const bool ported = number == 6 || number == 17 || number == 33 || number == 132 || number == 136;
    CHECK(has_ports(static_cast<std::uint8_t>(number)) == ported);
  }
}

TEST_CASE("services and flows print as they are written") {
  CHECK(to_string(Service{}) == "any");
  CHECK(to_string(Service{kTcp, PortRange{443, 443}, {}}) == "443/tcp");
  CHECK(to_string(Service{kUdp, PortRange{8000, 8100}, {}}) == "8000-8100/udp");
  CHECK(to_string(Service{kTcp, {}, {}}) == "tcp");
  CHECK(to_string(Service{kIcmp, {}, {}}) == "icmp");
  CHECK(to_string(Service{kIcmp, {}, 8}) == "ping");
  CHECK(to_string(Service{kIcmp6, {}, 128}) == "ping");
  CHECK(to_string(Service{kIcmp6, {}, 8}) == "icmpv6 type 8");
  CHECK(to_string(Service{47, {}, {}}) == "47/ip");
  CHECK(to_string(Flow{ip("198.51.100.7"), kTcp, 443, 0}) == "198.51.100.7:443/tcp");
  CHECK(to_string(Flow{ip("2001:db8::1"), kUdp, 53, 0}) == "[2001:db8::1]:53/udp");
  CHECK(to_string(Flow{ip("198.51.100.7"), kIcmp, 0, 8}) == "198.51.100.7 icmp type 8");
  CHECK(to_string(Flow{ip("198.51.100.7"), 47, 0, 0}) == "198.51.100.7 protocol 47");
}

TEST_CASE("a service matches when every member that has a value agrees") {
  const Flow https{ip("198.51.100.7"), kTcp, 443, 0};
  const Flow echo{ip("198.51.100.7"), kIcmp, 0, 8};
  CHECK(matches(Service{}, https));
  CHECK(matches(Service{}, echo));
  CHECK(matches(Service{kTcp, {}, {}}, https));
  CHECK(!matches(Service{kUdp, {}, {}}, https));
  CHECK(matches(Service{kTcp, PortRange{443, 443}, {}}, https));
  CHECK(matches(Service{kTcp, PortRange{1, 443}, {}}, https));
  CHECK(!matches(Service{kTcp, PortRange{444, 65535}, {}}, https));
  CHECK(!matches(Service{kTcp, PortRange{0, 442}, {}}, https));
  CHECK(!matches(Service{{}, PortRange{0, 65535}, {}}, echo));
  CHECK(matches(Service{kIcmp, {}, 8}, echo));
  CHECK(!matches(Service{kIcmp, {}, 0}, echo));
  CHECK(!matches(Service{kIcmp6, {}, 8}, echo));
  CHECK(!matches(Service{{}, {}, 0}, https));
}
