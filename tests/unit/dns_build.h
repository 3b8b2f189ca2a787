// DNS messages written record by record, and what netjail makes of them.
#pragma once

#include <initializer_list>

#include "dns_answer.h"
#include "dns_question.h"
#include "resolver_world.h"

namespace netjail::test {

struct Rr {
  Bytes owner;  // wire format, may be a pointer
  std::uint16_t type = kA;
  Bytes data;
  std::uint32_t ttl = 60;
  std::uint16_t of_class = 1;
};
Rr rr(std::string_view owner, std::uint16_t type, Bytes data, std::uint32_t ttl = 60);
Rr address(std::string_view owner, std::string_view ip, std::uint32_t ttl = 60);  // A or AAAA
Rr cname(std::string_view owner, std::string_view target, std::uint32_t ttl = 60);
Rr dname(std::string_view owner, std::string_view target, std::uint32_t ttl = 60);
Rr soa(std::string_view owner, std::uint32_t minimum, std::uint32_t ttl = 3600);
Rr of_class(Rr record, std::uint16_t value);
// The root's OPT record with `options` as they are.
Rr opt(Bytes options = {}, std::uint32_t flags = 0);

using Parameters = std::vector<std::pair<std::uint16_t, Bytes>>;
Rr https(std::string_view owner, std::uint16_t priority, std::string_view target,
         const Parameters& parameters = {}, std::uint32_t ttl = 60);
Bytes octets_of(std::initializer_list<std::string_view> ips);
Bytes numbers(std::initializer_list<std::uint16_t> values);

struct Sections {
  std::vector<Rr> answers;
  std::vector<Rr> authorities = {};
  std::vector<Rr> additional = {};
};
Bytes reply(const Bytes& asked, const Sections& sections, int rcode = 0);

dns::Name name(std::string_view dotted);
dns::Question question_of(const Bytes& asked);

// match_answer, which must take it, and read_answer.
std::expected<dns::Answer, dns::Flaw> read(const Bytes& message, const Bytes& asked);
// The same of records alone; it must succeed, or fail with `flaw`.
dns::Answer teach(const Bytes& asked, const Sections& sections, int rcode = 0);
void refuse(dns::Flaw flaw, const Bytes& asked, const Sections& sections, int rcode = 0);
// The chain and the addresses as text: "a.test b.test: 198.51.100.1".
std::string shown(const dns::Answer& answer);

// Local ones are not permitted, nor is 203.0.113.66.
bool permitted(const Ip& ip);

}  // namespace netjail::test
