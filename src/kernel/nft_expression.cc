#include "nft_expression.h"

#include <linux/netfilter/nf_conntrack_common.h>
#include <netinet/in.h>
// After netinet/in.h:
#include <linux/netfilter.h>
#include <linux/netfilter/nf_nat.h>
#include <linux/netfilter/nf_tables.h>
#include <net/if.h>
// After cstdio:
#include <cstdio>
//
#include <libnftnl/expr.h>
#include <libnftnl/rule.h>

#include <array>
#include <cstring>
#include <string>
#include <variant>

namespace netjail {
namespace {

nftnl_expr* add(nftnl_rule* rule, const char* name) {
  nftnl_expr* expression = nftnl_expr_alloc(name);
  nftnl_rule_add_expr(rule, expression);
  return expression;
}

// nft(8) loads every selector into register 1.
void meta(nftnl_rule* rule, std::uint32_t key) {
  nftnl_expr* load = add(rule, "meta");
  nftnl_expr_set_u32(load, NFTNL_EXPR_META_KEY, key);
  nftnl_expr_set_u32(load, NFTNL_EXPR_META_DREG, NFT_REG_1);
}

void ct(nftnl_rule* rule, std::uint32_t key) {
  nftnl_expr* load = add(rule, "ct");
  nftnl_expr_set_u32(load, NFTNL_EXPR_CT_KEY, key);
  nftnl_expr_set_u32(load, NFTNL_EXPR_CT_DREG, NFT_REG_1);
}

void payload(nftnl_rule* rule, std::uint32_t base, std::uint32_t offset, std::uint32_t size) {
  nftnl_expr* load = add(rule, "payload");
  nftnl_expr_set_u32(load, NFTNL_EXPR_PAYLOAD_BASE, base);
  nftnl_expr_set_u32(load, NFTNL_EXPR_PAYLOAD_OFFSET, offset);
  nftnl_expr_set_u32(load, NFTNL_EXPR_PAYLOAD_LEN, size);
  nftnl_expr_set_u32(load, NFTNL_EXPR_PAYLOAD_DREG, NFT_REG_1);
}

void compare(nftnl_rule* rule, nft_cmp_ops operation, const void* data, std::size_t size) {
  nftnl_expr* cmp = add(rule, "cmp");
  nftnl_expr_set_u32(cmp, NFTNL_EXPR_CMP_SREG, NFT_REG_1);
  nftnl_expr_set_u32(cmp, NFTNL_EXPR_CMP_OP, operation);
  nftnl_expr_set(cmp, NFTNL_EXPR_CMP_DATA, data, static_cast<std::uint32_t>(size));
}

template <class Value>
void equals(nftnl_rule* rule, const Value& value) {
  compare(rule, NFT_CMP_EQ, &value, sizeof value);
}

template <class Value>
void mask_bits(nftnl_rule* rule, Value mask) {
  const Value zero = 0;
  nftnl_expr* bits = add(rule, "bitwise");
  nftnl_expr_set_u32(bits, NFTNL_EXPR_BITWISE_SREG, NFT_REG_1);
  nftnl_expr_set_u32(bits, NFTNL_EXPR_BITWISE_DREG, NFT_REG_1);
  nftnl_expr_set_u32(bits, NFTNL_EXPR_BITWISE_LEN, sizeof mask);
  nftnl_expr_set(bits, NFTNL_EXPR_BITWISE_MASK, &mask, sizeof mask);
  nftnl_expr_set(bits, NFTNL_EXPR_BITWISE_XOR, &zero, sizeof zero);
}

// "any of these bits": (reg & mask) != 0
template <class Value>
void any_bit(nftnl_rule* rule, Value mask) {
  const Value zero = 0;
  mask_bits(rule, mask);
  compare(rule, NFT_CMP_NEQ, &zero, sizeof zero);
}

void lookup(nftnl_rule* rule, const std::string& set) {
  nftnl_expr* find = add(rule, "lookup");
  nftnl_expr_set_u32(find, NFTNL_EXPR_LOOKUP_SREG, NFT_REG_1);
  nftnl_expr_set_str(find, NFTNL_EXPR_LOOKUP_SET, set.c_str());
}

void interface_name(nftnl_rule* rule, std::uint32_t key, const std::string& name, bool negated) {
  meta(rule, key);
  const bool prefix = name.ends_with('*');
  std::array<char, IFNAMSIZ> padded{};
  name.copy(padded.data(), std::min(name.size() - (prefix ? 1 : 0), padded.size() - 1));
  // A prefix compares its own octets, a name all 16: with the zeros that end it.
  compare(rule, negated ? NFT_CMP_NEQ : NFT_CMP_EQ, padded.data(),
          prefix ? std::strlen(padded.data()) : padded.size());
}

void verdict(nftnl_rule* rule, int code, const std::string& chain = {}) {
  nftnl_expr* immediate = add(rule, "immediate");
  nftnl_expr_set_u32(immediate, NFTNL_EXPR_IMM_DREG, NFT_REG_VERDICT);
  nftnl_expr_set_u32(immediate, NFTNL_EXPR_IMM_VERDICT, static_cast<std::uint32_t>(code));
  if (!chain.empty()) nftnl_expr_set_str(immediate, NFTNL_EXPR_IMM_CHAIN, chain.c_str());
}

void reject(nftnl_rule* rule, std::uint32_t type, std::uint8_t code) {
  nftnl_expr* refuse = add(rule, "reject");
  nftnl_expr_set_u32(refuse, NFTNL_EXPR_REJECT_TYPE, type);
  nftnl_expr_set_u8(refuse, NFTNL_EXPR_REJECT_CODE, code);
}

constexpr std::uint32_t kDestinationPort = 2;  // offset in every transport header with ports
constexpr std::uint32_t kDefaultBurst = 5;     // what nft(8) and the kernel make of none

void build(nftnl_rule* rule, const nft::IifName& match) {
  interface_name(rule, NFT_META_IIFNAME, match.name, match.negated);
}
void build(nftnl_rule* rule, const nft::OifName& match) {
  interface_name(rule, NFT_META_OIFNAME, match.name, match.negated);
}
void build(nftnl_rule* rule, const nft::NfProto& match) {
  meta(rule, NFT_META_NFPROTO);
  equals(rule, static_cast<std::uint8_t>(match.family == Family::ipv4 ? NFPROTO_IPV4 : NFPROTO_IPV6));
}
void build(nftnl_rule* rule, const nft::L4Proto& match) {
  meta(rule, NFT_META_L4PROTO);
  equals(rule, match.protocol);
}
void build(nftnl_rule* rule, const nft::DaddrIn& match) {
  const std::uint32_t offset = match.family == Family::ipv4 ? 16 : 24;
  payload(rule, NFT_PAYLOAD_NETWORK_HEADER, offset, static_cast<std::uint32_t>(address_size(match.family)));
  lookup(rule, match.set);
}
void build(nftnl_rule* rule, const nft::DportIn& match) {
  payload(rule, NFT_PAYLOAD_TRANSPORT_HEADER, kDestinationPort, sizeof(std::uint16_t));
  lookup(rule, match.set);
}
void build(nftnl_rule* rule, const nft::Dport& match) {
  payload(rule, NFT_PAYLOAD_TRANSPORT_HEADER, kDestinationPort, sizeof match.port);
  equals(rule, htons(match.port));
}
void build(nftnl_rule* rule, const nft::IcmpType& match) {
  payload(rule, NFT_PAYLOAD_TRANSPORT_HEADER, 0, sizeof match.type);
  equals(rule, match.type);
}
void build(nftnl_rule* rule, const nft::CtState& match) {
  ct(rule, NFT_CT_STATE);
  any_bit(rule, match.bits);
}
void build(nftnl_rule* rule, const nft::CtDirection& match) {
  ct(rule, NFT_CT_DIRECTION);
  equals(rule, static_cast<std::uint8_t>(match.reply ? 1 : 0));
}
void build(nftnl_rule* rule, const nft::CtMark& match) {
  ct(rule, NFT_CT_MARK);
  equals(rule, match.mark);
}
void build(nftnl_rule* rule, const nft::CtStatusDnat&) {
  ct(rule, NFT_CT_STATUS);
  any_bit(rule, std::uint32_t{IPS_DST_NAT});
}
void build(nftnl_rule* rule, const nft::CtUntranslated&) {
  ct(rule, NFT_CT_STATUS);
  mask_bits(rule, std::uint32_t{IPS_CONFIRMED | IPS_SRC_NAT});
  equals(rule, std::uint32_t{IPS_CONFIRMED});
}
void build(nftnl_rule* rule, const nft::FibSpoofed&) {
  nftnl_expr* fib = add(rule, "fib");
  nftnl_expr_set_u32(fib, NFTNL_EXPR_FIB_RESULT, NFT_FIB_RESULT_OIF);
  nftnl_expr_set_u32(fib, NFTNL_EXPR_FIB_FLAGS, NFTA_FIB_F_SADDR | NFTA_FIB_F_IIF | NFTA_FIB_F_PRESENT);
  nftnl_expr_set_u32(fib, NFTNL_EXPR_FIB_DREG, NFT_REG_1);
  equals(rule, std::uint32_t{0});  // nft(8) compares the whole register: with one octet it lists "missing/8"
}
void build(nftnl_rule* rule, const nft::Fragment&) {
  payload(rule, NFT_PAYLOAD_NETWORK_HEADER, 6, sizeof(std::uint16_t));
  any_bit(rule, htons(0x3fff));
}
void build(nftnl_rule* rule, const nft::NextHeader& match) {
  payload(rule, NFT_PAYLOAD_NETWORK_HEADER, 6, sizeof match.protocol);
  equals(rule, match.protocol);
}
void build(nftnl_rule* rule, const nft::HeaderLength& match) {
  payload(rule, NFT_PAYLOAD_NETWORK_HEADER, 0, sizeof match.words);
  mask_bits(rule, std::uint8_t{0x0f});
  compare(rule, match.negated ? NFT_CMP_NEQ : NFT_CMP_EQ, &match.words, sizeof match.words);
}
void build(nftnl_rule* rule, const nft::RoutingHeader&) {
  nftnl_expr* header = add(rule, "exthdr");
  nftnl_expr_set_u32(header, NFTNL_EXPR_EXTHDR_DREG, NFT_REG_1);
  nftnl_expr_set_u8(header, NFTNL_EXPR_EXTHDR_TYPE, IPPROTO_ROUTING);
  nftnl_expr_set_u32(header, NFTNL_EXPR_EXTHDR_OFFSET, 0);
  nftnl_expr_set_u32(header, NFTNL_EXPR_EXTHDR_LEN, 1);
  nftnl_expr_set_u32(header, NFTNL_EXPR_EXTHDR_OP, NFT_EXTHDR_OP_IPV6);
  nftnl_expr_set_u32(header, NFTNL_EXPR_EXTHDR_FLAGS, NFT_EXTHDR_F_PRESENT);
  equals(rule, std::uint8_t{1});
}
void build(nftnl_rule* rule, const nft::FlowsOver& match) {
  ct(rule, NFT_CT_ID);
  mask_bits(rule, htonl(match.mask));
  nftnl_expr* count = nftnl_expr_alloc("connlimit");
  nftnl_expr_set_u32(count, NFTNL_EXPR_CONNLIMIT_COUNT, match.most);
  nftnl_expr_set_u32(count, NFTNL_EXPR_CONNLIMIT_FLAGS, NFT_CONNLIMIT_F_INV);
  nftnl_expr* set = add(rule, "dynset");
  nftnl_expr_set_str(set, NFTNL_EXPR_DYNSET_SET_NAME, match.set.c_str());
  nftnl_expr_set_u32(set, NFTNL_EXPR_DYNSET_OP, NFT_DYNSET_OP_ADD);
  nftnl_expr_set_u32(set, NFTNL_EXPR_DYNSET_SREG_KEY, NFT_REG_1);
  nftnl_expr_set(set, NFTNL_EXPR_DYNSET_EXPR, count, 0);  // which owns it now
}
void build(nftnl_rule* rule, const nft::Counter& statement) {
  nftnl_expr* reference = add(rule, "objref");
  nftnl_expr_set_u32(reference, NFTNL_EXPR_OBJREF_IMM_TYPE, NFT_OBJECT_COUNTER);
  nftnl_expr_set_str(reference, NFTNL_EXPR_OBJREF_IMM_NAME, statement.name.c_str());
}
void build(nftnl_rule* rule, const nft::Limit& statement) {
  nftnl_expr* limit = add(rule, "limit");
  nftnl_expr_set_u64(limit, NFTNL_EXPR_LIMIT_RATE, statement.per_second);
  nftnl_expr_set_u64(limit, NFTNL_EXPR_LIMIT_UNIT, 1);  // seconds
  nftnl_expr_set_u32(limit, NFTNL_EXPR_LIMIT_BURST, statement.burst == 0 ? kDefaultBurst : statement.burst);
  nftnl_expr_set_u32(limit, NFTNL_EXPR_LIMIT_TYPE, NFT_LIMIT_PKTS);
  nftnl_expr_set_u32(limit, NFTNL_EXPR_LIMIT_FLAGS, statement.over ? NFT_LIMIT_F_INV : 0);
}
void build(nftnl_rule* rule, const nft::Log& statement) {
  nftnl_expr* log = add(rule, "log");
  if (!statement.prefix.empty()) nftnl_expr_set_str(log, NFTNL_EXPR_LOG_PREFIX, statement.prefix.c_str());
  nftnl_expr_set_u16(log, NFTNL_EXPR_LOG_GROUP, statement.group);
  if (statement.snaplen != 0) nftnl_expr_set_u32(log, NFTNL_EXPR_LOG_SNAPLEN, statement.snaplen);
}
void build(nftnl_rule* rule, const nft::SetCtMark& statement) {
  nftnl_expr* immediate = add(rule, "immediate");
  nftnl_expr_set_u32(immediate, NFTNL_EXPR_IMM_DREG, NFT_REG_1);
  nftnl_expr_set(immediate, NFTNL_EXPR_IMM_DATA, &statement.mark, sizeof statement.mark);
  nftnl_expr* store = add(rule, "ct");
  nftnl_expr_set_u32(store, NFTNL_EXPR_CT_KEY, NFT_CT_MARK);
  nftnl_expr_set_u32(store, NFTNL_EXPR_CT_SREG, NFT_REG_1);
}
void build(nftnl_rule* rule, const nft::Masquerade& statement) {
  nftnl_expr* masquerade = add(rule, "masq");
  if (statement.fully_random)
    nftnl_expr_set_u32(masquerade, NFTNL_EXPR_MASQ_FLAGS, NF_NAT_RANGE_PROTO_RANDOM_FULLY);
}
void build(nftnl_rule* rule, const nft::RejectTcpReset&) { reject(rule, NFT_REJECT_TCP_RST, 0); }
void build(nftnl_rule* rule, const nft::RejectAdmin&) {
  reject(rule, NFT_REJECT_ICMPX_UNREACH, NFT_REJECT_ICMPX_ADMIN_PROHIBITED);
}
void build(nftnl_rule* rule, const nft::Accept&) { verdict(rule, NF_ACCEPT); }
void build(nftnl_rule* rule, const nft::Drop&) { verdict(rule, NF_DROP); }
void build(nftnl_rule* rule, const nft::Return&) { verdict(rule, NFT_RETURN); }
void build(nftnl_rule* rule, const nft::Jump& statement) { verdict(rule, NFT_JUMP, statement.chain); }
void build(nftnl_rule* rule, const nft::Goto& statement) { verdict(rule, NFT_GOTO, statement.chain); }

}  // namespace

void add_expression(nftnl_rule* rule, const nft::Expression& expression) {
  std::visit([rule](const auto& alternative) { build(rule, alternative); }, expression);
}

}  // namespace netjail
