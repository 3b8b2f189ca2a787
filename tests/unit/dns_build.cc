#include "dns_build.h"

#include <doctest/doctest.h>

namespace netjail::test {
namespace {

Ip ip_of(std::string_view text) {
  const auto ip = parse_ip(text);
  REQUIRE_MESSAGE(ip.has_value(), std::string(text));
  return *ip;
}

}  // namespace

Rr rr(std::string_view owner, std::uint16_t type, Bytes data, std::uint32_t ttl) {
  return {.owner = wire_name(owner), .type = type, .data = std::move(data), .ttl = ttl};
}

Rr address(std::string_view owner, std::string_view text, std::uint32_t ttl) {
  const Ip ip = ip_of(text);
  return rr(owner, ip.family == Family::ipv4 ? kA : kAaaa, {ip.octets().begin(), ip.octets().end()}, ttl);
}

Rr cname(std::string_view owner, std::string_view target, std::uint32_t ttl) {
  return rr(owner, dns::kTypeCname, wire_name(target), ttl);
}

Rr dname(std::string_view owner, std::string_view target, std::uint32_t ttl) {
  return rr(owner, dns::kTypeDname, wire_name(target), ttl);
}

Rr soa(std::string_view owner, std::uint32_t minimum, std::uint32_t ttl) {
  Bytes data = wire_name("ns.example");
  append(data, wire_name("Admin.Example"));
  for (const std::uint32_t number : {1U, 7200U, 900U, 86400U, minimum}) put32(data, number);
  return rr(owner, dns::kTypeSoa, data, ttl);
}

Rr of_class(Rr record, std::uint16_t value) {
  record.of_class = value;
  return record;
}

Rr opt(Bytes options, std::uint32_t flags) {
  return of_class(rr("", dns::kTypeOpt, std::move(options), flags), 1232);
}

Rr https(std::string_view owner, std::uint16_t priority, std::string_view target,
         const Parameters& parameters, std::uint32_t ttl) {
  Bytes data;
  put16(data, priority);
  append(data, wire_name(target));
  for (const auto& [key, value] : parameters) {
    put16(data, key);
    put16(data, value.size());
    append(data, value);
  }
  return rr(owner, dns::kTypeHttps, data, ttl);
}

Bytes octets_of(std::initializer_list<std::string_view> ips) {
  Bytes data;
  for (const auto text : ips) {
    const Ip ip = ip_of(text);
    data.insert(data.end(), ip.octets().begin(), ip.octets().end());
  }
  return data;
}

Bytes numbers(std::initializer_list<std::uint16_t> values) {
  Bytes data;
  for (const auto value : values) put16(data, value);
  return data;
}

Bytes reply(const Bytes& asked, const Sections& sections, int rcode) {
  const std::size_t end = question_of(asked).end;
  Bytes message(asked.begin(), asked.begin() + static_cast<std::ptrdiff_t>(end));
  message[2] = 0x81;
  message[3] = 0x80;
  std::size_t at = 6;
  for (const auto* section : {&sections.answers, &sections.authorities, &sections.additional}) {
    message[at++] = static_cast<std::uint8_t>(section->size() >> 8);
    message[at++] = static_cast<std::uint8_t>(section->size() & 0xff);
    for (const auto& record : *section) {
      append(message, record.owner);
      put16(message, record.type);
      put16(message, record.of_class);
      put32(message, record.ttl);
      put16(message, record.data.size());
      append(message, record.data);
    }
  }
  return with_rcode(message, rcode);
}

dns::Name name(std::string_view dotted) {
  const Bytes wire = wire_name(dotted);
  return {std::string(wire.begin(), wire.end())};
}

dns::Question question_of(const Bytes& asked) {
  const auto question = dns::read_query(asked).question;
  REQUIRE(question.has_value());
  return *question;
}

std::expected<dns::Answer, dns::Flaw> read(const Bytes& message, const Bytes& asked) {
  Bytes copy = message;
  const auto question = question_of(asked);
  const auto matched = dns::match_answer(copy, asked, question);
  REQUIRE(matched.has_value());
  return dns::read_answer(*matched, question);
}

dns::Answer teach(const Bytes& asked, const Sections& sections, int rcode) {
  const auto answer = read(reply(asked, sections, rcode), asked);
  REQUIRE_MESSAGE(answer.has_value(), static_cast<int>(answer.error()));
  return *answer;
}

void refuse(dns::Flaw flaw, const Bytes& asked, const Sections& sections, int rcode) {
  const auto answer = read(reply(asked, sections, rcode), asked);
  REQUIRE_FALSE(answer.has_value());
  CHECK(static_cast<int>(answer.error()) == static_cast<int>(flaw));
}

std::string shown(const dns::Answer& answer) {
  std::string text;
  for (const auto& link : answer.chain) text += (text.empty() ? "" : " ") + dns::to_string(link);
  text += ':';
  for (const auto& ip : answer.addresses) text += ' ' + to_string(ip);
  return text;
}

bool permitted(const Ip& ip) { return !local_addresses().contains(ip) && ip != *parse_ip("203.0.113.66"); }

}  // namespace netjail::test
