// The text of a ruleset, as nft 1.0.6 and later read it. Every match is written out in full (meta nfproto,
// meta l4proto) so that nft adds none of its own: the bytecode it makes is ours, expression for expression.
#include <algorithm>
#include <array>

#include "netjail/nft/ruleset.h"

namespace netjail::nft {
namespace {

constexpr std::size_t kMaxComment = 128;    // nft: "comment too long, 128 characters maximum allowed"
constexpr std::size_t kMaxLogPrefix = 127;  // NF_LOG_PREFIXLEN with its NUL

// nft's text has no escape inside quotes: what would end the string or the line is replaced, never passed on.
std::string quote(std::string_view text, std::size_t max = std::string_view::npos) {
  std::string out = "\"";
  for (const char c : text.substr(0, max)) {
    const auto octet = static_cast<unsigned char>(c);
    out += c == '"' ? '\'' : octet < 0x20 || octet == 0x7F ? '?' : c;
  }
  return out + '"';
}

std::string log_prefix(std::string prefix) {
  std::ranges::replace(prefix, '$', '?');  // nft would expand a variable
  return quote(prefix, kMaxLogPrefix);
}

// The names that nft's grammar knows by itself; others it would look up in /etc/protocols, which may be
// missing.
std::string l4_name(std::uint8_t protocol) {
  constexpr std::array kNamed{kIcmp, kTcp, kUdp, kDccp, kIcmp6, kSctp, kUdpLite};
  return std::ranges::find(kNamed, protocol) != kNamed.end() ? protocol_name(protocol)
                                                             : std::to_string(protocol);
}

std::string hex(std::uint32_t value) {
  constexpr std::string_view kDigits = "0123456789abcdef";
  std::string out = "0x";
  for (int shift = 28; shift >= 0; shift -= 4) out += kDigits[(value >> shift) & 0xFU];
  return out;
}

std::string state_names(std::uint32_t bits) {
  constexpr std::array<std::pair<std::uint32_t, std::string_view>, 5> kStates{{
      {kInvalid, "invalid"},
      {kEstablished, "established"},
      {kRelated, "related"},
      {kNew, "new"},
      {kUntracked, "untracked"},
  }};
  std::string out;
  for (const auto& [bit, name] : kStates) {
    if ((bits & bit) == 0) continue;
    if (!out.empty()) out += ',';
    out += name;
  }
  return out;
}

std::string interface(std::string_view key, std::string_view name, bool negated) {
  return std::string(key) + (negated ? " != " : " ") + quote(name);
}

// One expression as nft(8) writes it.
struct Text {
  std::string operator()(const IifName& e) const { return interface("iifname", e.name, e.negated); }
  std::string operator()(const OifName& e) const { return interface("oifname", e.name, e.negated); }
  std::string operator()(const NfProto& e) const {
    return e.family == Family::ipv4 ? "meta nfproto ipv4" : "meta nfproto ipv6";
  }
  std::string operator()(const L4Proto& e) const { return "meta l4proto " + l4_name(e.protocol); }
  std::string operator()(const DaddrIn& e) const {
    return (e.family == Family::ipv4 ? "ip daddr @" : "ip6 daddr @") + e.set;
  }
  std::string operator()(const DportIn& e) const { return "th dport @" + e.set; }
  std::string operator()(const Dport& e) const { return "th dport " + std::to_string(e.port); }
  std::string operator()(const IcmpType& e) const {
    return (e.family == Family::ipv4 ? "icmp type " : "icmpv6 type ") + std::to_string(e.type);
  }
  std::string operator()(const CtState& e) const { return "ct state " + state_names(e.bits); }
  std::string operator()(const CtDirection& e) const {
    return e.reply ? "ct direction reply" : "ct direction original";
  }
  std::string operator()(const CtMark& e) const { return "ct mark " + hex(e.mark); }
  std::string operator()(const CtStatusDnat&) const { return "ct status dnat"; }
  std::string operator()(const CtUntranslated&) const {
    return "ct status & (confirmed | snat) == confirmed";
  }
  std::string operator()(const FibSpoofed&) const { return "fib saddr . iif oif missing"; }
  std::string operator()(const Fragment&) const { return "ip frag-off & 0x3fff != 0"; }
  std::string operator()(const NextHeader& e) const { return "ip6 nexthdr " + std::to_string(e.protocol); }
  std::string operator()(const HeaderLength& e) const {
    return (e.negated ? "ip hdrlength != " : "ip hdrlength ") + std::to_string(e.words);
  }
  std::string operator()(const RoutingHeader&) const { return "exthdr rt exists"; }
  std::string operator()(const FlowsOver& e) const {
    return "add @" + e.set + " { ct id & " + hex(e.mask) + " ct count over " + std::to_string(e.most) + " }";
  }
  std::string operator()(const Counter& e) const { return "counter name " + quote(e.name); }
  std::string operator()(const Limit& e) const {
    const std::string rate =
        (e.over ? "limit rate over " : "limit rate ") + std::to_string(e.per_second) + "/second";
    // Without a burst nft and the kernel take 5; nft refuses 0.
    return e.burst == 0 ? rate : rate + " burst " + std::to_string(e.burst) + " packets";
  }
  std::string operator()(const Log& e) const {
    std::string out = "log";
    if (!e.prefix.empty()) out += " prefix " + log_prefix(e.prefix);
    out += " group " + std::to_string(e.group);
    if (e.snaplen != 0) out += " snaplen " + std::to_string(e.snaplen);
    return out;
  }
  std::string operator()(const SetCtMark& e) const { return "ct mark set " + hex(e.mark); }
  std::string operator()(const Masquerade& e) const {
    return e.fully_random ? "masquerade fully-random" : "masquerade";
  }
  std::string operator()(const RejectTcpReset&) const { return "reject with tcp reset"; }
  std::string operator()(const RejectAdmin&) const { return "reject with icmpx admin-prohibited"; }
  std::string operator()(const Accept&) const { return "accept"; }
  std::string operator()(const Drop&) const { return "drop"; }
  std::string operator()(const Return&) const { return "return"; }
  std::string operator()(const Jump& e) const { return "jump " + e.chain; }
  std::string operator()(const Goto& e) const { return "goto " + e.chain; }
};

std::string interval(const std::string& first, const std::string& last) {
  return first == last ? first : first + '-' + last;
}

void render_set(const Set& set, std::string& out) {
  constexpr std::array<std::string_view, 4> kTypes{"ipv4_addr", "ipv6_addr", "inet_service", "mark"};
  out += "\tset " + set.name + " {\n\t\ttype ";
  out += kTypes.at(static_cast<std::size_t>(set.key));
  if (set.learns != 0) {
    out += "\n\t\tsize " + std::to_string(set.learns) + "\n\t\tflags timeout\n\t}\n";
    return;
  }
  if (set.counts != 0) {
    out += "\n\t\tsize " + std::to_string(set.counts) + "\n\t\tflags dynamic\n\t}\n";
    return;
  }
  out += "\n\t\tflags interval\n";
  std::string_view separator = "\t\telements = {\n";
  const auto add = [&](const std::string& element) {
    out += separator;
    out += "\t\t\t" + element;
    separator = ",\n";
  };
  if (set.key == KeyType::inet_service) {
    for (const auto& ports : set.ports)
      add(interval(std::to_string(ports.first), std::to_string(ports.last)));
  } else {
    for (const auto& range : set.addresses) add(to_string(range));
  }
  if (separator == ",\n") out += "\n\t\t}\n";
  out += "\t}\n";
}

void render_base(const BaseChain& base, std::string& out) {
  constexpr std::array<std::string_view, 5> kHooks{"prerouting", "input", "forward", "output", "postrouting"};
  out += base.nat ? "\t\ttype nat hook " : "\t\ttype filter hook ";
  out += kHooks.at(static_cast<std::size_t>(base.hook));
  out += " priority " + std::to_string(base.priority);
  out += base.drop ? "; policy drop;\n" : "; policy accept;\n";
}

void render_rule(const Rule& rule, std::string& out) {
  out += "\t\t";
  for (const auto& expression : rule.expressions) {
    if (&expression != &rule.expressions.front()) out += ' ';
    out += std::visit(Text{}, expression);
  }
  if (!rule.comment.empty()) out += " comment " + quote(rule.comment, kMaxComment);
  out += '\n';
}

}  // namespace

std::string render_nft(const Ruleset& ruleset) {
  std::string out = "table inet " + ruleset.table + " {\n";
  for (const auto& counter : ruleset.counters) out += "\tcounter " + counter.name + " {\n\t}\n";
  for (const auto& set : ruleset.sets) render_set(set, out);
  for (const auto& chain : ruleset.chains) {
    out += "\tchain " + chain.name + " {\n";
    if (chain.base) render_base(*chain.base, out);
    for (const auto& rule : chain.rules) render_rule(rule, out);
    out += "\t}\n";
  }
  return out + "}\n";
}

}  // namespace netjail::nft
