// What netjail takes for granted about links, routes, packets and packet filters of the kernel. Each test has
// the contrast too: what happens without the mechanism. Processes and namespaces: assumptions_namespaces.cc.
#include <doctest/doctest.h>
#include <linux/if_ether.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>

#include <cerrno>
#include <cstring>

#include "netjail/kernel/link.h"
#include "netjail/kernel/nft.h"
#include "netjail/net/packet.h"
#include "nft_fixture.h"
#include "support/listen.h"
#include "support/run.h"

using namespace netjail;
using namespace netjail::test;

namespace {

constexpr std::uint16_t kPort = 7;

void must(const Status& status) { REQUIRE_MESSAGE(status.has_value(), render_error(status.error())); }

struct Net {
  NetworkNamespace network;
  Netlink route;

  Fd socket(int family, int type, int protocol) const {
    Fd fd;
    must(in_place(network.place(), [&]() -> Status {
      fd = Fd(::socket(family, type | SOCK_CLOEXEC, protocol));
      return fd ? Status{} : fail_errno("socket");
    }));
    return fd;
  }
};

Net make_net() {
  auto network = NetworkNamespace::create().value();
  std::optional<Netlink> route;
  must(in_place(network.place(), [&]() -> Status {
    // New namespaces inherit the host's value, and it would judge sources too.
    for (const std::string scope : {"all", "default"})
      NJ_TRY(write_file("/proc/sys/net/ipv4/conf/" + scope + "/rp_filter", "0"));
    NJ_TRY_AS(route, Netlink::open(NETLINK_ROUTE));
    return {};
  }));
  return {std::move(network), std::move(*route)};
}

struct End {
  Net& net;
  std::uint32_t index;  // the link's name is "v" and its index
  std::vector<std::string> addresses = {};
  std::vector<std::string> routes = {};
  bool forwarding = false;
};

// As netjail makes them: NOARP, one MAC address.
void create_veth(const End& one, const End& other) {
  const auto name = [](const End& end) { return "v" + std::to_string(end.index); };
  MessageBuffer messages;
  append_veth(messages, {name(one), one.index, name(other), other.index, other.net.network.fd(), 1500});
  must(one.net.route.request(messages, "make a veth pair"));
}

void open(const End& end) {
  MessageBuffer messages;
  append_link_up(messages, end.index, end.forwarding);
  for (const auto& address : end.addresses) append_address(messages, end.index, *parse_ip(address));
  for (const auto& to : end.routes) append_route(messages, *parse_prefix(to), end.index, RouteMode::add);
  must(end.net.route.request(messages, "configure a link"));
}

void connect(const End& one, const End& other) {
  create_veth(one, other);
  for (const End* end : {&one, &other}) open(*end);
  for (const End* end : {&one, &other}) {
    must(wait_operational(end->net.route, {end->index}));
    for (const auto& address : end->addresses)
      CHECK(eventually([&] {
        const auto found = find_routes(end->net.route, {*parse_ip(address)});
        return found && found->front() && found->front()->local;
      }));
  }
}

int family_of(const std::string& address) {
  return parse_ip(address)->family == Family::ipv4 ? AF_INET : AF_INET6;
}

sockaddr_storage make_address(const std::string& text, std::uint16_t port) {
  const Ip ip = *parse_ip(text);
  sockaddr_storage out{};
  out.ss_family = static_cast<sa_family_t>(family_of(text));
  const std::size_t at =
      ip.family == Family::ipv4 ? offsetof(sockaddr_in, sin_addr) : offsetof(sockaddr_in6, sin6_addr);
  std::memcpy(reinterpret_cast<std::byte*>(&out) + at, ip.bytes.data(), address_size(ip.family));
  reinterpret_cast<sockaddr_in*>(&out)->sin_port = htons(port);  // at the same place in both
  return out;
}

Fd listen_at(const Net& net, const std::string& address, std::uint16_t port = kPort) {
  Fd fd = net.socket(family_of(address), SOCK_DGRAM, 0);
  const sockaddr_storage at = make_address(address, port);
  REQUIRE(::bind(fd.get(), reinterpret_cast<const sockaddr*>(&at), sizeof at) == 0);
  return fd;
}

// 0 or errno.
int send(const Fd& socket, std::string_view octets, const std::string& to, std::uint16_t port = kPort) {
  const sockaddr_storage at = make_address(to, port);
  const auto* address = reinterpret_cast<const sockaddr*>(&at);
  return ::sendto(socket.get(), octets.data(), octets.size(), 0, address, sizeof at) < 0 ? errno : 0;
}

// A whole UDP packet through a socket of IPPROTO_RAW.
int send_raw(const Fd& raw, const std::string& from, const std::string& to) {
  const auto packet = make_packet(
      *parse_ip(from), {.destination = *parse_ip(to), .protocol = kUdp, .port = kPort, .icmp_type = 0}, 64);
  return send(raw, {reinterpret_cast<const char*>(packet.data()), packet.size()}, to, 0);
}

struct Arrived {
  std::string text = "nothing";
  std::string from = "nobody";
};

Arrived receive(const Fd& socket, Milliseconds time = 2s) {
  pollfd wait{socket.get(), POLLIN, 0};
  Datagram datagram;
  if (::poll(&wait, 1, static_cast<int>(time.count())) != 1 || !test::receive(socket.get(), datagram))
    return {};
  return {datagram.text, to_peer(datagram.from).address};
}

// Of what has arrived: questions for somebody's link address (ARP, ICMPv6 neighbour solicitations).
int count_neighbour_questions(const Fd& packets) {
  int count = 0;
  unsigned char octets[2048];
  for (ssize_t got = 0; (got = ::recv(packets.get(), octets, sizeof octets, MSG_DONTWAIT)) > 0;) {
    const int type = octets[12] << 8 | octets[13];
    count += type == ETH_P_ARP;
    count += type == ETH_P_IPV6 && got > 54 && octets[20] == kIcmp6 && octets[54] == 135;
  }
  return count;
}

void filter(const Net& net, const std::string& rules) {
  const NftAnswer answer = nft_command(net.network, {"-f", "-"}, rules);
  REQUIRE_MESSAGE(answer.status == 0, answer.err);
}

std::uint64_t count(const Net& net, const std::string& counter) {
  Netlink netfilter = open_netfilter(net.network);
  const auto value = read_counter(netfilter, "t", counter);
  REQUIRE(value.has_value());
  return value->packets;
}

// jail (2) — (3) router (4) — (5) outside, all links as netjail's.
struct Path {
  Net jail = make_net();
  Net router = make_net();
  Net outside = make_net();

  Path() {
    must(in_place(router.network.place(),
                  [] { return write_file("/proc/sys/net/ipv6/conf/all/forwarding", "1"); }));
    connect({jail, 2, {"198.51.100.2", "2001:db8::2"}, {"0.0.0.0/0", "::/0"}},
            {router, 3, {"fe80::1"}, {"198.51.100.2", "2001:db8::2"}, true});
    connect({router, 4, {}, {"0.0.0.0/0", "::/0"}, true},
            {outside, 5, {"198.51.100.5", "2001:db8::5"}, {"0.0.0.0/0", "::/0"}});
  }
};

struct Addresses {
  std::string jail = "198.51.100.2";
  std::string outside = "198.51.100.5";
  std::string foreign = "203.0.113.9";
};
const Addresses kAddresses[]{{}, {"2001:db8::2", "2001:db8::5", "2001:db8:9::9"}};

}  // namespace

TEST_CASE("a netlink socket programs the network namespace in which it was opened, from any other") {
  if (!needs_root()) return;
  Net one = make_net(), other = make_net();
  const auto mtu = [](Net& net) { return find_link(net.route, 1u).value().mtu; };
  MessageBuffer messages;
  append_link_settings(messages, 1, 1111);
  const auto set = [&] { return one.route.request(messages, "set the MTU of lo"); };
  must(in_place(other.network.place(), set));
  CHECK(mtu(one) == 1111);
  CHECK(mtu(other) != 1111);
}

TEST_CASE("SO_NETNS_COOKIE is the network namespace's: one for its sockets, another for each") {
  if (!needs_root()) return;
  const auto cookie = [](int socket) {
    std::uint64_t value = 0;
    socklen_t size = sizeof value;
    CHECK(::getsockopt(socket, SOL_SOCKET, SO_NETNS_COOKIE, &value, &size) == 0);
    return value;
  };
  const Net one = make_net(), other = make_net();
  CHECK(cookie(one.route.fd()) == cookie(one.socket(AF_INET, SOCK_DGRAM, 0).get()));
  CHECK(cookie(one.route.fd()) != cookie(other.route.fd()));
  CHECK(cookie(one.route.fd()) != cookie(Fd(::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0)).get()));
}

TEST_CASE("a host route that is claimed exclusively is one link's, until that link is gone") {
  if (!needs_root()) return;
  Net net = make_net(), peers = make_net();
  for (const std::uint32_t index : {10u, 11u}) connect({net, index}, {peers, index + 10});
  const auto claim = [&](std::uint32_t link, const Addresses& addresses, RouteMode mode) {
    MessageBuffer messages;
    append_route(messages, *parse_prefix(addresses.foreign), link, mode);
    const auto done = net.route.transact(messages);
    return done ? 0 : done.error().error.code;
  };
  for (const Addresses& each : kAddresses) {
    CHECK(claim(10, each, RouteMode::exclusive) == 0);
    CHECK(claim(11, each, RouteMode::exclusive) == EEXIST);
  }
  must(ip_batch(peers.network.place(), "link del v20\n"));  // the other end, as when a jail ends
  for (const Addresses& each : kAddresses) CHECK(claim(11, each, RouteMode::exclusive) == 0);
  // Nothing but the flag keeps a second one out.
  connect({net, 10}, {peers, 20});
  for (const Addresses& each : kAddresses) CHECK(claim(10, each, RouteMode::add) == 0);
}

TEST_CASE("NOARP and one MAC address: unicast of both families without a question for a neighbour") {
  if (!needs_root()) return;
  Net one = make_net(), other = make_net();
  connect({one, 2, {"198.51.100.2", "2001:db8::2"}, {"0.0.0.0/0", "::/0"}},
          {other, 3, {"198.51.100.5", "2001:db8::5"}, {"0.0.0.0/0", "::/0"}});
  const Fd packets = other.socket(AF_PACKET, SOCK_RAW, htons(ETH_P_ALL));
  const auto arrives = [&](const Addresses& addresses, Milliseconds time) {
    const Fd listener = listen_at(other, addresses.outside);
    const Fd sender = listen_at(one, addresses.jail);
    if (send(sender, "there", addresses.outside) != 0 || receive(listener, time).text != "there")
      return false;
    return send(listener, "back", addresses.jail) == 0 && receive(sender, time).text == "back";
  };
  for (const Addresses& each : kAddresses) CHECK(arrives(each, 2s));
  CHECK(count_neighbour_questions(packets) == 0);

  // Another MAC address: frames still name the sender's own, and are no longer the other end's.
  must(ip_batch(other.network.place(), "link set v3 address 02:00:00:00:00:99\n"));
  for (const Addresses& each : kAddresses) CHECK_FALSE(arrives(each, 50ms));
  CHECK(count_neighbour_questions(packets) == 0);
  // Without NOARP there are questions.
  must(ip_batch(one.network.place(), "link set v2 arp on\n"));
  for (const Addresses& each : kAddresses) {
    arrives(each, 50ms);
    CHECK(count_neighbour_questions(packets) > 0);
  }
}

TEST_CASE("once a link has been asked about with RTM_GETLINK its first datagram is not lost") {
  if (!needs_root()) return;
  Net one = make_net(), other = make_net();
  must(ip_batch(one.network.place(), "addr add 198.51.100.2/32 dev lo\n"));
  must(ip_batch(other.network.place(), "addr add 198.51.100.5/32 dev lo\n"));
  const Fd here = listen_at(one, "198.51.100.2"), there = listen_at(other, "198.51.100.5");
  auto send_through_new_link = [&, index = 100u](bool ask) mutable {
    const End sender{one, ++index}, receiver{other, index + 100000};
    create_veth(sender, receiver);
    open(sender);
    MessageBuffer route;
    append_route(route, *parse_prefix("198.51.100.5/32"), index, RouteMode::replace);
    must(one.route.request(route, "turn the route"));
    open(receiver);
    if (!ask) CHECK(send(here, "early", "198.51.100.5") == 0);
    must(wait_operational(one.route, {sender.index}));
    must(wait_operational(other.route, {receiver.index}));
    CHECK(send(here, "first", "198.51.100.5") == 0);
    const std::string arrived = receive(there).text;
    if (arrived == "early") CHECK(receive(there).text == "first");
    return arrived;
  };
  // Who does not ask loses one now and then: a race, which a kernel may lose or win. No failure.
  WARN(eventually([&] { return send_through_new_link(false) == "first"; }));
  for (int i = 0; i < 20; ++i) CHECK(send_through_new_link(true) == "first");
}

TEST_CASE("fib saddr . iif oif missing: a foreign source is not forwarded, its own is") {
  if (!needs_root()) return;
  const Path path;
  const auto first_to_arrive = [&](const Addresses& addresses, const std::vector<std::string>& sources) {
    const Fd listener = listen_at(path.outside, addresses.outside);
    const Fd raw = path.jail.socket(family_of(addresses.jail), SOCK_RAW, IPPROTO_RAW);
    for (const auto& source : sources) CHECK(send_raw(raw, source, addresses.outside) == 0);
    return receive(listener).from;
  };
  for (const Addresses& each : kAddresses)
    CHECK(first_to_arrive(each, {each.foreign, each.jail}) == each.foreign);
  filter(path.router,
         "table inet t {\n counter spoofed { }\n chain c { type filter hook prerouting priority -150;\n"
         "  iifname v3 fib saddr . iif oif missing counter name spoofed drop\n }\n}\n");
  for (const Addresses& each : kAddresses)
    CHECK(first_to_arrive(each, {each.foreign, each.foreign, each.jail}) == each.jail);
  CHECK(count(path.router, "spoofed") == 4);
}

TEST_CASE("a conntrack mark that a flow's first packet set is there for its replies and next packets") {
  if (!needs_root()) return;
  const Path path;
  filter(
      path.router,
      "table inet t {\n counter first { }\n counter next { }\n counter replies { }\n counter unmarked { }\n"
      " chain c { type filter hook forward priority 0;\n  meta l4proto != udp accept\n"
      "  ct direction reply ct mark 7 counter name replies accept\n  ct mark 7 counter name next accept\n"
      "  udp dport 7 ct state new ct mark set 7 counter name first accept\n"
      "  counter name unmarked\n }\n}\n");
  const auto talk = [&](const Addresses& addresses, std::uint16_t port) {
    const Fd client = listen_at(path.jail, addresses.jail, 1000);
    const Fd server = listen_at(path.outside, addresses.outside, port);
    for (int i = 0; i < 2; ++i) {
      CHECK(send(client, "question", addresses.outside, port) == 0);
      CHECK(receive(server).text == "question");
      CHECK(send(server, "answer", addresses.jail, 1000) == 0);
      CHECK(receive(client).text == "answer");
    }
  };
  for (const Addresses& each : kAddresses) talk(each, 7);
  for (const Addresses& each : kAddresses) talk(each, 8);  // the same hosts, another flow: no mark
  CHECK(count(path.router, "first") == 2);
  CHECK(count(path.router, "next") == 2);
  CHECK(count(path.router, "replies") == 4);
  CHECK(count(path.router, "unmarked") == 8);
}

TEST_CASE("a socket of IPPROTO_RAW sends from the namespace in which it was opened") {
  if (!needs_root()) return;
  const Path path;
  const Net elsewhere = make_net();  // has no way
  for (const auto& [jail, outside, foreign] : kAddresses) {
    const Fd listener = listen_at(path.outside, outside);
    const Fd raw = path.jail.socket(family_of(jail), SOCK_RAW, IPPROTO_RAW);
    CHECK(send_raw(raw, jail, outside) == 0);  // this thread is in the machine's namespace
    CHECK(receive(listener).from == jail);
    CHECK(send_raw(elsewhere.socket(family_of(jail), SOCK_RAW, IPPROTO_RAW), jail, outside) == ENETUNREACH);
  }
}
