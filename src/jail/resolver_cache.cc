#include "resolver_cache.h"

#include <algorithm>

#include "dns_reply.h"

namespace netjail {
namespace {

using std::chrono::seconds;

constexpr seconds kShortest{1};
// Of all answers together, as octets of replies. Real answers have some hundred.
constexpr std::size_t kMostOctets = 4 << 20;

}  // namespace

std::string question_key(const dns::Name& name, std::uint16_t type) {
  std::string key = name.wire;
  key.push_back(static_cast<char>(type >> 8));
  key.push_back(static_cast<char>(type & 0xff));
  return key;
}

const dns::Filtered* AnswerCache::find(const std::string& key, Clock::time_point now) {
  const auto found = entries_.find(key);
  if (found == entries_.end()) return nullptr;
  Entry& entry = found->second;
  if (entry.kept <= now) {
    drop(found);
    return nullptr;
  }
  const auto left = std::chrono::duration_cast<seconds>(entry.fresh - now).count();
  entry.filtered.answer.ttl = static_cast<std::uint32_t>(std::max<std::int64_t>(left, 0));
  return &entry.filtered;
}

void AnswerCache::keep(std::string key, dns::Filtered filtered, Clock::time_point now) {
  if (const auto old = entries_.find(key); old != entries_.end()) drop(old);
  const std::size_t octets = dns::largest_reply(filtered.answer);
  if (entries_.size() >= most_ || octets_ + octets > kMostOctets) make_room(now);
  const seconds ttl(filtered.answer.ttl);
  octets_ += octets;
  entries_.emplace(std::move(key),
                   Entry{std::move(filtered), octets, now + std::max(ttl, kShortest), now + ttl});
}

AnswerCache::Entries::iterator AnswerCache::drop(Entries::iterator entry) {
  octets_ -= entry->second.octets;
  return entries_.erase(entry);
}

// Whoever fills the cache loses something of it, which costs him a question.
void AnswerCache::make_room(Clock::time_point now) {
  for (auto at = entries_.begin(); at != entries_.end();) at = at->second.kept <= now ? drop(at) : ++at;
  while (entries_.size() >= most_ - most_ / 8 || octets_ > kMostOctets - kMostOctets / 8)
    drop(entries_.begin());
}

}  // namespace netjail
