#include "resolver_budget.h"

#include <algorithm>
#include <array>
#include <bit>
#include <cmath>
#include <functional>

namespace netjail {
namespace {

constexpr std::size_t kMostRemembered = 4096;  // names of one pattern; more are new again

}  // namespace

std::uint32_t entropy_bits(std::string_view text) {
  std::array<std::uint32_t, 256> counts{};
  for (const char c : text) ++counts[static_cast<unsigned char>(c)];
  const auto size = static_cast<double>(text.size());
  double bits = 0;
  for (const std::uint32_t count : counts)
    if (count > 0) bits += count * std::log2(size / count);
  return static_cast<std::uint32_t>(std::ceil(bits));
}

bool WildcardBudget::take(std::size_t pattern, std::string_view chosen,
                          std::chrono::steady_clock::time_point now) {
  Account& account = accounts_[pattern];
  if (account.seen != std::chrono::steady_clock::time_point{}) {
    const std::chrono::duration<double> past = now - account.seen;
    account.bits = std::min<double>(kBudgetBits, account.bits + past.count() * kBudgetPerSecond);
  }
  account.seen = now;
  const std::size_t hash = std::hash<std::string_view>()(chosen);
  const std::uint32_t cost =
      account.asked.contains(hash)
          ? kTypeBits + static_cast<std::uint32_t>(std::bit_width(account.asked.size()))
          : kNameBits + entropy_bits(chosen);
  if (account.bits < cost) return false;
  account.bits -= cost;
  if (account.asked.size() >= kMostRemembered) account.asked.clear();
  account.asked.insert(hash);
  return true;
}

}  // namespace netjail
