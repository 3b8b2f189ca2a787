// Rules by name: the jail's resolver beside dnsmasq with --nftset, each asked by the same client on the
// loopback of its own network namespace, each one veth away from a server that answers every question at
// once.
#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstdlib>
#include <random>

#include "cases.h"

namespace netjail::bench {
namespace {

constexpr const char* kDnsmasq = "/usr/sbin/dnsmasq";
constexpr const char* kNameServer = "198.51.100.53";     // the one of the world's resolv.conf
constexpr const char* kOtherNameServer = "203.0.113.2";  // the same program, for dnsmasq
constexpr const char* kZone = "a-longer-name-of-a-zone.test";
constexpr std::size_t kNames = 10'000, kManyNames = 32'000;  // a jail learns 32,768 addresses
constexpr std::size_t kCached = 1'000;

// Dnsmasq's is a router as people build them: it masquerades, and forwards to what its set holds.
std::string make_router(const World& world) {
  return fmt::format(R"(
    PATH=$PATH:/usr/sbin:/sbin
    one='numtxqueues 1 numrxqueues 1'
    ip netns add ref-dns
    ip link add name refdns netns ref-dns $one type veth peer name refdns netns /proc/{}/fd/{} $one
    ip -n ref-dns link set lo up
    ip -n ref-dns addr add 203.0.113.1/24 dev refdns
    ip -n ref-dns link set refdns up
    ip netns exec ref-dns nft 'table inet t {{
      set s {{ type ipv4_addr; flags timeout; timeout 10m; size 65536; }}
      chain forward {{ type filter hook forward priority filter; policy drop;
        ct state established accept; ip daddr @s tcp dport 443 accept; }}
      chain nat {{ type nat hook postrouting priority srcnat; oifname "refdns" masquerade; }}
    }}')",
                     ::getpid(), world.server);
}

// A fresh one for each sample, as the jail is: nothing is cached, the set is empty. It forks when it listens.
std::string start_dnsmasq(const World& world) {
  return fmt::format(R"(
    PATH=$PATH:/usr/sbin:/sbin
    ip netns exec ref-dns nft flush set inet t s
    ip netns exec ref-dns {0} --conf-file=/dev/null --pid-file={1}/dnsmasq.pid --user=root --no-resolv --no-hosts \
      --listen-address=127.0.0.1 --bind-interfaces --cache-size=10000 --dns-forward-max=512 \
      --address=/#/ --server=/{2}/{3} --nftset=/{2}/4#inet#t#s)",
                     kDnsmasq, world.folder, kZone, kOtherNameServer);
}
std::string end_dnsmasq(const World& world) {
  return fmt::format(
      "pid=$(cat {}/dnsmasq.pid); kill $pid; while grep -q \") [^Z]\" /proc/$pid/stat; do sleep 0.01; done "
      "2>/dev/null",
      world.folder);
}

std::string exact_names(std::size_t count) {
  std::string text = fmt::format("description = \"bench: names\"\n\n[[allow]]\nto = [\"server.{}\"", kZone);
  for (std::size_t i = 0; i < count; i++) text += fmt::format(",\n  \"n{}.{}\"", i, kZone);
  return text + fmt::format("]\nservice = [\"443/tcp\", \"{}/udp\", \"{}-{}/udp\"]\n", kEchoPort, kFreshPort,
                            kFreshPort + kFreshFlows - 1);
}

struct Load {
  const char* zone;
  std::size_t names, count, outstanding;
  int rcode;                  // that a jail and dnsmasq give; the server itself gives 0
  bool asked_before = false;  // each name once, unmeasured
};

// What the last of them prints.
Command in_turn(const std::vector<Command>& programs) {
  std::string text;
  for (const Command& program : programs)
    text += fmt::format("{}{}", text.empty() ? "" : " >/dev/null; ", fmt::join(program, " "));
  return {"/bin/sh", "-ec", text};
}

Command ask(const World& world, const char* server, const Load& load) {
  const auto line = [&](std::size_t count, std::size_t outstanding) {
    return world.tool("dns", {"ask", server, load.zone, std::to_string(load.names), std::to_string(count),
                              std::to_string(outstanding), std::to_string(load.rcode)});
  };
  const Command measured = line(load.count, load.outstanding);
  if (!load.asked_before) return measured;
  return in_turn({line(load.names, 8), measured});
}

Command in_router(const Command& program) {
  Command command = {"/usr/sbin/ip", "netns", "exec", "ref-dns"};
  command.insert(command.end(), program.begin(), program.end());
  return command;
}

struct Answers {
  Samples rate, latency;  // per second, µs
  void add(const Command& command) {
    const std::string output = run_captured(command);
    const auto space = output.find(' ');
    if (space == std::string::npos) fail("the client says nothing");
    rate.add(std::strtod(output.c_str(), nullptr));
    latency.add(std::strtod(output.c_str() + space, nullptr) / 1000);
  }
};
struct Compared {
  Answers netjail, dnsmasq, floor;
};

Compared compare(const World& world, const Load& load, std::size_t runs) {
  Compared all;
  std::mt19937 random(1);
  for (std::size_t run = 0; run < runs; run++) {
    std::array<int, 3> order{0, 1, 2};
    std::shuffle(order.begin(), order.end(), random);
    for (const int subject : order) {
      if (subject == 0 && world.has_netjail())
        all.netjail.add(world.jail("names.toml", ask(world, "127.0.0.1", load)));
      if (subject == 1) {
        shell(world.host, start_dnsmasq(world));
        all.dnsmasq.add(in_router(ask(world, "127.0.0.1", load)));
        shell(world.host, end_dnsmasq(world));
      }
      if (subject == 2) {
        Load plain = load;
        plain.rcode = 0;
        all.floor.add(ask(world, kNameServer, plain));
      }
      settle();
    }
  }
  return all;
}

void add_row(Table& table, const std::string& what, Samples Answers::*member, const char* unit,
             const Compared& all, Bar bar, double limit) {
  const Samples& netjail = all.netjail.*member;
  const Samples& dnsmasq = all.dnsmasq.*member;
  table.add({.what = what,
             .value = spread(netjail, unit),
             .reference = "dnsmasq " + spread(dnsmasq, unit),
             .compared = netjail.median() / dnsmasq.median(),
             .compared_unit = "×",
             .bar = bar,
             .limit = limit});
  table.add({.what = what + ", the server itself",
             .value = "–",
             .reference = "from the host, one veth " + spread(all.floor.*member, unit)});
}

void measure_memory_of_names(const World& world, Table& table) {
  const auto pss = [&](const char* profile, std::size_t names) {
    Crowd one(world.jail(profile, ask(world, "127.0.0.1", {kZone, names, names, 8, 0})));
    one.grow(1);
    return pss_mib(one.pids().front());
  };
  const double none = pss("names.toml", 1), all = pss("names.toml", kNames);
  settle();
  table.add({.what = fmt::format("PSS of the supervisor, {} names in the profile, all learned", kNames),
             .value = number(all, "MiB"),
             .reference = fmt::format("the same profile, one learned {}", number(none, "MiB")),
             .compared = all,
             .compared_unit = "MiB",
             .bar = Bar::at_most,
             .limit = 8});
}

void measure_packets(const World& world, std::size_t runs, Table& table) {
  // The first question of `learn` is for the server's name: without it the echo would not be heard.
  const auto port = [](int number) { return std::to_string(number); };
  const Command echo = world.tool("traffic", {"ping", kServer, port(kEchoPort), "1"});
  const Command fresh = world.tool("traffic", {"fresh", kServer, port(kFreshPort), port(kFreshFlows)});
  const auto sample = [&](std::size_t names) {
    const Command learn = ask(world, "127.0.0.1", {kZone, names, names, 8, 0});
    return std::strtod(run_captured(world.jail("many.toml", in_turn({learn, echo, fresh}))).c_str(), nullptr);
  };
  write_profile(world, "many.toml", exact_names(kManyNames));
  Samples one, many;
  for (std::size_t run = 0; run < runs; run++) {
    one.add(sample(1));
    settle();
    many.add(sample(kManyNames));
    settle();
  }
  table.add({.what = fmt::format("cost of a flow's first packet, {} names learned", kManyNames),
             .value = spread(many, "ns"),
             .reference = "one learned " + spread(one, "ns"),
             .compared = many.median() / one.median(),
             .compared_unit = "×",
             .bar = Bar::at_most,
             .limit = 1.2});
}

}  // namespace

void measure_names(const World& world, const Options& options, Table& table) {
  if (::access(kDnsmasq, X_OK) != 0) fail("there is no dnsmasq: apt install dnsmasq-base");
  shell(world.server, fmt::format("/usr/sbin/ip addr add {}/32 dev eth0", kNameServer));
  shell(world.host, make_router(world));
  shell(world.server, fmt::format("/usr/sbin/ip addr add {}/24 dev refdns; /usr/sbin/ip link set refdns up",
                                  kOtherNameServer));
  start_server(world.server, world.tool("dns", {"serve", kNameServer}));
  start_server(world.server, world.tool("dns", {"serve", kOtherNameServer}));
  write_profile(world, "names.toml", exact_names(kNames));
  const std::size_t runs = options.quick ? 3 : std::max<std::size_t>(options.runs / 5, 1);

  const auto latency = compare(world, {kZone, kNames, 2'000, 1, 0}, runs);
  const auto first = compare(world, {kZone, kNames, kNames, 32, 0}, runs);
  const auto refused = compare(world, {"other.test", kNames, 20'000, 32, 3}, runs);
  const auto cached = compare(world, {kZone, kCached, 20'000, 32, 0, true}, runs);
  table.title("Rules by name, beside dnsmasq --nftset");
  add_row(table, "a name asked for the first time, one at a time", &Answers::latency, "µs", latency,
          Bar::at_most, 0.8);
  add_row(table, "names asked for the first time, 32 at a time", &Answers::rate, "/s", first, Bar::at_least,
          3);
  add_row(table, "refused names, 32 at a time", &Answers::rate, "/s", refused, Bar::at_least, 5);
  add_row(table, "cached names, 32 at a time", &Answers::rate, "/s", cached, Bar::none, 0);
  if (world.has_netjail()) {
    measure_memory_of_names(world, table);
    measure_packets(world, runs, table);
  }
  shell(world.host, "/usr/sbin/ip netns del ref-dns");
}

}  // namespace netjail::bench
