// The messages that make a Ruleset: what load_ruleset sends, and what verify_ruleset expects to read back.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "attribute.h"
#include "netjail/kernel/netlink.h"
#include "netjail/nft/ruleset.h"

namespace netjail {

std::uint16_t nft_type(int message);  // NFT_MSG_* with the subsystem
// Starts a message to nf_tables about family inet.
void begin_nft(MessageBuffer& out, int message, std::uint16_t flags);
// Opens and closes a batch.
void begin_batch(MessageBuffer& out);
void end_batch(MessageBuffer& out);
void put_be32(MessageBuffer& out, std::uint16_t attribute, std::uint32_t value);

// Lengths that the kernel would cut or refuse without words, as an Error that names the object.
Status check_limits(const nft::Ruleset& ruleset);

// `flags`: NLM_F_CREATE and so on; `table_flags`: NFT_TABLE_F_*.
void put_table(MessageBuffer& out, const std::string& table, std::uint16_t flags,
               std::uint32_t table_flags = 0);
void put_counter(MessageBuffer& out, const std::string& table, const nft::CounterObject& counter);
void put_set(MessageBuffer& out, const std::string& table, const nft::Set& set, std::uint32_t id);
// One or more messages; none for an empty set and for one that learns.
void put_elements(MessageBuffer& out, const std::string& table, const nft::Set& set);
void put_chain(MessageBuffer& out, const std::string& table, const nft::Chain& chain);
// `place`: NLM_F_APPEND, or 0 for the first place of the chain.
void put_rule(MessageBuffer& out, const std::string& table, const std::string& chain, const nft::Rule& rule,
              std::uint16_t place = NLM_F_APPEND);

std::uint32_t key_size(nft::KeyType key);
std::uint32_t data_type(nft::KeyType key);
std::uint32_t set_flags(const nft::Set& set);
// The element as the kernel keeps it: where an interval begins, or (`end`) the first key behind one.
struct Element {
  Octets key;
  bool end = false;
  bool open = false;  // the interval reaches the end of the key space: it has no end element
};
// None of a set that learns.
void for_each_element(const nft::Set& set, const std::function<void(const Element&)>& take);
void put_element(MessageBuffer& out, const Element& element);

}  // namespace netjail
