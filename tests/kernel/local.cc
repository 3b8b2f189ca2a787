// What a namespace takes for itself, how it is told that this changes, and how a loaded ruleset learns of it.
#include "netjail/kernel/local.h"

#include <arpa/inet.h>
#include <doctest/doctest.h>
#include <linux/rtnetlink.h>
#include <poll.h>
#include <sys/socket.h>

#include <optional>

#include "netjail/kernel/nft.h"
#include "support/namespaces.h"
#include "support/run.h"

using namespace netjail;
using namespace netjail::test;

namespace {

void must(const Status& status) { REQUIRE_MESSAGE(status.has_value(), render_error(status.error())); }

struct World {
  NetworkNamespace host;
  NetworkNamespace other;
  Netlink route;
  Netlink rules;
  LocalWatch watch;
};

World make_world() {
  auto host = NetworkNamespace::create();
  auto other = NetworkNamespace::create();
  REQUIRE(host.has_value());
  REQUIRE(other.has_value());
  must(add_veth(*host, "eth0", *other, "eth0"));
  // The kernel's own addresses would come into use at a moment of their own.
  must(ip_batch(host->place(), "link set eth0 addrgenmode none\naddr flush dev eth0\n"));
  std::optional<Netlink> route, rules;
  std::optional<LocalWatch> watch;
  must(in_place(host->place(), [&]() -> Status {
    NJ_TRY_AS(route, Netlink::open(NETLINK_ROUTE));
    NJ_TRY_AS(rules, Netlink::open(NETLINK_NETFILTER));
    NJ_TRY_AS(watch, LocalWatch::open());
    return {};
  }));
  return {std::move(*host), std::move(*other), std::move(*route), std::move(*rules), std::move(*watch)};
}

void ip(const World& world, const std::string& line) { must(ip_batch(world.host.place(), line + "\n")); }

AddressSet list(World& world) {
  auto local = list_local(world.route);
  REQUIRE_MESSAGE(local.has_value(), render_error(local.error()));
  return *local;
}
bool is_local(World& world, const char* address) { return list(world).contains(*parse_ip(address)); }

// Whether a datagram sent in the namespace to the address comes to a socket of the namespace.
bool delivered(const World& world, const char* address) {
  const bool v4 = parse_ip(address)->family == Family::ipv4;
  bool came = false;
  must(in_place(world.host.place(), [&]() -> Status {
    const int family = v4 ? AF_INET : AF_INET6;
    const Fd server(::socket(family, SOCK_DGRAM | SOCK_CLOEXEC, 0));
    const Fd client(::socket(family, SOCK_DGRAM | SOCK_CLOEXEC, 0));
    const int on = 1;
    ::setsockopt(client.get(), SOL_SOCKET, SO_BROADCAST, &on, sizeof on);
    sockaddr_storage to{};
    auto* in = reinterpret_cast<sockaddr_in*>(&to);
    auto* in6 = reinterpret_cast<sockaddr_in6*>(&to);
    const socklen_t size = v4 ? sizeof *in : sizeof *in6;
    to.ss_family = static_cast<sa_family_t>(family);
    (v4 ? in->sin_port : in6->sin6_port) = htons(4000);
    if (::bind(server.get(), reinterpret_cast<const sockaddr*>(&to), size) != 0) return fail_errno("bind");
    ::inet_pton(family, address,
                v4 ? static_cast<void*>(&in->sin_addr) : static_cast<void*>(&in6->sin6_addr));
    // An error is no delivery: no route.
    ::sendto(client.get(), "x", 1, 0, reinterpret_cast<const sockaddr*>(&to), size);
    pollfd readable{server.get(), POLLIN, 0};
    came = ::poll(&readable, 1, 100) == 1;  // over the loopback it is there when sendto returns
    return {};
  }));
  return came;
}

// The kernel makes the local route of a new IPv6 address in a work of its own.
bool gets(const World& world, const char* address) {
  return eventually([&] { return delivered(world, address); });
}

}  // namespace

TEST_CASE("what the namespace takes for itself is listed, and nothing else") {
  if (!needs_root()) return;
  World world = make_world();
  ip(world,
     "addr add 198.51.100.2/24 dev eth0\naddr add 2001:db8:1::2/64 dev eth0 nodad\n"
     "route add default via 198.51.100.1\nroute add default via 2001:db8:1::1\n"
     "route add 203.0.113.128/25 via 198.51.100.1");
  for (const char* address : {"198.51.100.2", "198.51.100.255", "2001:db8:1::2", "127.0.0.1", "::1"}) {
    CAPTURE(std::string(address));
    CHECK(is_local(world, address));
    CHECK(gets(world, address));
  }
  for (const char* address : {"198.51.100.1", "203.0.113.1", "203.0.113.129", "192.0.2.1", "2001:db8:1::1",
                              "2001:db8:1::", "2001:db8:77::1", "2001:db8::1"}) {
    CAPTURE(std::string(address));
    CHECK_FALSE(is_local(world, address));
    CHECK_FALSE(delivered(world, address));
  }
  // AnyIP, in the local table and in the main one; the anycast address of a router.
  ip(world,
     "route add local 203.0.113.0/26 dev lo\nroute add local 192.0.2.0/24 dev lo table main\n"
     "route add local 2001:db8:77::/64 dev lo");
  must(in_place(world.host.place(),
                [] { return write_file("/proc/sys/net/ipv6/conf/eth0/forwarding", "1"); }));
  for (const char* address : {"203.0.113.1", "203.0.113.63", "192.0.2.1", "2001:db8:77::1", "2001:db8:1::"}) {
    CAPTURE(std::string(address));
    CHECK(is_local(world, address));
    CHECK(gets(world, address));
  }
  CHECK_FALSE(is_local(world, "203.0.113.64"));
}

TEST_CASE("of other tables counts what an unmarked packet meets") {
  if (!needs_root()) return;
  World world = make_world();
  ip(world,
     "addr add 198.51.100.2/24 dev eth0\nroute add default via 198.51.100.1\n"
     "route add local 0.0.0.0/0 dev lo table 100\nrule add fwmark 1 lookup 100");  // a transparent proxy
  CHECK_FALSE(is_local(world, "192.0.2.1"));
  CHECK_FALSE(delivered(world, "192.0.2.1"));
  ip(world, "route add local 192.0.2.0/24 dev lo table 101");
  CHECK_FALSE(is_local(world, "192.0.2.1"));
  (void)world.watch.changed();
  ip(world, "rule add from all lookup 101");
  CHECK(world.watch.changed());
  CHECK(is_local(world, "192.0.2.1"));
  CHECK(gets(world, "192.0.2.1"));
}

// ASSUMPTION: the kernel tells each of these before the one who did it has its answer, as rtnetlink does all
// in one call. (An IPv6 address with duplicate address detection is told when it is added and when it is in
// use.)
TEST_CASE("each change is told, other routes are not") {
  if (!needs_root()) return;
  World world = make_world();
  ip(world, "addr add 198.51.100.2/24 dev eth0\naddr add 2001:db8:1::2/64 dev eth0 nodad");
  CHECK(world.watch.changed());
  CHECK_FALSE(world.watch.changed());
  for (const char* line : {"addr add 203.0.113.5/32 dev eth0", "addr add 2001:db8:9::5/128 dev eth0",
                           "route add local 192.0.2.0/24 dev lo", "route add local 2001:db8:77::/64 dev lo",
                           "route add local 198.18.0.0/24 dev lo table main"}) {
    CAPTURE(line);
    ip(world, line);
    pollfd readable{world.watch.fd(), POLLIN, 0};
    CHECK(::poll(&readable, 1, 0) == 1);
    CHECK(world.watch.changed());
  }
  // What a launch as root does on the host, and the end of an address.
  for (const char* line : {"route add 10.200.0.1/32 dev eth0", "route add fd6e::1/128 dev eth0",
                           "route del 10.200.0.1/32 dev eth0", "addr del 203.0.113.5/32 dev eth0"}) {
    CAPTURE(line);
    ip(world, line);
    CHECK_FALSE(world.watch.changed());
  }
}

TEST_CASE("more news than the socket holds are news") {
  if (!needs_root()) return;
  World world = make_world();
  const int least = 1;  // the kernel makes it 2304
  REQUIRE(::setsockopt(world.watch.fd(), SOL_SOCKET, SO_RCVBUF, &least, sizeof least) == 0);
  std::string lines;
  for (int i = 1; i < 200; ++i) lines += "addr add 203.0.113." + std::to_string(i) + "/32 dev eth0\n";
  ip(world, lines);
  CHECK(world.watch.changed());
  CHECK_FALSE(world.watch.changed());
  CHECK(is_local(world, "203.0.113.199"));
  ip(world, "addr add 192.0.2.1/32 dev eth0");
  CHECK(world.watch.changed());
}

TEST_CASE("sets take elements beside those that they have, rules go to the front; all or nothing") {
  if (!needs_root()) return;
  World world = make_world();
  const auto range = [](const char* first, const char* last) {
    return AddressRange{*parse_ip(first), *parse_ip(last)};
  };
  const auto addition = [&](std::vector<AddressRange> v4, std::vector<AddressRange> v6) {
    nft::Ruleset more{.table = "t", .counters = {}, .sets = {}, .chains = {}};
    more.sets.push_back({"a", nft::KeyType::ipv4_addr, std::move(v4), {}});
    more.sets.push_back({"b", nft::KeyType::ipv6_addr, std::move(v6), {}});
    more.chains.push_back({"in", std::nullopt, {}});
    return more;
  };
  nft::Ruleset ruleset = addition({range("198.51.100.2", "198.51.100.2")}, {});
  ruleset.chains[0].base = nft::BaseChain{.hook = nft::Hook::input, .drop = false};
  ruleset.chains[0].rules = {{{nft::Drop{}}, "the last"}};
  must(load_ruleset(world.rules, ruleset));
  must(verify_ruleset(world.rules, ruleset));

  // The neighbours on both sides, the first ones of an empty set, the end of the space.
  nft::Ruleset more = addition({range("198.51.100.1", "198.51.100.1"), range("198.51.100.3", "198.51.100.9"),
                                range("255.0.0.0", "255.255.255.255")},
                               {range("2001:db8::", "2001:db8::ffff")});
  more.chains[0].rules = {
      {{nft::NfProto{Family::ipv6}, nft::DaddrIn{Family::ipv6, "b"}, nft::Accept{}}, "the first"}};
  must(extend_ruleset(world.rules, more));
  must(extend_ruleset(world.rules, addition({range("203.0.113.0", "203.0.113.255")}, {range("::2", "::3")})));
  nft::Ruleset expected = ruleset;
  expected.sets[0].addresses = {range("198.51.100.1", "198.51.100.1"), range("198.51.100.2", "198.51.100.2"),
                                range("198.51.100.3", "198.51.100.9"), range("203.0.113.0", "203.0.113.255"),
                                range("255.0.0.0", "255.255.255.255")};
  expected.sets[1].addresses = {range("::2", "::3"), range("2001:db8::", "2001:db8::ffff")};
  expected.chains[0].rules.insert(expected.chains[0].rules.begin(), more.chains[0].rules[0]);
  must(verify_ruleset(world.rules, expected));

  // An interval that overlaps one that is there is refused: nothing of the addition stays.
  const Status overlap = extend_ruleset(
      world.rules, addition({range("192.0.2.1", "192.0.2.1"), range("203.0.112.0", "203.0.113.7")}, {}));
  REQUIRE_FALSE(overlap.has_value());
  CHECK(overlap.error().what == "cannot add to table t");
  must(verify_ruleset(world.rules, expected));
}
