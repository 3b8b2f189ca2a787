#include "annex.h"

#include <fmt/format.h>

namespace netjail::test {

Result<Annex> Annex::create(const FakeWorld& world) {
  NJ_TRY_AS(NetworkNamespace network, NetworkNamespace::create());
  std::string addresses;
  for (int i = 70; i < 100; ++i)
    addresses +=
        fmt::format("addr add 203.0.113.{}/26 dev eth0\naddr add 2001:db8:7::{}/64 dev eth0 nodad\n", i, i);
  NJ_TRY(ip_batch(world.host(), "link add eth2 index 104 type veth peer name eth0 netns " + network.path() +
                                    "\naddr add 203.0.113.65/26 dev eth2\n"
                                    "addr add 2001:db8:7::1/64 dev eth2 nodad\nlink set eth2 up\n"));
  NJ_TRY(ip_batch(network.place(), addresses + "link set eth0 up\n"));
  NJ_TRY(wait_for_ipv6(world.host(), "eth2"));
  NJ_TRY(wait_for_ipv6(network.place(), "eth0"));
  return Annex(std::move(network));
}

Result<Process> Annex::serve(const std::string& script, std::vector<std::string> arguments) const {
  std::vector<std::string> argv{"python3", "-u", NETJAIL_SOURCE_DIR "/tests/e2e/" + script};
  argv.insert(argv.end(), arguments.begin(), arguments.end());
  NJ_TRY_AS(Process process, Process::start(place(), {.argv = argv, .deadline = std::chrono::minutes(10)}));
  if (!process.wait_for("ready")) return fail(script + " does not serve: " + process.err());
  return process;
}

}  // namespace netjail::test
