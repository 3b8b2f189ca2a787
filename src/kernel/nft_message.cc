#include "nft_message.h"

#include <arpa/inet.h>
#include <linux/netfilter/nf_tables.h>
#include <linux/netfilter/nfnetlink.h>
#include <netinet/in.h>
// After netinet/in.h:
#include <linux/netfilter.h>
// After cstdio:
#include <cstdio>
//
#include <libnftnl/chain.h>
#include <libnftnl/common.h>
#include <libnftnl/object.h>
#include <libnftnl/rule.h>
#include <libnftnl/set.h>
#include <libnftnl/table.h>
#include <libnftnl/udata.h>

#include <array>
#include <memory>

#include "nft_expression.h"

namespace netjail {
namespace {

// Big enough for every message but those with elements, which do not pass through it: check_limits bounds the
// names, and a rule has at most 128 expressions of less than 400 octets.
constexpr std::size_t kScratch = 65536;

template <auto Free>
struct Deleter {
  template <class Object>
  void operator()(Object* object) const {
    Free(object);
  }
};
template <class Object, auto Free>
using Owned = std::unique_ptr<Object, Deleter<Free>>;

// libnftnl writes a message into a buffer of its own; here it is copied behind the others.
template <class Build>
void add_message(MessageBuffer& out, int message, std::uint16_t flags, const Build& build) {
  alignas(nlmsghdr) std::array<char, kScratch> scratch;
  nlmsghdr* header = nftnl_nlmsg_build_hdr(scratch.data(), static_cast<std::uint16_t>(message), NFPROTO_INET,
                                           static_cast<std::uint16_t>(flags | NLM_F_ACK), 0);
  build(header);
  out.add(header);
}

// nft(8) lists a set's keys in the byte order that this says.
constexpr std::uint32_t kHostEndianKeys = 1;  // BYTEORDER_HOST_ENDIAN
constexpr std::uint32_t kBigEndianKeys = 2;   // BYTEORDER_BIG_ENDIAN

Owned<nftnl_udata_buf, nftnl_udata_buf_free> user_data() {
  return Owned<nftnl_udata_buf, nftnl_udata_buf_free>(nftnl_udata_buf_alloc(256));
}

}  // namespace

std::uint16_t nft_type(int message) {
  return static_cast<std::uint16_t>(NFNL_SUBSYS_NFTABLES << 8 | message);
}

std::uint32_t data_type(nft::KeyType key) {  // enum datatypes of nft(8)
  switch (key) {
    case nft::KeyType::ipv4_addr: return 7;
    case nft::KeyType::ipv6_addr: return 8;
    case nft::KeyType::inet_service: return 13;
    case nft::KeyType::mark: return 19;
  }
  return 0;
}

// A set that learns is not NFT_SET_EVAL ("dynamic"): no rule adds an element.
std::uint32_t set_flags(const nft::Set& set) {
  if (set.counts != 0) return NFT_SET_EVAL;
  return set.learns != 0 ? NFT_SET_TIMEOUT : NFT_SET_INTERVAL;
}

void begin_nft(MessageBuffer& out, int message, std::uint16_t flags) {
  const nfgenmsg header{.nfgen_family = NFPROTO_INET, .version = NFNETLINK_V0, .res_id = 0};
  out.begin(nft_type(message), static_cast<std::uint16_t>(flags | NLM_F_REQUEST), header);
}

void put_be32(MessageBuffer& out, std::uint16_t attribute, std::uint32_t value) {
  out.put_u32(attribute, htonl(value));
}

void begin_batch(MessageBuffer& out) {
  const nfgenmsg header{
      .nfgen_family = AF_UNSPEC, .version = NFNETLINK_V0, .res_id = htons(NFNL_SUBSYS_NFTABLES)};
  out.begin(NFNL_MSG_BATCH_BEGIN, NLM_F_REQUEST, header);
}

void end_batch(MessageBuffer& out) {
  const nfgenmsg header{
      .nfgen_family = AF_UNSPEC, .version = NFNETLINK_V0, .res_id = htons(NFNL_SUBSYS_NFTABLES)};
  out.begin(NFNL_MSG_BATCH_END, NLM_F_REQUEST, header);
}

void put_table(MessageBuffer& out, const std::string& table, std::uint16_t flags, std::uint32_t table_flags) {
  const Owned<nftnl_table, nftnl_table_free> object(nftnl_table_alloc());
  nftnl_table_set_str(object.get(), NFTNL_TABLE_NAME, table.c_str());
  nftnl_table_set_u32(object.get(), NFTNL_TABLE_FLAGS, table_flags);
  add_message(out, NFT_MSG_NEWTABLE, flags,
              [&](nlmsghdr* header) { nftnl_table_nlmsg_build_payload(header, object.get()); });
}

void put_counter(MessageBuffer& out, const std::string& table, const nft::CounterObject& counter) {
  const Owned<nftnl_obj, nftnl_obj_free> object(nftnl_obj_alloc());
  nftnl_obj_set_str(object.get(), NFTNL_OBJ_TABLE, table.c_str());
  nftnl_obj_set_str(object.get(), NFTNL_OBJ_NAME, counter.name.c_str());
  nftnl_obj_set_u32(object.get(), NFTNL_OBJ_TYPE, NFT_OBJECT_COUNTER);
  nftnl_obj_set_u64(object.get(), NFTNL_OBJ_CTR_PKTS, 0);
  nftnl_obj_set_u64(object.get(), NFTNL_OBJ_CTR_BYTES, 0);
  add_message(out, NFT_MSG_NEWOBJ, NLM_F_CREATE,
              [&](nlmsghdr* header) { nftnl_obj_nlmsg_build_payload(header, object.get()); });
}

void put_set(MessageBuffer& out, const std::string& table, const nft::Set& set, std::uint32_t id) {
  const Owned<nftnl_set, nftnl_set_free> object(nftnl_set_alloc());
  nftnl_set_set_str(object.get(), NFTNL_SET_TABLE, table.c_str());
  nftnl_set_set_str(object.get(), NFTNL_SET_NAME, set.name.c_str());
  nftnl_set_set_u32(object.get(), NFTNL_SET_FLAGS, set_flags(set));
  if (const std::uint32_t size = set.learns + set.counts; size != 0)
    nftnl_set_set_u32(object.get(), NFTNL_SET_DESC_SIZE, size);
  nftnl_set_set_u32(object.get(), NFTNL_SET_KEY_TYPE, data_type(set.key));
  nftnl_set_set_u32(object.get(), NFTNL_SET_KEY_LEN, key_size(set.key));
  nftnl_set_set_u32(object.get(), NFTNL_SET_ID, id);
  const auto data = user_data();
  nftnl_udata_put_u32(data.get(), NFTNL_UDATA_SET_KEYBYTEORDER,
                      set.key == nft::KeyType::mark ? kHostEndianKeys : kBigEndianKeys);
  nftnl_set_set_data(object.get(), NFTNL_SET_USERDATA, nftnl_udata_buf_data(data.get()),
                     nftnl_udata_buf_len(data.get()));
  add_message(out, NFT_MSG_NEWSET, NLM_F_CREATE,
              [&](nlmsghdr* header) { nftnl_set_nlmsg_build_payload(header, object.get()); });
}

void put_chain(MessageBuffer& out, const std::string& table, const nft::Chain& chain) {
  const Owned<nftnl_chain, nftnl_chain_free> object(nftnl_chain_alloc());
  nftnl_chain_set_str(object.get(), NFTNL_CHAIN_TABLE, table.c_str());
  nftnl_chain_set_str(object.get(), NFTNL_CHAIN_NAME, chain.name.c_str());
  if (chain.base) {
    nftnl_chain_set_str(object.get(), NFTNL_CHAIN_TYPE, chain.base->nat ? "nat" : "filter");
    nftnl_chain_set_u32(object.get(), NFTNL_CHAIN_HOOKNUM, static_cast<std::uint32_t>(chain.base->hook));
    nftnl_chain_set_s32(object.get(), NFTNL_CHAIN_PRIO, chain.base->priority);
    nftnl_chain_set_u32(object.get(), NFTNL_CHAIN_POLICY, chain.base->drop ? NF_DROP : NF_ACCEPT);
  }
  add_message(out, NFT_MSG_NEWCHAIN, NLM_F_CREATE,
              [&](nlmsghdr* header) { nftnl_chain_nlmsg_build_payload(header, object.get()); });
}

namespace {

Owned<nftnl_rule, nftnl_rule_free> make_rule(const std::string& table, const std::string& chain,
                                             const nft::Rule& rule) {
  Owned<nftnl_rule, nftnl_rule_free> object(nftnl_rule_alloc());
  nftnl_rule_set_u32(object.get(), NFTNL_RULE_FAMILY, NFPROTO_INET);
  nftnl_rule_set_str(object.get(), NFTNL_RULE_TABLE, table.c_str());
  nftnl_rule_set_str(object.get(), NFTNL_RULE_CHAIN, chain.c_str());
  for (const nft::Expression& expression : rule.expressions) add_expression(object.get(), expression);
  if (!rule.comment.empty()) {
    const auto data = user_data();
    nftnl_udata_put_strz(data.get(), NFTNL_UDATA_RULE_COMMENT, rule.comment.c_str());
    nftnl_rule_set_data(object.get(), NFTNL_RULE_USERDATA, nftnl_udata_buf_data(data.get()),
                        nftnl_udata_buf_len(data.get()));
  }
  return object;
}

}  // namespace

void put_rule(MessageBuffer& out, const std::string& table, const std::string& chain, const nft::Rule& rule,
              std::uint16_t place) {
  const auto object = make_rule(table, chain, rule);
  add_message(out, NFT_MSG_NEWRULE, static_cast<std::uint16_t>(NLM_F_CREATE | place),
              [&](nlmsghdr* header) { nftnl_rule_nlmsg_build_payload(header, object.get()); });
}

std::vector<std::string> describe_bytecode(const nft::Ruleset& ruleset) {
  std::vector<std::string> rules;
  std::array<char, kScratch> text;
  for (const nft::Chain& chain : ruleset.chains)
    for (const nft::Rule& rule : chain.rules) {
      const auto object = make_rule(ruleset.table, chain.name, rule);
      nftnl_rule_snprintf(text.data(), text.size(), object.get(), NFTNL_OUTPUT_DEFAULT, 0);
      rules.emplace_back(text.data());
    }
  return rules;
}

}  // namespace netjail
