// A packet filter as a value: tables, sets, chains, rules of nf_tables as closed variants. Pure.
//
// Three consumers that cannot disagree silently: render_nft (text for `nft -f`), evaluate (what a packet
// meets), and kernel/nft (libnftnl messages). Names follow nft(8). Only what netjail uses is here; a new
// match or statement must be added to all three and to the encoding test, which compares our bytecode with
// what nft(8) makes of our text.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "netjail/net/flow.h"
#include "netjail/net/ip.h"

namespace netjail::nft {

enum class KeyType : std::uint8_t { ipv4_addr, ipv6_addr, inet_service, mark };
struct PortInterval {
  std::uint16_t first, last;
  auto operator<=>(const PortInterval&) const = default;
};
// An interval set ("flags interval") of addresses or ports: elements are inclusive, sorted, disjoint. Or
// (`learns`) a hash set of single addresses with a time-out each ("flags timeout"), which is loaded empty and
// filled while the rules are in force, see kernel/learned.h: to look into it costs a packet the same whatever
// it has.
struct Set {
  std::string name;
  KeyType key = KeyType::ipv4_addr;
  std::vector<AddressRange> addresses;  // ipv4_addr, ipv6_addr; of a set that learns: for evaluate() alone
  std::vector<PortInterval> ports;      // inet_service
  // Most elements of a set that learns addresses ("size"); 0: it does not learn. Linux allocates the buckets
  // for all of them when it is loaded (nft_rhash_init): 32 KiB for 1,024, 128 KiB for 4,096, 2 MiB for
  // 65,535; for 65,536 none, because its hint has 16 bits.
  std::uint32_t learns = 0;
  // Most slots of a set of counts (key `mark`, "flags dynamic"), which FlowsOver alone looks into; 0: it has
  // none.
  std::uint32_t counts = 0;
  bool operator==(const Set&) const = default;
};

// A named counter object.
struct CounterObject {
  std::string name;
  bool operator==(const CounterObject&) const = default;
};

// ---- matches
// -------------------------------------------------------------------------------------------------------
struct IifName {
  std::string name;
  bool negated = false;
  bool operator==(const IifName&) const = default;
};  // "nj*": prefix match
struct OifName {
  std::string name;
  bool negated = false;
  bool operator==(const OifName&) const = default;
};
struct NfProto {
  Family family;
  bool operator==(const NfProto&) const = default;
};  // meta nfproto
struct L4Proto {
  std::uint8_t protocol;
  bool operator==(const L4Proto&) const = default;
};  // meta l4proto
struct DaddrIn {
  Family family;
  std::string set;
  bool operator==(const DaddrIn&) const = default;
};  // ip daddr @set; needs NfProto before it
struct DportIn {
  std::string set;
  bool operator==(const DportIn&) const = default;
};  // th dport @set; needs L4Proto before it
struct Dport {
  std::uint16_t port;
  bool operator==(const Dport&) const = default;
};  // th dport N
struct IcmpType {
  Family family;
  std::uint8_t type;
  bool operator==(const IcmpType&) const = default;
};  // icmp type N / icmpv6 type N; needs L4Proto
// ct state, any of the bits
inline constexpr std::uint32_t kInvalid = 1, kEstablished = 2, kRelated = 4, kNew = 8, kUntracked = 64;
struct CtState {
  std::uint32_t bits;
  bool operator==(const CtState&) const = default;
};
struct CtDirection {
  bool reply;
  bool operator==(const CtDirection&) const = default;
};
struct CtMark {
  std::uint32_t mark;
  bool operator==(const CtMark&) const = default;
};
struct CtStatusDnat {
  bool operator==(const CtStatusDnat&) const = default;
};  // ct status dnat
// Of a flow that has been let out with the source that it came with: masquerading would have come first.
struct CtUntranslated {
  bool operator==(const CtUntranslated&) const = default;
};  // ct status & (confirmed | snat) == confirmed
// fib saddr . iif oif missing: no route back to the source through the interface it came from (a spoofed
// source)
struct FibSpoofed {
  bool operator==(const FibSpoofed&) const = default;
};

// ip frag-off & 0x3fff != 0: a piece of a packet, the first one too; needs NfProto before it. Only before
// conntrack (priority below -400) has any packet that mark.
struct Fragment {
  bool operator==(const Fragment&) const = default;
};
// ip6 nexthdr N: the header that follows the fixed one, an extension or the transport; needs NfProto before
// it
struct NextHeader {
  std::uint8_t protocol;
  bool operator==(const NextHeader&) const = default;
};
// ip hdrlength N, in words of 4 octets: 5 without options; needs NfProto before it
struct HeaderLength {
  std::uint8_t words;
  bool negated = false;
  bool operator==(const HeaderLength&) const = default;
};
// exthdr rt exists: an IPv6 routing header of any type, wherever it stands; needs NfProto before it
struct RoutingHeader {
  bool operator==(const RoutingHeader&) const = default;
};
// add @set { ct id & MASK ct count over N }: the flow is counted in one of MASK + 1 slots, which neither its
// sender nor anybody else can choose, and the slot has more than N flows now. The kernel looks each flow of
// the slot up before it counts another, so that what a new flow costs grows with N, not with the number of
// flows.
struct FlowsOver {
  std::string set;
  std::uint32_t mask;  // 2^n - 1
  std::uint32_t most;
  bool operator==(const FlowsOver&) const = default;
};

// ---- statements
// ----------------------------------------------------------------------------------------------------
struct Counter {
  std::string name;
  bool operator==(const Counter&) const = default;
};  // counter name "x"
struct Limit {
  std::uint32_t per_second;
  std::uint32_t burst;
  bool over = false;  // matches what is more
  bool operator==(const Limit&) const = default;
};  // limit rate [over] N/second burst M packets
struct Log {
  std::uint16_t group;
  std::string prefix;
  std::uint32_t snaplen;
  bool operator==(const Log&) const = default;
};  // log prefix "x" group N snaplen M
struct SetCtMark {
  std::uint32_t mark;
  bool operator==(const SetCtMark&) const = default;
};
struct Masquerade {
  bool fully_random = true;
  bool operator==(const Masquerade&) const = default;
};
struct RejectTcpReset {
  bool operator==(const RejectTcpReset&) const = default;
};  // reject with tcp reset
struct RejectAdmin {
  bool operator==(const RejectAdmin&) const = default;
};  // reject with icmpx admin-prohibited
struct Accept {
  bool operator==(const Accept&) const = default;
};
struct Drop {
  bool operator==(const Drop&) const = default;
};
struct Return {
  bool operator==(const Return&) const = default;
};
struct Jump {
  std::string chain;
  bool operator==(const Jump&) const = default;
};
struct Goto {
  std::string chain;
  bool operator==(const Goto&) const = default;
};

using Expression =
    std::variant<IifName, OifName, NfProto, L4Proto, DaddrIn, DportIn, Dport, IcmpType, CtState, CtDirection,
                 CtMark, CtStatusDnat, CtUntranslated, FibSpoofed, Fragment, NextHeader, HeaderLength,
                 RoutingHeader, FlowsOver, Counter, Limit, Log, SetCtMark, Masquerade, RejectTcpReset,
                 RejectAdmin, Accept, Drop, Return, Jump, Goto>;

struct Rule {
  std::vector<Expression> expressions;
  std::string comment;  // at most 128 octets; may be empty
  bool operator==(const Rule&) const = default;
};

enum class Hook : std::uint8_t { prerouting = 0, input = 1, forward = 2, output = 3, postrouting = 4 };
struct BaseChain {
  bool nat = false;  // type nat, else type filter
  Hook hook = Hook::forward;
  std::int32_t priority = 0;
  bool drop = false;  // policy drop, else accept
  bool operator==(const BaseChain&) const = default;
};
struct Chain {
  std::string name;
  std::optional<BaseChain> base;
  std::vector<Rule> rules;
  bool operator==(const Chain&) const = default;
};

// One table of family inet.
struct Ruleset {
  std::string table;
  std::vector<CounterObject> counters;
  std::vector<Set> sets;
  std::vector<Chain> chains;  // a chain stands before the chains that jump to it
  bool operator==(const Ruleset&) const = default;
};

// Text that `nft -f` loads: "table inet NAME { ... }".
std::string render_nft(const Ruleset& ruleset);

// A packet as the filter sees it.
struct Packet {
  std::string iif;
  std::string oif;
  Flow flow;
  std::uint32_t ct_state = kNew;
  bool ct_reply = false;
  std::uint32_t ct_mark = 0;
  bool ct_dnat = false;
  bool ct_untranslated = false;
  bool spoofed = false;
  bool fragment = false;
  bool extended = false;  // IPv4 options, IPv6 extension headers
  bool routed = false;    // an IPv6 routing header
  bool too_many = false;  // more flows, or more of them a second, than FlowsOver and Limit{over} let pass
};
enum class Fate : std::uint8_t { accepted, dropped, rejected };
struct Evaluation {
  Fate fate = Fate::dropped;
  std::vector<std::string> counters;  // named counters bumped, in order
  std::vector<std::string> logs;      // log prefixes, in order
  std::uint32_t ct_mark = 0;          // mark after
};
// The walk of `packet` through the base chains of `hooks` in order (within a hook by priority); stops at the
// first drop or reject. Limits never run out here, but for `too_many`.
Evaluation evaluate(const Ruleset& ruleset, const Packet& packet, const std::vector<Hook>& hooks);

}  // namespace netjail::nft
