#include "dns_answer.h"

#include <algorithm>

#include "dns_reply.h"

namespace netjail::dns {
namespace {

struct Record {
  Name owner;
  std::uint16_t type = 0;
  std::uint32_t ttl = 0;
  Extent data;
};

// The records of the answer section, the SOA records of the authority section, and the upper bits of the
// rcode, which stand in the OPT record (RFC 6891 section 6.1.3).
struct Sections {
  std::vector<Record> answers;
  std::vector<Record> authorities;
  std::uint8_t extended_rcode = 0;
};

// RFC 2181 section 8: the top bit set means 0.
std::uint32_t sane_ttl(std::uint32_t ttl) { return (ttl >> 31) != 0 ? 0 : std::min(ttl, kMaxTtl); }

std::expected<Sections, Flaw> read_sections(Octets message, std::size_t offset) {
  const std::unexpected malformed(Flaw::malformed);
  Sections sections;
  const std::size_t answers = number_at(message, kAnswerCount);
  const std::size_t authorities = number_at(message, kAuthorityCount);
  if (answers > kMaxRecords) return std::unexpected(Flaw::too_many);
  const std::size_t all = answers + authorities + number_at(message, kAdditionalCount);
  sections.answers.reserve(answers);
  for (std::size_t index = 0; index < all; ++index) {
    const auto fixed = skip_name(message, offset, true);
    if (!fixed || message.size() - *fixed < kRecordFixed) return malformed;
    const std::uint16_t type = number_at(message, *fixed);
    const Extent data{*fixed + kRecordFixed, number_at(message, *fixed + 8)};
    if (message.size() - data.offset < data.size) return malformed;
    const bool answer = index < answers;
    const bool authority = !answer && index < answers + authorities;
    if (!answer && !authority && type == kTypeOpt) sections.extended_rcode = message[*fixed + 4];
    if ((answer || (authority && type == kTypeSoa)) && number_at(message, *fixed + 2) == kClassInternet) {
      auto owner = read_name(message, offset, true);
      if (!owner) return malformed;
      const std::uint32_t ttl = sane_ttl(long_at(message, *fixed + 4));
      (answer ? sections.answers : sections.authorities).push_back({std::move(owner->name), type, ttl, data});
    }
    offset = data.offset + data.size;
  }
  return sections;
}

// The name that is the whole rest of a record's data from `skip` on.
std::optional<Name> name_in(Octets message, const Extent& data, std::size_t skip = 0) {
  if (data.size < skip) return std::nullopt;
  auto read = read_name(message, data.offset + skip, true);
  if (!read || read->end != data.offset + data.size) return std::nullopt;
  return std::move(read->name);
}

void append(Data& to, const Name& name) { to.insert(to.end(), name.wire.begin(), name.wire.end()); }

// Data that consists of `fixed` octets and a name.
std::optional<Data> with_name(Octets message, const Extent& data, std::size_t fixed) {
  const auto name = name_in(message, data, fixed);
  if (!name) return std::nullopt;
  const Octets head = message.subspan(data.offset, fixed);
  Data result(head.begin(), head.end());
  append(result, *name);
  return result;
}

std::optional<Data> read_soa(Octets message, const Extent& data) {
  const auto server = read_name(message, data.offset, true);
  if (!server) return std::nullopt;
  const auto mailbox = read_name(message, server->end, true);
  if (!mailbox || mailbox->end + kSoaNumbers != data.offset + data.size) return std::nullopt;
  Data result;
  append(result, server->name);
  append(result, mailbox->name);
  const Octets numbers = message.subspan(mailbox->end, kSoaNumbers);
  result.insert(result.end(), numbers.begin(), numbers.end());
  return result;
}

// The data of a record that is neither an address nor a service.
std::optional<Data> read_data(Octets message, std::uint16_t type, const Extent& data) {
  switch (type) {
    case kTypeCname:
    case kTypePtr: return with_name(message, data, 0);
    case kTypeMx: return with_name(message, data, 2);
    case kTypeSrv: return with_name(message, data, 6);
    case kTypeTxt: {
      const Octets text = message.subspan(data.offset, data.size);
      return Data(text.begin(), text.end());
    }
    default: return std::nullopt;
  }
}

// False when the data makes no sense.
bool take_record(Answer& answer, Octets message, const Record& record) {
  const Octets data = message.subspan(record.data.offset, record.data.size);
  switch (record.type) {
    case kTypeA:
    case kTypeAaaa: {
      const Family family = record.type == kTypeA ? Family::ipv4 : Family::ipv6;
      if (data.size() != address_size(family)) return false;
      answer.addresses.push_back(make_ip(family, data));
      return true;
    }
    case kTypeHttps:
    case kTypeSvcb: {
      auto service = read_service(data);
      if (!service) return false;
      answer.services.push_back(std::move(*service));
      return true;
    }
    default: {
      auto canonical = read_data(message, record.type, record.data);
      if (!canonical) return false;
      answer.records.push_back(std::move(*canonical));
      return true;
    }
  }
}

// `name`, which is below `owner`, with that part of it exchanged for `target`; nothing if it gets too long.
std::optional<Name> substitute(const Name& name, const Name& owner, const Name& target) {
  const std::size_t kept = name.wire.size() - owner.wire.size();
  if (kept + target.wire.size() > kMaxName) return std::nullopt;
  return Name{name.wire.substr(0, kept) + target.wire};
}

// The name that `name` is an alias of, if it is one; lowers `ttl` to that of the records that say so.
std::expected<std::optional<Name>, Flaw> find_alias(Octets message, const std::vector<Record>& records,
                                                    const Name& name, std::uint32_t& ttl) {
  std::optional<Name> alias;
  for (const auto& record : records) {
    if (record.type != kTypeCname || record.owner != name) continue;
    auto target = name_in(message, record.data);
    if (!target) return std::unexpected(Flaw::malformed);
    if (alias && *alias != *target) return std::unexpected(Flaw::contradiction);
    alias = std::move(target);
    ttl = std::min(ttl, record.ttl);
  }
  for (const auto& record : records) {
    if (record.type != kTypeDname || record.owner == name || !is_within(name, record.owner)) continue;
    const auto target = name_in(message, record.data);
    if (!target) return std::unexpected(Flaw::malformed);
    const auto follows = substitute(name, record.owner, *target);
    if (!follows || alias != follows) return std::unexpected(Flaw::false_alias);
    ttl = std::min(ttl, record.ttl);
  }
  return alias;
}

// Completes answer.chain, which has the name asked.
std::expected<void, Flaw> follow(Answer& answer, Octets message, const std::vector<Record>& records) {
  while (true) {
    auto alias = find_alias(message, records, answer.chain.back(), answer.ttl);
    if (!alias) return std::unexpected(alias.error());
    if (!*alias) return {};
    if (std::ranges::find(answer.chain, **alias) != answer.chain.end()) return std::unexpected(Flaw::loop);
    if (answer.chain.size() > kMaxLinks) return std::unexpected(Flaw::too_many);
    answer.chain.push_back(std::move(**alias));
  }
}

// Of a zone that the last name can be in.
std::expected<void, Flaw> take_authority(Answer& answer, Octets message, const std::vector<Record>& records) {
  for (const auto& record : records) {
    if (!is_within(answer.chain.back(), record.owner)) continue;
    auto data = read_soa(message, record.data);
    if (!data) return std::unexpected(Flaw::malformed);
    const std::uint32_t minimum = sane_ttl(long_at(*data, data->size() - 4));
    answer.ttl = std::min({answer.ttl, record.ttl, minimum, kMaxNegativeTtl});
    answer.authority = {record.owner, std::move(*data)};
    return {};
  }
  return {};
}

}  // namespace

std::expected<Answer, Flaw> read_answer(Octets message, const Question& question) {
  const std::unexpected malformed(Flaw::malformed);
  if (message.size() < kHeader || message.size() < question.end) return malformed;
  auto asked = read_name(message, kHeader, false);
  if (!asked || asked->end + 4 != question.end) return malformed;
  Answer answer{.rcode = message_rcode(message), .truncated = (message[2] & kTruncated) != 0, .ttl = kMaxTtl};
  answer.chain.push_back(std::move(asked->name));
  if (answer.rcode != Rcode::none && answer.rcode != Rcode::name_error) return std::unexpected(Flaw::failure);
  if (answer.truncated) {
    answer.ttl = 0;
    return answer;
  }

  const auto sections = read_sections(message, question.end);
  if (!sections) return std::unexpected(sections.error());
  if (sections->extended_rcode != 0) return std::unexpected(Flaw::failure);
  // Who asks for an alias gets it and is not led on.
  if (question.type != kTypeCname) {
    if (auto done = follow(answer, message, sections->answers); !done) return std::unexpected(done.error());
  }
  for (const auto& record : sections->answers) {
    if (record.type != question.type || record.owner != answer.chain.back()) continue;
    if (!take_record(answer, message, record)) return malformed;
    answer.ttl = std::min(answer.ttl, record.ttl);
  }
  if (answer.negative()) {
    if (auto done = take_authority(answer, message, sections->authorities); !done)
      return std::unexpected(done.error());
    if (answer.chain.size() == 1 && !answer.authority) answer.ttl = 0;
  } else if (answer.rcode == Rcode::name_error) {
    return std::unexpected(Flaw::contradiction);
  }
  if (largest_reply(answer) > kMaxMessage) return std::unexpected(Flaw::too_large);
  return answer;
}

Filtered filter_answer(Answer answer, const Permitted& permitted, Ech ech) {
  Filtered filtered;
  const bool negative = answer.negative();
  std::erase_if(answer.addresses, [&](const Ip& ip) {
    if (passes(ip, permitted)) return false;
    filtered.refused.push_back(ip);
    return true;
  });
  std::vector<Service> services;
  for (const auto& service : answer.services) {
    if (auto passed = filter_service(service, permitted, ech, filtered.refused))
      services.push_back(std::move(*passed));
  }
  answer.services = std::move(services);
  filtered.blocked = !negative && answer.negative();
  if (filtered.blocked && answer.chain.size() == 1) answer.ttl = 0;
  filtered.answer = std::move(answer);
  return filtered;
}

std::vector<Ip> told_addresses(const Answer& answer) {
  std::vector<Ip> told = answer.addresses;
  for (const auto& service : answer.services)
    told.insert(told.end(), service.hints.begin(), service.hints.end());
  std::ranges::sort(told);
  const auto twice = std::ranges::unique(told);
  told.erase(twice.begin(), twice.end());
  return told;
}

}  // namespace netjail::dns
