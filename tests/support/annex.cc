#include "annex.h"

#include <fmt/format.h>

namespace netjail::test {

Result<Annex> Annex::create(const FakeWorld& world) {
  NJ_TRY_AS(NetworkNamespace network, NetworkNamespace::create());
  std::string addresses;
  for (int i = 70; i < 100; ++i)
    addresses +=
        fmt::format("addr add 203.0.113.{}/26 dev eth0\naddr add 2001:db8:7::{}/64 dev eth0 nodad\n", i, i);
  const Place internet = world.internet().place();
  NJ_TRY(ip_batch(internet, "link add annex index 104 type veth peer name eth0 netns " + network.path() +
                                "\naddr add 203.0.113.65/26 dev annex\n"
                                "addr add 2001:db8:7::1/64 dev annex nodad\nlink set annex up\n"));
  NJ_TRY(ip_batch(network.place(), addresses + "link set eth0 up\nroute add default via 203.0.113.65\n"
                                               "route add default via 2001:db8:7::1\n"));
  const auto forward = []() -> Status {
    NJ_TRY(write_file("/proc/sys/net/ipv4/ip_forward", "1"));
    return write_file("/proc/sys/net/ipv6/conf/all/forwarding", "1");
  };
  NJ_TRY(in_place(internet, forward));
  NJ_TRY(wait_for_ipv6(internet, "annex"));
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
