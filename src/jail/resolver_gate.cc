#include "resolver_gate.h"

#include <algorithm>

#include "netjail/base/text.h"

namespace netjail {
namespace {

using std::chrono::seconds;

constexpr std::uint32_t kHostsTtl = 60;     // seconds: the file does not change while the jail lives
constexpr std::uint32_t kLocalTtl = 86400;  // of localhost
constexpr std::size_t kMostDerived = 1024;
constexpr std::size_t kDerivedPattern = SIZE_MAX;  // in the place of a pattern's number
constexpr std::string_view kReverse4 = "in-addr.arpa", kReverse6 = "ip6.arpa";
// Names that no server of the internet can answer, or that would tell a client how to go around this one
// (RFC 9462: resolver.arpa).
constexpr std::string_view kElsewhere[] = {"invalid", "onion", "alt", "resolver.arpa"};

std::optional<Name> to_name(const dns::Name& name) {
  return parse_wire_name({reinterpret_cast<const std::uint8_t*>(name.wire.data()), name.wire.size()});
}

dns::Name to_wire(std::string_view text) {
  dns::Name name{{}};
  for (const std::string_view label : split(text, '.')) {
    name.wire.push_back(static_cast<char>(label.size()));
    name.wire.append(label);
  }
  name.wire.push_back('\0');
  return name;
}

// The same of an alias, which may have labels that no rule can name: a '*' is above those, too.
std::optional<Name> to_judged_name(const dns::Name& name) {
  if (auto plain = to_name(name)) return plain;
  dns::Name judged{{}};
  for (std::size_t at = 0; at + 1 < name.wire.size();) {
    const std::string label = name.wire.substr(at, 1U + static_cast<unsigned char>(name.wire[at]));
    judged.wire += to_name({label + '\0'}) ? label : "\1_";
    at += label.size();
  }
  judged.wire.push_back('\0');
  return to_name(judged);
}

bool is_or_below(std::string_view name, std::string_view zone) {
  return name == zone ||
         (name.size() > zone.size() && name.ends_with(zone) && name[name.size() - zone.size() - 1] == '.');
}

// The address that a reverse name stands for; nothing for a part of one.
std::optional<Ip> reverse_address(std::string_view name) {
  const bool ipv4 = is_or_below(name, kReverse4);
  const std::string_view zone = ipv4 ? kReverse4 : kReverse6;
  if (name.size() <= zone.size()) return std::nullopt;
  const auto labels = split(name.substr(0, name.size() - zone.size() - 1), '.');
  std::string text;
  if (ipv4) {
    if (labels.size() != 4) return std::nullopt;
    for (std::size_t at = labels.size(); at-- > 0;) text.append(labels[at]).append(at > 0 ? "." : "");
  } else {
    if (labels.size() != 32) return std::nullopt;
    for (std::size_t at = labels.size(); at-- > 0;) {
      if (labels[at].size() != 1) return std::nullopt;
      text.append(labels[at]).append(at % 4 == 0 && at > 0 ? ":" : "");
    }
  }
  return parse_ip(text);
}

// Without records; the name is there.
dns::Filtered empty_reply(const dns::Name& asked) {
  dns::Filtered reply;
  reply.answer.chain.push_back(asked);
  return reply;
}

// "Blocked", for whoever knows EDNS.
dns::Filtered refusal_reply(const dns::Name& asked, dns::Rcode rcode) {
  dns::Filtered reply = empty_reply(asked);
  reply.answer.rcode = rcode;
  reply.blocked = true;
  return reply;
}

dns::Filtered address_reply(const dns::Name& asked, std::uint16_t type, std::span<const Ip> addresses,
                            std::uint32_t ttl) {
  dns::Filtered reply = empty_reply(asked);
  reply.answer.ttl = ttl;
  for (const Ip& ip : addresses)
    if (type == (ip.family == Family::ipv4 ? dns::kTypeA : dns::kTypeAaaa))
      reply.answer.addresses.push_back(ip);
  return reply;
}

dns::Filtered pointer_reply(const dns::Name& asked, std::string_view name, std::uint32_t ttl) {
  dns::Filtered reply = empty_reply(asked);
  reply.answer.ttl = ttl;
  const dns::Name target = to_wire(name);
  reply.answer.records.emplace_back(target.wire.begin(), target.wire.end());
  return reply;
}

Ruling answered(dns::Filtered reply) { return {.reply = std::move(reply), .verdict = {}, .refused = {}}; }

// Offset of the name in the data of a record that names the place of a service, else nothing.
std::optional<std::size_t> target_offset(std::uint16_t type) {
  switch (type) {
    case dns::kTypeCname: return 0;
    case dns::kTypeMx: return 2;
    case dns::kTypeSrv: return 6;
    default: return std::nullopt;
  }
}

const Ip kLoopback4 = *parse_ip("127.0.0.1"), kLoopback6 = *parse_ip("::1");

bool is_loopback(const Ip& ip) { return ip.family == Family::ipv4 ? ip.bytes[0] == 127 : ip == kLoopback6; }

AddressSet open_addresses(const Policy& policy) {
  AddressSet open, shut;
  for (const Rule& rule : policy.rules) {
    if (rule.action == Action::allow) open = open.united(rule.addresses);
    if (rule.action == Action::deny && rule.services.empty()) shut = shut.united(rule.addresses);
  }
  return open.without(shut);
}

}  // namespace

Gate::Gate(const ResolverSettings& settings)
    : rules_(settings.policy),
      host_(settings.policy.host),
      ipv6_(settings.ipv6 && settings.policy.ipv6),
      search_(settings.search),
      open_(open_addresses(settings.policy)) {
  for (std::string& domain : search_) {
    domain = lower(domain);
    while (domain.ends_with('.')) domain.pop_back();
  }
  for (const HostsName& known : settings.hosts) {
    const NameVerdict verdict = rules_.find(known.name);
    if (verdict.action == Action::deny) continue;
    HostName& host = hosts_[known.name.text];
    host.learners = {verdict.groups, verdict.local_groups};
    for (const Ip& ip : known.addresses)
      (may_tell(ip, verdict.local) ? host.addresses : host.withheld).push_back(ip);
  }
}

// A local address is told where a rule opens it by address, too: it is open already.
bool Gate::may_tell(const Ip& ip, bool local) const {
  if (ip.family == Family::ipv6 && !ipv6_) return false;
  if (host_.contains(ip)) return false;
  if (unroutable_addresses().contains(ip)) return local && is_loopback(ip);  // the jail's own
  return local || !local_addresses().contains(ip) || open_.contains(ip);
}

// The name of a refusal is what the program asked for: the C library appends the search domains, and apt asks
// for the place of the service of every host first.
Ruling Gate::refuse(const dns::Name& asked, std::string rule) const {
  std::string name = dns::to_string(asked);
  Ruling ruling = answered(refusal_reply(asked, dns::Rcode::name_error));
  for (const std::string_view service : {"_http._tcp.", "_https._tcp."}) {
    if (!name.starts_with(service)) continue;
    const auto host = to_name(to_wire(std::string_view(name).substr(service.size())));
    if (host && rules_.find(*host).action == Action::allow) return ruling;
  }
  for (const std::string& domain : search_) {
    if (domain.empty() || !is_or_below(name, domain) || name == domain) continue;
    const std::string stem = name.substr(0, name.size() - domain.size() - 1);
    if (stem.find('.') == std::string::npos) continue;
    const auto meant = to_name(to_wire(stem));
    if (meant && rules_.find(*meant).action == Action::allow) return ruling;  // it asks for that one next
    name = stem;
    break;
  }
  ruling.refused = RefusedName{name, RefusedName::Why::rule, std::move(rule), 1};
  return ruling;
}

std::optional<Ruling> Gate::judge_special(const dns::Name& asked, std::uint16_t type) const {
  const std::string text = dns::to_string(asked);
  if (is_or_below(text, "localhost"))
    return answered(address_reply(asked, type, std::array{kLoopback4, kLoopback6}, kLocalTtl));
  for (const std::string_view zone : kElsewhere)
    if (is_or_below(text, zone)) return answered(refusal_reply(asked, dns::Rcode::name_error));
  if (const auto host = hosts_.find(text); host != hosts_.end())
    return answered(address_reply(asked, type, host->second.addresses, kHostsTtl));
  return std::nullopt;
}

std::optional<Ruling> Gate::judge_reverse(const dns::Name& asked, std::uint16_t type,
                                          const KnownAddresses& known) const {
  const std::string text = dns::to_string(asked);
  if (!is_or_below(text, kReverse4) && !is_or_below(text, kReverse6)) return std::nullopt;
  const auto ip = reverse_address(text);
  if (!ip || type != dns::kTypePtr) return refuse(asked, std::string(kDefaultRule));
  if (is_loopback(*ip)) return answered(pointer_reply(asked, "localhost", kLocalTtl));
  if (const std::string name = known.name_of(*ip); !name.empty())
    return answered(pointer_reply(asked, name, kHostsTtl));
  if (!open_.contains(*ip) || host_.contains(*ip)) return refuse(asked, std::string(kDefaultRule));
  Ruling ruling;
  ruling.fate = Ruling::Fate::ask;
  ruling.verdict.action = Action::allow;
  return ruling;
}

NameVerdict Gate::find(const dns::Name& wire, Time now) const {
  const auto name = to_name(wire);
  if (!name) return {.rule = std::string(kDefaultRule)};
  NameVerdict verdict = rules_.find(*name);
  if (verdict.action == Action::allow || verdict.rule != kDefaultRule) return verdict;
  const auto derived = derived_.find(name->text);
  return derived != derived_.end() && derived->second.until > now ? derived->second.verdict : verdict;
}

Ruling Gate::judge(const dns::Name& asked, std::uint16_t type, const KnownAddresses& known, Time now) const {
  if (auto reverse = judge_reverse(asked, type, known)) return std::move(*reverse);
  if (auto special = judge_special(asked, type)) return std::move(*special);
  NameVerdict verdict = find(asked, now);
  if (verdict.action == Action::deny) return refuse(asked, std::move(verdict.rule));
  if (type == dns::kTypeAaaa && !ipv6_) return answered(empty_reply(asked));
  Ruling ruling;
  ruling.fate = Ruling::Fate::ask;
  ruling.verdict = std::move(verdict);
  return ruling;
}

std::string Gate::pattern(const NameVerdict& verdict) const {
  if (!verdict.wildcard) return {};
  return verdict.wildcard->pattern == kDerivedPattern ? "what answers lead to"
                                                      : to_string(rules_.pattern(verdict.wildcard->pattern));
}

std::optional<RefusedName> Gate::spend(const dns::Name& asked, const NameVerdict& verdict, Time now) {
  if (!verdict.wildcard) return std::nullopt;
  const auto [number, octets] = *verdict.wildcard;
  const std::string name = dns::to_string(asked);
  if (budget_.take(number, std::string_view(name).substr(0, octets), now)) return std::nullopt;
  return RefusedName{name, RefusedName::Why::budget, pattern(verdict), 1};
}

// Names that the answer sends its client to, which then asks for their addresses. The names are the answer's,
// not the program's, but which of a thousand it asks for is a message to whoever runs their servers.
void Gate::derive(const dns::Answer& answer, std::uint16_t type, NameVerdict inherited, Time now) {
  if (inherited.groups.empty()) return;
  const auto add = [&](const dns::Name& target) {
    const auto name = to_name(target);
    if (!name) return;
    if (derived_.size() >= kMostDerived)
      std::erase_if(derived_, [&](const auto& one) { return one.second.until <= now; });
    if (derived_.size() >= kMostDerived) return;
    inherited.wildcard = NameVerdict::Wildcard{kDerivedPattern, name->text.size()};
    derived_.insert_or_assign(name->text, Derived{inherited, now + seconds(answer.ttl) + kLearnedGrace});
  };
  for (const dns::Service& service : answer.services)
    if (service.target != dns::Name{}) add(service.target);
  if (const auto offset = target_offset(type)) {
    for (const dns::Data& data : answer.records)
      if (const auto target = dns::read_name(data, *offset, false)) add(target->name);
  }
}

Passed Gate::pass(dns::Answer answer, std::uint16_t type, const NameVerdict& verdict, Time now) {
  Passed passed;
  const std::string asked = dns::to_string(answer.chain.front());
  passed.learners = {verdict.groups, verdict.local_groups};
  auto& [groups, local_groups] = passed.learners;
  // The id of the rule that denies `name` altogether, else empty; what it is denied in part is learned.
  const auto denied = [&](const dns::Name& wire) -> std::string {
    const auto name = to_judged_name(wire);
    if (!name) return {};
    const NameVerdict other = rules_.find(*name);
    if (other.action == Action::deny && other.rule != kDefaultRule) return other.rule;
    for (const std::size_t group : rules_.denials(*name)) {
      groups.push_back(group);
      local_groups.push_back(group);
    }
    return {};
  };
  const auto report = [&](const dns::Name& other, std::string rule) {
    passed.refused.push_back(
        {asked + " (an alias of " + dns::to_string(other) + ")", RefusedName::Why::rule, std::move(rule), 1});
  };
  // An alias of a denied name is that name. The first of them counts, too: that an answer has led to it may
  // be all that allows it.
  for (const dns::Name& link : answer.chain) {
    if (std::string rule = denied(link); !rule.empty()) {
      passed.filtered = refusal_reply(answer.chain.front(), dns::Rcode::name_error);
      report(link, std::move(rule));
      return passed;
    }
  }
  // Hints are addresses of the target.
  std::erase_if(answer.services, [&](const dns::Service& service) {
    std::string rule = denied(service.target);
    if (rule.empty()) return false;
    report(service.target, std::move(rule));
    return true;
  });
  for (auto* some : {&groups, &local_groups}) {
    std::ranges::sort(*some);
    const auto twice = std::ranges::unique(*some);
    some->erase(twice.begin(), twice.end());
  }

  passed.filtered = dns::filter_answer(
      std::move(answer), [&](const Ip& ip) { return may_tell(ip, verdict.local); }, dns::Ech::keep);
  for (const Ip& ip : passed.filtered.refused)
    if (ip.family == Family::ipv4 || ipv6_)
      passed.refused.push_back({asked, RefusedName::Why::address, to_string(ip), 1});
  NameVerdict inherited = verdict;
  inherited.groups = groups;
  inherited.local_groups = local_groups;
  derive(passed.filtered.answer, type, std::move(inherited), now);
  return passed;
}

}  // namespace netjail
