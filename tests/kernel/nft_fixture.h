// Rulesets for the tests of kernel/nft, nft(8) in a namespace, and a netlink socket there.
#pragma once

#include <random>
#include <string>
#include <vector>

#include "netjail/kernel/netlink.h"
#include "netjail/nft/ruleset.h"
#include "support/namespaces.h"

namespace netjail::test {

// Every expression, every kind of set and chain.
nft::Ruleset every_expression();
// Valid for nft(8) and the kernel; the same seed gives the same ruleset.
nft::Ruleset random_ruleset(std::mt19937& random);
// One set of `count` disjoint IPv4 ranges and a chain that looks into it.
nft::Ruleset big_set(std::size_t count);

// A NETLINK_NETFILTER socket that lives in `network`.
Netlink open_netfilter(const NetworkNamespace& network);

struct NftAnswer {
  int status = -1;
  std::string out;
  std::string err;
};
// nft(8) with `arguments` in `network`; `input` is its stdin ("-f -").
NftAnswer nft_command(const NetworkNamespace& network, std::vector<std::string> arguments,
                      std::string input = {});

// The messages of one dump about family inet (NFT_MSG_GETRULE, ...), whole.
std::vector<std::string> dump(Netlink& netfilter, int message,
                              const std::vector<std::pair<std::uint16_t, std::string>>& filter);

}  // namespace netjail::test
