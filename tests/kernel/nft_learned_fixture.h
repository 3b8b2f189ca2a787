// A namespace with two sets that learn, rules that look into them, and datagrams to addresses of its
// loopback.
#pragma once

#include <string>
#include <vector>

#include "netjail/kernel/learned.h"
#include "netjail/kernel/nft.h"
#include "nft_fixture.h"
#include "support/run.h"

namespace netjail::test {

void must(const Status& status);

inline const std::string kSet = "web4", kOtherSet = "web6";

struct LearningWorld {
  NetworkNamespace network;
  Netlink netfilter;
  LearnedSets sets;

  Status add(const std::string& set, const std::vector<LearnedAddress>& addresses) {
    const Lesson lesson{set, addresses};
    return sets.add(netfilter, {&lesson, 1});
  }
  std::vector<LearnedAddress> read(const std::string& set = kSet);
  // Packets that `counter` has seen.
  std::uint64_t count(const std::string& counter);
};
// Chain `out` at output, about UDP: marked flows pass ("live"), learned destinations pass and are marked
// ("opened"), the rest is dropped ("refused"). Each set takes `size` addresses.
nft::Ruleset learning_rules(std::uint32_t size);
LearningWorld make_learning_world(Renewal renewal, const nft::Ruleset& rules = learning_rules(1024));

LearnedAddress learned(const std::string& address, std::chrono::milliseconds timeout);
// 127.0.0.2 and those after it.
Ip loopback_address(std::uint32_t number);
std::vector<LearnedAddress> loopback_addresses(std::uint32_t count, std::chrono::milliseconds timeout);

// A UDP socket in the world's namespace.
Fd open_udp(const LearningWorld& world, Family family = Family::ipv4);
// A datagram to port 9 of `to`, to nobody. False when the filter refused it: at output the sender is told.
bool send_to(const Fd& socket, const Ip& to);
// The same as the first of a flow of its own.
bool passes(const LearningWorld& world, const std::string& to);

}  // namespace netjail::test
