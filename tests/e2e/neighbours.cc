// Jails beside each other and beside the host: nobody reaches a jail, no jail reaches another, fifty at once.
#include <doctest/doctest.h>

#include <algorithm>
#include <csignal>

#include "e2e/fixture.h"
#include "netjail/base/text.h"

using namespace netjail;
using namespace netjail::test;

namespace {

// Prints the jail's address, and listens.
Process listener() {
  Process process = world().start({.argv = netjail_command({"run", "--profile", "internet", "--", "sh", "-c",
                                                            std::string("ip -o -4 address show eth0; exec ") +
                                                                kProbe + " listen :: 4000"}),
                                   .keep_input_open = true,
                                   .deadline = std::chrono::seconds(60)});
  REQUIRE_MESSAGE(process.wait_for("ready"), process.err());
  return process;
}

}  // namespace

TEST_CASE("a server in a jail is reached by nobody outside it") {
  if (!needs_root()) return;
  // The same server without netjail answers.
  {
    Process open = world().start({.argv = {kProbe, "listen", "::", "4001"}, .keep_input_open = true});
    REQUIRE(open.wait_for("ready"));
    REQUIRE(world().probe({"tcp", "127.0.0.1", "4001"}).ok());
  }
  Process server = listener();
  const auto words = split_words(server.out());
  const auto inet = std::ranges::find(words, "inet");
  REQUIRE_MESSAGE(words.end() - inet > 1, server.out());
  const std::string jail(inet[1].substr(0, inet[1].find('/')));
  // Its own, and those of the host, on which pasta could forward its port.
  for (const std::string& address :
       {jail, std::string("127.0.0.1"), std::string("198.51.100.2"), std::string("2001:db8:1::2")}) {
    CAPTURE(address);
    CHECK_FALSE(world().probe({"tcp", address, "4000"}).ok());
    const Outcome other = world().netjail({"--profile", "internet", "--", kProbe, "tcp", address, "4000"});
    CHECK_MESSAGE(other.status == 1, other.describe());
  }
  const Outcome named =
      world().netjail({"--profile", "internet", "--allow", jail, "--", kProbe, "tcp", jail, "4000"});
  CHECK_MESSAGE(named.status == 1, named.describe());
  server.kill(SIGKILL);
  server.wait();
}

TEST_CASE("fifty at once work, and the last one out puts everything back") {
  if (!needs_root()) return;
  const Snapshot& before = world().untouched();
  std::vector<Process> jails;
  for (int i = 0; i < 50; ++i)
    jails.push_back(world().start({.argv = netjail_command({"run", "--profile", "internet", "--", kProbe,
                                                            "echo", "198.51.100.10", "443"}),
                                   .deadline = std::chrono::seconds(120)}));
  for (Process& jail : jails) {
    const Outcome outcome = jail.wait();
    CHECK_MESSAGE(outcome.ok(), outcome.describe());
  }
  const std::string left = leaked(world().host(), before, std::chrono::seconds(10));
  CHECK_MESSAGE(left.empty(), left);
}

TEST_CASE("what flushes or deletes the host's tables opens nothing") {
  if (!needs_root()) return;
  Process shell = world().start({.argv = netjail_command({"run", "--profile", "internet", "--", "sh", "-c",
                                                          "echo ready; read line; " + std::string(kProbe) +
                                                              " tcp 192.168.77.10 443; exec " +
                                                              std::string(kProbe) + " tcp 198.51.100.2 22"}),
                                 .keep_input_open = true});
  REQUIRE(shell.wait_for("ready"));
  REQUIRE(world().call({"nft", "flush", "ruleset"}).ok());
  world().servers().forget();
  REQUIRE(shell.send("go\n"));
  const Outcome outcome = shell.wait();
  CHECK_MESSAGE(outcome.status == 1, outcome.describe());
  CHECK_MESSAGE(!has(outcome.out, ": ok"), outcome.describe());
  CHECK(world().servers().count() == 0);
}
