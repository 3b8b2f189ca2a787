// Without root: launch, whole process and traffic beside pasta attached to its own namespace; and with
// nothing open beside the floor in a user namespace.
#include <grp.h>
#include <unistd.h>

#include <fstream>
#include <random>

#include "cases.h"

namespace netjail::bench {
namespace {

constexpr uid_t kUser = 61998;  // nobody of this machine

// What is spawned meanwhile is his; the saved ids bring us back, and an exec loses them.
class AsUser {
 public:
  AsUser() {
    if (::setgroups(0, nullptr) != 0 || ::setresgid(kUser, kUser, 0) != 0 ||
        ::setresuid(kUser, kUser, 0) != 0)
      fail("cannot become an ordinary user");
  }
  AsUser(const AsUser&) = delete;
  AsUser& operator=(const AsUser&) = delete;
  ~AsUser() {
    if (::setresuid(0, 0, 0) != 0 || ::setresgid(0, 0, 0) != 0) fail("cannot become root again");
  }
};

Command pasta(bool forwarding, const Command& program) {
  Command command{"/usr/bin/pasta", "--quiet", "--config-net"};
  if (!forwarding)
    command.insert(command.end(), {"-t", "none", "-u", "none", "-T", "none", "-U", "none", "--no-map-gw"});
  command.emplace_back("--");
  command.insert(command.end(), program.begin(), program.end());
  return command;
}

void measure_start(const World& world, const Options& options, Table& table) {
  write_profile(world, "closed.toml", "description = \"bench: nothing\"\n");
  const Command stamp = world.tool("stamp");
  std::vector<Subject> subjects{{.name = "pasta without port forwarding", .command = pasta(false, stamp)},
                                {.name = "pasta --config-net", .command = pasta(true, stamp)},
                                {.name = "floor in a user namespace", .command = world.floor(stamp)}};
  if (world.has_netjail()) {
    subjects.push_back({.name = "netjail", .command = world.jail("small.toml", stamp)});
    subjects.push_back({.name = "netjail, nothing open", .command = world.jail("closed.toml", stamp)});
  }
  {
    const AsUser user;
    interleave(subjects, options.runs);
  }
  if (!world.has_netjail()) subjects.resize(5);
  const auto row = [&](const std::string& what, const Subject& netjail, const Subject& reference,
                       Samples Subject::*member, double limit) {
    table.add({.what = what,
               .value = spread(netjail.*member, "ms"),
               .reference = reference.name + " " + spread(reference.*member, "ms"),
               .compared = (netjail.*member).median() / (reference.*member).median(),
               .compared_unit = "×",
               .bar = Bar::at_most,
               .limit = limit});
  };
  table.title("Without root: start and end");
  row("launch", subjects[3], subjects[0], &Subject::launch, 1.15);
  row("whole", subjects[3], subjects[1], &Subject::whole, 0.6);
  row("launch, nothing open", subjects[4], subjects[2], &Subject::launch, 1.5);
  row("whole, nothing open", subjects[4], subjects[2], &Subject::whole, 1.5);
}

struct Traffic {
  std::string what, unit;
  std::vector<std::string> arguments;
  double scale = 1;
  bool rate = true;  // more is better
  Samples netjail, pasta;
};

void measure_traffic(const World& world, const Options& options, Table& table) {
  const std::string ms = options.quick ? "300" : "1000";
  const auto port = [](int number) { return std::to_string(number); };
  std::vector<Traffic> all{
      {"upload, one stream", "Gbit/s", {"stream", kServer, port(kSinkPort), ms}, 1e-9},
      {"download, one stream", "Gbit/s", {"drain", kServer, port(kSourcePort), ms}, 1e-9},
      {"round trip, UDP", "µs", {"ping", kServer, port(kEchoPort), "2000"}, 1e-3, false},
      {"connections, one after the other", "/s", {"connect", kServer, port(kSinkPort), "500"}}};
  std::mt19937 random(1);
  const std::size_t runs = options.quick ? 3 : 9;
  for (Traffic& traffic : all) {
    const Command program = world.tool("traffic", traffic.arguments);
    const auto value = [&](const Command& command) {
      const AsUser user;
      return std::strtod(run_captured(command).c_str(), nullptr) * traffic.scale;
    };
    for (std::size_t run = 0; run < runs; run++) {
      const bool first = random() % 2 == 0;
      for (const bool direct : {first, !first}) {
        if (direct)
          traffic.pasta.add(value(pasta(false, program)));
        else if (world.has_netjail())
          traffic.netjail.add(value(world.jail("traffic.toml", program)));
        settle();
      }
    }
  }
  std::string most;
  std::ifstream("/proc/sys/net/core/wmem_max") >> most;
  table.title("Without root: traffic, net.core.wmem_max " + (most.empty() ? std::string("unknown") : most));
  for (const Traffic& traffic : all) {
    const double ratio = traffic.netjail.median() / traffic.pasta.median();
    table.add({.what = traffic.what,
               .value = spread(traffic.netjail, traffic.unit),
               .reference = "pasta directly " + spread(traffic.pasta, traffic.unit),
               .compared = traffic.rate ? ratio : 1 / ratio,
               .compared_unit = traffic.rate ? "×" : "× as fast",
               .bar = Bar::at_least,
               .limit = 0.9});
  }
}

}  // namespace

void measure_rootless(const World& world, const Options& options, Table& table) {
  measure_start(world, options, table);
  measure_traffic(world, options, table);
}

}  // namespace netjail::bench
