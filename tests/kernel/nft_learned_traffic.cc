// Sets that learn, under traffic: renewing leaves no gap, a live flow outlives its address, and neither
// adding nor a packet costs more the more has been learned.
#include <doctest/doctest.h>

#include <algorithm>
#include <atomic>
#include <thread>

#include "nft_learned_fixture.h"

using namespace netjail;
using namespace netjail::test;
using namespace std::chrono_literals;

namespace {

// Every packet is looked up: no flow is marked.
nft::Ruleset unmarked_rules(std::uint32_t size) {
  nft::Ruleset rules = learning_rules(size);
  std::erase_if(rules.chains[0].rules, [](const nft::Rule& rule) {
    return std::holds_alternative<nft::CtMark>(rule.expressions[1]);
  });
  for (nft::Rule& rule : rules.chains[0].rules)
    std::erase_if(rule.expressions, [](const nft::Expression& expression) {
      return std::holds_alternative<nft::SetCtMark>(expression);
    });
  return rules;
}

double microseconds_of(const std::function<void()>& work) {
  const auto start = std::chrono::steady_clock::now();
  work();
  return std::chrono::duration<double, std::micro>(std::chrono::steady_clock::now() - start).count();
}

// The least of several rounds: the other processes of the machine only add.
double least(int rounds, const std::function<double()>& measure) {
  double value = measure();
  for (int i = 1; i < rounds; ++i) value = std::min(value, measure());
  return value;
}

// How many packets were refused while eight addresses were renewed 1,000 times.
std::uint64_t refused_while_renewing(Renewal renewal) {
  LearningWorld world = make_learning_world(renewal, unmarked_rules(64));
  const auto addresses = loopback_addresses(8, 1h);
  must(world.add(kSet, addresses));
  std::atomic<bool> stop = false;
  std::atomic<std::uint64_t> sent = 0, refused = 0;
  const Fd socket = open_udp(world);
  std::thread sender([&] {
    for (std::size_t i = 0; !stop; ++i) {
      refused += send_to(socket, addresses[i % addresses.size()].address) ? 0 : 1;
      ++sent;
    }
  });
  Status status;
  for (int i = 0; i < 1000 && status; ++i) {
    const std::uint64_t before = sent;
    status = world.add(kSet, addresses);
    while (status && sent == before) std::this_thread::yield();  // traffic at every renewal
  }
  stop = true;
  sender.join();
  must(status);
  CHECK(sent >= 1000);
  CHECK(world.count("refused") == refused);
  return refused;
}

}  // namespace

TEST_CASE("renewing in place refuses no packet") {
  if (!needs_root()) return;
  if (native_renewal() == Renewal::in_place) CHECK(refused_while_renewing(Renewal::in_place) == 0);
}

// Not quite none: see LearnedSets::add. On Linux 6.18 one packet was refused in about 320,000 calls of both
// kinds; in place it has no cause.
TEST_CASE("replacing refuses next to no packet") {
  if (!needs_root()) return;
  CHECK(refused_while_renewing(Renewal::replaced) <= 2);
}

TEST_CASE("traffic sees the gap of a renewal that is none: deleted, then added") {
  if (!needs_root()) return;
  LearningWorld world = make_learning_world(native_renewal(), unmarked_rules(64));
  const Ip address = loopback_address(0);
  must(world.add(kSet, {{address, 1h}}));
  const Fd socket = open_udp(world);
  std::atomic<bool> stop = false;
  std::thread changer([&] {
    while (!stop) {
      nft_command(world.network, {"delete", "element", "inet", "t", kSet, "{ 127.0.0.2 }"});
      nft_command(world.network, {"add", "element", "inet", "t", kSet, "{ 127.0.0.2 timeout 1h }"});
    }
  });
  const bool seen = eventually([&] { return !send_to(socket, address); });
  stop = true;
  changer.join();
  CHECK(seen);
}

TEST_CASE("a live flow outlives its address, a new one does not begin") {
  if (!needs_root()) return;
  for (const Renewal renewal : {native_renewal(), Renewal::replaced}) {
    LearningWorld world = make_learning_world(renewal);
    const Ip address = loopback_address(0);
    must(world.add(kSet, {{address, 200ms}}));
    const Fd flow = open_udp(world);
    CHECK(send_to(flow, address));
    CHECK(eventually([&] { return world.read().empty(); }));
    CHECK_FALSE(passes(world, to_string(address)));
    CHECK(send_to(flow, address));
    CHECK(world.count("opened") == 1);
    CHECK(world.count("live") == 1);
  }
}

TEST_CASE("what is added and what a packet costs does not grow with what has been learned") {
  if (!needs_root()) return;
  constexpr std::uint32_t kMost = 65536;
  LearningWorld small = make_learning_world(native_renewal(), unmarked_rules(kMost)),
                big = make_learning_world(native_renewal(), unmarked_rules(kMost));
  LearnedSets replacing("t", Renewal::replaced);
  const auto all = loopback_addresses(50000, 1h);
  must(small.add(kSet, {all[0]}));
  const double fill = microseconds_of([&] { must(big.add(kSet, all)); });
  const double read = microseconds_of([&] { CHECK(big.read().size() == all.size()); });
  MESSAGE("fill ", fill / static_cast<double>(all.size()), " us an element, read ",
          read / static_cast<double>(all.size()), " us an element");

  const auto packet = [&](LearningWorld& world, std::uint32_t spread) {
    const Fd socket = open_udp(world);
    return least(15, [&] {
      return microseconds_of([&] {
               for (std::uint32_t i = 0; i < 2000; ++i) send_to(socket, loopback_address(i * 7919 % spread));
             }) /
             2000;
    });
  };
  const double few = packet(small, 1), many = packet(big, 1), spread = packet(big, 50000);
  MESSAGE("a packet: 1 element ", few, " us, 50,000 ", many, " us, to any of them ", spread, " us");
  CHECK(many < 1.5 * few + 0.5);

  for (const std::uint32_t count : {1U, 8U, 256U}) {
    const auto renew = [&](LearningWorld& world, LearnedSets& sets, std::uint32_t from) {
      const auto some = std::span(all).subspan(from, count);
      const Lesson lesson{kSet, some};
      must(sets.add(world.netfilter, {&lesson, 1}));  // known from now on
      return least(50, [&] {
        return microseconds_of([&] { must(sets.add(world.netfilter, {&lesson, 1})); });
      });
    };
    const double in_small = renew(small, small.sets, 0), in_big = renew(big, big.sets, 20000),
                 replaced = renew(big, replacing, 30000);
    MESSAGE("renewing ", count, " at once: ", in_small, " us, among 50,000 ", in_big, " us, replaced ",
            replaced, " us");
    CHECK(in_big < 2 * in_small + 100);
  }
  for (const std::uint32_t count : {1U, 8U, 256U}) {
    LearningWorld fresh = make_learning_world(native_renewal(), unmarked_rules(kMost));
    std::uint32_t next = 0;
    const double added = least(50, [&] {
      const auto some = std::span(all).subspan(next, count);
      next += count;
      const Lesson lesson{kSet, some};
      return microseconds_of([&] { must(fresh.sets.add(fresh.netfilter, {&lesson, 1})); });
    });
    MESSAGE("adding ", count, " at once: ", added, " us");
  }
}
