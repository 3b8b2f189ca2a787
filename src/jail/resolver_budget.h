// How much a program may say to the servers of a zone by the names that it makes up below a '*'. Every name
// that is asked goes to whoever runs the zone: "the-secret.example.org" carries the secret. A budget for each
// pattern lets ordinary use through (some hundred names at once, one a second for ever) and makes a tunnel
// of bits. Pure, but for the time, which is told.
#pragma once

#include <chrono>
#include <cstdint>
#include <string_view>
#include <unordered_map>
#include <unordered_set>

namespace netjail {

inline constexpr std::uint32_t kBudgetBits = 32768;    // at once
inline constexpr std::uint32_t kBudgetPerSecond = 64;  // bits that come back
inline constexpr std::uint32_t kNameBits = 16;         // each new name, beside what its octets say
inline constexpr std::uint32_t kTypeBits = 3;          // a name that was asked before, beside which it is

// Bits that a text of this many different octets can carry: the entropy of its octets (Shannon, order 0),
// rounded up. The bits of kNameBits stand for what that leaves out: the length, and which octets they are.
std::uint32_t entropy_bits(std::string_view text);

class WildcardBudget {
 public:
  // True when the question may leave; `chosen` is what the program put in the place of the '*' of pattern
  // number `pattern`.
  bool take(std::size_t pattern, std::string_view chosen, std::chrono::steady_clock::time_point now);

 private:
  struct Account {
    double bits = kBudgetBits;
    std::chrono::steady_clock::time_point seen{};
    std::unordered_set<std::size_t> asked;  // hashes
  };
  std::unordered_map<std::size_t, Account> accounts_;
};

}  // namespace netjail
