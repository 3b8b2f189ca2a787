#include "dns.h"

#include <arpa/inet.h>
#include <fmt/format.h>

#include <algorithm>

#include "netjail/base/text.h"

namespace netjail::test {
namespace {

constexpr std::size_t kHeader = 12;
constexpr std::uint16_t kTypeOpt = 41;

std::uint16_t get_u16(std::string_view text, std::size_t at) {
  return static_cast<std::uint16_t>(static_cast<unsigned char>(text[at]) << 8 |
                                    static_cast<unsigned char>(text[at + 1]));
}
void put_u16(std::string& text, std::size_t value) {
  text.push_back(static_cast<char>(value >> 8 & 0xff));
  text.push_back(static_cast<char>(value & 0xff));
}
void put_u32(std::string& text, std::uint32_t value) {
  put_u16(text, value >> 16);
  put_u16(text, value & 0xffff);
}

std::string wire_name(std::string_view name) {
  std::string wire;
  for (const auto label : split(name, '.')) {
    wire.push_back(static_cast<char>(label.size()));
    wire += label;
  }
  wire.push_back('\0');
  return wire;
}

// The name at `at`, which then stands behind it. No compression: a question has none.
std::optional<std::string> read_name(std::string_view text, std::size_t& at) {
  std::string name;
  while (at < text.size()) {
    const auto size = static_cast<unsigned char>(text[at++]);
    if (size == 0) return lower(name);
    if (size > 63 || at + size > text.size()) return std::nullopt;
    if (!name.empty()) name.push_back('.');
    name += text.substr(at, size);
    at += size;
  }
  return std::nullopt;
}

struct Query {
  DnsQuestion question;
  std::size_t end = 0;          // of the question section
  std::size_t announced = 512;  // octets of an answer over UDP
  bool edns = false;
};

std::optional<Query> read_query(std::string_view text) {
  if (text.size() < kHeader || get_u16(text, 4) != 1 || (static_cast<unsigned char>(text[2]) & 0x80) != 0)
    return std::nullopt;
  Query query;
  std::size_t at = kHeader;
  const auto name = read_name(text, at);
  if (!name || at + 4 > text.size()) return std::nullopt;
  query.question = {.name = *name, .type = get_u16(text, at)};
  query.end = at + 4;
  // An OPT record of the root name, if it is the first additional record.
  if (get_u16(text, 10) > 0 && query.end + 11 <= text.size() && text[query.end] == 0 &&
      get_u16(text, query.end + 1) == kTypeOpt) {
    query.edns = true;
    query.announced = std::max<std::size_t>(512, get_u16(text, query.end + 3));
  }
  return query;
}

void put_record(std::string& answer, const std::string& owner, const DnsRecord& record) {
  answer += owner;
  put_u16(answer, record.type);
  put_u16(answer, 1);
  put_u32(answer, record.ttl);
  put_u16(answer, record.data.size());
  answer += record.data;
}

DnsTable::const_iterator find_name(const DnsTable& table, const std::string& name) {
  auto entry = table.find(name);
  for (auto dot = name.find('.'); entry == table.end() && dot != name.npos; dot = name.find('.', dot + 1))
    entry = table.find('*' + name.substr(dot));
  return entry;
}

// Into the last four octets.
void put_number(std::string& data, std::uint32_t number) {
  std::string octets;
  put_u32(octets, number);
  data.replace(data.size() - octets.size(), octets.size(), octets);
}

// Records of `name` for `type`, an alias followed within the table. False: the name does not exist.
bool put_answers(std::string& answers, std::size_t& count, const DnsTable& table, const std::string& name,
                 std::uint16_t type, int depth = 0) {
  const auto entry = find_name(table, name);
  if (entry == table.end()) return false;
  for (DnsRecord record : entry->second.records) {
    if (record.type != type && record.type != kTypeCname) continue;
    if (entry->second.numbered)
      put_number(record.data, static_cast<std::uint32_t>(std::strtoul(name.c_str(), nullptr, 16)));
    put_record(answers, wire_name(name), record);
    ++count;
    if (record.type != kTypeCname || type == kTypeCname || depth > 8) continue;
    std::size_t at = 0;
    if (const auto target = read_name(record.data, at))
      put_answers(answers, count, table, *target, type, depth + 1);
  }
  return true;
}

}  // namespace

DnsRecord dns_address(std::string_view address, std::uint32_t ttl) {
  const std::string text(address);
  char octets[16];
  if (::inet_pton(AF_INET, text.c_str(), octets) == 1)
    return {.type = kTypeA, .data = {octets, 4}, .ttl = ttl};
  if (::inet_pton(AF_INET6, text.c_str(), octets) == 1)
    return {.type = kTypeAaaa, .data = {octets, 16}, .ttl = ttl};
  return {.type = kTypeTxt, .data = "not an address: " + text, .ttl = ttl};
}

DnsRecord dns_alias(std::string_view name, std::uint32_t ttl) {
  return {.type = kTypeCname, .data = wire_name(name), .ttl = ttl};
}

DnsRecord dns_text(std::string_view text, std::uint32_t ttl) {
  std::string data;
  for (; text.size() > 255; text.remove_prefix(255)) data.append("\xff").append(text.substr(0, 255));
  data.push_back(static_cast<char>(text.size()));
  data += text;
  return {.type = kTypeTxt, .data = data, .ttl = ttl};
}

DnsTable default_dns_table() {
  DnsTable table;
  table["allowed.test"].records = {dns_address("198.51.100.10"), dns_address("2001:db8:1::10"),
                                   dns_text("allowed")};
  table["other.test"].records = {dns_address("203.0.113.10"), dns_address("2001:db8:2::10")};
  table["v4only.test"].records = {dns_address("198.51.100.11")};
  table["v6only.test"].records = {dns_address("2001:db8:1::11")};
  table["alias.test"].records = {dns_alias("allowed.test")};
  table["lan.test"].records = {dns_address("192.168.77.10"), dns_address("fd77::10")};
  table["mixed.test"].records = {dns_address("198.51.100.10"), dns_address("192.168.77.10")};
  for (int i = 1; i <= 200; ++i) {
    table["big.test"].records.push_back(dns_address(fmt::format("203.0.113.{}", i)));
    table["big.test"].records.push_back(dns_address(fmt::format("2001:db8:2::{:x}", i)));
  }
  table["slow.test"] = {.records = {dns_address("198.51.100.10"), dns_address("2001:db8:1::10")},
                        .delay = std::chrono::milliseconds(300)};
  table["cloaked.test"].records = {dns_alias("other.test")};
  table["*.zone.test"].records = {dns_address("198.51.100.11")};
  table["*.rotate.test"] = {.records = {dns_address("2001:db8:3::", 0)}, .numbered = true};
  table["silent.test"] = {.records = {dns_address("198.51.100.10")}, .silent = true};
  return table;
}

std::optional<DnsQuestion> read_dns_question(std::string_view query) {
  const auto read = read_query(query);
  if (!read) return std::nullopt;
  return read->question;
}

std::string make_dns_answer(std::string_view query, const DnsTable& table, std::size_t limit) {
  const auto read = read_query(query);
  if (!read) return {};
  std::string records;
  std::size_t count = 0;
  const bool exists = put_answers(records, count, table, read->question.name, read->question.type);
  const std::size_t room = limit == 65535 ? limit : std::min(limit, read->announced);
  const bool truncated = read->end + records.size() + (read->edns ? 11 : 0) > room;
  if (truncated) records.clear(), count = 0;

  std::string answer(query.substr(0, 2));
  const int recursion_desired = query[2] & 1;
  put_u16(answer, static_cast<std::size_t>(0x8080 | recursion_desired << 8 | (truncated ? 0x200 : 0) |
                                           (exists ? 0 : 3)));  // QR, RA, RD, TC, NXDOMAIN
  put_u16(answer, 1);
  put_u16(answer, count);
  put_u16(answer, 0);
  put_u16(answer, read->edns ? 1 : 0);
  answer += query.substr(kHeader, read->end - kHeader);
  answer += records;
  if (read->edns) {
    answer.push_back('\0');
    put_u16(answer, kTypeOpt);
    put_u16(answer, 1232);
    put_u32(answer, 0);
    put_u16(answer, 0);
  }
  return answer;
}

}  // namespace netjail::test
