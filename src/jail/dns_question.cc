#include "dns_question.h"

#include <algorithm>

namespace netjail::dns {
namespace {

struct TypeName {
  std::uint16_t type;
  std::string_view name;
};
constexpr std::array kAllowedTypes{
    TypeName{kTypeA, "A"},         TypeName{kTypeAaaa, "AAAA"}, TypeName{kTypeCname, "CNAME"},
    TypeName{kTypeHttps, "HTTPS"}, TypeName{kTypeSvcb, "SVCB"}, TypeName{kTypeMx, "MX"},
    TypeName{kTypeSrv, "SRV"},     TypeName{kTypeTxt, "TXT"},   TypeName{kTypePtr, "PTR"}};
// What else is met.
constexpr std::array kOtherTypes{
    TypeName{2, "NS"},           TypeName{6, "SOA"},          TypeName{35, "NAPTR"},  TypeName{43, "DS"},
    TypeName{44, "SSHFP"},       TypeName{46, "RRSIG"},       TypeName{48, "DNSKEY"}, TypeName{52, "TLSA"},
    TypeName{kTypeIxfr, "IXFR"}, TypeName{kTypeAxfr, "AXFR"}, TypeName{255, "ANY"},   TypeName{257, "CAA"}};

}  // namespace

bool may_ask(std::uint16_t type) {
  return std::ranges::find(kAllowedTypes, type, &TypeName::type) != kAllowedTypes.end();
}

std::string type_name(std::uint16_t type) {
  for (const std::span<const TypeName> names :
       {std::span<const TypeName>(kAllowedTypes), std::span<const TypeName>(kOtherTypes)})
    if (const auto found = std::ranges::find(names, type, &TypeName::type); found != names.end())
      return std::string(found->name);
  return "TYPE" + std::to_string(type);
}

std::optional<std::uint16_t> parse_type(std::string_view word) {
  const auto found = std::ranges::find(kAllowedTypes, word, &TypeName::name);
  return found == kAllowedTypes.end() ? std::nullopt : std::optional(found->type);
}

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

bool repeats_spelling(Octets answer, Octets query, const Question& question) {
  if (answer.size() < question.end) return false;
  const std::size_t size = question.end - kHeader;
  return std::ranges::equal(answer.subspan(kHeader, size), query.subspan(kHeader, size));
}

}  // namespace netjail::dns
