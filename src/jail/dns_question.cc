#include "dns_question.h"

#include <algorithm>

namespace netjail::dns {
namespace {

constexpr std::array kAllowedTypes{kTypeA,  kTypeAaaa, kTypeCname, kTypeHttps, kTypeSvcb,
                                   kTypeMx, kTypeSrv,  kTypeTxt,   kTypePtr};

}  // namespace

bool may_ask(std::uint16_t type) { return std::ranges::find(kAllowedTypes, type) != kAllowedTypes.end(); }

Query check_question(Octets message) {
  Query query = read_query(message);
  if (query.fate != Query::Fate::forward) return query;
  if (number_at(message, query.question->end - 2) != kClassInternet || !may_ask(query.question->type)) {
    query.fate = Query::Fate::answer;
    query.rcode = Rcode::refused;
  }
  return query;
}

Data make_question(const Name& name, std::uint16_t type, std::uint16_t id, const CaseBits& bits) {
  Data message;
  message.reserve(kHeader + name.wire.size() + 4 + 1 + kRecordFixed);
  append_number(message, id);
  append_number(message, std::size_t{kRecursionDesired} << 8);
  for (const std::size_t count : {1U, 0U, 0U, 1U}) append_number(message, count);
  for (std::size_t at = 0; at < name.wire.size(); ++at) {
    const auto octet = static_cast<std::uint8_t>(name.wire[at]);
    const bool upper = octet >= 'a' && octet <= 'z' && (bits[at / 8] >> at % 8 & 1) != 0;
    message.push_back(upper ? static_cast<std::uint8_t>(octet - ('a' - 'A')) : octet);
  }
  append_number(message, type);
  append_number(message, kClassInternet);
  message.push_back(0);
  append_number(message, kTypeOpt);
  append_number(message, kOwnUdpSize);
  append_long(message, 0);    // version 0, no flags
  append_number(message, 0);  // no options
  return message;
}

std::optional<std::span<std::uint8_t>> match_spelling(std::span<std::uint8_t> answer, Octets query,
                                                      const Question& question) {
  // match_answer writes the query's spelling into the answer: compare before.
  if (answer.size() < question.end) return std::nullopt;
  const std::size_t size = question.end - kHeader;
  if (!std::ranges::equal(Octets(answer).subspan(kHeader, size), query.subspan(kHeader, size)))
    return std::nullopt;
  return match_answer(answer, query, question);
}

}  // namespace netjail::dns
