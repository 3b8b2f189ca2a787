// The public suffix list (publicsuffix.org): the names below which anybody can get a name of his own, such as
// "com", "co.uk", "github.io". Pure.
#pragma once

#include <memory>
#include <string_view>

namespace netjail {

struct Name;

// A list, or none. Without a list nothing is known, and whoever asks must assume the worst.
class PublicSuffixes {
 public:
  PublicSuffixes() = default;  // no list
  // The list of the day on which libpsl was made, which is part of the program. No list where libpsl was made
  // without one.
  static PublicSuffixes builtin();
  // The contents of a list's file, public_suffix_list.dat or .dafsa. No list when they are not one: the test
  // is that "com" is known.
  static PublicSuffixes parse(std::string_view contents);

  explicit operator bool() const { return list_ != nullptr; }
  // Needs a list. True for both sections of the list, ICANN's and the private one; for the name above a rule
  // with a '*' ("compute.amazonaws.com" of "*.compute.amazonaws.com"), whose names below are suffixes; and by
  // the list's default rule for every top-level name, known or not: a list is older than the newest of them.
  bool contains(const Name& name) const;

 private:
  explicit PublicSuffixes(std::shared_ptr<const void> list) : list_(std::move(list)) {}

  std::shared_ptr<const void> list_;  // libpsl's psl_ctx_t
};

}  // namespace netjail
