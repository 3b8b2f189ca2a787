// Chains of other firewalls in the host's packet filter that can drop what a jail sends: as values, whoever
// reads them (kernel/firewalls.h) and whoever decides what follows from them (plan).
#pragma once

#include <compare>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "netjail/nft/ruleset.h"

namespace netjail::nft {

// One way in which a packet ends in a chain, or in one that it jumps to.
struct ForeignDrop {
  enum class Kind : std::uint8_t { policy, drop, reject, queue, map };  // map: of verdicts, not looked into
  Kind kind = Kind::policy;
  bool rest = false;    // whatever came so far ends here: the policy, a rule without a condition
  std::string in, out;  // of packets from or to these interfaces alone; "br-*": all of that prefix
  auto operator<=>(const ForeignDrop&) const = default;
};

struct ForeignChain {
  std::string family;  // "ip", "ip6", "inet"; "iptables-legacy", "ip6tables-legacy"
  std::string table;
  std::string name;
  Hook hook = Hook::forward;
  std::vector<ForeignDrop> drops;  // sorted, each once; empty: it drops nothing
  bool operator==(const ForeignChain&) const = default;
  bool takes(Family packets) const;  // of this family
};

// "table ip filter chain FORWARD".
std::string name_of(const ForeignChain& chain);
// "policy drop", "a rule rejects".
std::string_view describe(ForeignDrop::Kind kind);
// Whether an interface pattern ("" is any, "nj*" a prefix) has an interface in common with another.
bool overlap(std::string_view one, std::string_view other);

}  // namespace netjail::nft
