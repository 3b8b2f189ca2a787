// Memory: PSS of the supervisor and of the jail's first process; and all that a jail takes from the machine.
//
// The latter is the drop of MemAvailable per jail over a crowd of them, kernel memory included; it is
// repeated, and the median told. The floor's own number stands beside it: two network namespaces cost what
// they cost.
#include <fmt/format.h>
#include <unistd.h>

#include <cmath>
#include <fstream>
#include <map>
#include <sstream>

#include "cases.h"

namespace netjail::bench {

double pss_mib(pid_t pid) {
  std::ifstream file(fmt::format("/proc/{}/smaps_rollup", pid));
  for (std::string line; std::getline(file, line);)
    if (line.starts_with("Pss:")) return std::stod(line.substr(4)) / 1024;
  fail(fmt::format("no PSS of process {}", pid));
}

namespace {

std::vector<pid_t> children_of(pid_t pid) {
  std::ifstream file(fmt::format("/proc/{}/task/{}/children", pid, pid));
  std::vector<pid_t> children;
  for (pid_t child = 0; file >> child;) children.push_back(child);
  return children;
}

// PSS of everything below the supervisor: init and the program.
double pss_below_mib(pid_t pid) {
  double sum = 0;
  for (const pid_t child : children_of(pid)) sum += pss_mib(child) + pss_below_mib(child);
  return sum;
}

std::map<std::string, double> read_meminfo() {
  std::map<std::string, double> fields;  // MiB
  std::ifstream file("/proc/meminfo");
  for (std::string line; std::getline(file, line);) {
    const auto colon = line.find(':');
    fields[line.substr(0, colon)] = std::stod(line.substr(colon + 1)) / 1024;
  }
  // The counters that a jail's kernel memory is in (kmalloc of any size is Slab); beside them, as a
  // cross-check that other programs disturb more, everything that is neither available nor anonymous.
  fields["kernel"] = fields["Slab"] + fields["Percpu"] + fields["KernelStack"] + fields["PageTables"];
  fields["unavailable"] = fields["MemTotal"] - fields["MemAvailable"] - fields["AnonPages"];
  return fields;
}

// Frees of dead namespaces are delayed (workers, RCU): wait until the number stands still.
std::map<std::string, double> settled_meminfo() {
  auto before = read_meminfo();
  for (int round = 0; round < 100; round++) {
    ::usleep(200'000);
    auto after = read_meminfo();
    if (std::abs(after["kernel"] - before["kernel"]) < 0.5) return after;
    before = after;
  }
  return before;
}

}  // namespace

double kernel_mib() { return read_meminfo()["kernel"]; }

double own_mib(pid_t supervisor) { return pss_mib(supervisor) + pss_below_mib(supervisor); }

namespace {

struct PerJail {
  std::map<std::string, Samples> fields;
  Samples supervisor, below, all;
};

// Grows the crowd in steps and never lets it shrink: pages that a former jail left in slabs and per-CPU
// chunks would be taken again for nothing. User memory is taken from the jails' own PSS, only the kernel's
// from the machine's counters: other programs disturb those least.
PerJail measure(Crowd& crowd, std::size_t step, std::size_t steps) {
  PerJail result;
  crowd.grow(10);
  auto before = settled_meminfo();
  for (std::size_t i = 0; i < steps; i++) {
    const std::size_t first = crowd.pids().size();
    crowd.grow(first + step);
    const auto after = settled_meminfo();
    for (const auto& [name, value] : after)
      result.fields[name].add((value - before[name]) / static_cast<double>(step));
    Samples own;
    for (std::size_t at = first; at < first + step; at++) {
      result.supervisor.add(pss_mib(crowd.pids()[at]));
      result.below.add(pss_below_mib(crowd.pids()[at]));
      own.add(result.supervisor.values.back() + result.below.values.back());
    }
    result.all.add(own.median() + result.fields["kernel"].values.back());
    before = after;
  }
  return result;
}

std::string kernel_parts(PerJail& jail) {
  return fmt::format(
      "kernel {:.2f} MiB: slab {:.2f}, percpu {:.2f}, page tables {:.2f}, stacks {:.2f} (MemAvailable says "
      "{:.2f})",
      jail.fields["kernel"].median(), jail.fields["Slab"].median(), jail.fields["Percpu"].median(),
      jail.fields["PageTables"].median(), jail.fields["KernelStack"].median(),
      jail.fields["unavailable"].median());
}

}  // namespace

void measure_memory(const World& world, const Options& options, Table& table) {
  const std::size_t step = 50;
  const std::size_t steps = options.quick ? 2 : 5;
  const std::size_t crowd = 10 + step * steps;
  const Command hold = world.tool("hold");
  PerJail jail;
  PerJail single;
  if (world.has_netjail()) {
    Crowd alone(world.jail("small.toml", hold));
    alone.grow(1);
    single.supervisor.add(pss_mib(alone.pids().front()));
    single.below.add(pss_below_mib(alone.pids().front()));
  }
  settle();
  Crowd floors(world.floor(hold));
  auto floor = measure(floors, step, steps);
  if (world.has_netjail()) {  // the floors stay: their memory must not become the jails'
    Crowd jails(world.jail("small.toml", hold));
    jail = measure(jails, step, steps);
  }
  floors.disperse();
  settle();
  table.title("Memory of a jail");
  table.add({.what = "PSS of the supervisor, a single jail alive",
             .value = spread(single.supervisor, "MiB"),
             .reference = "",
             .compared = single.supervisor.median(),
             .compared_unit = "MiB",
             .bar = Bar::at_most,
             .limit = 1.5});
  table.add({.what = fmt::format("PSS of the supervisor, {} alive", crowd),
             .value = spread(jail.supervisor, "MiB"),
             .reference = "floor " + spread(floor.supervisor, "MiB"),
             .compared = jail.supervisor.median(),
             .compared_unit = "MiB",
             .bar = Bar::at_most,
             .limit = 1.5});
  table.add({.what = fmt::format("PSS of the jail's other processes, {} alive", crowd),
             .value = spread(jail.below, "MiB"),
             .reference = "floor " + spread(floor.below, "MiB")});
  table.add({.what = fmt::format("all of one jail, kernel included (each of {})", crowd),
             .value = spread(jail.all, "MiB"),
             .reference = "floor " + spread(floor.all, "MiB"),
             .compared = jail.all.median(),
             .compared_unit = "MiB",
             .bar = Bar::at_most,
             .limit = 1.5});
  table.add({.what = "of it",
             .value = world.has_netjail() ? kernel_parts(jail) : "–",
             .reference = "floor: " + kernel_parts(floor)});
}

}  // namespace netjail::bench
