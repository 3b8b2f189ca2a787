// What grows: launch, memory and cost per packet with the number of live jails and with the size of a set.
#include <fmt/format.h>

#include <cstdlib>
#include <map>

#include "cases.h"

namespace netjail::bench {
namespace {

// ns; the jail is launched for each sample, so neither CPU placement nor conntrack's history sticks to one of
// them.
struct Traffic {
  Samples ping, send, fresh;
  double lost = 0;  // first datagrams of a jail that were not answered
};
void sample_traffic(const World& world, const std::string& profile, Traffic& traffic) {
  auto ask = [&](const char* mode, int port, int count) {
    const Command program =
        world.tool("traffic", {mode, kServer, std::to_string(port), std::to_string(count)});
    const std::string answer = run_captured(world.jail(profile, program));
    const auto space = answer.find(' ');
    if (space != std::string::npos) traffic.lost += std::strtod(answer.c_str() + space, nullptr);
    return std::strtod(answer.c_str(), nullptr);
  };
  traffic.ping.add(ask("ping", kEchoPort, 500) / 1000);
  traffic.send.add(ask("send", kHolePort, 4096));
  traffic.fresh.add(ask("fresh", kFreshPort, kFreshFlows));
}

void add_traffic(Table& table, const std::string& what, const Traffic& now, const Traffic& base,
                 const std::string& base_name) {
  auto line = [&](const char* kind, const Samples& value, const Samples& reference, const char* unit) {
    table.add({.what = fmt::format("{}, {}", kind, what),
               .value = spread(value, unit),
               .reference = base_name + " " + spread(reference, unit),
               .compared = value.median() / reference.median(),
               .compared_unit = "×",
               .bar = Bar::at_most,
               .limit = 1.2});
  };
  line("UDP round trip", now.ping, base.ping, "µs");
  line("cost of a packet of a known flow", now.send, base.send, "ns");
  line("cost of a flow's first packet", now.fresh, base.fresh, "ns");
  table.add({.what = fmt::format("first datagrams lost, {}", what),
             .value = fmt::format("{:g} of {}", now.lost, now.ping.values.size()),
             .reference = fmt::format("{} {:g}", base_name, base.lost),
             .compared = now.lost,
             .compared_unit = "lost",
             .bar = Bar::at_most,
             .limit = 0});
}

std::string set_profile(std::size_t entries) {
  std::string text = "description = \"bench: a set of many ranges\"\n\n[[allow]]\nto = [\"198.51.100.2/32\"";
  for (std::size_t i = 1; i < entries; i++) {  // /27 with a hole after each, so that none can be merged
    const std::size_t at = (16U << 24U) + i * 64;
    text += fmt::format(",\n  \"{}.{}.{}.{}/27\"", at >> 24, at >> 16 & 255, at >> 8 & 255, at & 255);
  }
  return text + fmt::format("]\nservice = [\"{}/udp\", \"{}/udp\", \"{}-{}/udp\"]\n", kEchoPort, kHolePort,
                            kFreshPort, kFreshPort + kFreshFlows - 1);
}

}  // namespace

void measure_jails(const World& world, const Options& options, Table& table) {
  const Command hold = world.tool("hold");
  const Command stamp = world.tool("stamp");
  const std::vector<std::size_t> counts =
      options.quick ? std::vector<std::size_t>{0, 1, 100} : std::vector<std::size_t>{0, 1, 100, 1000};
  Crowd crowd(world.has_netjail() ? world.jail("small.toml", hold) : world.floor(hold));
  std::vector<Subject> base;
  Traffic base_traffic;
  const double memory_before = kernel_mib();
  double memory_each_at_100 = 0;
  table.title("Growth with the number of live jails (without a netjail to measure: live floors)");
  for (const std::size_t count : counts) {
    crowd.grow(count);
    const double memory_each = count == 0 ? 0
                                          : (kernel_mib() - memory_before) / static_cast<double>(count) +
                                                own_mib(crowd.pids().back());
    std::vector<Subject> subjects;
    subjects.push_back({.name = "floor", .command = world.floor(stamp)});
    if (world.has_netjail())
      subjects.push_back({.name = "netjail", .command = world.jail("small.toml", stamp)});
    interleave(subjects, options.runs, count);
    Traffic traffic;
    for (std::size_t run = 0; world.has_netjail() && run < (options.quick ? 5 : options.runs / 2); run++) {
      sample_traffic(world, "traffic.toml", traffic);
      settle(count);
    }
    if (count == 0) {
      base = subjects;
      base_traffic = traffic;
      continue;
    }
    table.add({.what = fmt::format("launch, {} alive", count),
               .value = world.has_netjail() ? spread(subjects[1].launch, "ms") : "–",
               .reference = "none alive " + (world.has_netjail() ? spread(base[1].launch, "ms") : "–"),
               .compared = world.has_netjail() ? subjects[1].launch.median() / base[1].launch.median() : 0,
               .compared_unit = "×",
               .bar = Bar::at_most,
               .limit = 1.2});
    table.add({.what = fmt::format("(the floor's launch, {} alive)", count),
               .value = spread(subjects[0].launch, "ms"),
               .reference = "none alive " + spread(base[0].launch, "ms"),
               .compared = subjects[0].launch.median() / base[0].launch.median(),
               .compared_unit = "×"});
    if (world.has_netjail())
      add_traffic(table, fmt::format("{} alive", count), traffic, base_traffic, "none alive");
    if (count == 100) memory_each_at_100 = memory_each;
    if (count > 100)
      table.add({.what = fmt::format("memory of each, {} alive", count),
                 .value = number(memory_each, "MiB"),
                 .reference = "100 alive " + number(memory_each_at_100, "MiB"),
                 .compared = memory_each / memory_each_at_100,
                 .compared_unit = "×",
                 .bar = Bar::at_most,
                 .limit = 1.2});
  }
  crowd.disperse();
  settle();
}

void measure_sets(const World& world, const Options& options, Table& table) {
  table.title("Growth with the number of CIDR entries in a set");
  if (!world.has_netjail()) return;
  const std::vector<std::size_t> sizes = options.quick ? std::vector<std::size_t>{10, 10'000}
                                                       : std::vector<std::size_t>{10, 1'000, 10'000, 100'000};
  std::map<std::size_t, Traffic> traffic;
  std::map<std::size_t, Samples> launch;
  for (const std::size_t size : sizes)
    write_profile(world, fmt::format("set{}.toml", size), set_profile(size));
  for (std::size_t run = 0; run < (options.quick ? 3 : options.runs / 2); run++) {
    for (const std::size_t size : sizes) {
      const std::string profile = fmt::format("set{}.toml", size);
      sample_traffic(world, profile, traffic[size]);
      if (run < 5) launch[size].add(run_timed(world.jail(profile, world.tool("stamp"))).launch);
      settle();
    }
  }
  const std::size_t first = sizes.front();
  for (const std::size_t size : sizes) {
    if (size == first) continue;
    add_traffic(table, fmt::format("{} entries", size), traffic[size], traffic[first],
                fmt::format("{} entries", first));
    const double more = launch[size].median() - launch[first].median();
    table.add({.what = fmt::format("launch, {} entries", size),
               .value = spread(launch[size], "ms"),
               .reference = fmt::format("{} entries {}", first, spread(launch[first], "ms")),
               .compared = more * 1000 / static_cast<double>(size - first),
               .compared_unit = "µs per entry"});
  }
}

}  // namespace netjail::bench
