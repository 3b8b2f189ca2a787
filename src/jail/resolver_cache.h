// Answers that still hold, and failures for a second (RFC 9520 section 3.2). What stands here is not asked
// for again: fewer questions leave the machine, and how often a name is asked says nothing to anybody
// outside. Pure, but for the time, which is told.
#pragma once

#include <chrono>
#include <string>
#include <unordered_map>

#include "dns_answer.h"

namespace netjail {

using Clock = std::chrono::steady_clock;

// A question, as far as its answer depends on it.
std::string question_key(const dns::Name& name, std::uint16_t type);

class AnswerCache {
 public:
  explicit AnswerCache(std::size_t most = 2048) : most_(most) {}

  // With the TTL that is left; null when there is none. Valid until the next call.
  const dns::Filtered* find(const std::string& key, Clock::time_point now);
  // For its TTL, at least a second: a name that may not be kept at all is asked once a second at most, for
  // everybody.
  void keep(std::string key, dns::Filtered filtered, Clock::time_point now);
  std::size_t size() const { return entries_.size(); }

 private:
  struct Entry {
    dns::Filtered filtered;
    std::size_t octets;       // of its reply
    Clock::time_point kept;   // until it is not answered from here any more
    Clock::time_point fresh;  // until its TTL is over
  };
  using Entries = std::unordered_map<std::string, Entry>;
  Entries::iterator drop(Entries::iterator entry);
  void make_room(Clock::time_point now);

  std::size_t most_;
  std::size_t octets_ = 0;  // of all entries
  Entries entries_;
};

}  // namespace netjail
