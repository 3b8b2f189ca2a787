#include "netjail/nft/foreign.h"

#include "netjail/base/text.h"

namespace netjail::nft {

bool ForeignChain::takes(Family packets) const {
  if (family == "ip" || family == "iptables-legacy") return packets == Family::ipv4;
  if (family == "ip6" || family == "ip6tables-legacy") return packets == Family::ipv6;
  return true;
}

std::string name_of(const ForeignChain& chain) {
  const std::string names = printable(chain.table) + " chain " + printable(chain.name);
  return chain.family.ends_with("-legacy") ? chain.family + " table " + names
                                           : "table " + chain.family + " " + names;
}

std::string_view describe(ForeignDrop::Kind kind) {
  switch (kind) {
    case ForeignDrop::Kind::policy: return "policy drop";
    case ForeignDrop::Kind::drop: return "a rule drops";
    case ForeignDrop::Kind::reject: return "a rule rejects";
    case ForeignDrop::Kind::queue: return "a rule queues";
    case ForeignDrop::Kind::map: return "a verdict map";
  }
  return "";
}

bool overlap(std::string_view one, std::string_view other) {
  if (one.empty() || other.empty()) return true;
  const bool one_prefix = one.ends_with('*');
  const bool other_prefix = other.ends_with('*');
  if (one_prefix) one.remove_suffix(1);
  if (other_prefix) other.remove_suffix(1);
  if (one_prefix && other_prefix) return one.starts_with(other) || other.starts_with(one);
  if (one_prefix) return other.starts_with(one);
  if (other_prefix) return one.starts_with(other);
  return one == other;
}

}  // namespace netjail::nft
