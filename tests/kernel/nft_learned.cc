// Sets that learn: what is added is in the kernel with its time-out, is renewed, expires, is all or nothing.
#include <doctest/doctest.h>
#include <poll.h>

#include <cerrno>

#include "nft_learned_fixture.h"
#include "unprivileged.h"

using namespace netjail;
using namespace netjail::test;
using namespace std::chrono_literals;

namespace {

constexpr Renewal kRenewals[]{Renewal::in_place, Renewal::replaced};

// What this kernel can do: all of it by replacing, and what native_renewal() chooses.
std::vector<Renewal> renewals() {
  if (native_renewal() == Renewal::replaced) return {Renewal::replaced};
  return {std::begin(kRenewals), std::end(kRenewals)};
}

void change(const LearningWorld& world, const std::string& command) {
  const NftAnswer answer = nft_command(world.network, {"-f", "-"}, command + "\n");
  REQUIRE_MESSAGE(answer.status == 0, answer.err);
}

// Of the one address that the set has.
std::chrono::milliseconds time_left(LearningWorld& world) {
  const auto all = world.read();
  REQUIRE(all.size() == 1);
  return all[0].timeout;
}

}  // namespace

TEST_CASE("an address is open when it has been learned, and not before; no other is") {
  if (!needs_root()) return;
  for (const Renewal renewal : renewals()) {
    LearningWorld world = make_learning_world(renewal);
    CHECK_FALSE(passes(world, "127.0.0.2"));
    must(world.add(kSet, {learned("127.0.0.2", 1h)}));
    CHECK(passes(world, "127.0.0.2"));
    CHECK_FALSE(passes(world, "127.0.0.3"));
    CHECK_FALSE(passes(world, "::1"));
    must(world.add(kOtherSet, {learned("::1", 1h)}));
    CHECK(passes(world, "::1"));
    CHECK_FALSE(passes(world, "127.0.0.3"));
    CHECK(world.count("opened") == 2);
    CHECK(world.count("refused") == 4);
    must(world.add(kSet, {}));
  }
}

TEST_CASE("an address is closed again when its time is over") {
  if (!needs_root()) return;
  for (const Renewal renewal : renewals()) {
    LearningWorld world = make_learning_world(renewal);
    const auto start = std::chrono::steady_clock::now();
    must(world.add(kSet, {learned("127.0.0.2", 300ms), learned("127.0.0.3", 1h)}));
    CHECK(passes(world, "127.0.0.2"));
    CHECK(eventually([&] { return !passes(world, "127.0.0.2"); }));
    CHECK(std::chrono::steady_clock::now() - start > 250ms);
    CHECK(passes(world, "127.0.0.3"));
    const auto left = world.read();
    REQUIRE(left.size() == 1);
    CHECK(left[0].address == *parse_ip("127.0.0.3"));
    // What is gone can be learned again, also while the kernel has not swept it up yet.
    must(world.add(kSet, {learned("127.0.0.2", 1h)}));
    CHECK(passes(world, "127.0.0.2"));
  }
}

TEST_CASE("the time of an address that is known starts anew: longer, shorter, the same") {
  if (!needs_root()) return;
  for (const Renewal renewal : renewals()) {
    LearningWorld world = make_learning_world(renewal);
    const auto add = [&](std::chrono::milliseconds timeout) {
      must(world.add(kSet, {learned("127.0.0.2", timeout)}));
    };
    add(5s);
    CHECK(time_left(world) <= 5s);
    add(1h);
    CHECK(time_left(world) > 59min);
    add(5s);
    CHECK(time_left(world) <= 5s);
    CHECK(eventually([&] { return time_left(world) < 4900ms; }));
    add(5s);
    CHECK(time_left(world) > 4900ms);
    CHECK(world.read().size() == 1);
  }
}

// Why put() sends the time twice. Before Linux 6.12 the time-out is ignored too, hence Renewal::replaced.
TEST_CASE("assumption: nft's own add of an element that exists does not start its time anew") {
  if (!needs_root()) return;
  LearningWorld world = make_learning_world(Renewal::replaced);
  const std::string add = "add element inet t " + kSet + " { 127.0.0.2 timeout 5s }";
  change(world, add);
  CHECK(eventually([&] { return time_left(world) < 4900ms; }));
  change(world, add);
  CHECK(time_left(world) < 4900ms);
  must(world.add(kSet, {learned("127.0.0.2", 5s)}));
  CHECK(time_left(world) > 4900ms);
}

TEST_CASE("no time-out is none at all, none is for ever") {
  if (!needs_root()) return;
  for (const Renewal renewal : renewals()) {
    LearningWorld world = make_learning_world(renewal);
    must(world.add(kSet, {learned("127.0.0.2", 0ms), learned("127.0.0.3", -1h), learned("127.0.0.4", 1ms)}));
    CHECK(eventually([&] { return world.read().empty(); }));
    must(world.add(kSet, {learned("127.0.0.2", std::chrono::milliseconds::max())}));
    CHECK(time_left(world) <= std::chrono::seconds(0x7fffffff));
    CHECK(time_left(world) > std::chrono::seconds(0x7fffff00));
    must(world.add(kSet, {learned("127.0.0.2", 0ms)}));
    CHECK(eventually([&] { return world.read().empty(); }));
  }
}

TEST_CASE("an address that is said twice has the longer time") {
  if (!needs_root()) return;
  for (const Renewal renewal : renewals()) {
    LearningWorld world = make_learning_world(renewal);
    const auto twice = {learned("127.0.0.2", 1h), learned("127.0.0.2", 2h), learned("127.0.0.2", 1s)};
    for (int i = 0; i < 2; ++i) {
      must(world.add(kSet, twice));
      CHECK(time_left(world) > 119min);
    }
    const std::vector<LearnedAddress> one{learned("127.0.0.2", 3h)}, other{learned("127.0.0.2", 1h)};
    const Lesson lessons[]{{kSet, one}, {kSet, other}};  // of two lessons the last one holds
    must(world.sets.add(world.netfilter, lessons));
    CHECK(time_left(world) <= 1h);
  }
}

TEST_CASE("a full set says so, and nothing of the answer is learned; places become free by time") {
  if (!needs_root()) return;
  for (const Renewal renewal : renewals()) {
    LearningWorld world = make_learning_world(renewal, learning_rules(4));
    must(world.add(kSet, loopback_addresses(3, 1h)));
    must(world.add(kSet, {{loopback_address(3), 500ms}}));
    const std::vector<LearnedAddress> six{learned("::1", 1h)}, four{{loopback_address(4), 1h}};
    const Lesson lessons[]{{kOtherSet, six}, {kSet, four}};
    const Status status = world.sets.add(world.netfilter, lessons);
    REQUIRE_FALSE(status.has_value());
    CHECK(status.error().code == ENFILE);
    CHECK(status.error().what == "cannot add addresses to set web4 of table t");
    CHECK_FALSE(status.error().hint.empty());
    CHECK(world.read(kOtherSet).empty());
    CHECK_FALSE(passes(world, "127.0.0.6"));
    must(world.add(kSet, loopback_addresses(3, 2h)));  // renewing needs no place
    // Each attempt keeps the kernel from sweeping for a moment: a pause between them.
    int attempts = 0;
    while (!world.add(kSet, four) && ++attempts < 60) ::poll(nullptr, 0, 500);
    CHECK(passes(world, "127.0.0.6"));
  }
}

TEST_CASE("an error names the set, and nothing is learned") {
  if (!needs_root()) return;
  for (const Renewal renewal : renewals()) {
    LearningWorld world = make_learning_world(renewal);
    const auto good = loopback_addresses(3, 1h);
    const std::vector<LearnedAddress> six{learned("::1", 1h)};
    const Lesson unknown[]{{kSet, good}, {"none", good}};
    Status status = world.sets.add(world.netfilter, unknown);
    REQUIRE_FALSE(status.has_value());
    CHECK(status.error().what == "cannot add addresses to set none of table t");
    CHECK(status.error().code == ENOENT);
    const Lesson foreign[]{{kSet, good}, {kSet, six}, {kOtherSet, six}};
    status = world.sets.add(world.netfilter, foreign);
    REQUIRE_FALSE(status.has_value());
    CHECK(status.error().what == "cannot add addresses to set web4 of table t");
    CHECK(status.error().code == EINVAL);
    CHECK(world.read().empty());
    CHECK(world.read(kOtherSet).empty());
    must(world.add(kSet, good));  // the next one is not spoilt
    CHECK(world.read().size() == 3);
  }
}

TEST_CASE("what has been learned is read by address") {
  if (!needs_root()) return;
  LearningWorld world = make_learning_world(native_renewal(), learning_rules(50000));
  CHECK(world.read().empty());
  const std::vector<LearnedAddress> four{learned("127.0.0.9", 1h), learned("1.2.3.4", 2h)},
      six{learned("2001:db8::2", 1h), learned("::ffff:1.2.3.4", 1h)};
  const Lesson lessons[]{{kSet, four}, {kOtherSet, six}};
  must(world.sets.add(world.netfilter, lessons));
  const auto all = world.read(), others = world.read(kOtherSet);
  REQUIRE(all.size() == 2);
  CHECK(all[0].address == four[1].address);
  CHECK(all[0].timeout > 119min);
  CHECK(all[0].timeout <= 2h);
  CHECK(all[1].address == four[0].address);
  CHECK(all[1].timeout <= 1h);
  REQUIRE(others.size() == 2);
  CHECK(others[0].address == six[1].address);
  CHECK(others[1].address == six[0].address);
  must(world.add(kSet, loopback_addresses(40000, 1h)));
  CHECK(world.read().size() == 40001);
  const auto none = read_learned(world.netfilter, "t", "none");
  REQUIRE_FALSE(none.has_value());
  CHECK(none.error().what == "cannot read set none of table t");
  CHECK(none.error().code == ENOENT);
}

TEST_CASE("the set is verified, what it has learned is not") {
  if (!needs_root()) return;
  LearningWorld world = make_learning_world(native_renewal());
  const nft::Ruleset rules = learning_rules(1024);
  must(verify_ruleset(world.netfilter, rules));
  must(world.add(kSet, loopback_addresses(100, 1h)));
  must(verify_ruleset(world.netfilter, rules));
  change(world, "delete element inet t " + kSet + " { 127.0.0.2 }");
  must(verify_ruleset(world.netfilter, rules));
  const auto differs = [&](const auto& change, const std::string& named) {
    nft::Ruleset other = rules;
    change(other.sets[0]);
    const Status status = verify_ruleset(world.netfilter, other);
    REQUIRE_FALSE(status.has_value());
    CHECK_MESSAGE(status.error().what.find(named) != std::string::npos, status.error().what);
  };
  differs([](nft::Set& set) { set.learns = 1025; }, "set web4 takes 1024 elements instead of 1025");
  differs([](nft::Set& set) { set.learns = 0; }, "set web4 has another type");
  differs([](nft::Set& set) { set.key = nft::KeyType::ipv6_addr; }, "set web4 has another type");
  for (const auto& [declared, named] : {
           std::pair{"flags timeout; timeout 1h; size 1024;", "set web4 has a time-out for all its elements"},
           {"flags timeout,dynamic; size 1024;", "set web4 has another type"},
           {"flags timeout;", "set web4 takes 0 elements instead of 1024"},
       }) {
    LearningWorld foreign = make_learning_world(native_renewal());
    change(foreign, "delete table inet t; add table inet t; add set inet t " + kSet + " { type ipv4_addr; " +
                        declared + " }; add set inet t " + kOtherSet +
                        " { type ipv6_addr; flags timeout; size 1024; }");
    const Status status = verify_ruleset(
        foreign.netfilter, {.table = "t", .counters = {}, .sets = learning_rules(1024).sets, .chains = {}});
    REQUIRE_FALSE(status.has_value());
    CHECK_MESSAGE(status.error().what.find(named) != std::string::npos, status.error().what);
  }
}

TEST_CASE("a set that learns is loaded empty, and learns addresses only") {
  if (!needs_root()) return;
  LearningWorld world = make_learning_world(native_renewal());
  nft::Ruleset rules = learning_rules(10);
  rules.table = "u";
  rules.sets[0].addresses = {{loopback_address(0), loopback_address(0)}};
  must(load_ruleset(world.netfilter, rules));
  CHECK(read_learned(world.netfilter, "u", kSet).value().empty());
  must(verify_ruleset(world.netfilter, rules));
  rules.table = "v";
  rules.sets[0].key = nft::KeyType::inet_service;
  const Status status = load_ruleset(world.netfilter, rules);
  REQUIRE_FALSE(status.has_value());
  CHECK(status.error().what == "set web4 of table v: only addresses are learned");
}

TEST_CASE("through an unprivileged socket: as much as one DNS message can hold, or nothing") {
  if (!needs_root()) return;
  const std::string problem = without_privilege([](Netlink& netfilter) -> std::string {
    if (Status status = load_ruleset(netfilter, learning_rules(50000)); !status)
      return render_error(status.error());
    const auto add = [&](Renewal renewal, std::uint32_t count) {
      const auto addresses = loopback_addresses(count, 1h);
      const Lesson lesson{kSet, addresses};
      return LearnedSets("t", renewal).add(netfilter, {&lesson, 1});
    };
    for (const Renewal renewal : kRenewals)
      if (const Status status = add(renewal, renewal == Renewal::in_place ? 4000 : 2000); !status)
        return render_error(status.error());
    const Status status = add(Renewal::in_place, 300000);
    if (status) return "the send buffer is not bounded: nothing is tested";
    if (status.error().code != EMSGSIZE) return render_error(status.error());
    const auto all = read_learned(netfilter, "t", kSet);
    return all && all->size() == 4000 ? "" : "something of it was learned";
  });
  CHECK_MESSAGE(problem.empty(), problem);
}
