// HTTPS and SVCB records.
#include "dns_service.h"

#include <doctest/doctest.h>

#include "dns_build.h"

using namespace netjail;
using namespace netjail::test;
using dns::Ech;

namespace {

constexpr std::uint16_t kMandatory = 0, kAlpn = 1, kPort = 3, kIpv4Hint = 4, kEchKey = 5, kIpv6Hint = 6;
const Bytes kH2 = bytes("\2h2");

std::optional<dns::Service> service(const Parameters& parameters, std::uint16_t priority = 1,
                                    std::string_view target = "") {
  return dns::read_service(https("a.test", priority, target, parameters).data);
}

struct Result {
  std::optional<dns::Service> service;
  std::vector<Ip> refused;
};
Result filter(const Parameters& parameters, Ech ech = Ech::keep) {
  const auto read = service(parameters);
  REQUIRE(read.has_value());
  Result result;
  result.service = dns::filter_service(*read, permitted, ech, result.refused);
  return result;
}

}  // namespace

TEST_CASE("a service has a target, a port, hints and perhaps ECH") {
  const auto read = service({{kAlpn, kH2},
                             {kPort, numbers({8443})},
                             {kIpv4Hint, octets_of({"198.51.100.1", "198.51.100.2"})},
                             {kEchKey, bytes("config")},
                             {kIpv6Hint, octets_of({"2001:db8::1"})},
                             {65280, {}}},
                            1, "Svc.Test");
  REQUIRE(read.has_value());
  CHECK(read->priority == 1);
  CHECK(read->target == name("svc.test"));
  CHECK(read->port == 8443);
  CHECK(read->hints ==
        std::vector{*parse_ip("198.51.100.1"), *parse_ip("198.51.100.2"), *parse_ip("2001:db8::1")});
  REQUIRE(read->ech.has_value());
  const auto ech = dns::Octets(read->parameters).subspan(read->ech->offset, read->ech->size);
  CHECK(Bytes(ech.begin(), ech.end()) == bytes({"\0\5\0\6config", 10}));
  const auto plain = service({});
  CHECK(plain->target == dns::Name{});
  CHECK_FALSE(plain->port.has_value());
  CHECK_FALSE(plain->ech.has_value());
}

TEST_CASE("AliasMode is a target and nothing else") {
  const auto read = service({{kIpv4Hint, octets_of({"198.51.100.1"})}}, 0, "b.test");
  REQUIRE(read.has_value());
  CHECK(read->priority == 0);
  CHECK(read->target == name("b.test"));
  CHECK(read->hints.empty());
  CHECK(dns::make_service_data(*read) == https("a.test", 0, "b.test").data);
  std::vector<Ip> refused;
  CHECK(dns::filter_service(*read, permitted, Ech::strip, refused) == read);
}

TEST_CASE("malformed services are told from good ones") {
  const Bytes ipv4 = octets_of({"198.51.100.1"}), ipv6 = octets_of({"2001:db8::1"});
  CHECK(service({{kMandatory, numbers({kAlpn, kIpv4Hint})}, {kAlpn, kH2}, {kIpv4Hint, ipv4}}).has_value());
  const std::vector<Parameters> wrong{
      {{kAlpn, kH2}, {kAlpn, kH2}},           // twice
      {{kPort, numbers({1})}, {kAlpn, kH2}},  // they do not rise
      {{kPort, {}}},                          // lengths
      {{kPort, {1, 2, 3}}},
      {{kIpv4Hint, {}}},
      {{kIpv4Hint, {1, 2, 3}}},
      {{kIpv4Hint, {1, 2, 3, 4, 5}}},
      {{kIpv6Hint, {}}},
      {{kIpv6Hint, ipv4}},
      {{kMandatory, {}}},
      {{kMandatory, {0}}},
      {{kMandatory, numbers({kMandatory})}},
      {{kMandatory, numbers({kAlpn})}},                       // names what is not there
      {{kMandatory, numbers({kAlpn, kAlpn})}, {kAlpn, kH2}},  // twice
      {{kMandatory, numbers({kIpv4Hint, kAlpn})}, {kAlpn, kH2}, {kIpv4Hint, ipv4}},
  };
  for (std::size_t index = 0; index < wrong.size(); ++index)
    CHECK_FALSE_MESSAGE(service(wrong[index]).has_value(), index);
  CHECK(service({{kIpv6Hint, ipv6}}).has_value());

  const Bytes good = https("a.test", 1, "b", {{kAlpn, kH2}}).data;
  CHECK(dns::read_service(good).has_value());
  for (std::size_t size = 0; size < good.size(); ++size) {
    const Bytes cut(good.begin(), good.begin() + static_cast<std::ptrdiff_t>(size));
    CHECK_MESSAGE(dns::read_service(cut).has_value() == (size == 5), size);  // no parameter at all is good
  }
  CHECK_FALSE(dns::read_service(Bytes{0, 1, 0xc0, 12}).has_value());  // a compressed target
}

TEST_CASE("hints that do not pass go, and the parameter with the last of them") {
  auto result = filter({{kAlpn, kH2},
                        {kIpv4Hint, octets_of({"192.168.1.1", "198.51.100.1", "203.0.113.66"})},
                        {kIpv6Hint, octets_of({"fd00::1"})},
                        {7, bytes("x")}});
  REQUIRE(result.service.has_value());
  CHECK(*result.service ==
        *service({{kAlpn, kH2}, {kIpv4Hint, octets_of({"198.51.100.1"})}, {7, bytes("x")}}));
  CHECK(result.refused ==
        std::vector{*parse_ip("192.168.1.1"), *parse_ip("203.0.113.66"), *parse_ip("fd00::1")});
  // A denied address in IPv6 clothes.
  result =
      filter({{kIpv6Hint, octets_of({"2002:cb00:7142::1", "64:ff9b::cb00:7142", "64:ff9b::cb00:7143"})}});
  CHECK(result.service->hints == std::vector{*parse_ip("64:ff9b::cb00:7143")});
  CHECK(result.refused.size() == 2);
}

TEST_CASE("ECH goes when it is to go") {
  const Parameters with{{kAlpn, kH2}, {kEchKey, bytes("config")}, {kIpv6Hint, octets_of({"2001:db8::1"})}};
  CHECK(filter(with).service == service(with));
  const auto stripped = filter(with, Ech::strip);
  CHECK(stripped.service == service({with[0], with[2]}));
  CHECK(stripped.refused.empty());
}

TEST_CASE("a service goes when something mandatory goes") {
  const Parameters hint{{kMandatory, numbers({kIpv4Hint})}, {kIpv4Hint, octets_of({"10.0.0.1"})}};
  CHECK_FALSE(filter(hint).service.has_value());
  const Parameters ech{{kMandatory, numbers({kEchKey})}, {kEchKey, bytes("config")}};
  CHECK(filter(ech).service.has_value());
  CHECK_FALSE(filter(ech, Ech::strip).service.has_value());
}
