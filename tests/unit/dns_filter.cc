// What of an answer is passed on, and how it is told.
#include <doctest/doctest.h>

#include <algorithm>
#include <random>

#include "dns_build.h"
#include "dns_reply.h"
#include "dns_scan.h"

using namespace netjail;
using namespace netjail::test;
using dns::Ech;

namespace {

const Bytes kAsked = query(0x1234, "A.Test", kA, 1232);

dns::Filtered filter(const dns::Answer& answer, Ech ech = Ech::keep) {
  return dns::filter_answer(answer, permitted, ech);
}

Bytes reply_of(const Bytes& asked, const Sections& sections, int rcode = 0, Ech ech = Ech::keep) {
  return dns::make_reply(filter(teach(asked, sections, rcode), ech), asked, question_of(asked));
}

Ip ip(std::string_view text) { return *parse_ip(text); }

bool holds(const Bytes& message, dns::Octets part) { return !std::ranges::search(message, part).empty(); }

}  // namespace

TEST_CASE("addresses that may not be told are taken out") {
  const auto answer =
      teach(kAsked, {.answers = {address("a.test", "198.51.100.1"), address("a.test", "10.1.2.3"),
                                 address("a.test", "203.0.113.66"), address("a.test", "203.0.113.67")}});
  const auto filtered = filter(answer);
  CHECK(shown(filtered.answer) == "a.test: 198.51.100.1 203.0.113.67");
  CHECK(filtered.refused == std::vector{ip("10.1.2.3"), ip("203.0.113.66")});
  CHECK_FALSE(filtered.blocked);
  const auto everything = dns::filter_answer(
      answer, [](const Ip&) { return true; }, Ech::keep);
  CHECK(everything.answer == answer);
  CHECK(everything.refused.empty());
}

TEST_CASE("rebinding: every form of a local or denied address is refused") {
  const Bytes asked = query(1, "a.test", kAaaa);
  for (const auto* text :
       {"::ffff:192.168.1.1", "::192.168.1.1", "64:ff9b::192.168.1.1", "64:ff9b:1::192.168.1.1",
        "2002:c0a8:101::1", "2001::1", "::1", "::", "fe80::1", "fd00:ec2::254", "ff02::1",
        // 203.0.113.66, which is denied but not local
        "64:ff9b::203.0.113.66", "2002:cb00:7142::1"}) {
    const auto filtered =
        filter(teach(asked, {.answers = {address("a.test", text), address("a.test", "2001:db8::1")}}));
    CHECK_MESSAGE(shown(filtered.answer) == "a.test: 2001:db8::1", text);
    CHECK(filtered.refused == std::vector{ip(text)});
  }
  for (const auto* text : {"64:ff9b::203.0.113.67", "2002:cb00:7143::1"})
    CHECK_MESSAGE(filter(teach(asked, {.answers = {address("a.test", text)}})).refused.empty(), text);
  // Teredo is local as such; where it is permitted, the client's address counts.
  const auto denies = [](const Ip& one) { return one != ip("203.0.113.66"); };
  const auto teredo = teach(asked, {.answers = {address("a.test", "2001::34ff:8ebd")}});
  CHECK(dns::filter_answer(teredo, denies, Ech::keep).blocked);
}

TEST_CASE("nothing left: NOERROR without records, not to be kept, Blocked") {
  auto filtered = filter(teach(kAsked, {.answers = {address("a.test", "127.0.0.1", 60)}}));
  CHECK(filtered.blocked);
  CHECK(filtered.answer.negative());
  CHECK(filtered.answer.ttl == 0);
  Bytes wanted(kAsked.begin(), kAsked.end() - 11);
  wanted[2] = 0x81, wanted[3] = 0x80, wanted[11] = 1;
  append(wanted, {0, 0, 41, 4, 0xd0, 0, 0, 0, 0, 0, 6, 0, 15, 0, 2, 0, 15});
  CHECK(dns::make_reply(filtered, kAsked, question_of(kAsked)) == wanted);

  filtered = filter(teach(kAsked, {.answers = {cname("a.test", "b.test"), address("b.test", "127.0.0.1")}}));
  CHECK(filtered.blocked);
  CHECK(shown(filtered.answer) == "a.test b.test:");
  CHECK_FALSE(filter(teach(kAsked, {.answers = {}})).blocked);
  CHECK_FALSE(filter(teach(kAsked, {.authorities = {soa("test", 9)}}, 3)).blocked);
}

TEST_CASE("the reply: the client's id, RD, CD and spelling, our flags, one TTL") {
  Bytes asked = kAsked;
  const auto sections =
      Sections{.answers = {cname("a.test", "b.test", 300), address("b.test", "198.51.100.1", 60)}};
  Bytes wanted(asked.begin(), asked.end() - 11);
  wanted[2] = 0x81, wanted[3] = 0x80, wanted[7] = 2, wanted[11] = 1;
  append(wanted, {0xc0, 12, 0, 5, 0, 1, 0, 0, 0, 60, 0, 8, 1, 'b', 4, 't', 'e', 's', 't', 0});
  append(wanted, {0xc0, 36, 0, 1, 0, 1, 0, 0, 0, 60, 0, 4, 198, 51, 100, 1});
  append(wanted, {0, 0, 41, 4, 0xd0, 0, 0, 0, 0, 0, 0});
  CHECK(reply_of(asked, sections) == wanted);
  asked[2] = 0, asked[3] = 0x30;  // no RD; AD and CD
  wanted[2] = 0x80, wanted[3] = 0x90;
  CHECK(reply_of(asked, sections) == wanted);
  // No OPT for who sent none; options and flags of an OPT are not repeated.
  const Bytes old(kAsked.begin(), kAsked.end() - 11);
  Bytes without = old;
  without[11] = 0;
  CHECK(count_of(reply_of(without, sections), 3) == 0);
  CHECK_FALSE(holds(reply_of(without, {.answers = {address("a.test", "127.0.0.1")}}), Bytes{0, 41}));
}

TEST_CASE("nothing else of the server's message is passed on") {
  const Bytes marker{0xde, 0xad, 0xbe, 0xef};
  const auto marked = [&](std::string_view owner, std::uint16_t type) { return rr(owner, type, marker); };
  Bytes options{0, 10, 0, 4}, padding{0, 12, 0, 4};
  append(options, marker);
  append(padding, marker);
  append(options, padding);
  const Bytes message = reply_of(
      kAsked, {.answers = {address("a.test", "198.51.100.1"), marked("a.test", 65399), marked("b.test", 1)},
               .authorities = {marked("test", 65399)},
               .additional = {marked("a.test", 1), opt(options, 0x8000)}});
  CHECK_FALSE(holds(message, marker));
  CHECK(message.size() == kAsked.size() + 16);
  Bytes flags = reply(kAsked, {.answers = {address("a.test", "198.51.100.1")}});
  flags[2] |= 4, flags[3] |= 0x70;  // AA, Z, AD, CD
  const auto filtered = filter(*read(flags, kAsked));
  CHECK(dns::make_reply(filtered, kAsked, question_of(kAsked)) == message);
}

TEST_CASE("negative replies have the SOA; truncated ones TC and the question") {
  const Bytes message = reply_of(kAsked, {.authorities = {soa("test", 900)}}, 3);
  CHECK(rcode_of(message) == 3);
  CHECK(count_of(message, 1) == 0);
  CHECK(count_of(message, 2) == 1);
  const auto again = read(message, kAsked);
  REQUIRE(again.has_value());
  CHECK(again->ttl == 900);
  Bytes cut = reply(kAsked, {.answers = {address("a.test", "198.51.100.1")}});
  cut[2] |= 2;
  const Bytes told = dns::make_reply(filter(*read(cut, kAsked)), kAsked, question_of(kAsked));
  CHECK(truncated(told));
  CHECK(count_of(told, 1) == 0);
}

TEST_CASE("services: hints are told addresses, ECH goes when it is to go") {
  const Bytes asked = query(1, "a.test", dns::kTypeHttps, 1232);
  const Parameters parameters{{4, octets_of({"198.51.100.2", "192.168.0.1"})}, {5, bytes("config")}};
  const Sections sections{.answers = {https("a.test", 1, "", parameters),
                                      https("a.test", 2, "b.test", parameters),
                                      https("a.test", 3, "", {{4, octets_of({"198.51.100.1"})}})}};
  const auto filtered = filter(teach(asked, sections), Ech::strip);
  CHECK(dns::told_addresses(filtered.answer) == std::vector{ip("198.51.100.1"), ip("198.51.100.2")});
  CHECK(filtered.refused == std::vector{ip("192.168.0.1"), ip("192.168.0.1")});
  const Bytes message = reply_of(asked, sections, 0, Ech::strip);
  CHECK_FALSE(holds(message, bytes("config")));
  CHECK(holds(reply_of(asked, sections), bytes("config")));
  CHECK(scan_addresses(message) == std::vector{ip("198.51.100.2"), ip("198.51.100.2"), ip("198.51.100.1")});
  // Of a name's addresses none is told twice either.
  const Rr twice = address("a.test", "198.51.100.1");
  CHECK(dns::told_addresses(teach(kAsked, {.answers = {twice, twice}})).size() == 1);
  // Services of which nothing is left.
  const Parameters needed{{0, numbers({4})}, {4, octets_of({"192.168.0.1"})}};
  CHECK(filter(teach(asked, {.answers = {https("a.test", 1, "", needed)}})).blocked);
}

TEST_CASE("a long chain and many addresses are told in no more octets than the server needed") {
  std::vector<Rr> records{cname("a.test", "edge.cdn.example"),
                          cname("edge.cdn.example", "x.edge.cdn.example")};
  for (int index = 1; index <= 200; ++index)
    records.push_back(address("x.edge.cdn.example", "198.51.100." + std::to_string(index)));
  const Bytes message = reply_of(kAsked, {.answers = records});
  CHECK(message.size() < kAsked.size() + 2 * 32 + 200 * 16);
}

namespace {

// Answers that are nearly right: chains in any order with records of each type, foreign and refused ones
// among them.
class Generator {
 public:
  explicit Generator(unsigned seed) : random_(seed) {}

  std::uint16_t type() {
    return pick<std::uint16_t>({kA, kA, kAaaa, dns::kTypeHttps, dns::kTypeMx, dns::kTypeCname});
  }
  std::size_t below(std::size_t limit) { return random_() % limit; }

  Sections sections(std::uint16_t type) {
    Sections sections;
    std::string owner = "a.test";
    const std::size_t links = below(4);
    for (std::size_t link = 0; link < links; ++link) {
      const std::string target =
          "n" + std::to_string(link) + pick<const char*>({".test", ".Example", ".x.y.test"});
      sections.answers.push_back(cname(owner, target, ttl()));
      owner = target;
    }
    for (std::size_t count = below(5); count > 0; --count) sections.answers.push_back(record(owner, type));
    for (std::size_t count = below(3); count > 0; --count)
      sections.answers.push_back(record(pick<const char*>({"b.test", "", "test", "n1.test"}), type));
    if (below(8) == 0) sections.answers.push_back(dname("test", "x.y.test", ttl()));
    std::ranges::shuffle(sections.answers, random_);
    if (below(3) == 0)
      sections.authorities.push_back(soa(pick<const char*>({"test", "", "example"}), ttl(), ttl()));
    if (below(2) == 0) sections.additional.push_back(record(owner, kA));
    if (below(2) == 0) sections.additional.push_back(opt());
    return sections;
  }

 private:
  template <class T>
  T pick(std::initializer_list<T> list) {
    return list.begin()[below(list.size())];
  }
  std::uint32_t ttl() { return pick<std::uint32_t>({0, 1, 60, 3600, 100000, 0x80000001}); }
  std::string_view ipv4() {
    return pick<std::string_view>({"198.51.100.1", "198.51.100.2", "192.168.1.1", "203.0.113.66"});
  }
  std::string_view ipv6() {
    return pick<std::string_view>({"2001:db8::1", "fd00::1", "64:ff9b::203.0.113.66", "2002:cb00:7142::1"});
  }
  Rr record(std::string_view owner, std::uint16_t type) {
    if (type == kA) return address(owner, ipv4(), ttl());
    if (type == kAaaa) return address(owner, ipv6(), ttl());
    if (type == dns::kTypeMx) return rr(owner, type, {0, 1, 4, 'M', 'a', 'i', 'l', 0xc0, 12}, ttl());
    if (type == dns::kTypeCname) return cname(owner, "C.test", ttl());
    Parameters parameters;
    if (below(4) == 0) parameters.push_back({0, numbers({4})});
    if (below(2) == 0 || !parameters.empty()) parameters.push_back({4, octets_of({ipv4(), ipv4()})});
    if (below(2) == 0) parameters.push_back({5, bytes("config")});
    if (below(2) == 0) parameters.push_back({6, octets_of({ipv6()})});
    return https(owner, static_cast<std::uint16_t>(below(3)), pick<const char*>({"", "b.test"}), parameters,
                 ttl());
  }

  std::mt19937 random_;
};

}  // namespace

TEST_CASE("whatever is read: the reply is well-formed, has no refused address, and says the allowed part") {
  Generator generator(1);
  int replies = 0, refused = 0, blocked = 0;
  for (int round = 0; round < 20000; ++round) {
    const Bytes asked = query(7, "A.test", generator.type(), round % 2 ? 1232 : 0);
    const auto question = question_of(asked);
    Bytes message = reply(asked, generator.sections(question.type), round % 5 == 0 ? 3 : 0);
    const bool mutated = round % 3 == 0;
    for (auto change = mutated ? generator.below(3) : 0; change > 0; --change)
      message[generator.below(message.size())] = static_cast<std::uint8_t>(generator.below(256));
    const auto matched = dns::match_answer(message, asked, question);
    if (!matched) continue;
    const auto answer = dns::read_answer(*matched, question);
    if (!answer) continue;
    const auto filtered = filter(*answer, round % 7 == 0 ? Ech::strip : Ech::keep);
    Bytes told = dns::make_reply(filtered, asked, question);
    ++replies;
    CHECK(told.size() <= dns::largest_reply(filtered.answer));
    refused += filtered.refused.empty() ? 0 : 1;
    blocked += filtered.blocked ? 1 : 0;

    const auto addresses = scan_addresses(told);
    REQUIRE(addresses.has_value());
    for (const Ip& ip : *addresses) {
      CHECK_MESSAGE(permitted(ip), to_string(ip));
      CHECK(std::ranges::count(dns::told_addresses(filtered.answer), ip) == 1);
    }
    // Cruder still: the octets of the denied address, in whatever form. A changed octet may make another
    // form of it, which means nothing.
    if (!mutated) CHECK_FALSE(holds(told, Bytes{203, 0, 113, 66}));
    const auto rematched = dns::match_answer(told, asked, question);
    REQUIRE(rematched.has_value());
    CHECK(rematched->size() == told.size());
    const auto again = dns::read_answer(*rematched, question);
    REQUIRE(again.has_value());
    CHECK(*again == filtered.answer);
  }
  CHECK(replies > 12000);
  CHECK(refused > 4000);
  CHECK(blocked > 500);
}
