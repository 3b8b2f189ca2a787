// Rulesets in the kernel: loaded whole or not at all, read back, counted; every foreign change is seen.
#include <arpa/inet.h>
#include <doctest/doctest.h>
#include <sched.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>

#include "netjail/kernel/nft.h"
#include "nft_fixture.h"
#include "support/run.h"
#include "unprivileged.h"

using namespace netjail;
using namespace netjail::test;

namespace {

struct World {
  NetworkNamespace network;
  Netlink netfilter;
};

World make_world() {
  auto network = NetworkNamespace::create();
  REQUIRE(network.has_value());
  Netlink netfilter = open_netfilter(*network);
  return {std::move(*network), std::move(netfilter)};
}

void must(const Status& status) { REQUIRE_MESSAGE(status.has_value(), render_error(status.error())); }

void change(const World& world, const std::string& command) {
  const NftAnswer answer = nft_command(world.network, {"-f", "-"}, command + "\n");
  REQUIRE_MESSAGE(answer.status == 0, answer.err);
}

std::string list(const World& world) { return nft_command(world.network, {"list", "ruleset"}).out; }

// A small table of which every part is counted.
nft::Ruleset small() {
  nft::Ruleset ruleset{.table = "t", .counters = {{"seen"}, {"other"}}, .sets = {}, .chains = {}};
  ruleset.sets.push_back(
      {.name = "ports", .key = nft::KeyType::inet_service, .addresses = {}, .ports = {{80, 89}, {443, 443}}});
  ruleset.chains.push_back(
      {.name = "sub", .base = {}, .rules = {{{nft::Counter{"seen"}, nft::Accept{}}, "sub"}}});
  ruleset.chains.push_back(
      {.name = "in",
       .base = nft::BaseChain{.hook = nft::Hook::input, .drop = false},
       .rules = {{{nft::L4Proto{kUdp}, nft::DportIn{"ports"}, nft::Jump{"sub"}}, ""},
                 {{nft::L4Proto{kUdp}, nft::Counter{"other"}, nft::Drop{}}, "the rest"}}});
  return ruleset;
}

// One datagram to 127.0.0.1:`port`.
void send_datagram(const World& world, std::uint16_t port, std::size_t octets) {
  must(in_place(world.network.place(), [&]() -> Status {
    const Fd socket(::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0));
    sockaddr_in to{};
    to.sin_family = AF_INET;
    to.sin_port = htons(port);
    to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    const std::string text(octets, 'x');
    if (sendto(socket.get(), text.data(), text.size(), 0, reinterpret_cast<const sockaddr*>(&to), sizeof to) <
        0)
      return fail_errno("sendto");
    return {};
  }));
}

double milliseconds_of(const std::function<void()>& work) {
  const auto start = std::chrono::steady_clock::now();
  work();
  return std::chrono::duration<double, std::milli>(std::chrono::steady_clock::now() - start).count();
}

}  // namespace

TEST_CASE("a table is loaded, found, read back, deleted") {
  if (!needs_root()) return;
  World world = make_world();
  const nft::Ruleset ruleset = every_expression();
  CHECK(!find_table(world.netfilter, "t")->has_value());
  must(load_ruleset(world.netfilter, ruleset));
  CHECK(find_table(world.netfilter, "t")->has_value());
  must(verify_ruleset(world.netfilter, ruleset));
  const std::string text = list(world);
  CHECK(text.find("elements = { 10.0.0.0/8, 192.0.2.1,") != std::string::npos);
  CHECK(text.find("elements = { 80, 443, 8000-8100, 65535 }") != std::string::npos);
  CHECK(text.find("comment \"a spoofed source\"") != std::string::npos);
  must(delete_table(world.netfilter, "t"));
  CHECK(!find_table(world.netfilter, "t")->has_value());
  CHECK(list(world).empty());
}

TEST_CASE("a table that exists is refused, and stays as it was") {
  if (!needs_root()) return;
  World world = make_world();
  must(load_ruleset(world.netfilter, small()));
  const std::string before = list(world);
  const Status again = load_ruleset(world.netfilter, every_expression());
  REQUIRE_FALSE(again.has_value());
  CHECK(again.error().what == "cannot load table t");
  CHECK(again.error().code == EEXIST);
  CHECK_FALSE(again.error().hint.empty());
  CHECK(list(world) == before);
}

TEST_CASE("every foreign change is a difference that is named") {
  if (!needs_root()) return;
  struct Change {
    const char* command;
    const char* named;
  };
  for (const Change& foreign : {
           Change{"add rule inet t in accept",
                  "chain in has 2 rules and one more: [ immediate reg 0 accept ]"},
           Change{"insert rule inet t in accept",
                  "rule 1 of chain in is [ immediate reg 0 accept ] instead of"},
           Change{"flush chain inet t sub", "chain sub has 0 rules instead of 1"},
           Change{"delete element inet t ports { 443 }", "set ports has 3 elements instead of 5"},
           Change{"add element inet t ports { 444 }", "set ports has 7 elements instead of 5"},
           Change{"delete element inet t ports { 443 }; add element inet t ports { 445 }",
                  "set ports has other elements"},
           Change{"add chain inet t in { policy drop; }", "chain in has policy 0"},
           Change{"add chain inet t more", "it has a chain more more"},
           Change{"add set inet t more { type ipv4_addr; }", "it has a set more more"},
           Change{"delete table inet t; add table inet t", "chain sub is missing"},
           Change{"delete table inet t", "chain sub is missing"},
       }) {
    CAPTURE(foreign.command);
    World world = make_world();
    const nft::Ruleset ruleset = small();
    must(load_ruleset(world.netfilter, ruleset));
    must(verify_ruleset(world.netfilter, ruleset));
    change(world, foreign.command);
    const Status status = verify_ruleset(world.netfilter, ruleset);
    REQUIRE_FALSE(status.has_value());
    CHECK_MESSAGE(status.error().what.find(foreign.named) != std::string::npos, status.error().what);
  }
}

TEST_CASE("each value of each expression is compared") {
  if (!needs_root()) return;
  World world = make_world();
  const nft::Ruleset loaded = every_expression();
  must(load_ruleset(world.netfilter, loaded));
  const auto differs = [&](std::size_t rule, std::size_t at, nft::Expression other) {
    nft::Ruleset changed = loaded;
    auto& chain = changed.chains[2];
    chain.rules[rule].expressions[at] = std::move(other);
    const Status status = verify_ruleset(world.netfilter, changed);
    REQUIRE_FALSE(status.has_value());
    CHECK(status.error().what.find("rule " + std::to_string(rule + 1) + " of chain forward") !=
          std::string::npos);
  };
  differs(0, 0, nft::IifName{"eth1"});
  differs(0, 0, nft::IifName{"eth0", true});
  differs(0, 0, nft::IifName{"eth0*"});  // a prefix of 4 octets against a name of 16
  differs(0, 0, nft::OifName{"eth0"});
  differs(2, 0, nft::IifName{"n*"});
  differs(6, 1, nft::DaddrIn{Family::ipv4, "v4_all"});
  differs(6, 2, nft::Counter{"spoofed"});
  differs(9, 1, nft::Dport{54});
  differs(14, 0, nft::CtState{nft::kEstablished});
  differs(16, 0, nft::CtDirection{true});
  differs(18, 0, nft::CtMark{1});
  differs(21, 0, nft::Limit{51, 20});
  differs(21, 0, nft::Limit{50, 21});
  differs(23, 0, nft::Log{5, "WEB-OUT", 128});
  differs(23, 0, nft::Log{6, "WEB-OUT ", 128});
  differs(23, 0, nft::Log{5, "WEB-OUT ", 0});
  differs(24, 0, nft::Log{1, "", 0});
  differs(25, 0, nft::SetCtMark{2});
  differs(26, 1, nft::RejectAdmin{});
  differs(28, 1, nft::Goto{"sub"});
  differs(28, 1, nft::Jump{"empty"});
  differs(30, 1, nft::HeaderLength{5});
  differs(31, 1, nft::HeaderLength{6});
  differs(32, 1, nft::NextHeader{kTcp});
  nft::Ruleset changed = loaded;
  changed.chains[2].rules[6].comment = "another allow";
  CHECK_FALSE(verify_ruleset(world.netfilter, changed).has_value());
  changed = loaded;
  changed.chains[2].rules.pop_back();
  CHECK_FALSE(verify_ruleset(world.netfilter, changed).has_value());
  changed = loaded;
  changed.chains[2].base->priority = -4;
  CHECK_FALSE(verify_ruleset(world.netfilter, changed).has_value());
}

TEST_CASE("an error names the rule and nothing of the table remains") {
  if (!needs_root()) return;
  World world = make_world();
  nft::Ruleset ruleset = small();
  ruleset.chains[1].rules[1].expressions.back() = nft::Jump{"nowhere"};
  Status status = load_ruleset(world.netfilter, ruleset);
  REQUIRE_FALSE(status.has_value());
  CHECK(status.error().what == "cannot load rule 2 of chain in of table t (the rest)");
  CHECK(status.error().code == ENOENT);
  CHECK_MESSAGE(!status.error().kernel.empty(), "the extended ack points at an attribute");
  CHECK(list(world).empty());

  ruleset = small();
  ruleset.chains[1].rules[0].expressions = {nft::Masquerade{}};  // only in a nat chain at postrouting
  status = load_ruleset(world.netfilter, ruleset);
  REQUIRE_FALSE(status.has_value());
  CHECK(status.error().what == "cannot load rule 1 of chain in of table t");
  CHECK(status.error().code == EOPNOTSUPP);
  CHECK(list(world).empty());

  ruleset = small();
  ruleset.sets[0].ports = {{80, 90}, {85, 100}};  // overlap
  status = load_ruleset(world.netfilter, ruleset);
  REQUIRE_FALSE(status.has_value());
  CHECK(status.error().what == "cannot load the elements of set ports of table t");
  CHECK(list(world).empty());
}

TEST_CASE("what the kernel would cut is refused before") {
  if (!needs_root()) return;
  World world = make_world();
  const auto refused = [&](const nft::Rule& rule, const char* why) {
    nft::Ruleset ruleset = small();
    ruleset.chains[0].rules = {rule};
    const Status status = load_ruleset(world.netfilter, ruleset);
    REQUIRE_FALSE(status.has_value());
    CHECK(status.error().what == std::string("rule 1 of chain sub of table t: ") + why);
    CHECK(status.error().code == 0);
  };
  refused({{nft::IifName{"sixteen-octets-x"}}, ""}, "\"sixteen-octets-x\" is no interface name");
  refused({{nft::OifName{"*"}}, ""}, "\"*\" is no interface name");
  refused({{nft::Accept{}}, std::string(129, 'c')}, "its comment is longer than 128 octets");
  refused({{nft::Log{1, std::string(128, 'p'), 0}}, ""}, "its log prefix is longer than 127 octets");
  refused({{nft::Jump{std::string(256, 'j')}}, ""},
          ("\"" + std::string(256, 'j') + "\" is no name of an object").c_str());
  refused({std::vector<nft::Expression>(65, nft::Counter{"seen"}), ""}, "it has too many expressions");
}

TEST_CASE("counters count") {
  if (!needs_root()) return;
  World world = make_world();
  must(load_ruleset(world.netfilter, small()));
  send_datagram(world, 85, 100);
  send_datagram(world, 443, 10);
  send_datagram(world, 442, 10);
  const auto counters = read_counters(world.netfilter, "t");
  REQUIRE(counters.has_value());
  REQUIRE(counters->size() == 2);
  CHECK(counters->at("seen").packets == 2);
  CHECK(counters->at("seen").bytes == 28 * 2 + 110);
  CHECK(counters->at("other").packets == 1);
  const auto seen = read_counter(world.netfilter, "t", "seen");
  REQUIRE(seen.has_value());
  CHECK(seen->packets == 2);
  const auto none = read_counter(world.netfilter, "t", "none");
  REQUIRE_FALSE(none.has_value());
  CHECK(none.error().what == "cannot read counter none of table t");
  CHECK(none.error().code == ENOENT);
  change(world, "add table inet u; add counter inet u seen");
  CHECK(read_counters(world.netfilter, "t")->size() == 2);
  CHECK(read_counters(world.netfilter, "none")->empty());
}

TEST_CASE("a set of 100,000 intervals") {
  if (!needs_root()) return;
  World world = make_world();
  const nft::Ruleset ruleset = big_set(100000);
  Status loaded, verified;
  const double load = milliseconds_of([&] { loaded = load_ruleset(world.netfilter, ruleset); });
  must(loaded);
  const double verify = milliseconds_of([&] { verified = verify_ruleset(world.netfilter, ruleset); });
  must(verified);
  MESSAGE("100,000 intervals: load ", load, " ms, verify ", verify, " ms");
  CHECK(load < 30000);
  CHECK(verify < 30000);
  // Too big to be compared whole: the first and the last element are always looked at.
  for (const char* gone : {"11.0.0.0", "12.134.159.0-12.134.159.199"}) {
    change(world, std::string("delete element inet t big { ") + gone + " }");
    const Status changed = verify_ruleset(world.netfilter, ruleset);
    REQUIRE_FALSE(changed.has_value());
    CHECK(changed.error().what.find("table t is not as it was loaded: set big has ") != std::string::npos);
    change(world, std::string("add element inet t big { ") + gone + " }");
    must(verify_ruleset(world.netfilter, ruleset));
  }
}

TEST_CASE("a set of 9,000 intervals is compared whole") {
  if (!needs_root()) return;
  World world = make_world();
  const nft::Ruleset ruleset = big_set(9000);
  must(load_ruleset(world.netfilter, ruleset));
  must(verify_ruleset(world.netfilter, ruleset));
  change(world, "delete element inet t big { 11.0.1.0-11.0.1.1 }");
  const Status changed = verify_ruleset(world.netfilter, ruleset);
  REQUIRE_FALSE(changed.has_value());
  CHECK(changed.error().what.find("set big has 17999 elements instead of 18001") != std::string::npos);
}

TEST_CASE("thousands of rules") {
  if (!needs_root()) return;
  World world = make_world();
  nft::Ruleset ruleset = small();
  for (std::uint32_t i = 0; i < 5000; ++i)
    ruleset.chains[0].rules.push_back({{nft::CtMark{i}, nft::Return{}}, "rule " + std::to_string(i)});
  must(load_ruleset(world.netfilter, ruleset));
  must(verify_ruleset(world.netfilter, ruleset));
}

TEST_CASE("an unprivileged socket: what does not fit its buffers goes in parts, whole or not at all") {
  if (!needs_root()) return;
  const std::string problem = without_privilege([](Netlink& netfilter) -> std::string {
    nft::Ruleset ruleset = big_set(30000);
    for (std::uint32_t i = 0; i < 3000; ++i)
      ruleset.chains[0].rules.push_back({{nft::CtMark{i}, nft::Return{}}, "rule " + std::to_string(i)});
    if (netfilter.sendable(8U << 20) >= 8U << 20) return "the send buffer is not bounded: nothing is tested";
    if (Status status = load_ruleset(netfilter, ruleset); !status) return render_error(status.error());
    if (Status status = verify_ruleset(netfilter, ruleset); !status) return render_error(status.error());
    if (Status status = delete_table(netfilter, "t"); !status) return render_error(status.error());

    ruleset.chains[0].rules[2900].expressions.back() = nft::Jump{"nowhere"};
    const Status status = load_ruleset(netfilter, ruleset);
    if (status) return "a jump to nowhere was loaded";
    if (status.error().what.find("rule 2901 of chain forward") == std::string::npos)
      return status.error().what;
    const auto there = find_table(netfilter, "t");
    if (!there || there->has_value()) return "a part of the table remained";
    return {};
  });
  CHECK_MESSAGE(problem.empty(), problem);
}

TEST_CASE("no privilege, no table") {
  if (!needs_root()) return;
  World world = make_world();
  const pid_t child = fork();
  REQUIRE(child >= 0);
  if (child == 0) {
    // The capability is looked up in the user namespace that owns the network namespace: a child one has none
    // there.
    if (unshare(CLONE_NEWUSER) != 0) _exit(2);
    const Status status = load_ruleset(world.netfilter, small());
    _exit(!status && status.error().code == EPERM && status.error().what == "cannot load table t" &&
                  !status.error().hint.empty()
              ? 0
              : 1);
  }
  int status = 0;
  REQUIRE(waitpid(child, &status, 0) == child);
  CHECK(WEXITSTATUS(status) == 0);
}
