// The floor's ruleset: what DESIGN.md sections 2 and 3 imply for a small profile, as one nf_tables batch.
//
//   table inet netjail
//     counters  allowed, denied
//     sets      local4 local6 (intervals), allow4 allow6 (intervals), learned4 learned6 (hash: address .
//     port, timeout) chains    prerouting (raw: anti-spoof), input and output (policy drop), forward (policy
//     drop), refuse
//   25 rules, one of them a log rule; six sets.
#pragma once
#include "wire.h"  // first: <linux/netfilter.h> needs <netinet/in.h> before it

#include <linux/netfilter.h>
#include <linux/netfilter/nf_conntrack_common.h>
#include <linux/netfilter/nf_tables.h>
#include <linux/netfilter/nfnetlink.h>

enum { kTcp = 6, kUdp = 17, kV4 = 2, kV6 = 10, kGeneration = 7 };
enum { kJailLink = 10, kUplinkLink = 11 };  // interface numbers in the router

static inline void nft_message(struct wire* w, int type, uint16_t flags, uint8_t family) {
  const struct nfgenmsg head = {.nfgen_family = family, .version = NFNETLINK_V0};
  wire_message(w, (uint16_t)((NFNL_SUBSYS_NFTABLES << 8) | type), flags, &head, sizeof head);
}
static inline void nft_edge(struct wire* w, int type) {
  const struct nfgenmsg head = {.version = NFNETLINK_V0, .res_id = htons(NFNL_SUBSYS_NFTABLES)};
  wire_message(w, (uint16_t)type, 0, &head, sizeof head);
}

static inline void nft_counter(struct wire* w, const char* name) {
  nft_message(w, NFT_MSG_NEWOBJ, NLM_F_CREATE, NFPROTO_INET);
  put_str(w, NFTA_OBJ_TABLE, "netjail");
  put_str(w, NFTA_OBJ_NAME, name);
  put_be32(w, NFTA_OBJ_TYPE, NFT_OBJECT_COUNTER);
  nest_end(w, nest(w, NFTA_OBJ_DATA));
}

static inline void nft_set(struct wire* w, const char* name, uint32_t id, uint32_t flags, uint32_t key_type,
                           uint32_t key_bytes) {
  nft_message(w, NFT_MSG_NEWSET, NLM_F_CREATE, NFPROTO_INET);
  put_str(w, NFTA_SET_TABLE, "netjail");
  put_str(w, NFTA_SET_NAME, name);
  put_be32(w, NFTA_SET_FLAGS, flags);
  put_be32(w, NFTA_SET_KEY_TYPE, key_type);
  put_be32(w, NFTA_SET_KEY_LEN, key_bytes);
  put_be32(w, NFTA_SET_ID, id);
  if (flags & NFT_SET_TIMEOUT) {
    struct nlattr* desc = nest(w, NFTA_SET_DESC);
    put_be32(w, NFTA_SET_DESC_SIZE, 65536);
    nest_end(w, desc);
  }
}

static inline void nft_element(struct wire* w, const void* key, uint32_t bytes, int end) {
  struct nlattr* e = nest(w, NFTA_LIST_ELEM);
  struct nlattr* k = nest(w, NFTA_SET_ELEM_KEY);
  put(w, NFTA_DATA_VALUE, key, bytes);
  nest_end(w, k);
  if (end) put_be32(w, NFTA_SET_ELEM_FLAGS, NFT_SET_ELEM_INTERVAL_END);
  nest_end(w, e);
}

// Ranges of addresses given as text "first last+1 first last+1 ...", in ascending order.
static inline void nft_ranges(struct wire* w, const char* set, uint32_t id, int family,
                              const char* const* text, int count) {
  nft_message(w, NFT_MSG_NEWSETELEM, NLM_F_CREATE, NFPROTO_INET);
  put_str(w, NFTA_SET_ELEM_LIST_TABLE, "netjail");
  put_str(w, NFTA_SET_ELEM_LIST_SET, set);
  put_be32(w, NFTA_SET_ELEM_LIST_SET_ID, id);
  struct nlattr* list = nest(w, NFTA_SET_ELEM_LIST_ELEMENTS);
  const uint32_t bytes = family == AF_INET ? 4 : 16;
  uint8_t key[16] = {0};
  nft_element(w, key, bytes, 1);
  for (int i = 0; i < count; i++) {
    inet_pton(family, text[i], key);
    nft_element(w, key, bytes, i & 1);
  }
  nest_end(w, list);
}

static inline void nft_chain(struct wire* w, const char* name, int hook, int priority, uint32_t policy) {
  nft_message(w, NFT_MSG_NEWCHAIN, NLM_F_CREATE, NFPROTO_INET);
  put_str(w, NFTA_CHAIN_TABLE, "netjail");
  put_str(w, NFTA_CHAIN_NAME, name);
  if (hook < 0) return;
  struct nlattr* h = nest(w, NFTA_CHAIN_HOOK);
  put_be32(w, NFTA_HOOK_HOOKNUM, (uint32_t)hook);
  put_be32(w, NFTA_HOOK_PRIORITY, (uint32_t)priority);
  nest_end(w, h);
  put_be32(w, NFTA_CHAIN_POLICY, policy);
  put_str(w, NFTA_CHAIN_TYPE, "filter");
}

// A rule is opened with rule(), filled with expressions and closed with rule_end().
struct rule {
  struct nlattr *list, *item, *data;
};
static inline struct rule rule(struct wire* w, const char* chain) {
  nft_message(w, NFT_MSG_NEWRULE, NLM_F_CREATE | NLM_F_APPEND, NFPROTO_INET);
  put_str(w, NFTA_RULE_TABLE, "netjail");
  put_str(w, NFTA_RULE_CHAIN, chain);
  return (struct rule){.list = nest(w, NFTA_RULE_EXPRESSIONS)};
}
static inline void rule_end(struct wire* w, struct rule* r) { nest_end(w, r->list); }
static inline void expr(struct wire* w, struct rule* r, const char* name) {
  r->item = nest(w, NFTA_LIST_ELEM);
  put_str(w, NFTA_EXPR_NAME, name);
  r->data = nest(w, NFTA_EXPR_DATA);
}
static inline void expr_end(struct wire* w, struct rule* r) {
  nest_end(w, r->data);
  nest_end(w, r->item);
}

static inline void load_meta(struct wire* w, struct rule* r, uint32_t key) {
  expr(w, r, "meta");
  put_be32(w, NFTA_META_KEY, key);
  put_be32(w, NFTA_META_DREG, NFT_REG32_00);
  expr_end(w, r);
}
static inline void load_ct(struct wire* w, struct rule* r, uint32_t key) {
  expr(w, r, "ct");
  put_be32(w, NFTA_CT_DREG, NFT_REG32_00);
  put_be32(w, NFTA_CT_KEY, key);
  expr_end(w, r);
}
static inline void load_payload(struct wire* w, struct rule* r, uint32_t base, uint32_t at, uint32_t bytes,
                                uint32_t reg) {
  expr(w, r, "payload");
  put_be32(w, NFTA_PAYLOAD_DREG, reg);
  put_be32(w, NFTA_PAYLOAD_BASE, base);
  put_be32(w, NFTA_PAYLOAD_OFFSET, at);
  put_be32(w, NFTA_PAYLOAD_LEN, bytes);
  expr_end(w, r);
}
static inline void compare(struct wire* w, struct rule* r, uint32_t op, const void* value, uint32_t bytes) {
  expr(w, r, "cmp");
  put_be32(w, NFTA_CMP_SREG, NFT_REG32_00);
  put_be32(w, NFTA_CMP_OP, op);
  struct nlattr* d = nest(w, NFTA_CMP_DATA);
  put(w, NFTA_DATA_VALUE, value, bytes);
  nest_end(w, d);
  expr_end(w, r);
}
static inline void compare_u8(struct wire* w, struct rule* r, uint32_t op, uint8_t v) {
  compare(w, r, op, &v, 1);
}
static inline void compare_u32(struct wire* w, struct rule* r, uint32_t op, uint32_t v) {
  compare(w, r, op, &v, 4);
}
static inline void mask_u32(struct wire* w, struct rule* r, uint32_t mask) {
  const uint32_t zero = 0;
  expr(w, r, "bitwise");
  put_be32(w, NFTA_BITWISE_SREG, NFT_REG32_00);
  put_be32(w, NFTA_BITWISE_DREG, NFT_REG32_00);
  put_be32(w, NFTA_BITWISE_LEN, 4);
  struct nlattr* m = nest(w, NFTA_BITWISE_MASK);
  put(w, NFTA_DATA_VALUE, &mask, 4);
  nest_end(w, m);
  struct nlattr* x = nest(w, NFTA_BITWISE_XOR);
  put(w, NFTA_DATA_VALUE, &zero, 4);
  nest_end(w, x);
  expr_end(w, r);
}
static inline void look_up(struct wire* w, struct rule* r, const char* set, uint32_t id) {
  expr(w, r, "lookup");
  put_str(w, NFTA_LOOKUP_SET, set);
  put_be32(w, NFTA_LOOKUP_SREG, NFT_REG32_00);
  put_be32(w, NFTA_LOOKUP_SET_ID, id);
  expr_end(w, r);
}
static inline void count_as(struct wire* w, struct rule* r, const char* counter) {
  expr(w, r, "objref");
  put_be32(w, NFTA_OBJREF_IMM_TYPE, NFT_OBJECT_COUNTER);
  put_str(w, NFTA_OBJREF_IMM_NAME, counter);
  expr_end(w, r);
}
static inline void verdict(struct wire* w, struct rule* r, int code, const char* chain) {
  expr(w, r, "immediate");
  put_be32(w, NFTA_IMMEDIATE_DREG, NFT_REG_VERDICT);
  struct nlattr* d = nest(w, NFTA_IMMEDIATE_DATA);
  struct nlattr* v = nest(w, NFTA_DATA_VERDICT);
  put_be32(w, NFTA_VERDICT_CODE, (uint32_t)code);
  if (chain) put_str(w, NFTA_VERDICT_CHAIN, chain);
  nest_end(w, v);
  nest_end(w, d);
  expr_end(w, r);
}
static inline void set_mark(struct wire* w, struct rule* r) {
  const uint32_t mark = kGeneration;
  expr(w, r, "immediate");
  put_be32(w, NFTA_IMMEDIATE_DREG, NFT_REG32_00);
  struct nlattr* d = nest(w, NFTA_IMMEDIATE_DATA);
  put(w, NFTA_DATA_VALUE, &mark, 4);
  nest_end(w, d);
  expr_end(w, r);
  expr(w, r, "ct");
  put_be32(w, NFTA_CT_KEY, NFT_CT_MARK);
  put_be32(w, NFTA_CT_SREG, NFT_REG32_00);
  expr_end(w, r);
}
static inline void family_is(struct wire* w, struct rule* r, uint8_t family) {
  load_meta(w, r, NFT_META_NFPROTO);
  compare_u8(w, r, NFT_CMP_EQ, family);
}
static inline void protocol_is(struct wire* w, struct rule* r, uint8_t protocol) {
  load_meta(w, r, NFT_META_L4PROTO);
  compare_u8(w, r, NFT_CMP_EQ, protocol);
}
static inline void load_address(struct wire* w, struct rule* r, uint8_t family, int source) {
  family_is(w, r, family);
  if (family == kV4) load_payload(w, r, NFT_PAYLOAD_NETWORK_HEADER, source ? 12 : 16, 4, NFT_REG32_00);
  if (family == kV6) load_payload(w, r, NFT_PAYLOAD_NETWORK_HEADER, source ? 8 : 24, 16, NFT_REG32_00);
}
static inline void from_link(struct wire* w, struct rule* r, uint32_t link) {
  load_meta(w, r, NFT_META_IIF);
  compare_u32(w, r, NFT_CMP_EQ, link);
}

static inline void allow(struct wire* w, uint8_t family, uint8_t protocol, const char* set, uint32_t id,
                         uint16_t port) {
  struct rule r = rule(w, "forward");
  load_address(w, &r, family, 0);
  if (port) {
    look_up(w, &r, set, id);
    protocol_is(w, &r, protocol);
    load_payload(w, &r, NFT_PAYLOAD_TRANSPORT_HEADER, 2, 2, NFT_REG32_00);
    port = htons(port);
    compare(w, &r, NFT_CMP_EQ, &port, 2);
  } else {
    load_payload(w, &r, NFT_PAYLOAD_TRANSPORT_HEADER, 2, 2, family == kV4 ? NFT_REG32_01 : NFT_REG32_04);
    look_up(w, &r, set, id);
  }
  set_mark(w, &r);
  count_as(w, &r, "allowed");
  verdict(w, &r, NF_ACCEPT, NULL);
  rule_end(w, &r);
}

static inline void write_rules(struct wire* w, const void* jail4, const void* jail6) {
  static const char* const local4[] = {"0.0.0.0",     "1.0.0.0",     "10.0.0.0",   "11.0.0.0",
                                       "100.64.0.0",  "100.128.0.0", "127.0.0.0",  "128.0.0.0",
                                       "169.254.0.0", "169.255.0.0", "172.16.0.0", "172.32.0.0",
                                       "192.168.0.0", "192.169.0.0", "224.0.0.0"};
  static const char* const local6[] = {"::", "::2", "fc00::", "fe00::", "fe80::", "fec0::", "ff00::"};
  static const char* const allow4[] = {"198.51.100.0", "198.51.101.0", "203.0.113.0", "203.0.114.0"};
  static const char* const allow6[] = {"2001:db8::", "2001:db9::"};
  enum { kLocal4 = 1, kLocal6, kAllow4, kAllow6, kLearned4, kLearned6 };
  const uint32_t addr4 = 7, addr6 = 8, pair4 = (7 << 6) | 13,
                 pair6 = (8 << 6) | 13;  // nft's own type numbers

  nft_edge(w, NFNL_MSG_BATCH_BEGIN);
  nft_message(w, NFT_MSG_NEWTABLE, NLM_F_CREATE, NFPROTO_INET);
  put_str(w, NFTA_TABLE_NAME, "netjail");
  nft_counter(w, "allowed");
  nft_counter(w, "denied");
  nft_set(w, "local4", kLocal4, NFT_SET_INTERVAL, addr4, 4);
  nft_ranges(w, "local4", kLocal4, AF_INET, local4, 15);
  nft_set(w, "local6", kLocal6, NFT_SET_INTERVAL, addr6, 16);
  nft_ranges(w, "local6", kLocal6, AF_INET6, local6, 7);
  nft_set(w, "allow4", kAllow4, NFT_SET_INTERVAL, addr4, 4);
  nft_ranges(w, "allow4", kAllow4, AF_INET, allow4, 4);
  nft_set(w, "allow6", kAllow6, NFT_SET_INTERVAL, addr6, 16);
  nft_ranges(w, "allow6", kAllow6, AF_INET6, allow6, 2);
  nft_set(w, "learned4", kLearned4, NFT_SET_TIMEOUT, pair4, 8);
  nft_set(w, "learned6", kLearned6, NFT_SET_TIMEOUT, pair6, 20);
  nft_chain(w, "refuse", -1, 0, 0);
  nft_chain(w, "prerouting", NF_INET_PRE_ROUTING, -300, NF_ACCEPT);
  nft_chain(w, "input", NF_INET_LOCAL_IN, 0, NF_DROP);
  nft_chain(w, "output", NF_INET_LOCAL_OUT, 0, NF_DROP);
  nft_chain(w, "forward", NF_INET_FORWARD, 0, NF_DROP);

  struct rule r;
  // Anti-spoof (3): only the jail's own addresses, only unicast.
  for (int v6 = 0; v6 < 2; v6++) {
    r = rule(w, "prerouting");
    from_link(w, &r, kJailLink);
    load_address(w, &r, v6 ? kV6 : kV4, 1);
    compare(w, &r, NFT_CMP_NEQ, v6 ? jail6 : jail4, v6 ? 16 : 4);
    verdict(w, &r, NF_DROP, NULL);
    rule_end(w, &r);
  }
  r = rule(w, "prerouting");
  expr(w, &r, "fib");
  put_be32(w, NFTA_FIB_DREG, NFT_REG32_00);
  put_be32(w, NFTA_FIB_RESULT, NFT_FIB_RESULT_ADDRTYPE);
  put_be32(w, NFTA_FIB_FLAGS, NFTA_FIB_F_DADDR);
  expr_end(w, &r);
  compare_u32(w, &r, NFT_CMP_NEQ, 1);
  verdict(w, &r, NF_DROP, NULL);
  rule_end(w, &r);

  // The router's own words (2): refusals towards the jail, nothing else.
  for (int v6 = 0; v6 < 2; v6++) {
    r = rule(w, "output");
    load_meta(w, &r, NFT_META_OIF);
    compare_u32(w, &r, NFT_CMP_EQ, kJailLink);
    family_is(w, &r, v6 ? kV6 : kV4);
    verdict(w, &r, NF_ACCEPT, NULL);
    rule_end(w, &r);
  }

  // invalid; replies; nothing else towards the jail (3)
  r = rule(w, "forward");
  load_ct(w, &r, NFT_CT_STATE);
  mask_u32(w, &r, 1);
  compare_u32(w, &r, NFT_CMP_NEQ, 0);
  verdict(w, &r, NF_DROP, NULL);
  rule_end(w, &r);
  r = rule(w, "forward");
  load_meta(w, &r, NFT_META_OIF);
  compare_u32(w, &r, NFT_CMP_EQ, kJailLink);
  load_ct(w, &r, NFT_CT_DIRECTION);
  compare_u8(w, &r, NFT_CMP_EQ, 1);
  verdict(w, &r, NF_ACCEPT, NULL);
  rule_end(w, &r);
  r = rule(w, "forward");
  load_meta(w, &r, NFT_META_IIF);
  compare_u32(w, &r, NFT_CMP_NEQ, kJailLink);
  verdict(w, &r, NF_DROP, NULL);
  rule_end(w, &r);

  // The fast path (1): the mark of the policy generation that admitted the flow.
  r = rule(w, "forward");
  load_ct(w, &r, NFT_CT_MARK);
  compare_u32(w, &r, NFT_CMP_EQ, kGeneration);
  count_as(w, &r, "allowed");
  verdict(w, &r, NF_ACCEPT, NULL);
  rule_end(w, &r);

  // Ports that carry names past the resolver (4), local addresses (2)
  for (int i = 0; i < 4; i++) {
    r = rule(w, "forward");
    protocol_is(w, &r, i & 1 ? kUdp : kTcp);
    load_payload(w, &r, NFT_PAYLOAD_TRANSPORT_HEADER, 2, 2, NFT_REG32_00);
    const uint16_t port = htons(i & 2 ? 853 : 53);
    compare(w, &r, NFT_CMP_EQ, &port, 2);
    verdict(w, &r, NFT_GOTO, "refuse");
    rule_end(w, &r);
  }
  for (int v6 = 0; v6 < 2; v6++) {
    r = rule(w, "forward");
    load_address(w, &r, v6 ? kV6 : kV4, 0);
    look_up(w, &r, v6 ? "local6" : "local4", v6 ? kLocal6 : kLocal4);
    verdict(w, &r, NFT_GOTO, "refuse");
    rule_end(w, &r);
  }
  // What the profile allows (6)
  allow(w, kV4, kTcp, "allow4", kAllow4, 443);
  allow(w, kV4, kUdp, "allow4", kAllow4, 443);
  allow(w, kV6, kTcp, "allow6", kAllow6, 443);
  allow(w, kV6, kUdp, "allow6", kAllow6, 443);
  allow(w, kV4, kTcp, "learned4", kLearned4, 0);
  allow(w, kV6, kTcp, "learned6", kLearned6, 0);
  // The rest is refused (1 + 3: log and count, TCP reset, ICMP)
  r = rule(w, "forward");
  verdict(w, &r, NFT_GOTO, "refuse");
  rule_end(w, &r);
  r = rule(w, "refuse");
  count_as(w, &r, "denied");
  expr(w, &r, "log");
  const uint16_t group = htons(1);
  put(w, NFTA_LOG_GROUP, &group, 2);
  expr_end(w, &r);
  rule_end(w, &r);
  for (int i = 0; i < 2; i++) {
    r = rule(w, "refuse");
    if (i == 0) protocol_is(w, &r, kTcp);
    expr(w, &r, "reject");
    put_be32(w, NFTA_REJECT_TYPE, i == 0 ? NFT_REJECT_TCP_RST : NFT_REJECT_ICMPX_UNREACH);
    if (i == 1) put_u8(w, NFTA_REJECT_ICMP_CODE, NFT_REJECT_ICMPX_ADMIN_PROHIBITED);
    expr_end(w, &r);
    rule_end(w, &r);
  }
  nft_edge(w, NFNL_MSG_BATCH_END);
}
