#include "foreign_rule.h"

#include <netinet/in.h>

#include <linux/netfilter.h>
#include <linux/netfilter/nf_conntrack_common.h>
#include <linux/netfilter/nf_tables.h>
#include <linux/netfilter/nf_tables_compat.h>
#include <linux/netfilter/xt_conntrack.h>
#include <linux/netfilter/xt_state.h>

#include <map>

namespace netjail {
namespace {

using Kind = nft::ForeignDrop::Kind;

Octets part(Octets attributes, std::uint16_t type) {
  return find_attribute(attributes, type).value_or(Octets{});
}
std::uint32_t number(Octets attributes, std::uint16_t type) {
  return big_endian<std::uint32_t>(part(attributes, type));
}
std::uint32_t register_value(Octets data) {  // in the machine's order
  const Octets value = part(data, NFTA_DATA_VALUE);
  std::uint32_t out = 0;
  if (value.size() == sizeof out) std::memcpy(&out, value.data(), sizeof out);
  return out;
}

// Follows what the rule's expressions load into registers.
class Rule {
 public:
  explicit Rule(ForeignRules& chain) : chain_(chain) {}

  void take(std::string_view name, Octets data) {
    if (name == "immediate") return verdict(data);
    if (name == "reject") return end(Kind::reject);
    if (name == "queue") return end(Kind::queue);
    if (name == "target") {
      if (const auto kind = target_drops(text_of(part(data, NFTA_TARGET_NAME)))) end(*kind);
      return;
    }
    if (name == "counter" || name == "log") return;
    drop_.rest = false;
    if (name == "meta") return load(number(data, NFTA_META_DREG), meta(number(data, NFTA_META_KEY)));
    if (name == "ct")
      return load(number(data, NFTA_CT_DREG),
                  number(data, NFTA_CT_KEY) == NFT_CT_STATE ? Held::state : Held::other);
    if (name == "bitwise") return mask(data);
    if (name == "cmp") return compare(data);
    if (name == "lookup") {
      if (const auto to = find_attribute(data, NFTA_LOOKUP_DREG);
          to && big_endian<std::uint32_t>(*to) == NFT_REG_VERDICT)
        end(Kind::map);
      return;
    }
    if (name == "match" && matches_invalid_only(text_of(part(data, NFTA_MATCH_NAME)),
                                                number(data, NFTA_MATCH_REV), part(data, NFTA_MATCH_INFO)))
      invalid_only_ = true;
  }

 private:
  enum class Held : std::uint8_t { other, in, out, state };
  struct Register {
    Held held = Held::other;
    std::uint32_t mask = ~0u;
  };

  static Held meta(std::uint32_t key) {
    return key == NFT_META_IIFNAME ? Held::in : key == NFT_META_OIFNAME ? Held::out : Held::other;
  }
  void load(std::uint32_t into, Held what) { registers_[into] = {what, ~0u}; }

  void mask(Octets data) {
    Register held = registers_[number(data, NFTA_BITWISE_SREG)];
    held.mask = register_value(part(data, NFTA_BITWISE_MASK));
    if (register_value(part(data, NFTA_BITWISE_XOR)) != 0) held.held = Held::other;
    registers_[number(data, NFTA_BITWISE_DREG)] = held;
  }

  void compare(Octets data) {
    const Register held = registers_[number(data, NFTA_CMP_SREG)];
    const std::uint32_t op = number(data, NFTA_CMP_OP);
    const Octets value = part(part(data, NFTA_CMP_DATA), NFTA_DATA_VALUE);
    if (held.held == Held::state) {
      const std::uint32_t compared = register_value(part(data, NFTA_CMP_DATA));
      const std::uint32_t states = op == NFT_CMP_EQ ? compared : compared == 0 ? held.mask : ~0u;
      constexpr std::uint32_t kInvalid = 1;  // NF_CT_STATE_INVALID_BIT
      if (states == kInvalid) invalid_only_ = true;
    } else if (op == NFT_CMP_EQ && (held.held == Held::in || held.held == Held::out)) {
      // The whole name with its NUL, or a part that it begins with.
      std::string interface(text_of(value));
      if (interface.size() == value.size()) interface += '*';
      (held.held == Held::in ? drop_.in : drop_.out) = std::move(interface);
    }
  }

  void verdict(Octets data) {
    if (number(data, NFTA_IMMEDIATE_DREG) != NFT_REG_VERDICT) return;
    const Octets verdict = part(part(data, NFTA_IMMEDIATE_DATA), NFTA_DATA_VERDICT);
    const auto code = static_cast<std::int32_t>(number(verdict, NFTA_VERDICT_CODE));
    if (code == NFT_JUMP || code == NFT_GOTO) {
      if (!invalid_only_) chain_.jumps.emplace(text_of(part(verdict, NFTA_VERDICT_CHAIN)));
    } else if (code >= 0 && (code & NF_VERDICT_MASK) == NF_DROP) {
      end(Kind::drop);
    } else if (code >= 0 && (code & NF_VERDICT_MASK) == NF_QUEUE) {
      end(Kind::queue);
    }
  }

  void end(Kind kind) {
    if (invalid_only_) return;
    drop_.kind = kind;
    chain_.drops.insert(drop_);
  }

  ForeignRules& chain_;
  nft::ForeignDrop drop_{.rest = true, .in = {}, .out = {}};
  std::map<std::uint32_t, Register> registers_;
  bool invalid_only_ = false;
};

}  // namespace

std::optional<Kind> target_drops(std::string_view name) {
  if (name == "DROP" || name == "TARPIT" || name == "STEAL") return Kind::drop;
  if (name == "REJECT" || name == "DELUDE" || name == "CHAOS" || name == "SYNPROXY") return Kind::reject;
  if (name == "NFQUEUE" || name == "QUEUE") return Kind::queue;
  return std::nullopt;
}

bool matches_invalid_only(std::string_view match, std::uint32_t revision, Octets info) {
  if (match == "state" && info.size() >= sizeof(xt_state_info)) {
    xt_state_info state;
    std::memcpy(&state, info.data(), sizeof state);
    return state.statemask == XT_STATE_INVALID;
  }
  if (match == "conntrack" && revision == 3 && info.size() >= sizeof(xt_conntrack_mtinfo3)) {
    xt_conntrack_mtinfo3 state;
    std::memcpy(&state, info.data(), sizeof state);
    return (state.match_flags & XT_CONNTRACK_STATE) != 0 && (state.invert_flags & XT_CONNTRACK_STATE) == 0 &&
           state.state_mask == XT_CONNTRACK_STATE_INVALID;
  }
  return false;
}

void judge_rule(Octets rule, ForeignRules& chain) {
  Rule judged(chain);
  Octets list = part(rule, NFTA_RULE_EXPRESSIONS);
  while (const auto element = take_attribute(list))
    judged.take(text_of(part(element->payload, NFTA_EXPR_NAME)), part(element->payload, NFTA_EXPR_DATA));
}

}  // namespace netjail
