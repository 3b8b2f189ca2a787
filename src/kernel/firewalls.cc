#include "netjail/kernel/firewalls.h"

#include <netinet/in.h>

#include <linux/netfilter.h>
#include <linux/netfilter/nf_tables.h>
#include <linux/netfilter/nfnetlink.h>

#include <algorithm>
#include <cerrno>

#include "foreign_rule.h"
#include "legacy_tables.h"
#include "netjail/base/format.h"
#include "netjail/kernel/netlink.h"
#include "nft_message.h"

namespace netjail {
namespace {

constexpr int kAttempts = 20;  // somebody else's change makes a dump start again

// A base chain at one of the hooks that matter.
struct Base {
  std::uint8_t family = 0;
  nft::ForeignChain chain;
  bool nat = false;
  bool drop = false;
};

Octets part(Octets attributes, std::uint16_t type) {
  return find_attribute(attributes, type).value_or(Octets{});
}

std::uint8_t family_of(const nlmsghdr* message) {
  nfgenmsg header{};
  if (message->nlmsg_len >= NLMSG_HDRLEN + sizeof header)
    std::memcpy(&header, reinterpret_cast<const std::byte*>(message) + NLMSG_HDRLEN, sizeof header);
  return header.nfgen_family;
}

const char* name_of_family(std::uint8_t family) {
  return family == NFPROTO_IPV4   ? "ip"
         : family == NFPROTO_IPV6 ? "ip6"
         : family == NFPROTO_INET ? "inet"
                                  : "";
}

bool is_own(std::string_view table) { return table == "netjail" || table.starts_with("netjail-guard-"); }

void take_chain(const nlmsghdr* message, std::vector<Base>& out) {
  const std::uint8_t family = family_of(message);
  const Octets attributes = message_attributes(message, sizeof(nfgenmsg));
  const auto hook = find_attribute(attributes, NFTA_CHAIN_HOOK);
  const std::string_view table = text_of(part(attributes, NFTA_CHAIN_TABLE));
  if (!hook || *name_of_family(family) == 0 || (family == NFPROTO_INET && is_own(table))) return;
  const auto number = big_endian<std::uint32_t>(part(*hook, NFTA_HOOK_HOOKNUM));
  if (number > NF_INET_POST_ROUTING || number == NF_INET_LOCAL_IN) return;
  out.push_back({family,
                 {name_of_family(family),
                  std::string(table),
                  std::string(text_of(part(attributes, NFTA_CHAIN_NAME))),
                  static_cast<nft::Hook>(number),
                  {}},
                 text_of(part(attributes, NFTA_CHAIN_TYPE)) == "nat",
                 big_endian<std::uint32_t>(part(attributes, NFTA_CHAIN_POLICY)) == NF_DROP});
}

void begin(MessageBuffer& out, int message, std::uint8_t family) {
  const nfgenmsg header{.nfgen_family = family, .version = NFNETLINK_V0, .res_id = 0};
  out.begin(nft_type(message), NLM_F_REQUEST | NLM_F_DUMP, header);
}

Result<std::vector<Base>> list_base_chains(Netlink& netfilter) {
  Status status;
  for (int attempt = 0; attempt < kAttempts; ++attempt) {
    MessageBuffer request;
    begin(request, NFT_MSG_GETCHAIN, NFPROTO_UNSPEC);
    std::vector<Base> chains;
    status = netfilter.request(request, "cannot read the chains of the host's firewalls",
                               [&](const nlmsghdr* message) { take_chain(message, chains); });
    if (status) return chains;
    if (status.error().code != EINTR) break;
  }
  return std::unexpected(status.error());
}

Result<ForeignRules> read_chain(Netlink& netfilter, const Base& base, const std::string& chain) {
  const std::string& table = base.chain.table;
  Status status;
  for (int attempt = 0; attempt < kAttempts; ++attempt) {
    MessageBuffer request;
    begin(request, NFT_MSG_GETRULE, base.family);
    request.put_string(NFTA_RULE_TABLE, table);
    request.put_string(NFTA_RULE_CHAIN, chain);
    ForeignRules rules;
    status = netfilter.request(request, fmt::format("cannot read the rules of {}", nft::name_of(base.chain)),
                               [&](const nlmsghdr* message) {
                                 const Octets rule = message_attributes(message, sizeof(nfgenmsg));
                                 if (family_of(message) == base.family &&
                                     text_of(part(rule, NFTA_RULE_TABLE)) == table &&
                                     text_of(part(rule, NFTA_RULE_CHAIN)) == chain)
                                   judge_rule(rule, rules);
                               });
    if (status) return rules;
    if (status.error().code == ENOENT) return ForeignRules{};  // gone meanwhile
    if (status.error().code != EINTR) break;
  }
  return std::unexpected(status.error());
}

bool of_any_interface(const nft::ForeignDrop& drop) { return drop.in.empty() && drop.out.empty(); }

// A thousand rules take milliseconds to read, so no more of them than can matter.
Result<std::vector<nft::ForeignDrop>> find_drops(Netlink& netfilter, const Base& base, Detail detail) {
  std::set<nft::ForeignDrop> drops;
  if (base.drop) drops.insert({nft::ForeignDrop::Kind::policy, true, {}, {}});
  const bool all = detail == Detail::all;
  const bool jumps = all || base.chain.hook == nft::Hook::forward;
  std::set<std::string> seen{base.chain.name};
  std::vector<std::string> open{base.chain.name};
  while (!open.empty() && !base.nat && !base.drop) {
    const std::string name = std::move(open.back());
    open.pop_back();
    NJ_TRY_AS(const ForeignRules rules, read_chain(netfilter, base, name));
    for (nft::ForeignDrop drop : rules.drops) {
      drop.rest = drop.rest && name == base.chain.name;
      drops.insert(std::move(drop));
    }
    if (!jumps || (!all && std::ranges::any_of(drops, of_any_interface))) break;
    for (const std::string& next : rules.jumps)
      if (seen.insert(next).second) open.push_back(next);
  }
  return std::vector<nft::ForeignDrop>(drops.begin(), drops.end());
}

}  // namespace

Result<std::vector<nft::ForeignChain>> list_dropping_chains(Detail detail) {
  NJ_TRY_AS(Netlink netfilter, Netlink::open(NETLINK_NETFILTER));
  NJ_TRY_AS(std::vector<Base> bases, list_base_chains(netfilter));
  std::vector<nft::ForeignChain> out;
  for (Base& base : bases) {
    NJ_TRY_AS(base.chain.drops, find_drops(netfilter, base, detail));
    if (!base.chain.drops.empty()) out.push_back(std::move(base.chain));
  }
  NJ_TRY(list_legacy_chains(out));
  return out;
}

}  // namespace netjail
