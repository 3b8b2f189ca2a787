// What a client may ask, and the question that is made of it.
#include "dns_question.h"

#include <doctest/doctest.h>

#include "netjail/profile/keys.h"

#include "dns_build.h"

using namespace netjail;
using namespace netjail::test;
using dns::Query;
using dns::Rcode;

namespace {

constexpr dns::CaseBits kNone{};

dns::CaseBits all_bits() {
  dns::CaseBits bits;
  bits.fill(0xff);
  return bits;
}

}  // namespace

TEST_CASE("a client may ask for the types of the list only, and in class IN") {
  for (const int type : {1, 28, 5, 65, 64, 15, 33, 16, 12}) {
    const Query read = dns::check_question(query(1, "a.example", static_cast<std::uint16_t>(type)));
    CHECK_MESSAGE(read.fate == Query::Fate::forward, type);
  }
  for (const int type : {0, 2, 6, 10, 13, 35, 39, 43, 46, 47, 48, 50, 52, 99, 255, 256, 257, 65535}) {
    const Query read = dns::check_question(query(1, "a.example", static_cast<std::uint16_t>(type)));
    CHECK_MESSAGE(read.fate == Query::Fate::answer, type);
    CHECK(read.rcode == Rcode::refused);
    CHECK(read.question.has_value());
  }
  Bytes chaos = query(1, "a.example");
  CHECK(dns::check_question(chaos).fate == Query::Fate::forward);
  chaos.back() = 3;
  CHECK(dns::check_question(chaos).rcode == Rcode::refused);
  chaos[2] |= 0x28;
  CHECK(dns::check_question(chaos).rcode == Rcode::not_implemented);  // as read_query says
  CHECK(dns::check_question(query(1, "use-application-dns.net")).rcode == Rcode::name_error);
}

TEST_CASE("a client's options are no error") {
  Bytes asked = query(1, "a.example", kA, 1232);
  const Bytes cookie{0, 10, 0, 8, 1, 2, 3, 4, 5, 6, 7, 8};
  asked.back() = static_cast<std::uint8_t>(cookie.size());
  append(asked, cookie);
  CHECK(dns::check_question(asked).fate == Query::Fate::forward);
}

TEST_CASE("the question is made of name, type, id and case alone") {
  const dns::Data made = dns::make_question(name("www.a-1.example"), kAaaa, 0xabcd, kNone);
  const Bytes wanted{0xab, 0xcd, 1,   0,   0,   1,  0,   0,    0,   0,   0,   1,   3,   'w', 'w',
                     'w',  3,    'a', '-', '1', 7,  'e', 'x',  'a', 'm', 'p', 'l', 'e', 0,   0,
                     28,   0,    1,   0,   0,   41, 4,   0xd0, 0,   0,   0,   0,   0,   0};
  CHECK(made == wanted);
  CHECK(dns::read_query(made).fate == Query::Fate::forward);
  CHECK(dns::make_question(name(""), kA, 1, kNone).size() == 12 + 5 + 11);
}

TEST_CASE("every letter's case is decided by its own bit") {
  const auto spelled = [](const dns::CaseBits& bits) {
    const dns::Data made = dns::make_question(name("aaz-9.example"), kA, 1, bits);
    return std::string(made.begin() + 12, made.begin() + 12 + 15);
  };
  CHECK(spelled(kNone) == std::string("\5aaz-9\7example\0", 15));
  CHECK(spelled(all_bits()) == std::string("\5AAZ-9\7EXAMPLE\0", 15));
  dns::CaseBits one{};
  one[1] = 1 << 2;  // octet 10 of the name
  CHECK(spelled(one) == std::string("\5aaz-9\7exaMple\0", 15));
  // The longest name has a bit for its last letter.
  const std::string label63(63, 'a');
  const dns::Name longest = name(label63 + "." + label63 + "." + label63 + "." + std::string(61, 'b'));
  REQUIRE(longest.wire.size() == 255);
  CHECK(dns::make_question(longest, kA, 1, all_bits())[12 + 253] == 'B');
}

TEST_CASE("an answer must repeat our spelling") {
  dns::CaseBits bits{};
  bits[0] = 0x5a;
  const dns::Data asked = dns::make_question(name("www.example.com"), kA, 7, bits);
  const auto question = question_of(asked);
  const auto matches = [&](Bytes message) {
    return dns::repeats_spelling(message, asked, question) &&
           dns::match_answer(message, asked, question).has_value();
  };
  const Bytes good = test::answer(asked);
  CHECK(matches(good));
  Bytes other = good;
  other[13] ^= 0x20;
  CHECK(dns::match_answer(other, asked, question).has_value());
  other = good;
  other[13] ^= 0x20;
  CHECK_FALSE(matches(other));
  other = good;
  other[1] ^= 1;
  CHECK_FALSE(matches(other));  // the id, by match_answer
  CHECK_FALSE(matches(Bytes(good.begin(), good.begin() + 20)));
  CHECK_FALSE(matches({}));
}

TEST_CASE("the types of [network.resolver] are those that may be asked for") {
  for (const std::string_view word : record_type_names()) {
    const auto type = dns::parse_type(word);
    REQUIRE(type.has_value());
    CHECK(dns::may_ask(*type));
    CHECK(dns::type_name(*type) == word);
  }
  int known = 0;
  for (std::uint32_t type = 0; type < 65536; ++type) known += dns::may_ask(static_cast<std::uint16_t>(type));
  CHECK(known == static_cast<int>(record_type_names().size()));
  CHECK_FALSE(dns::parse_type("NS"));
  CHECK(dns::type_name(65400) == "TYPE65400");
}
