// What one rule of another firewall can do to a packet, and what it leads to.
#pragma once

#include <linux/netlink.h>

#include <optional>
#include <set>
#include <string>
#include <string_view>

#include "attribute.h"
#include "netjail/nft/foreign.h"

namespace netjail {

// A chain as far as it matters: how packets end in it, and where else they go.
struct ForeignRules {
  std::set<nft::ForeignDrop> drops;
  std::set<std::string> jumps;
};

// A rule as dumped (NFTA_RULE_*), added to the chain that it is in.
void judge_rule(Octets rule, ForeignRules& chain);

// Of xtables, by either way into the kernel. A target that ends packets; what a match is about.
std::optional<nft::ForeignDrop::Kind> target_drops(std::string_view name);
// True if it holds for packets of connection tracking's state invalid alone.
bool matches_invalid_only(std::string_view match, std::uint32_t revision, Octets info);

}  // namespace netjail
