// Launch, whole run, reap, and launches per second.
//
// launch and reap are measured with `stamp`, whose first instruction takes the time; whole with the system's
// dynamic `true`, as a user would.
#include <fmt/format.h>

#include <algorithm>
#include <random>

#include "cases.h"

namespace netjail::bench {
namespace {

std::vector<Subject> make_subjects(const World& world, const Command& program) {
  auto with = [&](Command launcher) {
    launcher.insert(launcher.end(), program.begin(), program.end());
    return launcher;
  };
  std::vector<Subject> subjects;
  subjects.push_back({.name = "floor", .command = world.floor(program)});
  subjects.push_back({.name = "bwrap --unshare-all",
                      .command = with({"/usr/bin/bwrap", "--unshare-all", "--dev-bind", "/", "/"})});
  subjects.push_back({.name = "bwrap --unshare-net",
                      .command = with({"/usr/bin/bwrap", "--unshare-net", "--dev-bind", "/", "/"})});
  subjects.push_back({.name = "unshare -nmpif",
                      .command = with({"/usr/bin/unshare", "-n", "-m", "-p", "-i", "-f", "--mount-proc"})});
  subjects.push_back({.name = "script", .command = with(world.tool("script-jail.sh"))});
  if (world.has_netjail())
    subjects.push_back({.name = "netjail", .command = world.jail("small.toml", program)});
  return subjects;
}

const Subject* find(const std::vector<Subject>& subjects, const std::string& name) {
  const auto at =
      std::find_if(subjects.begin(), subjects.end(), [&](const auto& s) { return s.name == name; });
  return at == subjects.end() ? nullptr : &*at;
}

void add_rows(Table& table, const std::vector<Subject>& subjects, const std::string& what,
              Samples Subject::*member) {
  const Subject* netjail = find(subjects, "netjail");
  const std::string value = netjail ? spread(netjail->*member, "ms") : "–";
  const double median = netjail ? (netjail->*member).median() : 0;
  for (const auto& reference : subjects) {
    if (reference.name == "netjail") continue;
    const double other = (reference.*member).median();
    Row row{.what = what,
            .value = value,
            .reference = reference.name + " " + spread(reference.*member, "ms"),
            .compared = median / other,
            .compared_unit = "×"};
    if (reference.name == "floor") row.bar = Bar::at_most, row.limit = 1.3;
    if (reference.name == "bwrap --unshare-all") row.bar = Bar::at_most, row.limit = 1.6;
    if (reference.name == "script") {
      row.bar = Bar::at_least, row.limit = 6;
      row.compared = median > 0 ? other / median : 0;
      row.compared_unit = "× faster";
    }
    table.add(row);
  }
}

}  // namespace

void interleave(std::vector<Subject>& subjects, std::size_t runs, std::size_t live_jails) {
  std::mt19937 random(1);
  std::vector<Subject*> order;
  for (auto& subject : subjects) order.push_back(&subject);
  for (auto* subject : order) {  // warm: page cache, kernel modules, slabs
    run_timed(subject->command);
    settle(live_jails);
  }
  for (std::size_t run = 0; run < runs; run++) {
    std::shuffle(order.begin(), order.end(), random);
    for (auto* subject : order) {
      const Timing timing = run_timed(subject->command);
      subject->launch.add(timing.launch);
      subject->whole.add(timing.whole);
      subject->reap.add(timing.reap);
      settle(live_jails);
    }
  }
}

void measure_launch(const World& world, const Options& options, Table& table) {
  auto stamped = make_subjects(world, world.tool("stamp"));
  interleave(stamped, options.runs);
  table.title("Launch: spawn of the launcher → first instruction of the program");
  add_rows(table, stamped, "launch", &Subject::launch);

  auto whole = make_subjects(world, {"/bin/true"});
  interleave(whole, options.runs);
  table.title("Whole process: spawn → reaped, program `true`");
  add_rows(table, whole, "whole", &Subject::whole);

  table.title("Exit to reap: last instruction of the program → launcher reaped");
  const Subject* netjail = find(stamped, "netjail");
  const Subject* floor = find(stamped, "floor");
  table.add({.what = "reap",
             .value = netjail ? spread(netjail->reap, "ms") : "–",
             .reference = "floor " + spread(floor->reap, "ms"),
             .compared = netjail ? netjail->reap.median() - floor->reap.median() : 0,
             .compared_unit = "ms more",
             .bar = Bar::at_most,
             .limit = 1});
  for (const auto& peer : stamped) {
    if (peer.name == "floor" || peer.name == "netjail") continue;
    table.add({.what = "reap", .value = "–", .reference = peer.name + " " + spread(peer.reap, "ms")});
  }
}

void measure_parallel(const World& world, const Options& options, Table& table) {
  constexpr std::size_t kLaunchers = 8;
  const std::size_t rounds = options.quick ? 3 : 9;
  const std::int64_t period = options.quick ? 700'000'000 : 1'500'000'000;
  auto rate = [&](const Command& command) {
    const std::int64_t begin = now();
    for (std::size_t i = 0; i < kLaunchers; i++) start(command);
    std::size_t done = 0;
    std::size_t running = kLaunchers;
    std::int64_t end = begin;
    while (running > 0) {
      wait_any();
      running--;
      if (const std::int64_t t = now(); t - begin < period) {
        done++;
        end = t;
        start(command);
        running++;
      }
    }
    return static_cast<double>(done) * 1e9 / static_cast<double>(end - begin);
  };
  Samples floor, netjail;
  for (std::size_t round = 0; round < rounds; round++) {
    floor.add(rate(world.floor(world.tool("stamp"))));
    settle();
    if (world.has_netjail()) netjail.add(rate(world.jail("small.toml", world.tool("stamp"))));
    settle();
  }
  table.title("Eight launchers at once");
  table.add({.what = "launches per second",
             .value = spread(netjail, "/s"),
             .reference = "floor " + spread(floor, "/s"),
             .compared = netjail.median() / floor.median(),
             .compared_unit = "×",
             .bar = Bar::at_least,
             .limit = 0.7});
}

}  // namespace netjail::bench
