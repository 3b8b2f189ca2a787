#include "dns_message.h"

#include <algorithm>
#include <array>

namespace netjail::dns {
namespace {

constexpr std::size_t kMaxPointerChain = 16;
constexpr std::size_t kMaxPointerWork = 16384;           // records times the longest chain
constexpr std::size_t kMaxListMemory = 4 * 1024 * 1024;  // what ldns may allocate for the strings of lists

// Firefox asks for it before it turns DNS over HTTPS on; NXDOMAIN keeps it off (DESIGN.md section 3).
constexpr std::array<std::uint8_t, 25> kCanary{19,  'u', 's', 'e', '-', 'a', 'p', 'p', 'l',
                                               'i', 'c', 'a', 't', 'i', 'o', 'n', '-', 'd',
                                               'n', 's', 3,   'n', 'e', 't', 0};

std::optional<Question> read_question(Octets message) {
  if (number_at(message, kQuestionCount) != 1) return std::nullopt;
  const auto name_end = skip_name(message, kHeader, false);
  if (!name_end || *name_end + 4 > message.size()) return std::nullopt;
  return Question{.end = *name_end + 4, .type = number_at(message, *name_end), .udp_size = kPlainUdp};
}

std::size_t record_count(Octets message) {
  std::size_t records = 0;
  for (std::size_t section = 0; section < 3; ++section)
    records += number_at(message, kAnswerCount + 2 * section);
  return records;
}

// What ldns allocates for a list of strings: for each of them the length of them all. One string of 65,000
// octets is welcome, 65,000 empty ones are not; a record of 255-octet strings may have 32 KiB.
std::size_t list_memory(Octets data) {
  std::size_t strings = 0;
  for (std::size_t at = 0; at < data.size(); at += 1U + data[at]) ++strings;
  return strings * data.size();
}

// The offset behind the last record; nothing if a length lies, for a TSIG or a second OPT record, or when the
// lists would cost too much. We sign no question, so no answer is signed.
std::optional<std::size_t> skip_records(Octets message, std::size_t offset) {
  bool opt_seen = false;
  std::size_t memory = 0;
  for (std::size_t records = record_count(message); records > 0; --records) {
    const auto name_end = skip_name(message, offset, true);
    if (!name_end || *name_end + kRecordFixed > message.size()) return std::nullopt;
    const std::uint16_t type = number_at(message, *name_end);
    if (type == kTypeTsig || (type == kTypeOpt && opt_seen)) return std::nullopt;
    if (type == kTypeOpt) opt_seen = true;
    const std::size_t data = *name_end + kRecordFixed;
    offset = data + number_at(message, *name_end + 8);
    if (offset > message.size()) return std::nullopt;
    if (ldns_takes_lists(type)) memory += list_memory(message.subspan(data, offset - data));
    if (memory > kMaxListMemory) return std::nullopt;
  }
  return offset;
}

// The pointers of the longest chain of pointers that point at pointers, at most one more than
// kMaxPointerChain. No encoder writes even two; ldns would walk a crafted chain of 8,000 for each of 7,000
// names. Every pair of octets is looked at, because names also stand inside records. Random data (signatures)
// has 17 in a row once in 2^34 pairs, but a pair that leads back to itself once in 2^16: a ring is let
// through, ldns gives up on it once and for the whole message.
std::size_t longest_pointer_chain(Octets message) {
  std::array<std::size_t, kMaxPointerChain + 1> visited;
  std::size_t longest = 0;
  for (std::size_t start = kHeader; start + 2 <= message.size(); ++start) {
    std::size_t length = 0;
    for (std::size_t at = start; at + 2 <= message.size() && message[at] >= kPointer;) {
      const auto seen = std::span(visited).first(length);
      if (std::ranges::find(seen, at) != seen.end()) {
        length = 0;
        break;
      }
      visited[length++] = at;
      if (length == visited.size()) return length;
      at = number_at(message, at) & 0x3fffU;
    }
    longest = std::max(longest, length);
  }
  return longest;
}

// True when reading the names would take ldns longer than a few milliseconds.
bool costs_too_much(Octets message) {
  const std::size_t chain = longest_pointer_chain(message);
  return chain > kMaxPointerChain || chain * record_count(message) > kMaxPointerWork;
}

Query answered(Rcode rcode, std::optional<Question> question = std::nullopt) {
  return {.fate = Query::Fate::answer, .rcode = rcode, .question = question};
}

}  // namespace

std::uint16_t message_id(Octets message) { return number_at(message, 0); }
void set_message_id(std::span<std::uint8_t> message, std::uint16_t id) { put_number(message, 0, id); }
Rcode message_rcode(Octets message) { return static_cast<Rcode>(message[3] & kRcode); }

Query read_query(Octets message) {
  if (message.size() < kHeader || (message[2] & kResponse) != 0) return {};
  if ((message[2] & kOpcode) != 0) return answered(Rcode::not_implemented);
  if (message.size() > kMaxQuery || (message[2] & kTruncated) != 0) return answered(Rcode::form_error);
  auto question = read_question(message);
  if (!question) return answered(Rcode::form_error);
  // A question brings no records but its own OPT.
  const bool has_opt = number_at(message, 10) == 1;
  if (number_at(message, 6) != 0 || number_at(message, 8) != 0 || number_at(message, 10) > 1)
    return answered(Rcode::form_error);
  const auto end = skip_records(message, question->end);
  if (end != message.size()) return answered(Rcode::form_error);
  if (has_opt) {
    if (message[question->end] != 0 || number_at(message, question->end + 1) != kTypeOpt)
      return answered(Rcode::form_error);
    question->udp_size = std::max(kPlainUdp, number_at(message, question->end + 3));
  }
  if (!ldns_reads(message)) return answered(Rcode::form_error);
  if (question->type == kTypeAxfr || question->type == kTypeIxfr) return answered(Rcode::refused, question);
  const Octets name = message.subspan(kHeader, question->end - kHeader - 4);
  if (std::ranges::equal(name, kCanary, {}, lower_octet)) return answered(Rcode::name_error, question);
  return {.fate = Query::Fate::forward, .rcode = Rcode::none, .question = question};
}

std::vector<std::uint8_t> make_answer(Octets query, const std::optional<Question>& question, Rcode rcode) {
  std::vector<std::uint8_t> answer(
      query.begin(), query.begin() + static_cast<std::ptrdiff_t>(question ? question->end : kHeader));
  answer[2] = static_cast<std::uint8_t>(kResponse | (query[2] & (kOpcode | kRecursionDesired)));
  answer[3] = static_cast<std::uint8_t>(kRecursionAvailable | (query[3] & kCheckingDisabled) |
                                        static_cast<std::uint8_t>(rcode));
  std::fill(answer.begin() + kQuestionCount, answer.begin() + kHeader, std::uint8_t{0});
  answer[kQuestionCount + 1] = question ? 1 : 0;
  return answer;
}

std::optional<std::span<std::uint8_t>> match_answer(std::span<std::uint8_t> answer, Octets query,
                                                    const Question& question) {
  if (answer.size() < question.end || message_id(answer) != message_id(query)) return std::nullopt;
  if ((answer[2] & (kResponse | kOpcode)) != kResponse) return std::nullopt;
  // The query's question is well-formed and holds no pointer: equal octets are an equal question. Lengths of
  // labels are below 0x40 and have no case; type and class are compared as they are.
  if (number_at(answer, kQuestionCount) != 1) return std::nullopt;
  const Octets asked = query.subspan(kHeader, question.end - kHeader);
  const Octets echoed = Octets(answer).subspan(kHeader, asked.size());
  const std::size_t name = asked.size() - 4;
  if (!std::ranges::equal(asked.first(name), echoed.first(name), {}, lower_octet, lower_octet) ||
      !std::ranges::equal(asked.subspan(name), echoed.subspan(name)))
    return std::nullopt;

  std::span<std::uint8_t> result;
  if (const auto end = skip_records(answer, question.end)) result = answer.first(*end);
  if (result.empty() || costs_too_much(result) || !ldns_reads(result)) {
    if ((answer[2] & kTruncated) == 0) return std::nullopt;
    result = truncate(answer, question, 0);
  }
  std::ranges::copy(asked, result.begin() + kHeader);
  return result;
}

std::span<std::uint8_t> truncate(std::span<std::uint8_t> answer, const Question& question,
                                 std::size_t limit) {
  if (answer.size() <= limit) return answer;
  answer[2] |= kTruncated;
  std::fill_n(answer.begin() + kAnswerCount, kHeader - kAnswerCount, std::uint8_t{0});
  return answer.first(question.end);
}

std::string printable_name(Octets query) {
  const auto read = read_name(query, kHeader, false);
  return read ? to_string(read->name) : ".";
}

}  // namespace netjail::dns
