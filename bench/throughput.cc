// TCP throughput of one stream, out of the jail to a server behind the host.
//
// The references are hand-made: the same two hops with the host's NAT and no rules in the router, and one
// hop. All three share the link from the host to the server and the host's conntrack.
#include <algorithm>
#include <cstdlib>
#include <random>

#include "cases.h"

namespace netjail::bench {
namespace {

// Runs the command in a namespace of its own choosing: the two references are `ip netns` names on the world's
// /run.
Command inside(const std::string& name, const Command& program) {
  Command command = {"/usr/sbin/ip", "netns", "exec", name};
  command.insert(command.end(), program.begin(), program.end());
  return command;
}

constexpr const char* kMake = R"(
  PATH=$PATH:/usr/sbin:/sbin
  one='numtxqueues 1 numrxqueues 1 address 02:6e:6a:00:00:02'
  up='arp off up'
  ip netns add ref-one; ip netns add ref-router; ip netns add ref-two
  ip link add ref1 $one type veth peer name eth0 netns ref-one $one
  ip link add ref2 $one type veth peer name uplink netns ref-router $one
  ip link add name jail netns ref-router $one type veth peer name eth0 netns ref-two $one
  for n in ref-one ref-two; do
    ip -n $n link set lo up; ip -n $n link set eth0 $up
  done
  ip -n ref-one addr add 10.202.0.1/32 dev eth0; ip -n ref-one route add default dev eth0
  ip -n ref-two addr add 10.202.0.2/32 dev eth0; ip -n ref-two route add default dev eth0
  ip -n ref-router link set jail $up; ip -n ref-router link set uplink $up
  ip -n ref-router route add 10.202.0.2 dev jail; ip -n ref-router route add default dev uplink
  ip netns exec ref-router sysctl -q -w net.ipv4.ip_forward=1
  ip link set ref1 $up; ip link set ref2 $up
  ip route add 10.202.0.1 dev ref1; ip route add 10.202.0.2 dev ref2
  for l in ref1 ref2 up0; do echo 1 > /proc/sys/net/ipv4/conf/$l/forwarding; done
  nft 'table ip bench { chain nat { type nat hook postrouting priority srcnat;
         ip saddr 10.202.0.0/16 oifname "up0" masquerade; }
       }'
)";
constexpr const char* kRemove = R"(
  PATH=$PATH:/usr/sbin:/sbin
  nft delete table ip bench
  ip netns del ref-one; ip netns del ref-two; ip netns del ref-router
  echo 0 > /proc/sys/net/ipv4/conf/up0/forwarding
)";

}  // namespace

void measure_throughput(const World& world, const Options& options, Table& table) {
  // A keeper that came late would switch the uplink's forwarding off below the references.
  wait_for_untouched_host(world);
  shell(world.host, kMake);
  const std::string ms = options.quick ? "200" : "300";
  const Command stream = world.tool("traffic", {"stream", kServer, std::to_string(kSinkPort), ms});
  struct Path {
    Command command;
    Samples rate;  // Gbit/s
  };
  Path one{inside("ref-one", stream), {}};
  Path two{inside("ref-two", stream), {}};
  Path netjail{world.has_netjail() ? world.jail("traffic.toml", stream) : Command{}, {}};
  std::vector<Path*> order = {&one, &two};
  if (world.has_netjail()) order.push_back(&netjail);
  std::mt19937 random(1);
  for (std::size_t run = 0; run < options.runs; run++) {
    std::shuffle(order.begin(), order.end(), random);
    for (auto* path : order) {
      path->rate.add(std::strtod(run_captured(path->command).c_str(), nullptr) / 1e9);
      settle();
    }
  }
  table.title("TCP, one stream, jail → server behind the host");
  table.add({.what = "throughput",
             .value = spread(netjail.rate, "Gbit/s"),
             .reference = "two veth hops, the host's NAT, no rules " + spread(two.rate, "Gbit/s"),
             .compared = netjail.rate.median() / two.rate.median(),
             .compared_unit = "×",
             .bar = Bar::at_least,
             .limit = 0.95});
  table.add({.what = "throughput",
             .value = spread(netjail.rate, "Gbit/s"),
             .reference = "one veth hop, the host's NAT " + spread(one.rate, "Gbit/s"),
             .compared = netjail.rate.median() / one.rate.median(),
             .compared_unit = "×",
             .bar = Bar::at_least,
             .limit = 0.8});
  shell(world.host, kRemove);
}

}  // namespace netjail::bench
