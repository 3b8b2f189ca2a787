// The resolver's view of a DNS message (RFC 1035, RFC 6891). Pure: octets in, octets out, so that it can be
// fuzzed.
//
// Two parsers must agree before a message is passed on: a walk of our own over names and record lengths,
// which is strict (a question has no compression, no second OPT, no octet behind its end), and ldns, which
// knows the record types. The walk comes first because it also keeps from ldns 1.8.3 what that version
// handles badly: it leaks a second TSIG record, and follows chains of thousands of compression pointers for
// every name.
//
// The messages of this file are passed on as they came, apart from the id and the case of the question's
// name. Where rules name names, dns_question.h and dns_answer.h make both anew.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "dns_wire.h"

namespace netjail::dns {

inline constexpr std::size_t kMaxQuery =
    4096;  // no real question comes near; bounds what a client can make us hold
inline constexpr std::size_t kMaxMessage = 65535;
inline constexpr std::uint16_t kPlainUdp = 512;  // octets of a UDP answer without EDNS

enum class Rcode : std::uint8_t {
  none = 0,
  form_error,
  server_failure,
  name_error,
  not_implemented,
  refused
};

struct Question {
  std::size_t end = 0;  // octets of header and question section
  std::uint16_t type = 0;
  std::uint16_t udp_size = kPlainUdp;  // the largest UDP answer that the client takes

  bool operator==(const Question&) const = default;
};

// What to do with a message of a client: nothing (drop), answer it ourselves with `rcode`, or ask upstream.
struct Query {
  enum class Fate : std::uint8_t { drop, answer, forward };
  Fate fate = Fate::drop;
  Rcode rcode = Rcode::none;
  std::optional<Question> question;  // whenever it could be read

  bool operator==(const Query&) const = default;
};
Query read_query(Octets message);

// The answer to `query` that has no records. Needs a message of at least kHeader octets; the question is
// echoed if there is one.
std::vector<std::uint8_t> make_answer(Octets query, const std::optional<Question>& question, Rcode rcode);

// The part of `answer` that may be passed on as the answer to `query`, or nothing: same id, a response, the
// same question (without regard to case), and well-formed. Writes the query's spelling of the name into it.
// An answer that was cut off in the middle of a record and says so (TC) is reduced to header and question.
std::optional<std::span<std::uint8_t>> match_answer(std::span<std::uint8_t> answer, Octets query,
                                                    const Question& question);

// `answer`, or its header and question with TC set when it is larger than `limit`. Needs a result of
// match_answer.
std::span<std::uint8_t> truncate(std::span<std::uint8_t> answer, const Question& question, std::size_t limit);

std::uint16_t message_id(Octets message);
void set_message_id(std::span<std::uint8_t> message, std::uint16_t id);
Rcode message_rcode(Octets message);

// The question's name as text, in lower case, without the last dot ("." for the root); octets that are not
// printable as \DDD.
std::string printable_name(Octets query);

// True when ldns can read the whole message. Costs memory in proportion to it: call it after the walk.
bool ldns_reads(Octets message);
// True for the types whose data ends in a list of any length, as TXT.
bool ldns_takes_lists(std::uint16_t type);

}  // namespace netjail::dns
