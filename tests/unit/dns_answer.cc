// What is read from an answer: records, times, refusals.
#include "dns_answer.h"

#include <doctest/doctest.h>

#include "dns_build.h"

using namespace netjail;
using namespace netjail::test;
using dns::Flaw;

namespace {

const Bytes kAsked = query(1, "a.test", kA, 1232);

std::uint32_t ttl_of(const Sections& sections, int rcode = 0) { return teach(kAsked, sections, rcode).ttl; }

// read_answer of octets that match_answer would not let through.
Flaw flaw_of(const Bytes& message) {
  const auto answer = dns::read_answer(message, question_of(kAsked));
  REQUIRE_FALSE(answer.has_value());
  return answer.error();
}

}  // namespace

TEST_CASE("the time is the shortest of the aliases and the records") {
  CHECK(ttl_of({.answers = {address("a.test", "198.51.100.1", 300)}}) == 300);
  CHECK(ttl_of({.answers = {address("a.test", "198.51.100.1", 300),
                            address("a.test", "198.51.100.2", 20)}}) == 20);
  const auto chain = [](std::uint32_t first, std::uint32_t second, std::uint32_t last) {
    return Sections{.answers = {cname("a.test", "b.test", first), cname("b.test", "c.test", second),
                                address("c.test", "198.51.100.1", last)}};
  };
  CHECK(ttl_of(chain(1, 2, 3)) == 1);
  CHECK(ttl_of(chain(2, 1, 3)) == 1);
  CHECK(ttl_of(chain(3, 2, 1)) == 1);
  CHECK(ttl_of({.answers = {cname("a.test", "b.test", 50)}}) == 50);
  const Bytes asked = query(1, "www.a.test");
  const std::vector<Rr> derived{dname("a.test", "b.test", 7), cname("www.a.test", "www.b.test", 9),
                                address("www.b.test", "198.51.100.1", 60)};
  CHECK(teach(asked, {.answers = derived}).ttl == 7);
  // Foreign records do not count.
  CHECK(ttl_of({.answers = {address("a.test", "198.51.100.1", 60), address("b.test", "198.51.100.1", 1)}}) ==
        60);
}

TEST_CASE("times are capped, and 0 when the top bit is set") {
  const auto of = [](std::uint32_t ttl) {
    return ttl_of({.answers = {address("a.test", "198.51.100.1", ttl)}});
  };
  CHECK(of(0) == 0);
  CHECK(of(86400) == 86400);
  CHECK(of(86401) == 86400);
  CHECK(of(0x7fffffff) == 86400);
  CHECK(of(0x80000000) == 0);
  CHECK(of(0xffffffff) == 0);
}

TEST_CASE("negative answers keep the SOA of a zone that the name can be in") {
  const auto negative = [](Rr authority, int rcode = 3) {
    return teach(kAsked, {.authorities = {std::move(authority)}}, rcode);
  };
  auto answer = negative(soa("Test", 900));
  CHECK(answer.rcode == dns::Rcode::name_error);
  CHECK(answer.ttl == 900);
  REQUIRE(answer.authority.has_value());
  CHECK(answer.authority->owner == name("test"));
  Bytes data = wire_name("ns.example");
  append(data, wire_name("admin.example"));
  CHECK(Bytes(answer.authority->data.begin(), answer.authority->data.end() - 20) == data);
  CHECK(negative(soa("test", 900), 0).rcode == dns::Rcode::none);
  CHECK(negative(soa("test", 900, 30)).ttl == 30);
  CHECK(negative(soa("test", 86400, 86400)).ttl == 10800);
  CHECK(negative(soa("test", 0xffffffff)).ttl == 0);
  CHECK(negative(soa("", 900)).authority.has_value());
  CHECK(negative(soa("a.test", 900)).authority.has_value());
  for (const auto* foreign : {"x.a.test", "example", "b.test"}) {
    CHECK_FALSE(negative(soa(foreign, 900)).authority.has_value());
    CHECK(negative(soa(foreign, 900)).ttl == 0);
  }
  CHECK_FALSE(negative(of_class(soa("test", 900), 3)).authority.has_value());

  // With aliases it is of the last name, and the aliases count.
  const std::vector<Rr> aliases{cname("a.test", "b.example", 100)};
  answer = teach(kAsked, {.answers = aliases, .authorities = {soa("test", 9), soa("example", 900)}}, 3);
  CHECK(answer.authority->owner == name("example"));
  CHECK(answer.ttl == 100);
  // There is none beside records.
  const Rr record = address("a.test", "198.51.100.1");
  CHECK_FALSE(teach(kAsked, {.answers = {record}, .authorities = {soa("test", 9)}}).authority.has_value());
  refuse(Flaw::contradiction, kAsked, {.answers = {record}}, 3);
}

TEST_CASE("failures teach nothing") {
  const Rr record = address("a.test", "198.51.100.1");
  for (const int rcode : {1, 2, 4, 5, 6, 9, 15}) refuse(Flaw::failure, kAsked, {.answers = {record}}, rcode);
  // BADVERS and the like have their upper bits in the OPT.
  refuse(Flaw::failure, kAsked, {.answers = {record}, .additional = {opt({}, 0x01000000)}});
  CHECK(teach(kAsked, {.answers = {record}, .additional = {opt({}, 0x00008000)}}).addresses.size() == 1);
}

TEST_CASE("what was cut off teaches nothing") {
  Bytes message = reply(kAsked, {.answers = {address("a.test", "198.51.100.1")}});
  message[2] |= 2;
  auto answer = read(message, kAsked);
  REQUIRE(answer.has_value());
  CHECK(answer->truncated);
  CHECK(answer->negative());
  CHECK(answer->ttl == 0);
  CHECK(answer->chain == std::vector{name("a.test")});
  message.erase(message.end() - 2, message.end());
  CHECK(read(message, kAsked) == answer);
}

TEST_CASE("names in the data of other types are uncompressed and in lower case") {
  const auto data = [](std::uint16_t type, Bytes wire) {
    const Bytes asked = query(1, "a.test", type);
    return teach(asked, {.answers = {rr("a.test", type, std::move(wire))}}).records.at(0);
  };
  const Bytes full = wire_name("Mail.a.test"), lower = wire_name("mail.a.test");
  const Bytes pointing{4, 'M', 'a', 'i', 'l', 0xc0, 12};
  for (const Bytes& target : {full, pointing}) {
    Bytes wire = target;
    CHECK(data(dns::kTypePtr, wire) == lower);
    wire.insert(wire.begin(), {0, 10});
    Bytes wanted{0, 10};
    append(wanted, lower);
    CHECK(data(dns::kTypeMx, wire) == wanted);
    wire.insert(wire.begin(), {0, 1, 0, 2});
    wanted.insert(wanted.begin(), {0, 1, 0, 2});
    CHECK(data(dns::kTypeSrv, wire) == wanted);
  }
  CHECK(data(kTxt, bytes("\3Abc")) == bytes("\3Abc"));
}

TEST_CASE("messages that match_answer refuses are refused here too") {
  const Bytes good = reply(kAsked, {.answers = {address("a.test", "198.51.100.1")}});
  CHECK(dns::read_answer(good, question_of(kAsked)).has_value());
  for (std::size_t size = 0; size < good.size(); ++size)
    CHECK(flaw_of(Bytes(good.begin(), good.begin() + static_cast<std::ptrdiff_t>(size))) == Flaw::malformed);
  Bytes short_address = good;
  short_address.pop_back();
  short_address[short_address.size() - 4] = 3;
  CHECK(flaw_of(short_address) == Flaw::malformed);
  CHECK(flaw_of(reply(kAsked, {.answers = {rr("a.test", dns::kTypeCname, {1, 'b', 0, 0})}})) ==
        Flaw::malformed);
  CHECK(flaw_of(reply(kAsked, {.answers = {rr("a.test", dns::kTypeCname, {1, 'b'})}})) == Flaw::malformed);
  CHECK(flaw_of(reply(query(1, "w.a.test"), {.answers = {}})) == Flaw::malformed);  // another question's end

  const Bytes mail = query(1, "a.test", dns::kTypeMx);
  const Bytes one_octet = reply(mail, {.answers = {rr("a.test", dns::kTypeMx, {1})}});
  CHECK(dns::read_answer(one_octet, question_of(mail)).error() == Flaw::malformed);
  // A type that nobody may ask for.
  const Bytes spf = query(1, "a.test", 99);
  const Bytes unknown = reply(spf, {.answers = {rr("a.test", 99, bytes("\1x"))}});
  CHECK(dns::read_answer(unknown, question_of(spf)).error() == Flaw::malformed);
  Rr broken = soa("test", 1);
  broken.data.pop_back();
  CHECK(flaw_of(reply(kAsked, {.authorities = {broken}})) == Flaw::malformed);
  broken.data = {1};
  CHECK(flaw_of(reply(kAsked, {.authorities = {broken}})) == Flaw::malformed);
  broken.data = {0, 1};
  CHECK(flaw_of(reply(kAsked, {.authorities = {broken}})) == Flaw::malformed);
  CHECK(flaw_of(reply(query(1, "w.test", kA), {.answers = {dname("test", "b")}})) == Flaw::false_alias);
  const Bytes derived = query(1, "w.test", kA);
  const Bytes no_target = reply(derived, {.answers = {rr("test", dns::kTypeDname, {9})}});
  CHECK(dns::read_answer(no_target, question_of(derived)).error() == Flaw::malformed);
}

TEST_CASE("a name's pointers point back, and are few") {
  Bytes message(12);
  const auto reads = [&](std::size_t at) { return dns::read_name(message, at, true).has_value(); };
  append(message, wire_name("a.test"));             // 12
  append(message, {1, 'b', 0xc0, 12});              // 20
  append(message, {0xc0, 24});                      // 24: itself
  append(message, {0xc0, 28, 0xc0, 11});            // 26: forward; 28: into the header
  append(message, {1, 'c', 0xc0, 30, 0x40, 0, 1});  // 30: round in a circle; 34: extended; 36: cut off
  CHECK(dns::to_string(dns::read_name(message, 20, true)->name) == "b.a.test");
  CHECK(dns::read_name(message, 20, true)->end == 24);
  CHECK_FALSE(dns::read_name(message, 20, false).has_value());
  for (const std::size_t at : {24U, 26U, 28U, 30U, 34U, 36U, 37U, 99U}) CHECK_FALSE_MESSAGE(reads(at), at);
  Bytes forward(12);
  append(forward, {0xc0, 14, 0});
  CHECK_FALSE(dns::read_name(forward, 12, true).has_value());
  CHECK(dns::read_name(forward, 14, true).has_value());
  // Pointers at pointers: no name needs more than one for each label.
  Bytes chain(12);
  append(chain, {0});
  std::size_t target = 12;
  for (int pointers = 1; pointers <= 129; ++pointers) {
    const std::size_t at = chain.size();
    append(chain, {static_cast<std::uint8_t>(0xc0 | target >> 8), static_cast<std::uint8_t>(target)});
    target = at;
    CHECK_MESSAGE(dns::read_name(chain, at, true).has_value() == (pointers <= 128), pointers);
  }
}

TEST_CASE("large answers") {
  std::vector<Rr> many;
  for (int index = 0; index < 1024; ++index) many.push_back(address("a.test", "198.51.100.1"));
  CHECK(teach(kAsked, {.answers = many}).addresses.size() == 1024);
  many.push_back(many.front());
  refuse(Flaw::too_many, kAsked, {.answers = many});
  // As long as a message can be: 305 records of text.
  const Bytes asked = query(1, "a.test", kTxt);
  const auto text = read(text_answer(asked, 61000), asked);
  REQUIRE(text.has_value());
  CHECK(text->records.size() == 305);
  // Short when compressed, too long when not.
  const Bytes mail = query(1, "a.test", dns::kTypeMx);
  const std::string label63(63, 'x');
  std::vector<Rr> servers;
  for (int index = 0; index < 320; ++index) servers.push_back(rr("", dns::kTypeMx, {0, 1, 0xc0, 0}));
  Rr first = rr("a.test", dns::kTypeMx, {0, 1});
  append(first.data, wire_name(label63 + "." + label63 + "." + label63));
  servers.insert(servers.begin(), first);
  const std::size_t target = question_of(mail).end + first.owner.size() + 10 + 2;
  for (std::size_t index = 1; index < servers.size(); ++index) {
    servers[index].owner = {0xc0, 12};
    servers[index].data[3] = static_cast<std::uint8_t>(target);
  }
  CHECK(teach(mail, {.answers = {servers.begin(), servers.begin() + 200}}).records.size() == 200);
  refuse(Flaw::too_large, mail, {.answers = servers});
}
