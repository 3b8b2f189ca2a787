#include "dns_wire.h"

#include <algorithm>
#include <array>
#include <string_view>

namespace netjail::dns {
namespace {

constexpr std::uint8_t kExtendedLabel = 0x40;  // never in use
constexpr std::size_t kMaxPointers = 128;      // a name has at most 127 labels, each behind a pointer

}  // namespace

std::uint16_t number_at(Octets message, std::size_t offset) {
  return static_cast<std::uint16_t>(message[offset] << 8 | message[offset + 1]);
}

std::uint32_t long_at(Octets message, std::size_t offset) {
  return static_cast<std::uint32_t>(number_at(message, offset)) << 16 | number_at(message, offset + 2);
}

void put_number(std::span<std::uint8_t> message, std::size_t offset, std::uint16_t value) {
  message[offset] = static_cast<std::uint8_t>(value >> 8);
  message[offset + 1] = static_cast<std::uint8_t>(value & 0xff);
}

void append_number(Data& message, std::size_t value) {
  message.push_back(static_cast<std::uint8_t>(value >> 8 & 0xff));
  message.push_back(static_cast<std::uint8_t>(value & 0xff));
}

void append_long(Data& message, std::uint32_t value) {
  append_number(message, value >> 16);
  append_number(message, value & 0xffff);
}

std::uint8_t lower_octet(std::uint8_t octet) {
  return octet >= 'A' && octet <= 'Z' ? static_cast<std::uint8_t>(octet + ('a' - 'A')) : octet;
}

std::optional<ReadName> read_name(Octets message, std::size_t offset, bool pointers) {
  std::array<char, kMaxName> wire;
  std::size_t size = 0, end = 0, followed = 0;
  while (offset < message.size()) {
    const std::uint8_t length = message[offset];
    if (length >= kPointer) {
      if (!pointers || ++followed > kMaxPointers || offset + 2 > message.size()) return std::nullopt;
      const std::size_t target = number_at(message, offset) & 0x3fffU;
      if (target < kHeader || target >= offset) return std::nullopt;
      if (end == 0) end = offset + 2;
      offset = target;
      continue;
    }
    const std::size_t label = 1U + length;
    if (length >= kExtendedLabel || label > message.size() - offset || label > wire.size() - size)
      return std::nullopt;
    // Lengths are below 'A': they have no case.
    for (const std::uint8_t octet : message.subspan(offset, label))
      wire[size++] = static_cast<char>(lower_octet(octet));
    offset += label;
    if (length == 0) return ReadName{{std::string(wire.data(), size)}, end == 0 ? offset : end};
  }
  return std::nullopt;
}

std::optional<std::size_t> skip_name(Octets message, std::size_t offset, bool pointers) {
  const std::size_t start = offset;
  while (offset < message.size()) {
    const std::uint8_t length = message[offset];
    if (length == 0) return offset + 1;
    if (length >= kPointer) {
      if (!pointers || offset + 2 > message.size()) return std::nullopt;
      const std::size_t target = number_at(message, offset) & 0x3fffU;
      if (target < kHeader || target >= offset) return std::nullopt;
      return offset + 2;
    }
    if (length >= kExtendedLabel) return std::nullopt;
    offset += 1U + length;
    if (offset - start > kMaxName - 1) return std::nullopt;
  }
  return std::nullopt;
}

bool is_within(const Name& name, const Name& ancestor) {
  std::string_view rest = name.wire;
  while (rest.size() > ancestor.wire.size()) rest.remove_prefix(1U + static_cast<unsigned char>(rest[0]));
  return rest == ancestor.wire;
}

std::string to_string(const Name& name) {
  std::string text;
  const std::string_view wire = name.wire;
  for (std::size_t at = 0; at < wire.size() && wire[at] != 0;) {
    const std::size_t end = std::min(wire.size(), at + 1U + static_cast<unsigned char>(wire[at]));
    if (!text.empty()) text += '.';
    while (++at < end) {
      const auto octet = static_cast<unsigned char>(wire[at]);
      if (octet <= ' ' || octet >= 0x7f) {
        text += '\\';
        for (const int place : {100, 10, 1}) text += static_cast<char>('0' + octet / place % 10);
      } else {
        if (octet == '.' || octet == '\\') text += '\\';
        text += static_cast<char>(octet);
      }
    }
  }
  return text.empty() ? "." : text;
}

}  // namespace netjail::dns
