// One netlink conversation against the real kernel: acks, dumps, errors with the kernel's own words, many
// messages.
#include "netjail/kernel/netlink.h"

#include <arpa/inet.h>
#include <doctest/doctest.h>
#include <linux/if_addr.h>
#include <linux/if_link.h>
#include <linux/rtnetlink.h>
#include <net/if.h>
#include <sys/socket.h>

#include <cerrno>
#include <cstring>
#include <optional>

#include "support/namespaces.h"

using namespace netjail;
using namespace netjail::test;

namespace {

struct World {
  NetworkNamespace network;
  Netlink route;
};

World make_world() {
  auto network = NetworkNamespace::create();
  REQUIRE(network.has_value());
  std::optional<Netlink> route;
  const Status status = in_place(network->place(), [&]() -> Status {
    NJ_TRY_AS(route, Netlink::open(NETLINK_ROUTE));
    return {};
  });
  REQUIRE(status.has_value());
  return {std::move(*network), std::move(*route)};
}

void put_get_link(MessageBuffer& out, int index) {
  ifinfomsg header{};
  header.ifi_index = index;
  out.begin(RTM_GETLINK, NLM_F_REQUEST, header);
}

// 10.A.B.C/32 on the loopback.
void put_address(MessageBuffer& out, std::uint32_t number) {
  ifaddrmsg header{};
  header.ifa_family = AF_INET;
  header.ifa_prefixlen = 32;
  header.ifa_index = 1;
  out.begin(RTM_NEWADDR, NLM_F_REQUEST | NLM_F_CREATE | NLM_F_EXCL, header);
  const std::uint32_t address = htonl(0x0a000000U + number);
  out.put_u32(IFA_LOCAL, address);
}

// A route to 198.51.100.0/24 through a gateway that nobody knows.
void put_bad_route(MessageBuffer& out) {
  rtmsg header{};
  header.rtm_family = AF_INET;
  header.rtm_dst_len = 24;
  header.rtm_table = RT_TABLE_MAIN;
  header.rtm_protocol = RTPROT_STATIC;
  header.rtm_type = RTN_UNICAST;
  out.begin(RTM_NEWROUTE, NLM_F_REQUEST | NLM_F_CREATE, header);
  in_addr destination{}, gateway{};
  inet_pton(AF_INET, "198.51.100.0", &destination);
  inet_pton(AF_INET, "203.0.113.9", &gateway);
  out.put(RTA_DST, &destination, sizeof destination);
  out.put(RTA_GATEWAY, &gateway, sizeof gateway);
}

std::size_t count_addresses(Netlink& route) {
  MessageBuffer request;
  ifaddrmsg header{};
  header.ifa_family = AF_INET;
  request.begin(RTM_GETADDR, NLM_F_REQUEST | NLM_F_DUMP, header);
  std::size_t count = 0;
  const Status status = route.request(request, "list the addresses", [&](const nlmsghdr* answer) {
    CHECK(answer->nlmsg_type == RTM_NEWADDR);
    ++count;
  });
  REQUIRE_MESSAGE(status.has_value(), render_error(status.error()));
  return count;
}

}  // namespace

TEST_CASE("message buffer") {
  MessageBuffer buffer;
  const std::uint32_t header = 7;
  buffer.begin(20, NLM_F_REQUEST, header);
  buffer.put_u8(1, 9);
  const std::size_t nest = buffer.open_nest(2);
  buffer.put_string(3, "abc");
  buffer.close_nest(nest);
  buffer.begin(21, NLM_F_REQUEST, header);
  REQUIRE(buffer.messages() == 2);
  const auto bytes = buffer.bytes();
  const auto* first = reinterpret_cast<const nlmsghdr*>(bytes.data());
  CHECK(first->nlmsg_len == 16 + 4 + 8 + 4 + 8);
  CHECK(bytes.size() == first->nlmsg_len + 20);
  nlattr attribute;
  std::memcpy(&attribute, bytes.data() + 28, sizeof attribute);
  CHECK(attribute.nla_type == (2 | NLA_F_NESTED));
  CHECK(attribute.nla_len == 12);

  MessageBuffer copy;
  copy.add(first);
  CHECK(std::memcmp(copy.bytes().data(), bytes.data(), first->nlmsg_len) == 0);
  copy.clear();
  CHECK(copy.messages() == 0);
  CHECK(copy.bytes().empty());
}

TEST_CASE("a request that answers one message, and one that fails") {
  if (!needs_root()) return;
  World world = make_world();
  MessageBuffer request;
  put_get_link(request, 1);
  int answers = 0;
  Status status = world.route.request(request, "read the link", [&](const nlmsghdr* answer) {
    CHECK(answer->nlmsg_type == RTM_NEWLINK);
    ++answers;
  });
  REQUIRE_MESSAGE(status.has_value(), render_error(status.error()));
  CHECK(answers == 1);

  request.clear();
  put_get_link(request, 4711);
  status = world.route.request(request, "cannot read link 4711");
  REQUIRE_FALSE(status.has_value());
  CHECK(status.error().what == "cannot read link 4711");
  CHECK(status.error().code == ENODEV);
}

TEST_CASE("the failing message of many is named, with the kernel's words, and the next conversation works") {
  if (!needs_root()) return;
  World world = make_world();
  MessageBuffer requests;
  put_address(requests, 1);
  put_address(requests, 2);
  put_bad_route(requests);
  put_address(requests, 2);
  const auto done = world.route.transact(requests);
  REQUIRE_FALSE(done.has_value());
  CHECK(done.error().message == 2);
  CHECK(done.error().error.code == ENETUNREACH);
  CHECK(done.error().error.kernel.find("Nexthop has invalid gateway") != std::string::npos);
  CHECK(count_addresses(world.route) == 3);  // 127.0.0.1 and the two before the failure

  MessageBuffer again;
  put_address(again, 2);
  const Status status = world.route.request(again, "add it again");
  REQUIRE_FALSE(status.has_value());
  CHECK(status.error().code == EEXIST);
}

TEST_CASE("an attribute that the kernel refuses is named") {
  if (!needs_root()) return;
  World world = make_world();
  MessageBuffer request;
  ifinfomsg header{};
  request.begin(RTM_NEWLINK, NLM_F_REQUEST | NLM_F_CREATE, header);
  request.put_string(IFLA_IFNAME, std::string(40, 'x'));
  const Status status = world.route.request(request, "make a link");
  REQUIRE_FALSE(status.has_value());
  CHECK(status.error().code == ERANGE);
  CHECK(status.error().kernel.find("attribute 3 at octet 32 of the message") != std::string::npos);
}

TEST_CASE("thousands of messages in one conversation, and a dump of many datagrams") {
  if (!needs_root()) return;
  World world = make_world();
  MessageBuffer requests;
  constexpr std::uint32_t kCount = 5000;
  for (std::uint32_t i = 1; i <= kCount; ++i) put_address(requests, i);
  const Status status = world.route.request(requests, "add the addresses");
  REQUIRE_MESSAGE(status.has_value(), render_error(status.error()));
  CHECK(count_addresses(world.route) == kCount + 1);
}

TEST_CASE("requests and dumps in one buffer are answered in order") {
  if (!needs_root()) return;
  World world = make_world();
  MessageBuffer requests;
  put_address(requests, 1);
  ifaddrmsg header{};
  header.ifa_family = AF_INET;
  requests.begin(RTM_GETADDR, NLM_F_REQUEST | NLM_F_DUMP, header);
  put_address(requests, 2);
  requests.begin(RTM_GETADDR, NLM_F_REQUEST | NLM_F_DUMP, header);
  int addresses = 0;
  const auto done = world.route.transact(requests, [&](const nlmsghdr*) { ++addresses; });
  REQUIRE(done.has_value());
  CHECK(addresses == 2 + 3);
}

TEST_CASE("a dump that fails says so") {
  if (!needs_root()) return;
  World world = make_world();
  MessageBuffer request;
  ifaddrmsg header{};
  header.ifa_family = AF_INET;
  header.ifa_index = 4711;  // strict checking: dump the addresses of this link only
  request.begin(RTM_GETADDR, NLM_F_REQUEST | NLM_F_DUMP, header);
  const Status status = world.route.request(request, "list the addresses of link 4711");
  REQUIRE_FALSE(status.has_value());
  CHECK(status.error().code == ENODEV);
}

TEST_CASE("the socket keeps the namespace in which it was opened") {
  if (!needs_root()) return;
  World one = make_world();
  World other = make_world();
  MessageBuffer request;
  put_address(request, 77);
  REQUIRE(one.route.request(request, "add").has_value());
  CHECK(count_addresses(one.route) == 2);
  CHECK(count_addresses(other.route) == 1);
}
