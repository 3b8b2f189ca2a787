// netjail-bench: the bars of README.md, measured; one Markdown table on stdout.
#include <fmt/format.h>
#include <sched.h>
#include <sys/utsname.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <utility>

#include "cases.h"

namespace netjail::bench {
namespace {

constexpr const char* kUsage =
    "usage: netjail-bench [--netjail PATH] [--profile FILE] [--runs N] [--quick] [--fifo] [--only "
    "CASE,CASE...] [--tools "
    "DIR]\n"
    "cases: launch parallel throughput memory jails sets rootless names work\n"
    "--profile replaces the small profile that launch, parallel, memory and jails use.\n"
    "--fifo runs everything with real-time priority: for a machine on which other things run.\n"
    "Needs root. Without --netjail only the floor and the peers are measured.\n";

struct Case {
  const char* name;
  void (*measure)(const World&, const Options&, Table&);
};
constexpr Case kCases[] = {
    {"launch", measure_launch},     {"parallel", measure_parallel}, {"throughput", measure_throughput},
    {"memory", measure_memory},     {"jails", measure_jails},       {"sets", measure_sets},
    {"rootless", measure_rootless}, {"names", measure_names},       {"work", measure_work}};

std::vector<std::string> split(const std::string& text) {
  std::vector<std::string> words;
  std::string word;
  for (const char c : text + ",") {
    if (c != ',') word += c;
    if (c == ',' && !word.empty()) words.push_back(std::exchange(word, {}));
  }
  return words;
}

Options parse(int argc, char** argv) {
  Options options;
  options.tools = std::filesystem::canonical("/proc/self/exe").parent_path();
  bool runs_given = false;
  for (int i = 1; i < argc; i++) {
    const std::string word = argv[i];
    auto value = [&]() -> std::string {
      if (i + 1 >= argc) fail(word + " wants a value\n" + kUsage);
      return argv[++i];
    };
    if (word == "--netjail")
      options.netjail = value();
    else if (word == "--tools")
      options.tools = value();
    else if (word == "--profile")
      options.profile = value();
    else if (word == "--only")
      options.only = split(value());
    else if (word == "--quick")
      options.quick = true;
    else if (word == "--fifo")
      options.fifo = true;
    else if (word == "--runs")
      options.runs = std::stoul(value()), runs_given = true;
    else
      fail("unknown argument " + word + "\n" + kUsage);
  }
  if (options.quick && !runs_given) options.runs = 10;
  if (options.runs == 0) fail("--runs wants at least 1");
  for (const auto& name : options.only)
    if (std::none_of(std::begin(kCases), std::end(kCases), [&](const Case& c) { return name == c.name; }))
      fail("unknown case " + name + "\n" + kUsage);
  return options;
}

// The small profile has the shape of the floor's rules: two rules of addresses, https; nothing local.
constexpr const char* kSmallProfile = R"(description = "bench: a small profile"

[[allow]]
to = ["198.51.100.0/24", "203.0.113.0/24", "2001:db8::/32"]
service = ["443/tcp", "443/udp"]

[[allow]]
to = ["192.0.2.0/24"]
service = ["443/tcp"]
)";

std::string read_file(const std::string& path) {
  std::ifstream file(path);
  if (!file) fail("cannot read " + path);
  return {std::istreambuf_iterator<char>(file), {}};
}

int work(void* argument) {
  const auto& options = *static_cast<const Options*>(argument);
  const sched_param priority{.sched_priority = 20};
  if (options.fifo && ::sched_setscheduler(0, SCHED_FIFO, &priority) != 0)
    fail("cannot get real-time priority");
  const World world = make_world(options.netjail, options.tools);
  write_profile(world, "small.toml", options.profile.empty() ? kSmallProfile : read_file(options.profile));
  write_profile(world, "traffic.toml",
                fmt::format("description = \"bench: the server\"\n\n[[allow]]\nto = [\"{}\"]\n"
                            "service = [\"{}-{}/tcp\", \"{}/udp\", \"{}/udp\", \"{}-{}/udp\"]\n",
                            kServer, kSinkPort, kSourcePort, kEchoPort, kHolePort, kFreshPort,
                            kFreshPort + kFreshFlows - 1));
  start_server(world.server, world.tool("traffic", {"sink", std::to_string(kSinkPort)}));
  start_server(world.server, world.tool("traffic", {"source", std::to_string(kSourcePort)}));
  start_server(world.server, world.tool("traffic", {"echo", std::to_string(kEchoPort)}));
  start_server(world.server, world.tool("traffic", {"hole", std::to_string(kHolePort)}));

  utsname machine{};
  ::uname(&machine);
  double load = 0;
  std::ifstream("/proc/loadavg") >> load;
  fmt::print("netjail-bench: Linux {} {}, {} CPUs, load {}; medians of {} (p10…p90), interleaved{}\n",
             machine.release, machine.machine, ::sysconf(_SC_NPROCESSORS_ONLN), load, options.runs,
             options.fifo ? ", SCHED_FIFO" : "");
  Table table;
  for (const auto& one : kCases)
    if (options.only.empty() ||
        std::find(options.only.begin(), options.only.end(), one.name) != options.only.end())
      one.measure(world, options, table);
  fmt::print("\n{}\n",
             table.missed() == 0 ? "No bar missed." : fmt::format("{} bars missed.", table.missed()));
  return 0;
}

}  // namespace
}  // namespace netjail::bench

int main(int argc, char** argv) {
  auto options = netjail::bench::parse(argc, argv);
  return netjail::bench::in_own_world(netjail::bench::work, &options);
}
