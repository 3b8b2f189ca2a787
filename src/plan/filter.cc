// Policy -> the router's ruleset. The order of chain "forward" is the order of blame of decide().
#include <algorithm>

#include "netjail/plan/plan.h"

namespace netjail {
namespace {

using namespace nft;

constexpr std::uint32_t kLogSnaplen = 128;  // octets: enough for IPv6 with extension headers and ports
// Log lines a second and rule: a flood must not drown the terminal or the supervisor; the counters still see
// all.
constexpr std::uint32_t kLogRate = 100;
constexpr std::uint32_t kLogBurst = 200;

std::string chain_of(std::string_view id) { return "refuse-" + std::string(id); }

// Adds the sets of `addresses` under `name`; the matches of one family, or nothing when it has no address
// there.
class SetMaker {
 public:
  explicit SetMaker(Ruleset& ruleset) : ruleset_(ruleset) {}

  std::optional<std::vector<Expression>> addresses(const std::string& name, const AddressSet& set,
                                                   Family family) {
    if (set.ranges(family).empty()) return std::nullopt;
    return growing(name, set, family);
  }

  // The same where elements may come later: the set is there, and looked into, also while it is empty.
  std::vector<Expression> growing(const std::string& name, const AddressSet& set, Family family) {
    std::vector<AddressRange> ranges = set.ranges(family);
    std::vector<Expression> matches{NfProto{family}};
    static const AddressSet kEverything = AddressSet::everything();
    if (ranges == kEverything.ranges(family)) return matches;
    const bool v4 = family == Family::ipv4;
    const std::string set_name = name + (v4 ? "-ipv4" : "-ipv6");
    add({set_name, v4 ? KeyType::ipv4_addr : KeyType::ipv6_addr, std::move(ranges), {}});
    matches.push_back(DaddrIn{family, set_name});
    return matches;
  }

  // What names turn out to have; nothing stands there yet.
  std::vector<Expression> learned(const std::string& group, Family family) {
    const std::string name = learned_set(group, family);
    add({.name = name,
         .key = family == Family::ipv4 ? KeyType::ipv4_addr : KeyType::ipv6_addr,
         .addresses = {},
         .ports = {},
         .learns = kMostLearned});
    return {NfProto{family}, DaddrIn{family, name}};
  }

  // One list of matches for each protocol that `services` select; ports of one protocol share a set.
  std::vector<std::vector<Expression>> services(const std::string& name, const std::vector<Service>& services,
                                                Family family) {
    if (services.empty()) return {{}};
    std::vector<std::vector<Expression>> out;
    std::map<std::uint8_t, std::vector<PortInterval>> ports;
    for (const Service& service : services) {
      if (!service.protocol) return {{}};  // every protocol
      const std::uint8_t protocol = *service.protocol;
      if (service.ports) {
        ports[protocol].push_back({service.ports->first, service.ports->last});
      } else if (service.icmp_type) {
        // Of ICMP only the own family's is real: the other's number in this family is a protocol of its own.
        const Family icmp_family = protocol == kIcmp ? Family::ipv4 : Family::ipv6;
        if (icmp_family == family) out.push_back({L4Proto{protocol}, IcmpType{family, *service.icmp_type}});
      } else {
        out.push_back({L4Proto{protocol}});
      }
    }
    for (auto& [protocol, intervals] : ports) {
      merge(intervals);
      if (intervals.size() == 1 && intervals[0].first == intervals[0].last) {
        out.push_back({L4Proto{protocol}, Dport{intervals[0].first}});
        continue;
      }
      const std::string set_name = name + "-" + protocol_name(protocol);
      add({set_name, KeyType::inet_service, {}, intervals});
      out.push_back({L4Proto{protocol}, DportIn{set_name}});
    }
    return out;
  }

 private:
  static void merge(std::vector<PortInterval>& intervals) {
    std::ranges::sort(intervals);
    std::vector<PortInterval> merged;
    for (const PortInterval& next : intervals) {
      if (!merged.empty() && next.first <= merged.back().last + 1)
        merged.back().last = std::max(merged.back().last, next.last);
      else
        merged.push_back(next);
    }
    intervals = std::move(merged);
  }

  void add(Set set) {
    const auto same = [&set](const Set& other) { return other.name == set.name; };
    if (std::ranges::none_of(ruleset_.sets, same)) ruleset_.sets.push_back(std::move(set));
  }

  Ruleset& ruleset_;
};

std::vector<Expression> joined(std::initializer_list<std::vector<Expression>> parts) {
  std::vector<Expression> out;
  for (const auto& part : parts) out.insert(out.end(), part.begin(), part.end());
  return out;
}

// Counts, logs within limits and refuses what a rule denies.
Chain refusal_chain(std::string_view id, bool log) {
  Chain chain{chain_of(id), std::nullopt, {}};
  chain.rules.push_back({{Counter{counter_name(id)}}, ""});
  if (log)
    chain.rules.push_back({{Limit{kLogRate, kLogBurst}, Log{kLogGroup, std::string(id), kLogSnaplen}}, ""});
  chain.rules.push_back({{Goto{"refuse"}}, ""});
  return chain;
}

// What the jail's kernel says by itself (multicast membership, neighbour and router discovery) is dropped in
// silence.
Chain unroutable_chain() {
  Chain chain{"unroutable", std::nullopt, {}};
  constexpr std::uint8_t kIgmp = 2;
  chain.rules.push_back({{L4Proto{kIgmp}, Drop{}}, ""});
  for (const std::uint8_t type :
       std::initializer_list<std::uint8_t>{131, 132, 133, 135, 136, 143})  // RFC 2710, 3810, 4861
    chain.rules.push_back(
        {{NfProto{Family::ipv6}, L4Proto{kIcmp6}, IcmpType{Family::ipv6, type}, Drop{}}, ""});
  chain.rules.push_back({{Goto{chain_of(kUnroutableRule)}}, ""});
  return chain;
}

// pasta (passt of 2023) takes whatever follows the fixed header for the transport's: a fragment's data, an
// IPv6 extension header. So nothing but whole packets without extensions gets to it. Before conntrack puts
// fragments together, and takes them apart again on the way out.
Chain plain_chain() {
  Chain chain{"plain-packets", BaseChain{false, Hook::prerouting, -450, false}, {}};
  chain.rules.push_back(
      {{IifName{std::string(kJailInterface), true}, Accept{}}, "only the jail is judged here"});
  chain.rules.push_back({{NfProto{Family::ipv4}, Fragment{}, Counter{"extended"}, Drop{}}, "a fragment"});
  chain.rules.push_back({{NfProto{Family::ipv4}, HeaderLength{5}, Accept{}}, ""});
  for (const std::uint8_t protocol : {kTcp, kUdp, kIcmp6})
    chain.rules.push_back({{NfProto{Family::ipv6}, NextHeader{protocol}, Accept{}}, ""});
  chain.rules.push_back({{Counter{"extended"}, Drop{}}, "IPv4 options, IPv6 extension headers"});
  return chain;
}

// An option or header that names further stations: an allowed host would send the packet on to any other.
// Linux 6.18 gives the program record route and headers of type 4 without a capability, and forwards both. Of
// other options no use is known that crosses the Internet.
void add_source_routes(Chain& chain) {
  chain.rules.push_back(
      {{NfProto{Family::ipv4}, HeaderLength{5, true}, Counter{"extended"}, Drop{}}, "IPv4 options"});
  chain.rules.push_back(
      {{NfProto{Family::ipv6}, RoutingHeader{}, Counter{"extended"}, Drop{}}, "an IPv6 routing header"});
}

// Multicast, broadcast and the like never reach the forward hook.
Chain prerouting_chain(SetMaker& sets) {
  Chain chain{"prerouting", BaseChain{false, Hook::prerouting, -150, false}, {}};
  chain.rules.push_back(
      {{IifName{std::string(kJailInterface), true}, Accept{}}, "only the jail is judged here"});
  add_source_routes(chain);
  chain.rules.push_back({{CtMark{kGenerationMark}, Accept{}}, "admitted flow"});
  // Before the router can answer such a packet with an error to whoever it names as its source.
  chain.rules.push_back({{FibSpoofed{}, Counter{"spoofed"}, Drop{}}, "source is not the jail's address"});
  for (const Family family : kFamilies) {
    auto matches = sets.addresses("unroutable", unroutable_addresses(), family);
    if (matches) chain.rules.push_back({joined({*matches, {Goto{"unroutable"}}}), ""});
  }
  return chain;
}

// Room is left for what nft allows at most, 128 octets, and no character is cut in two.
std::string comment_of(const netjail::Rule& rule) {
  constexpr std::size_t kMost = 100;
  std::size_t size = std::min(rule.text.size(), kMost);
  while (size < rule.text.size() && (static_cast<unsigned char>(rule.text[size]) & 0xC0) == 0x80) --size;
  return rule.text.substr(0, size);
}

void add_rule(Chain& forward, SetMaker& sets, const netjail::Rule& rule,
              const std::vector<Expression>& verdict) {
  for (const Family family : kFamilies) {
    const auto addresses = sets.addresses(rule.id, rule.addresses, family);
    if (!addresses) continue;
    for (const auto& service : sets.services(rule.id, rule.services, family))
      forward.rules.push_back({joined({*addresses, service, verdict}), comment_of(rule)});
  }
}

// The services have the sets of the written addresses' services: a rule that has both has the same for them.
void add_group(Chain& forward, SetMaker& sets, const Policy& policy, const NameGroup& group,
               const std::vector<Expression>& verdict) {
  const std::string comment = "names: " + comment_of(policy.rules[group.rules.front()]);
  for (const Family family : kFamilies) {
    if (family == Family::ipv6 && !policy.ipv6) continue;
    const auto addresses = sets.learned(group.id, family);
    for (const auto& service : sets.services(group.id, group.services, family))
      forward.rules.push_back({joined({addresses, service, verdict}), comment});
  }
}

// SECURITY.md P3a: where allowed flows come in. The limit of new ones also keeps the counts small: Linux
// enters a refused flow too, and takes it out again at the slot's next ones.
Chain admit_chain() {
  Chain chain{"admit", std::nullopt, {}};
  chain.rules.push_back(
      {{Limit{kNewFlowsPerSecond, kNewFlowsAtOnce, true}, Goto{chain_of(kLimitRule)}}, "too many at once"});
  chain.rules.push_back(
      {{FlowsOver{"flows", kFlowSlots - 1, kFlowsPerSlot}, Goto{chain_of(kLimitRule)}}, "too many in all"});
  chain.rules.push_back({{SetCtMark{kGenerationMark}, Accept{}}, ""});
  return chain;
}

Chain forward_chain(SetMaker& sets, const Policy& policy) {
  const std::string jail(kJailInterface);
  const std::string uplink(kUplinkInterface);
  Chain chain{"forward", BaseChain{false, Hook::forward, 0, true}, {}};
  auto& rules = chain.rules;

  // Two rules carry nearly every packet. There is no "established: accept" for the jail's direction: the mark
  // says that this generation of the policy admitted the flow (SECURITY.md promise on withdrawn permissions).
  rules.push_back(
      {{IifName{jail}, CtMark{kGenerationMark}, CtState{kNew | kEstablished}, Accept{}}, "admitted flow"});
  rules.push_back({{IifName{uplink}, CtDirection{true}, CtState{kEstablished}, Accept{}}, "replies"});
  for (const std::uint8_t icmp : {kIcmp, kIcmp6})
    rules.push_back(
        {{IifName{uplink}, CtState{kRelated}, L4Proto{icmp}, Accept{}}, "ICMP errors about admitted flows"});
  rules.push_back({{IifName{jail, true}, Counter{"unsolicited"}, Drop{}}, "nothing comes in by itself"});

  rules.push_back({{CtState{kInvalid | kRelated | kUntracked}, Counter{"invalid"}, Drop{}}, ""});

  for (const Family family : kFamilies)
    rules.push_back({joined({sets.growing("host", policy.host, family), {Goto{chain_of(kHostRule)}}}),
                     "the host's own addresses"});
  const std::vector<NameGroup> groups = make_name_groups(policy);
  for (const Action action : {Action::deny, Action::allow}) {
    for (const netjail::Rule& rule : policy.rules) {
      if (rule.action != action) continue;
      const std::vector<Expression> verdict =
          action == Action::deny ? std::vector<Expression>{Goto{chain_of(rule.id)}}
                                 : std::vector<Expression>{Counter{counter_name(rule.id)}, Goto{"admit"}};
      add_rule(chain, sets, rule, verdict);
      const auto group = std::ranges::find(groups, rule.id, &NameGroup::id);
      if (group != groups.end()) add_group(chain, sets, policy, *group, verdict);
    }
  }
  for (const Family family : kFamilies) {
    if (const auto local = sets.addresses("local", local_addresses(), family))
      rules.push_back({joined({*local, {Goto{chain_of(kLocalRule)}}}), "local addresses that no rule names"});
  }
  rules.push_back({{Goto{chain_of(kDefaultRule)}}, "nothing allows it"});
  return chain;
}

}  // namespace

std::string learned_set(std::string_view group, Family family) {
  return "names-" + std::string(group) + (family == Family::ipv4 ? "-ipv4" : "-ipv6");
}

std::string counter_name(std::string_view rule_id) { return "rule-" + std::string(rule_id); }

nft::Ruleset make_filter(const Policy& policy, UplinkPlan::Kind uplink) {
  Ruleset ruleset;
  ruleset.table = kTable;
  SetMaker sets(ruleset);

  Chain refuse{"refuse", std::nullopt, {}};
  if (policy.refuse == Refuse::reject) {
    refuse.rules.push_back({{L4Proto{kTcp}, RejectTcpReset{}}, ""});
    refuse.rules.push_back({{RejectAdmin{}}, ""});
  }
  refuse.rules.push_back({{Drop{}}, ""});
  ruleset.chains.push_back(std::move(refuse));

  for (const std::string_view name : {"invalid", "spoofed", "unsolicited", "extended"})
    ruleset.counters.push_back({std::string(name)});
  if (uplink == UplinkPlan::Kind::pasta) ruleset.chains.push_back(plain_chain());
  const auto refusal = [&](std::string_view id) {
    ruleset.counters.push_back({counter_name(id)});
    ruleset.chains.push_back(refusal_chain(id, policy.log_denied));
  };
  for (const std::string_view id : {kDefaultRule, kLocalRule, kUnroutableRule, kHostRule}) refusal(id);
  const bool allows = std::ranges::count(policy.rules, Action::allow, &netjail::Rule::action) != 0;
  if (allows) {
    refusal(kLimitRule);
    ruleset.sets.push_back({.name = "flows", .key = KeyType::mark, .counts = kFlowSlots});
    ruleset.chains.push_back(admit_chain());
  }
  for (const netjail::Rule& rule : policy.rules) {
    if (rule.action == Action::deny)
      refusal(rule.id);
    else
      ruleset.counters.push_back({counter_name(rule.id)});
  }

  ruleset.chains.push_back(unroutable_chain());
  ruleset.chains.push_back(prerouting_chain(sets));
  // Nothing listens in the router, and it speaks to the jail alone.
  ruleset.chains.push_back({"input", BaseChain{false, Hook::input, 0, true}, {}});
  ruleset.chains.push_back({"output",
                            BaseChain{false, Hook::output, 0, true},
                            {{{OifName{std::string(kJailInterface)}, Accept{}}, "resets and ICMP errors"}}});
  ruleset.chains.push_back(forward_chain(sets, policy));
  // pasta makes the source port that it sees one of the host's: the jail must not choose it.
  if (uplink == UplinkPlan::Kind::pasta)
    ruleset.chains.push_back({"postrouting",
                              BaseChain{true, Hook::postrouting, 100, false},
                              {{{OifName{std::string(kUplinkInterface)}, Masquerade{true}}, ""}}});
  return ruleset;
}

nft::Ruleset make_host_addition(const AddressSet& added, const AddressSet& earlier) {
  Ruleset addition;
  addition.table = kTable;
  SetMaker sets(addition);
  Chain forward{"forward", std::nullopt, {}};
  for (const Family family : kFamilies) {
    const auto host = sets.addresses("host", added, family);
    if (host && earlier.ranges(family).empty())
      forward.rules.push_back(
          {joined({{IifName{std::string(kJailInterface)}}, *host, {Goto{chain_of(kHostRule)}}}),
           "the host's own addresses, also of admitted flows"});
  }
  addition.chains.push_back(std::move(forward));
  return addition;
}

}  // namespace netjail
