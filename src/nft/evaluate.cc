// What a packet meets: nf_tables' own walk, on values. Knows nothing of policies, so that it can be the
// second opinion to decide(); what looks odd here is what the kernel does (net/netfilter/nf_tables_core.c).
#include <algorithm>

#include "netjail/nft/ruleset.h"

namespace netjail::nft {
namespace {

constexpr int kMaxJumps = 16;  // NFT_JUMP_STACK_SIZE: the kernel refuses to load deeper ones

enum class Step { next_expression, next_rule, leave_chain, end_hook, dropped, rejected };

bool name_matches(std::string_view pattern, std::string_view name) {
  if (pattern.ends_with('*')) return name.starts_with(pattern.substr(0, pattern.size() - 1));
  return pattern == name;
}

template <class Interval, class Value>
bool in_intervals(const std::vector<Interval>& intervals, const Value& value) {
  const auto after = std::ranges::upper_bound(intervals, value, {}, &Interval::first);
  return after != intervals.begin() && value <= std::prev(after)->last;
}

// One packet on its way through one hook.
class Walk {
 public:
  Walk(const Ruleset& ruleset, const Packet& packet, Hook hook, Evaluation& evaluation)
      : ruleset_(ruleset), packet_(packet), hook_(hook), evaluation_(evaluation) {}

  // The rules of a chain. leave_chain when it ends without a verdict.
  Step chain(std::string_view name, int depth) {
    const auto found = std::ranges::find(ruleset_.chains, name, &Chain::name);
    if (found == ruleset_.chains.end() || depth > kMaxJumps) return Step::dropped;
    for (const auto& rule : found->rules) {
      const Step step = run(rule, depth);
      if (step != Step::next_rule) return step;
    }
    return Step::leave_chain;
  }

 private:
  Step run(const Rule& rule, int depth) {
    for (const auto& expression : rule.expressions) {
      const Step step = std::visit([&](const auto& e) { return meet(e, depth); }, expression);
      if (step != Step::next_expression) return step;
    }
    return Step::next_rule;
  }

  static Step when(bool matched) { return matched ? Step::next_expression : Step::next_rule; }
  // Invalid and untracked packets have no conntrack entry: whatever reads one breaks off the rule.
  bool tracked() const { return (packet_.ct_state & (kInvalid | kUntracked)) == 0; }
  const Set* find_set(std::string_view name) const {
    const auto found = std::ranges::find(ruleset_.sets, name, &Set::name);
    return found == ruleset_.sets.end() ? nullptr : &*found;
  }

  // A packet has no input interface before it is received and no output interface before it is routed; the
  // kernel compares with the empty name then, so "!=" holds.
  Step meet(const IifName& e, int) const {
    const std::string_view name = hook_ == Hook::output ? std::string_view{} : packet_.iif;
    return when(name_matches(e.name, name) != e.negated);
  }
  Step meet(const OifName& e, int) const {
    const bool routed = hook_ != Hook::prerouting && hook_ != Hook::input;
    return when(name_matches(e.name, routed ? std::string_view(packet_.oif) : std::string_view{}) !=
                e.negated);
  }
  Step meet(const NfProto& e, int) const { return when(packet_.flow.destination.family == e.family); }
  Step meet(const L4Proto& e, int) const { return when(packet_.flow.protocol == e.protocol); }
  Step meet(const DaddrIn& e, int) const {
    const Set* set = find_set(e.set);
    return when(set != nullptr && packet_.flow.destination.family == e.family &&
                in_intervals(set->addresses, packet_.flow.destination));
  }
  Step meet(const DportIn& e, int) const {
    const Set* set = find_set(e.set);
    return when(set != nullptr && has_ports(packet_.flow.protocol) &&
                in_intervals(set->ports, packet_.flow.port));
  }
  Step meet(const Dport& e, int) const {
    return when(has_ports(packet_.flow.protocol) && packet_.flow.port == e.port);
  }
  Step meet(const IcmpType& e, int) const {
    const std::uint8_t protocol = e.family == Family::ipv4 ? kIcmp : kIcmp6;
    return when(packet_.flow.protocol == protocol && packet_.flow.icmp_type == e.type);
  }
  Step meet(const CtState& e, int) const { return when((packet_.ct_state & e.bits) != 0); }
  Step meet(const CtDirection& e, int) const { return when(tracked() && packet_.ct_reply == e.reply); }
  Step meet(const CtMark& e, int) const { return when(tracked() && evaluation_.ct_mark == e.mark); }
  Step meet(const CtStatusDnat&, int) const { return when(tracked() && packet_.ct_dnat); }
  Step meet(const CtUntranslated&, int) const { return when(tracked() && packet_.ct_untranslated); }
  Step meet(const FibSpoofed&, int) const { return when(packet_.spoofed); }

  Step meet(const Fragment&, int) const { return when(packet_.fragment); }
  Step meet(const NextHeader& e, int) const {
    return when(!packet_.extended && packet_.flow.protocol == e.protocol);
  }
  Step meet(const HeaderLength& e, int) const {
    return when(((e.words == 5) != packet_.extended) != e.negated);
  }
  Step meet(const RoutingHeader&, int) const { return when(packet_.routed); }
  Step meet(const FlowsOver&, int) const { return when(packet_.too_many); }

  Step meet(const Counter& e, int) {
    evaluation_.counters.push_back(e.name);
    return Step::next_expression;
  }
  Step meet(const Log& e, int) {
    evaluation_.logs.push_back(e.prefix);
    return Step::next_expression;
  }
  Step meet(const SetCtMark& e, int) {
    if (tracked()) evaluation_.ct_mark = e.mark;
    return Step::next_expression;
  }
  Step meet(const Limit& e, int) const { return when(!e.over || packet_.too_many); }
  Step meet(const Masquerade&, int) const { return Step::end_hook; }
  // A reset can answer TCP only; the kernel drops anything else without a word.
  Step meet(const RejectTcpReset&, int) const {
    return packet_.flow.protocol == kTcp ? Step::rejected : Step::dropped;
  }
  Step meet(const RejectAdmin&, int) const { return Step::rejected; }
  Step meet(const Accept&, int) const { return Step::end_hook; }
  Step meet(const Drop&, int) const { return Step::dropped; }
  Step meet(const Return&, int) const { return Step::leave_chain; }
  Step meet(const Jump& e, int depth) {
    const Step step = chain(e.chain, depth + 1);
    return step == Step::leave_chain ? Step::next_rule : step;
  }
  // The chain that was left is not come back to: its end is the end of this one too.
  Step meet(const Goto& e, int depth) { return chain(e.chain, depth + 1); }

  const Ruleset& ruleset_;
  const Packet& packet_;
  const Hook hook_;
  Evaluation& evaluation_;
};

std::vector<const Chain*> base_chains(const Ruleset& ruleset, Hook hook) {
  std::vector<const Chain*> chains;
  for (const auto& chain : ruleset.chains) {
    if (chain.base && chain.base->hook == hook) chains.push_back(&chain);
  }
  std::ranges::stable_sort(chains, {}, [](const Chain* chain) { return chain->base->priority; });
  return chains;
}

}  // namespace

Evaluation evaluate(const Ruleset& ruleset, const Packet& packet, const std::vector<Hook>& hooks) {
  Evaluation evaluation{.fate = Fate::accepted, .ct_mark = packet.ct_mark};
  for (const Hook hook : hooks) {
    for (const Chain* chain : base_chains(ruleset, hook)) {
      // A nat chain sees the first packet of a connection only.
      if (chain->base->nat && (packet.ct_state & kNew) == 0) continue;
      Step step = Walk(ruleset, packet, hook, evaluation).chain(chain->name, 0);
      if (step == Step::leave_chain) step = chain->base->drop ? Step::dropped : Step::end_hook;
      if (step == Step::end_hook) continue;  // accepted here; the next base chain may still refuse
      evaluation.fate = step == Step::rejected ? Fate::rejected : Fate::dropped;
      return evaluation;
    }
  }
  return evaluation;
}

}  // namespace netjail::nft
