// Reading netlink attributes of an answer: bounds-checked views, no copies.
#pragma once

#include <linux/netlink.h>

#include <algorithm>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <optional>
#include <span>
#include <string_view>

namespace netjail {

using Octets = std::span<const std::byte>;

struct Attribute {
  std::uint16_t type = 0;  // without the NESTED and NET_BYTEORDER bits
  bool nested = false;     // as the writer says it; nf_tables does not say it in its answers
  Octets payload;
};

// Takes the first attribute off `rest`; nothing when there is none, or none that is whole.
inline std::optional<Attribute> take_attribute(Octets& rest) {
  nlattr header;
  if (rest.size() < sizeof header) return std::nullopt;
  std::memcpy(&header, rest.data(), sizeof header);
  if (header.nla_len < sizeof header || header.nla_len > rest.size()) return std::nullopt;
  const Attribute attribute{static_cast<std::uint16_t>(header.nla_type & NLA_TYPE_MASK),
                            (header.nla_type & NLA_F_NESTED) != 0,
                            rest.subspan(sizeof header, header.nla_len - sizeof header)};
  rest = rest.subspan(std::min<std::size_t>(NLA_ALIGN(header.nla_len), rest.size()));
  return attribute;
}

inline std::optional<Octets> find_attribute(Octets attributes, std::uint16_t type) {
  while (const auto attribute = take_attribute(attributes))
    if (attribute->type == type) return attribute->payload;
  return std::nullopt;
}

// What stands behind the family header of a message.
inline Octets message_attributes(const nlmsghdr* message, std::size_t family_header) {
  const Octets all{reinterpret_cast<const std::byte*>(message), message->nlmsg_len};
  return all.subspan(std::min<std::size_t>(NLMSG_HDRLEN + NLMSG_ALIGN(family_header), all.size()));
}

inline std::string_view text_of(Octets payload) {
  const std::string_view text(reinterpret_cast<const char*>(payload.data()), payload.size());
  return text.substr(0, text.find('\0'));
}

// A big-endian number, as nf_tables writes them; 0 if it has another size.
template <class Number>
Number big_endian(Octets payload) {
  Number value = 0;
  if (payload.size() != sizeof value) return 0;
  std::memcpy(&value, payload.data(), sizeof value);
  if constexpr (std::endian::native == std::endian::big) return value;
  if constexpr (sizeof value == 8)
    return static_cast<Number>(__builtin_bswap64(static_cast<std::uint64_t>(value)));
  return static_cast<Number>(__builtin_bswap32(static_cast<std::uint32_t>(value)));
}

}  // namespace netjail
