// What an answer may open under a policy.
//
// The first octet chooses the question's type; the rest is an answer that is made to begin like one to it
// (id, flags, one question). Under rules with denials, local = true and a range that is open by address,
// nothing of it may tell an address that is not open, or lead through a name that is denied.
#include <algorithm>
#include <array>
#include <cstdint>
#include <cstdlib>
#include <vector>

#include "../unit/dns_scan.h"
#include "dns_question.h"
#include "dns_reply.h"
#include "resolver_gate.h"

using namespace netjail;

namespace {

void require(bool truth) {
  if (!truth) std::abort();
}

constexpr std::array<std::uint16_t, 8> kTypes{dns::kTypeA,  dns::kTypeAaaa, dns::kTypeHttps, dns::kTypeCname,
                                              dns::kTypeMx, dns::kTypeSrv,  dns::kTypeTxt,   dns::kTypePtr};

Rule by_name(std::string id, Action action, NamePattern pattern, std::vector<Service> services) {
  return {.id = std::move(id),
          .action = action,
          .names = {std::move(pattern)},
          .name_services = std::move(services)};
}

const AddressSet& open_range() {
  static const AddressSet set({range_of(*parse_prefix("192.168.0.0/16"))});
  return set;
}

ResolverSettings make_settings() {
  const Service ssh{kTcp, PortRange{22, 22}, {}};
  ResolverSettings settings;
  auto& rules = settings.policy.rules;
  rules.push_back(by_name("allow-1", Action::allow, {Name{"a.test"}}, {ssh}));
  rules.push_back({.id = "allow-2", .action = Action::allow, .addresses = open_range()});
  rules.push_back(by_name("deny-1", Action::deny, {Name{"b.test"}, true}, {}));
  rules.push_back(by_name("deny-2", Action::deny, {Name{"c.test"}}, {ssh}));
  settings.policy.host = AddressSet({range_of(*parse_prefix("198.51.100.0/25"))});
  return settings;
}

bool is_denied(const dns::Name& name) {
  const std::string text = dns::to_string(name);
  return text.ends_with(".b.test");
}

void judge(std::uint8_t how, dns::Octets rest) {
  static const ResolverSettings settings = make_settings();
  static const auto now = std::chrono::steady_clock::now();
  Gate gate(settings);
  const std::uint16_t type = kTypes[how & 7];
  const dns::Name name{std::string("\1a\4test\0", 8)};
  const dns::Data asked = dns::make_question(name, type, 0x1234, {});
  const dns::Query query = dns::check_question(asked);
  require(query.fate == dns::Query::Fate::forward);
  std::vector<std::uint8_t> message(rest.begin(), rest.end());
  if (message.size() < query.question->end) return;
  std::copy_n(asked.begin(), query.question->end, message.begin());
  message[2] = 0x81;
  message[3] = rest[3] & 0x0f;
  std::copy_n(rest.begin() + dns::kAnswerCount, dns::kHeader - dns::kAnswerCount,
              message.begin() + dns::kAnswerCount);
  const auto matched = dns::match_answer(message, asked, *query.question);
  if (!matched) return;
  auto answer = dns::read_answer(*matched, *query.question);
  if (!answer) return;

  const bool denied = std::ranges::any_of(answer->chain, is_denied);
  const Ruling ruling = gate.judge(name, type, KnownAddresses(), now);
  require(ruling.fate == Ruling::Fate::ask && ruling.verdict.action == Action::allow);
  const Passed passed = gate.pass(std::move(*answer), type, ruling.verdict, now);
  const auto told = test::scan_addresses(dns::make_reply(passed.filtered, asked, *query.question));
  require(told.has_value());
  require(!denied || told->empty());
  for (const Ip& ip : *told) {
    require(!settings.policy.host.contains(ip));
    const bool local = local_addresses().contains(ip);
    require(!local || open_range().contains(ip));
    const auto& groups = passed.learners.of(ip);
    require(std::ranges::is_sorted(groups) && (groups.empty() || groups.back() < 2));
    // A local address is learned by nobody who allows it.
    require(!local || std::ranges::find(groups, 0u) == groups.end());
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size > 0) judge(data[0], {data + 1, std::min<std::size_t>(size - 1, dns::kMaxMessage)});
  return 0;
}
