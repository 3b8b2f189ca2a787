// The cases. Each prints its own part of the table and leaves the world as it found it.
#pragma once
#include "report.h"
#include "world.h"

namespace netjail::bench {

struct Options {
  std::string netjail;
  std::string profile;  // empty: the built-in small one
  std::string tools;
  std::vector<std::string> only;  // empty: all
  std::size_t runs = 50;
  bool quick = false;
  bool fifo = false;
};

void measure_launch(const World& world, const Options& options, Table& table);      // launch, whole, reap
void measure_parallel(const World& world, const Options& options, Table& table);    // 8 launchers at once
void measure_throughput(const World& world, const Options& options, Table& table);  // TCP, one stream
void measure_memory(const World& world, const Options& options, Table& table);      // PSS, kernel memory
void measure_jails(const World& world, const Options& options, Table& table);       // 1, 100, 1000 alive
void measure_sets(const World& world, const Options& options, Table& table);        // 10 … 100,000 CIDRs
void measure_rootless(const World& world, const Options& options, Table& table);    // beside pasta
void measure_work(const World& world, const Options& options, Table& table);   // what a program does inside
void measure_names(const World& world, const Options& options, Table& table);  // beside dnsmasq

// Of the whole kernel (slab, per-CPU, page tables, stacks), and the PSS of one jail's processes.
double kernel_mib();
double own_mib(pid_t supervisor);
double pss_mib(pid_t pid);

// What is measured in one loop, in an order shuffled anew each round (each pays for what the one before left
// behind).
struct Subject {
  std::string name;
  Command command;
  Samples launch, whole, reap;
};
void interleave(std::vector<Subject>& subjects, std::size_t runs, std::size_t live_jails = 0);

}  // namespace netjail::bench
