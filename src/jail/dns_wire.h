// Numbers and names of a DNS message (RFC 1035 sections 2.3.2, 3.1 and 4.1.4). Pure.
//
// A Name has one form only, so that comparing names is comparing strings: uncompressed and in lower case. The
// case of an answer's names says nothing (RFC 4343), and with a question in random case it is noise of our
// own.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

namespace netjail::dns {

using Octets = std::span<const std::uint8_t>;
using Data = std::vector<std::uint8_t>;

inline constexpr std::size_t kHeader = 12;
inline constexpr std::size_t kMaxName = 255;
inline constexpr std::size_t kRecordFixed = 10;  // type, class, TTL and length of the data
inline constexpr std::uint8_t kPointer = 0xc0;

// Offsets of the four counts of the header.
inline constexpr std::size_t kQuestionCount = 4, kAnswerCount = 6, kAuthorityCount = 8, kAdditionalCount = 10;
// Header octets 2 and 3.
inline constexpr std::uint8_t kResponse = 0x80, kOpcode = 0x78, kTruncated = 0x02, kRecursionDesired = 0x01;
inline constexpr std::uint8_t kRecursionAvailable = 0x80, kCheckingDisabled = 0x10, kRcode = 0x0f;

inline constexpr std::uint16_t kTypeA = 1, kTypeCname = 5, kTypeSoa = 6, kTypePtr = 12, kTypeMx = 15,
                               kTypeTxt = 16, kTypeAaaa = 28, kTypeSrv = 33, kTypeDname = 39, kTypeOpt = 41,
                               kTypeSvcb = 64, kTypeHttps = 65, kTypeTsig = 250, kTypeIxfr = 251,
                               kTypeAxfr = 252;
inline constexpr std::uint16_t kClassInternet = 1;

// Numbers at an offset that the caller knows to be inside.
std::uint16_t number_at(Octets message, std::size_t offset);
std::uint32_t long_at(Octets message, std::size_t offset);
void put_number(std::span<std::uint8_t> message, std::size_t offset, std::uint16_t value);
// Numbers at the end.
void append_number(Data& message, std::size_t value);
void append_long(Data& message, std::uint32_t value);
std::uint8_t lower_octet(std::uint8_t octet);

struct Name {
  std::string wire = std::string(1, '\0');  // labels with their lengths, the root's 0 last; 1 … 255 octets

  bool operator==(const Name&) const = default;
};

// The name at `offset`, and the offset behind it. Nothing when it is longer than 255 octets, has a label of
// an extended kind, leaves the message, or (RFC 1035: "a prior occurrence") has a pointer that does not point
// back; with `pointers` false, when it has any.
struct ReadName {
  Name name;
  std::size_t end = 0;
};
std::optional<ReadName> read_name(Octets message, std::size_t offset, bool pointers);
// The same offset for a name of which nothing else is asked: a pointer ends it.
std::optional<std::size_t> skip_name(Octets message, std::size_t offset, bool pointers);

// True when `name` is `ancestor` or below it.
bool is_within(const Name& name, const Name& ancestor);
// As text, without the last dot ("." for the root); octets that are not printable as \DDD.
std::string to_string(const Name& name);

}  // namespace netjail::dns
