// What the program itself does inside: system calls behind the seccomp filter, files behind the jail's
// mounts.
#include "cases.h"

namespace netjail::bench {

void measure_work(const World& world, const Options& options, Table& table) {
  if (options.netjail.empty()) return;
  table.title("A program's own work: inside the jail and bare");
  struct Work {
    const char* name;
    const char* word;
    const char* count;
    double limit;  // the bars of the project: connections and processes
  };
  for (const Work& work : {Work{"10,000 connections to a unix socket", "connect", "10000", 1.05},
                           Work{"3,000 processes", "spawn", "3000", 1.05},
                           Work{"messages with a descriptor", "message", "20000", 0},
                           Work{"files opened", "open", "20000", 0}}) {
    const Command bare = world.tool("work", {work.word, work.count});
    Command inside{options.netjail, "run", "--profile", "offline", "--"};
    inside.insert(inside.end(), bare.begin(), bare.end());
    Samples here, jailed, ratios;
    for (std::size_t run = 0; run < options.runs; ++run) {
      here.add(std::stod(run_captured(bare)));
      jailed.add(std::stod(run_captured(inside)));
      ratios.add(jailed.values.back() / here.values.back());
    }
    table.add({work.name, spread(jailed, "µs"), "bare " + spread(here, "µs"), ratios.median(), "×",
               work.limit > 0 ? Bar::at_most : Bar::none, work.limit});
  }
}

}  // namespace netjail::bench
