// Elements of interval sets, written without libnftnl: a set can have 100,000 of them.
#include <arpa/inet.h>
#include <linux/netfilter/nf_tables.h>

#include <array>

#include "nft_message.h"

namespace netjail {
namespace {

// The list of elements is one attribute, and an attribute's length has 16 bits; smaller messages also pass
// through a send buffer that cannot be enlarged.
constexpr std::size_t kElementsPerMessage = 32000;  // octets

// What nft(8) writes at an interval without end: NFTNL_UDATA_SET_ELEM_FLAGS, 4 octets,
// NFTNL_SET_ELEM_F_INTERVAL_OPEN in the host's order (libnftnl's udata has no byte order).
constexpr std::uint8_t kUserDataFlags = 1;

// Makes `key` the next one; false if it was the last.
bool increment(std::span<std::uint8_t> key) {
  for (std::size_t i = key.size(); i-- > 0;)
    if (++key[i] != 0) return true;
  return false;
}

using Key = std::array<std::uint8_t, 16>;

void take_interval(Key first, Key last, std::size_t size, bool is_first,
                   const std::function<void(const Element&)>& take) {
  const auto octets = [size](const Key& key) { return std::as_bytes(std::span(key).first(size)); };
  // The kernel needs to be told that what is below the first interval is outside.
  if (const Key zero{}; is_first && first != zero) take({octets(zero), true, false});
  const bool ends = increment(std::span(last).first(size));
  take({octets(first), false, !ends});
  if (ends) take({octets(last), true, false});
}

}  // namespace

std::uint32_t key_size(nft::KeyType key) {
  switch (key) {
    case nft::KeyType::ipv4_addr: return 4;
    case nft::KeyType::ipv6_addr: return 16;
    case nft::KeyType::inet_service: return 2;
    case nft::KeyType::mark: return 4;
  }
  return 0;
}

void for_each_element(const nft::Set& set, const std::function<void(const Element&)>& take) {
  if (set.learns != 0) return;
  const std::size_t size = key_size(set.key);
  bool is_first = true;
  if (set.key == nft::KeyType::inet_service) {
    const auto key_of = [](std::uint16_t port) {
      return Key{static_cast<std::uint8_t>(port >> 8), static_cast<std::uint8_t>(port & 0xff)};
    };
    for (const nft::PortInterval& ports : set.ports) {
      take_interval(key_of(ports.first), key_of(ports.last), size, is_first, take);
      is_first = false;
    }
  } else {
    for (const AddressRange& range : set.addresses) {
      take_interval(range.first.bytes, range.last.bytes, size, is_first, take);
      is_first = false;
    }
  }
}

void put_element(MessageBuffer& out, const Element& element) {
  const std::size_t nest = out.open_nest(NFTA_LIST_ELEM);
  if (element.end) put_be32(out, NFTA_SET_ELEM_FLAGS, NFT_SET_ELEM_INTERVAL_END);
  const std::size_t key = out.open_nest(NFTA_SET_ELEM_KEY);
  out.put(NFTA_DATA_VALUE, element.key.data(), element.key.size());
  out.close_nest(key);
  if (element.open) {
    const std::uint32_t flags = 1;
    std::array<std::uint8_t, 6> data{kUserDataFlags, sizeof flags};
    std::memcpy(&data[2], &flags, sizeof flags);
    out.put(NFTA_SET_ELEM_USERDATA, data.data(), data.size());
  }
  out.close_nest(nest);
}

void put_elements(MessageBuffer& out, const std::string& table, const nft::Set& set) {
  std::size_t list = 0;
  std::size_t room = 0;  // 0: no message is open
  for_each_element(set, [&](const Element& element) {
    if (room == 0) {
      begin_nft(out, NFT_MSG_NEWSETELEM, NLM_F_CREATE | NLM_F_ACK);
      out.put_string(NFTA_SET_ELEM_LIST_TABLE, table);
      out.put_string(NFTA_SET_ELEM_LIST_SET, set.name);
      list = out.open_nest(NFTA_SET_ELEM_LIST_ELEMENTS);
      room = list + kElementsPerMessage;
    }
    put_element(out, element);
    if (out.bytes().size() > room) {
      out.close_nest(list);
      room = 0;
    }
  });
  if (room != 0) out.close_nest(list);
}

}  // namespace netjail
