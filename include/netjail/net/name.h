// DNS names, and the patterns of names that rules are made of. Pure.
//
// A Name has the one form in which names are compared: as on the wire, in small letters, labels joined by
// dots, none at the end; international labels as A-labels ("xn--...", RFC 5890). People write patterns in
// many forms; parse_name_pattern brings them into this one or says what is wrong, and never guesses: a
// mistake in a pattern must not become a pattern that matches more.
//
// A pattern is one name ("example.com") or every name below one, at any depth and without the name itself
// ("*.example.com"). A pattern "*.co.uk" would open names that belong to everybody: a '*' needs a name that
// is no public suffix, and the list that can tell. A public suffix itself is a name as any other: it opens
// one name and no stranger's, and some are hosts that people need ("s3.amazonaws.com").
#pragma once

#include <compare>
#include <cstddef>
#include <cstdint>
#include <expected>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "netjail/net/public_suffixes.h"

namespace netjail {

inline constexpr std::size_t kMaxLabel = 63;  // octets (RFC 1035 2.3.4)
inline constexpr std::size_t kMaxName = 253;  // of them on the wire: two fewer than there, for both ends

// Labels of small letters, digits, '-' and '_'; never empty when it comes from one of the functions below.
// Ordered as text, which serves containers and stable output only.
struct Name {
  std::string text;
  auto operator<=>(const Name&) const = default;
};

// An uncompressed name as it is in a question (RFC 1035 3.1): octets of each label behind its length, 0 at
// the end, nothing behind that. Nothing for the root, for what is no such name, and for labels with other
// octets than those of Name, which no pattern matches. A-labels are not looked into: who asks for a false one
// gets what a pattern says of those octets.
std::optional<Name> parse_wire_name(std::span<const std::uint8_t> octets);

struct NamePattern {
  Name name;
  bool below = false;  // every name below `name` instead of `name`
  auto operator<=>(const NamePattern&) const = default;
};

// What is wrong with a pattern, where, and what was perhaps meant. The place is in octets of the text, never
// inside a character of well-formed UTF-8; its length is 0 where something is missing.
struct NameError {
  std::string what;
  std::string suggestion = {};
  std::size_t offset = 0;
  std::size_t length = 0;
};

// Reads what people write: capitals, one dot at the end, U-labels in UTF-8 (mapped by UTS 46,
// nontransitional, then checked by IDNA 2008: RFC 5891 to 5893) with their full-width and ideographic dots,
// and A-labels, which must be what their U-label gives. ASCII labels may have '_' (RFC 8552), and "--"
// anywhere; a '-' at an end is an error (RFC 1123 2.1).
//
// Names of one label are good as they are, for /etc/hosts and search domains give them addresses, but not
// behind "*.". Errors, beside the form: URLs, ports, paths, lists; addresses and whatever a program would
// take for one, a last label of digits or in hexadecimal; names that no DNS server may be asked for, or that
// never have an address ("localhost", "invalid", RFC 6761; "onion", RFC 7686; "alt", RFC 9476;
// "in-addr.arpa", "ip6.arpa"), and those below; a '*' anywhere but as the first label, on a public suffix, or
// without a list. Look-alikes of other scripts are not judged.
std::expected<NamePattern, NameError> parse_name_pattern(std::string_view text,
                                                         const PublicSuffixes& suffixes);

bool matches(const NamePattern& pattern, const Name& name);
// Whether `outer` matches every name that `inner` matches.
bool covers(const NamePattern& outer, const NamePattern& inner);

// As parse_name_pattern reads it again: "*.xn--bcher-kva.example".
std::string to_string(const NamePattern& pattern);
// For people, in UTF-8: "*.bücher.example". What is no A-label, though it begins like one, stays as it is.
// Not to be compared, and to be made printable by whoever has a terminal that does not want UTF-8.
std::string to_unicode(const Name& name);
std::string to_unicode(const NamePattern& pattern);

// Many patterns, asked at once. A question costs a binary search for each label of the name, at most for as
// many as the longest pattern with a '*' has.
class NameSet {
 public:
  NameSet() = default;
  explicit NameSet(std::span<const NamePattern> patterns);

  // The indices of all patterns that match, ascending.
  std::vector<std::size_t> find(const Name& name) const;
  const NamePattern& pattern(std::size_t index) const { return patterns_[index]; }

 private:
  std::pair<bool, std::string_view> key(std::uint32_t index) const {
    return {patterns_[index].below, patterns_[index].name.text};
  }

  std::vector<NamePattern> patterns_;
  std::vector<std::uint32_t> sorted_;  // by key; a table of the names would have their text again
  std::size_t deepest_ = 0;            // labels of the longest name with a '*'
};

}  // namespace netjail
