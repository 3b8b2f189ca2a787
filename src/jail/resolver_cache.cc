#include "resolver_cache.h"

#include <algorithm>

#include "dns_reply.h"

namespace netjail {
namespace {

using std::chrono::seconds;

constexpr seconds kShortest{1};
constexpr std::size_t kMostOctets = 1232;  // what fits into a datagram: real answers do

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
    entries_.erase(found);
    return nullptr;
  }
  const auto left = std::chrono::duration_cast<seconds>(entry.fresh - now).count();
  entry.filtered.answer.ttl = static_cast<std::uint32_t>(std::max<std::int64_t>(left, 0));
  return &entry.filtered;
}

void AnswerCache::keep(std::string key, dns::Filtered filtered, Clock::time_point now) {
  if (dns::largest_reply(filtered.answer) > kMostOctets) return;
  if (entries_.size() >= most_) make_room(now);
  const seconds ttl(filtered.answer.ttl);
  entries_.insert_or_assign(std::move(key),
                            Entry{std::move(filtered), now + std::max(ttl, kShortest), now + ttl});
}

// Whoever fills the cache loses something of it, which costs him a question.
void AnswerCache::make_room(Clock::time_point now) {
  std::erase_if(entries_, [&](const auto& one) { return one.second.kept <= now; });
  while (entries_.size() >= most_ - most_ / 8) entries_.erase(entries_.begin());
}

}  // namespace netjail
