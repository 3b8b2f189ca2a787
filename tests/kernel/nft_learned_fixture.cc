#include "nft_learned_fixture.h"

#include <arpa/inet.h>
#include <doctest/doctest.h>
#include <sys/socket.h>

#include <array>
#include <cerrno>
#include <cstring>

namespace netjail::test {

using namespace nft;

void must(const Status& status) { REQUIRE_MESSAGE(status.has_value(), render_error(status.error())); }

std::vector<LearnedAddress> LearningWorld::read(const std::string& set) {
  auto all = read_learned(netfilter, "t", set);
  REQUIRE_MESSAGE(all.has_value(), render_error(all.error()));
  return std::move(*all);
}

std::uint64_t LearningWorld::count(const std::string& counter) {
  const auto value = read_counter(netfilter, "t", counter);
  REQUIRE(value.has_value());
  return value->packets;
}

Ruleset learning_rules(std::uint32_t size) {
  Ruleset ruleset{.table = "t", .counters = {{"live"}, {"opened"}, {"refused"}}, .sets = {}, .chains = {}};
  ruleset.sets.push_back(
      {.name = kSet, .key = KeyType::ipv4_addr, .addresses = {}, .ports = {}, .learns = size});
  ruleset.sets.push_back(
      {.name = kOtherSet, .key = KeyType::ipv6_addr, .addresses = {}, .ports = {}, .learns = size});
  const auto opens = [](Family family, const std::string& set) {
    return nft::Rule{
        {NfProto{family}, L4Proto{kUdp}, DaddrIn{family, set}, Counter{"opened"}, SetCtMark{7}, Accept{}},
        ""};
  };
  ruleset.chains.push_back({.name = "out",
                            .base = BaseChain{.hook = Hook::output, .drop = false},
                            .rules = {{{L4Proto{kUdp}, CtMark{7}, Counter{"live"}, Accept{}}, ""},
                                      opens(Family::ipv4, kSet),
                                      opens(Family::ipv6, kOtherSet),
                                      {{L4Proto{kUdp}, Counter{"refused"}, Drop{}}, ""}}});
  return ruleset;
}

LearningWorld make_learning_world(Renewal renewal, const Ruleset& rules) {
  auto network = NetworkNamespace::create();
  REQUIRE(network.has_value());
  Netlink netfilter = open_netfilter(*network);
  must(load_ruleset(netfilter, rules));
  return {std::move(*network), std::move(netfilter), LearnedSets("t", renewal)};
}

LearnedAddress learned(const std::string& address, std::chrono::milliseconds timeout) {
  return {parse_ip(address).value(), timeout};
}

Ip loopback_address(std::uint32_t number) {
  const std::uint32_t value = 0x7f000002 + number;
  return make_ip(Family::ipv4,
                 std::array{static_cast<std::uint8_t>(value >> 24), static_cast<std::uint8_t>(value >> 16),
                            static_cast<std::uint8_t>(value >> 8), static_cast<std::uint8_t>(value)});
}

std::vector<LearnedAddress> loopback_addresses(std::uint32_t count, std::chrono::milliseconds timeout) {
  std::vector<LearnedAddress> all;
  for (std::uint32_t i = 0; i < count; ++i) all.push_back({loopback_address(i), timeout});
  return all;
}

Fd open_udp(const LearningWorld& world, Family family) {
  Fd socket;
  must(in_place(world.network.place(), [&]() -> Status {
    socket = Fd(::socket(family == Family::ipv4 ? AF_INET : AF_INET6, SOCK_DGRAM | SOCK_CLOEXEC, 0));
    return socket ? Status{} : fail_errno("socket");
  }));
  return socket;
}

bool send_to(const Fd& socket, const Ip& to) {
  constexpr std::uint16_t kDiscard = 9;
  sockaddr_in v4{};
  sockaddr_in6 v6{};
  v4.sin_family = AF_INET;
  v6.sin6_family = AF_INET6;
  v4.sin_port = v6.sin6_port = htons(kDiscard);
  std::memcpy(&v4.sin_addr, to.bytes.data(), sizeof v4.sin_addr);
  std::memcpy(&v6.sin6_addr, to.bytes.data(), sizeof v6.sin6_addr);
  const bool four = to.family == Family::ipv4;
  const auto* address =
      four ? reinterpret_cast<const sockaddr*>(&v4) : reinterpret_cast<const sockaddr*>(&v6);
  while (true) {
    if (::sendto(socket.get(), "x", 1, 0, address, four ? sizeof v4 : sizeof v6) == 1) return true;
    if (errno == EPERM) return false;
    REQUIRE(errno == ECONNREFUSED);  // an earlier one's: nobody listens
  }
}

bool passes(const LearningWorld& world, const std::string& to) {
  const Ip ip = parse_ip(to).value();
  return send_to(open_udp(world, ip.family), ip);
}

}  // namespace netjail::test
