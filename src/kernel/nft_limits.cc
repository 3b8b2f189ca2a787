#include <linux/netfilter/nf_tables.h>
#include <net/if.h>

#include <variant>

#include "netjail/base/format.h"
#include "nft_message.h"

namespace netjail {
namespace {

constexpr std::size_t kMaxPrefix = 127;   // NF_LOG_PREFIXLEN with its NUL
constexpr std::size_t kMaxComment = 128;  // NFTNL_UDATA_COMMENT_MAXLEN
constexpr std::size_t kMaxExpressions =
    64;  // the kernel's limit is 128 (NFT_RULE_MAXEXPRS), and one of ours makes up to 3

bool good_name(const std::string& name) {
  return !name.empty() && name.size() < NFT_NAME_MAXLEN && name.find('\0') == std::string::npos;
}

bool good_interface(const std::string& name) {
  const std::size_t octets = name.size() - (name.ends_with('*') ? 1 : 0);
  return octets > 0 && octets < IFNAMSIZ && name.find('\0') == std::string::npos;
}

// What is wrong with an expression; empty: nothing.
struct Complaint {
  std::string operator()(const nft::IifName& match) const { return interface(match.name); }
  std::string operator()(const nft::OifName& match) const { return interface(match.name); }
  std::string operator()(const nft::DaddrIn& match) const { return name(match.set); }
  std::string operator()(const nft::DportIn& match) const { return name(match.set); }
  std::string operator()(const nft::FlowsOver& match) const {
    // Every slot has its place in the set: a flow that is in none would pass uncounted.
    if ((match.mask & (match.mask + 1)) != 0) return "its slots are no power of two";
    return name(match.set);
  }
  std::string operator()(const nft::Counter& statement) const { return name(statement.name); }
  std::string operator()(const nft::Jump& statement) const { return name(statement.chain); }
  std::string operator()(const nft::Goto& statement) const { return name(statement.chain); }
  std::string operator()(const nft::Log& statement) const {
    return statement.prefix.size() > kMaxPrefix ? "its log prefix is longer than 127 octets" : "";
  }
  std::string operator()(const auto&) const { return {}; }

  static std::string interface(const std::string& name) {
    return good_interface(name) ? "" : fmt::format("\"{}\" is no interface name", name);
  }
  static std::string name(const std::string& name) {
    return good_name(name) ? "" : fmt::format("\"{}\" is no name of an object", name);
  }
};

std::string complaint_about(const nft::Rule& rule) {
  if (rule.comment.size() > kMaxComment) return "its comment is longer than 128 octets";
  if (rule.expressions.size() > kMaxExpressions) return "it has too many expressions";
  for (const nft::Expression& expression : rule.expressions)
    if (std::string complaint = std::visit(Complaint{}, expression); !complaint.empty()) return complaint;
  return {};
}

}  // namespace

Status check_limits(const nft::Ruleset& ruleset) {
  const auto check_name = [&](const char* kind, const std::string& name) -> Status {
    if (good_name(name)) return {};
    return fail(fmt::format("table {}: \"{}\" is no name for a {}", ruleset.table, name, kind));
  };
  NJ_TRY(check_name("table", ruleset.table));
  for (const nft::CounterObject& counter : ruleset.counters) NJ_TRY(check_name("counter", counter.name));
  for (const nft::Set& set : ruleset.sets) {
    NJ_TRY(check_name("set", set.name));
    const bool addresses = set.key == nft::KeyType::ipv4_addr || set.key == nft::KeyType::ipv6_addr;
    if (set.learns != 0 && !addresses)
      return fail(fmt::format("set {} of table {}: only addresses are learned", set.name, ruleset.table));
    if ((set.counts != 0) != (set.key == nft::KeyType::mark) || (set.counts != 0 && set.learns != 0))
      return fail(fmt::format("set {} of table {}: counts have marks as keys, and nothing else has", set.name,
                              ruleset.table));
  }
  for (const nft::Chain& chain : ruleset.chains) {
    NJ_TRY(check_name("chain", chain.name));
    for (std::size_t i = 0; i < chain.rules.size(); ++i)
      if (const std::string complaint = complaint_about(chain.rules[i]); !complaint.empty())
        return fail(
            fmt::format("rule {} of chain {} of table {}: {}", i + 1, chain.name, ruleset.table, complaint));
  }
  return {};
}

}  // namespace netjail
