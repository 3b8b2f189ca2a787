// What changes under running jails: the host's firewall is flushed, reloaded, replaced; the keeper is killed;
// the default route moves to another interface. No packet leaves that would not leave before.
#include <csignal>
#include <filesystem>
#include <optional>

#include "e2e/fixture.h"
#include "e2e/jail_shell.h"
#include "netjail/base/text.h"
#include "netjail/kernel/nft.h"

using namespace netjail;
using namespace netjail::test;

namespace {

std::vector<pid_t> keepers() {
  std::vector<pid_t> found;
  for (const pid_t pid : descendants())
    if (const auto name = read_file("/proc/" + std::to_string(pid) + "/comm");
        name && trim(*name) == "netjail-keeper")
      found.push_back(pid);
  return found;
}

std::size_t sockets_of(pid_t pid) {
  std::size_t count = 0;
  std::error_code error;
  for (std::filesystem::directory_iterator at("/proc/" + std::to_string(pid) + "/fd", error), end;
       !error && at != end; at.increment(error))
    count += std::filesystem::read_symlink(at->path(), error).string().starts_with("socket:");
  return count;
}
// One that has looked at everything: its last socket is that for routes. `sockets`: 2, and one if it listens.
bool settled(std::size_t sockets) {
  return eventually([sockets] { return keepers().size() == 1 && sockets_of(keepers().front()) == sockets; });
}

std::string listed() { return world().call({"nft", "list", "ruleset"}).out; }
bool whole() { return has(listed(), "masquerade") && has(listed(), "no service of the host"); }

// What came out of the host with another source than the host's own.
std::size_t unmasqueraded() {
  std::size_t count = 0;
  for (const Packet& packet : world().servers().packets())
    count += packet.source.starts_with("10.") || packet.source.starts_with("fd6e:");
  return count;
}

void script(const std::string& text) {
  const Outcome outcome = world().run({.argv = {"nft", "-f", "-"}, .input = text, .identity = Identity{}});
  CHECK_MESSAGE(outcome.ok(), outcome.describe());
}

void check_as_before(const Snapshot& before) {
  const std::string left = leaked(world().host(), before, std::chrono::seconds(10));
  CHECK_MESSAGE(left.empty(), left);
}

// A keeper as on a kernel without owners of tables: they have another one while it starts, who then goes.
// `jail`: started meanwhile, by which there is a keeper.
struct Listening {
  JailShell first;
  std::optional<JailShell> second;

  Listening() {
    REQUIRE(settled(2));
    kill_all(keepers());
    std::optional<Netlink> owner;
    const auto take = [&owner]() -> Status {
      owner.reset();
      NJ_TRY_AS(owner, Netlink::open(NETLINK_NETFILTER));
      for (const char* table : {"netjail", "netjail-guard-eth0-ipv4"}) NJ_TRY(own_table(*owner, table));
      return {};
    };
    // Its sockets are closed by its last thread, which may end after its process is gone from /proc.
    Status owned;
    eventually([&] { return (owned = in_place(world().host(), take)).has_value(); });
    REQUIRE_MESSAGE(owned, render_error(owned.error()));
    second.emplace();
    REQUIRE(settled(3));
    REQUIRE_FALSE(world().call({"nft", "flush", "table", "inet", "netjail"}).ok());
  }
};

constexpr const char* kLate = "203.0.113.200";  // the host gets it after the launch

}  // namespace

TEST_CASE("nft flush ruleset, a reload and a deletion, while a jail sends") {
  if (!needs_root()) return;
  const Snapshot& before = world().untouched();
  {
    JailShell jail(
        "for i in 1 2; do (exec 3<>/dev/udp/198.51.100.10/7; while :; do echo x >&3; done) "
        "2>/dev/null & done");
    REQUIRE(jail.reaches("echo 198.51.100.10 443"));
    if (!rootless()) REQUIRE(settled(2));
    world().servers().forget();
    for (int i = 0; i < 20; ++i) {
      REQUIRE(world().call({"nft", "flush", "ruleset"}).ok());
      script("flush ruleset\ntable inet mine {\n chain c { type filter hook input priority 0; }\n}\n");
      if (!rootless()) CHECK_FALSE(world().call({"nft", "delete", "table", "inet", "netjail"}).ok());
    }
    CHECK(jail.reaches("echo 198.51.100.10 443"));
    REQUIRE(world().call({"ip", "address", "add", kLate, "dev", "lo"}).ok());
    REQUIRE(world().probe({"tcp", kLate, "22"}).ok());
    CHECK(eventually([&] { return !jail.reaches(std::string("tcp ") + kLate + " 22"); }));
    CHECK_FALSE(jail.reaches(std::string("tcp ") + kLate + " 22"));
    REQUIRE(world().call({"ip", "address", "del", kLate + std::string("/32"), "dev", "lo"}).ok());
    CHECK(world().servers().count_packets("198.51.100.10") > 100);
    CHECK(unmasqueraded() == 0);
    script("delete table inet mine\n");
  }
  check_as_before(before);
}

TEST_CASE("where nobody can own a table the keeper makes it anew" * only_root("without root there is none")) {
  if (!needs_root()) return;
  const Snapshot& before = world().untouched();
  for (const char* change :
       {"flush ruleset\n", "delete table inet netjail\n", "flush chain inet netjail postrouting\n",
        "add rule inet netjail input accept\n", "flush chain inet netjail input\n",
        "flush ruleset\ntable inet mine {\n chain c { type filter hook input priority 0; }\n}\n"}) {
    CAPTURE(std::string(change));
    Listening both;
    const std::string held = listed();
    REQUIRE(whole());
    REQUIRE(both.first.reaches("echo 198.51.100.10 443"));
    script(change);
    CHECK(eventually([&] { return whole() && has(listed(), "netjail-guard-eth0-ipv4"); }));
    world().servers().forget();
    CHECK(both.first.reaches("echo 198.51.100.10 443"));
    CHECK(both.second->reaches("echo 198.51.100.10 443"));
    CHECK(unmasqueraded() == 0);
    REQUIRE(world().call({"ip", "address", "add", kLate, "dev", "lo"}).ok());
    CHECK_FALSE(both.first.reaches(std::string("tcp ") + kLate + " 22"));
    REQUIRE(world().call({"ip", "address", "del", kLate + std::string("/32"), "dev", "lo"}).ok());
    (void)world().call({"nft", "delete", "table", "inet", "mine"});
  }
  check_as_before(before);
}

TEST_CASE("a guard that is deleted comes back, and the host is no router" *
          only_root("without root there is none")) {
  if (!needs_root()) return;
  Listening both;
  REQUIRE(has(listed(), "netjail-guard-eth0-ipv4"));
  script("delete table inet netjail-guard-eth0-ipv4\n");
  CHECK(eventually([&] { return has(listed(), "netjail-guard-eth0-ipv4"); }));
  CHECK(both.first.reaches("echo 198.51.100.10 443"));
}

TEST_CASE("a flow that began while nothing masqueraded does not go on" * only_root("no chain of the host")) {
  if (!needs_root()) return;
  Listening both;
  JailShell& jail = both.first;
  world().servers().forget();
  // The window, made long: the keeper is stopped.
  for (const pid_t pid : keepers()) ::kill(pid, SIGSTOP);
  script("flush ruleset\n");
  REQUIRE(jail.does("exec 3<>/dev/udp/198.51.100.10/7 && echo x >&3"));
  CHECK(eventually([] { return unmasqueraded() > 0; }));  // the contrast
  for (const pid_t pid : keepers()) ::kill(pid, SIGCONT);
  REQUIRE(eventually(whole));
  world().servers().forget();
  for (int i = 0; i < 50; ++i) (void)jail.does("echo x >&3");
  CHECK(jail.reaches("udp 198.51.100.10 7"));
  CHECK(unmasqueraded() == 0);
}

TEST_CASE("somebody else's table of that name: the jails lose the network" * only_root("no table there")) {
  if (!needs_root()) return;
  const Snapshot& before = world().untouched();
  {
    Listening both;
    REQUIRE(both.first.reaches("echo 198.51.100.10 443"));
    script("delete table inet netjail\ntable inet netjail {\n chain foreign { }\n}\n");
    CHECK(eventually([&] { return !both.first.reaches("echo 198.51.100.10 443"); }));
    world().servers().forget();
    CHECK_FALSE(both.first.reaches("tcp 198.51.100.10 443"));
    CHECK_FALSE(both.second->reaches("tcp 198.51.100.2 22"));
    CHECK(world().servers().packets().empty());
    // Nobody starts, nothing forwards, and it is told.
    const Outcome next = world().netjail({"--profile", "internet", "--", "true"});
    CHECK_MESSAGE(next.status == 125, next.describe());
    CHECK_MESSAGE(has(next.err, "is not what netjail makes"), next.describe());
    CHECK(trim(world().call({"cat", "/proc/sys/net/ipv4/conf/eth0/forwarding"}).out) == "0");
    const Outcome outcome = both.first.end();
    CHECK_MESSAGE(has(outcome.err, "the jail had lost its way out"), outcome.describe());
  }
  CHECK(eventually([] { return keepers().empty(); }, std::chrono::seconds(10)));
  CHECK(has(listed(), "chain foreign"));
  script("delete table inet netjail\n");
  check_as_before(before);
}

TEST_CASE("the keeper is killed: the tables stay, and the next run has one again" *
          only_root("without root there is none")) {
  if (!needs_root()) return;
  const Snapshot& before = world().untouched();
  {
    JailShell jail;
    REQUIRE(settled(2));
    kill_all(keepers());
    CHECK(whole());
    CHECK(jail.reaches("echo 198.51.100.10 443"));
    CHECK(world().netjail({"--profile", "internet", "--", kProbe, "echo", "198.51.100.10", "443"}).ok());
    CHECK(settled(2));
    REQUIRE(world().call({"nft", "flush", "ruleset"}).ok());
    CHECK(whole());
  }
  check_as_before(before);
}

TEST_CASE("the default route moves to another interface and back") {
  if (!needs_root()) return;
  const Snapshot& before = world().untouched();
  REQUIRE(ip_batch(world().lan().place(),
                   "addr add 203.0.113.10/32 dev eth0\n"
                   "addr add 2001:db8:2::10/128 dev eth0 nodad\n"));
  {
    JailShell jail;
    REQUIRE(jail.reaches("echo 203.0.113.10 443"));
    REQUIRE(jail.reaches("echo 2001:db8:2::10 443"));
    for (const bool away : {true, false}) {
      CAPTURE(away);
      for (const char* gateway : {away ? "192.168.77.1" : "198.51.100.1", away ? "fd77::1" : "2001:db8:1::1"})
        REQUIRE(world().call({"ip", "route", "replace", "default", "via", gateway}).ok());
      CHECK(eventually([&] { return jail.reaches("echo 203.0.113.10 443"); }));
      CHECK(eventually([&] { return jail.reaches("echo 2001:db8:2::10 443"); }));
      world().servers().forget();
      CHECK(jail.reaches("echo 203.0.113.10 443"));
      REQUIRE(world().servers().count() == 1);
      CHECK(world().servers().arrivals().front().zone == (away ? "lan" : "internet"));
      CHECK(unmasqueraded() == 0);
      CHECK_FALSE(jail.reaches("tcp 192.168.77.10 443"));
      CHECK_FALSE(jail.reaches("tcp 192.168.77.2 22"));
    }
  }
  REQUIRE(ip_batch(world().lan().place(),
                   "addr del 203.0.113.10/32 dev eth0\n"
                   "addr del 2001:db8:2::10/128 dev eth0\n"));
  check_as_before(before);
}
