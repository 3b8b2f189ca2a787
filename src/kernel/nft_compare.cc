#include "nft_compare.h"

#include <linux/netfilter/nf_tables.h>
#include <linux/netfilter/nfnetlink.h>
// After cstdio:
#include <cstdio>
//
#include <libnftnl/common.h>
#include <libnftnl/rule.h>

#include <array>

#include "attribute.h"

namespace netjail {
namespace {

bool is_zero(Octets octets) {
  return std::all_of(octets.begin(), octets.end(), [](std::byte octet) { return octet == std::byte{0}; });
}

// A string has its NUL on one side and not on the other; everything else must be the same to the octet.
bool same_leaf(Octets sent, Octets read, bool exact) {
  if (!exact && sent.size() + 1 == read.size() && read.back() == std::byte{0}) read = read.first(sent.size());
  if (!exact && read.size() + 1 == sent.size() && sent.back() == std::byte{0}) sent = sent.first(read.size());
  return sent.size() == read.size() && std::equal(sent.begin(), sent.end(), read.begin());
}

// Defaults are zero in nf_tables: the kernel reports some that were not sent (BITWISE_OP, LIMIT_FLAGS), and
// leaves out some that were (REJECT_CODE of a reset). Every other attribute must be on both sides.
bool same_attributes(Octets sent, Octets read, int depth) {
  for (Octets rest = sent; const auto attribute = take_attribute(rest);) {
    const auto other = find_attribute(read, attribute->type);
    // Inside a nest, 1 is NFTA_DATA_VALUE, whose length says how much is compared: "eth" is not "eth\0".
    const bool exact = depth > 0 && attribute->type == NFTA_DATA_VALUE;
    if (attribute->nested ? !other || !same_attributes(attribute->payload, *other, depth + 1)
        : other           ? !same_leaf(attribute->payload, *other, exact)
                          : !is_zero(attribute->payload))
      return false;
  }
  for (Octets rest = read; const auto attribute = take_attribute(rest);)
    if (!is_zero(attribute->payload) && !find_attribute(sent, attribute->type)) return false;
  return true;
}

bool same_expressions(Octets sent, Octets read) {
  while (true) {
    const auto mine = take_attribute(sent), other = take_attribute(read);
    if (!mine || !other) return !mine && !other;
    const auto part = [](const Attribute& expression, std::uint16_t type) {
      return find_attribute(expression.payload, type).value_or(Octets{});
    };
    if (text_of(part(*mine, NFTA_EXPR_NAME)) != text_of(part(*other, NFTA_EXPR_NAME))) return false;
    if (!same_attributes(part(*mine, NFTA_EXPR_DATA), part(*other, NFTA_EXPR_DATA), 0)) return false;
  }
}

}  // namespace

bool same_rule(const nlmsghdr* sent, const nlmsghdr* read) {
  const auto part = [](const nlmsghdr* message, std::uint16_t type) {
    return find_attribute(message_attributes(message, sizeof(nfgenmsg)), type).value_or(Octets{});
  };
  return same_expressions(part(sent, NFTA_RULE_EXPRESSIONS), part(read, NFTA_RULE_EXPRESSIONS)) &&
         same_leaf(part(sent, NFTA_RULE_USERDATA), part(read, NFTA_RULE_USERDATA), true);
}

std::string describe_rule(const nlmsghdr* message) {
  nftnl_rule* rule = nftnl_rule_alloc();
  if (!rule) return {};
  std::string line;
  if (nftnl_rule_nlmsg_parse(message, rule) >= 0) {
    std::array<char, 16384> text{};
    nftnl_rule_snprintf(text.data(), text.size(), rule, NFTNL_OUTPUT_DEFAULT, 0);
    std::string_view rest(text.data());
    rest.remove_prefix(std::min(rest.find('['), rest.size()));  // behind "inet table chain handle"
    for (const char c : rest)
      if (const bool space = c == '\n' || c == ' '; !space || (!line.empty() && line.back() != ' '))
        line += space ? ' ' : c;
    while (line.ends_with(' ')) line.pop_back();
  }
  nftnl_rule_free(rule);
  return line;
}

}  // namespace netjail
