// The pure half of the resolver: what is read from a message, what passes as its answer.
#include "dns_message.h"

#include <doctest/doctest.h>
#include <link.h>

#include <cstring>
#include <random>

#include "resolver_world.h"

using namespace netjail;
using namespace netjail::test;
using dns::Query;
using dns::Rcode;

namespace {

Bytes name_query(const Bytes& name) {
  Bytes message = query(1, "");
  message.erase(message.begin() + 12);
  message.insert(message.begin() + 12, name.begin(), name.end());
  return message;
}

bool matches(Bytes reply, const Bytes& asked) {
  const auto question = dns::read_query(asked).question;
  REQUIRE(question.has_value());
  return dns::match_answer(reply, asked, *question).has_value();
}

Bytes set(Bytes message, std::size_t at, std::uint8_t value) {
  message.at(at) = value;
  return message;
}

}  // namespace

TEST_CASE("a plain question is forwarded") {
  const Bytes asked = query(7, "www.Example.com", kAaaa);
  const Query read = dns::read_query(asked);
  CHECK(read.fate == Query::Fate::forward);
  REQUIRE(read.question.has_value());
  CHECK(read.question->end == asked.size());
  CHECK(read.question->type == kAaaa);
  CHECK(read.question->udp_size == 512);
  CHECK(dns::printable_name(asked) == "www.example.com");
}

TEST_CASE("the announced size is never below 512") {
  for (const auto& [announced, effective] :
       {std::pair{4096, 4096}, {1232, 1232}, {100, 512}, {512, 512}, {65535, 65535}}) {
    const Query read = dns::read_query(query(1, "a.example", kA, static_cast<std::uint16_t>(announced)));
    REQUIRE(read.question.has_value());
    CHECK(read.question->udp_size == effective);
  }
}

TEST_CASE("what is not a question gets the right refusal, or none") {
  const Bytes good = query(9, "a.example", kA, 1232);
  const auto fate = [](const Bytes& message, Query::Fate wanted, Rcode rcode = Rcode::none) {
    const Query read = dns::read_query(message);
    CHECK(read.fate == wanted);
    CHECK(read.rcode == rcode);
  };
  using enum Query::Fate;
  fate({}, drop);
  fate(Bytes(good.begin(), good.begin() + 11), drop);
  fate(set(good, 2, 0x81), drop);                            // a response
  fate(set(good, 2, 0x81 | 0x28), drop);                     // a response, whatever its opcode
  fate(set(good, 2, 0x28), answer, Rcode::not_implemented);  // UPDATE
  fate(set(good, 2, 0x20), answer, Rcode::not_implemented);  // NOTIFY
  fate(set(good, 2, 0x03), answer, Rcode::form_error);       // TC in a question
  fate(set(good, 5, 0), answer, Rcode::form_error);          // QDCOUNT 0
  fate(set(good, 5, 2), answer, Rcode::form_error);          // QDCOUNT 2
  fate(set(good, 7, 1), answer, Rcode::form_error);          // ANCOUNT 1
  fate(set(good, 9, 1), answer, Rcode::form_error);          // NSCOUNT 1
  fate(set(good, 11, 0), answer, Rcode::form_error);         // the OPT is left over
  fate(set(good, 11, 2), answer, Rcode::form_error);
  fate(set(good, good.size() - 1, 1), answer, Rcode::form_error);  // OPT longer than the message
  fate(set(good, good.size() - 9, 1), answer, Rcode::form_error);  // not an OPT record
  fate(Bytes(good.begin(), good.begin() + 20), answer, Rcode::form_error);
  Bytes longer = good;
  longer.push_back(0);
  fate(longer, answer, Rcode::form_error);
  fate(query(9, "a.example", 252), answer, Rcode::refused);  // AXFR
  fate(query(9, "a.example", 251), answer, Rcode::refused);  // IXFR
  fate(query(9, "use-application-dns.net"), answer, Rcode::name_error);
  fate(query(9, "USE-Application-DNS.net", kAaaa), answer, Rcode::name_error);
  fate(query(9, "x.use-application-dns.net"), forward);
  fate(query(9, "use-application-dns.net.example"), forward);
  Bytes huge = query(9, "a.example", kA, 1232);
  huge[huge.size() - 2] = 0x10;
  huge.resize(huge.size() + 0x1000);
  fate(huge, answer, Rcode::form_error);
}

TEST_CASE("names: lengths, compression, printing") {
  const std::string label63(63, 'a');
  const Bytes longest =
      name_query(wire_name(label63 + "." + label63 + "." + label63 + "." + std::string(61, 'b')));
  CHECK(dns::read_query(longest).fate == Query::Fate::forward);
  const Bytes too_long =
      name_query(wire_name(label63 + "." + label63 + "." + label63 + "." + std::string(62, 'b')));
  CHECK(dns::read_query(too_long).rcode == Rcode::form_error);
  CHECK(dns::read_query(name_query({0xc0, 0x0c})).rcode == Rcode::form_error);
  CHECK(dns::read_query(name_query({1, 'a', 0xc0, 0x00})).rcode == Rcode::form_error);
  CHECK(dns::read_query(name_query({0x41, 'a', 0})).rcode == Rcode::form_error);
  CHECK(dns::printable_name(query(1, "")) == ".");
  CHECK(dns::printable_name(name_query({6, 'A', '.', '\\', ' ', 27, 0xff, 1, 'z', 0})) ==
        "a\\.\\\\\\032\\027\\255.z");
}

TEST_CASE("an answer must be to this question") {
  const Bytes asked = query(0x1234, "WwW.Example.com", kA, 1232);
  const Bytes good = test::answer(asked);
  CHECK(matches(good, asked));
  CHECK_FALSE(matches({}, asked));
  CHECK_FALSE(matches(set(good, 1, 0x35), asked));                                  // id
  CHECK_FALSE(matches(set(good, 2, 0x01), asked));                                  // QR
  CHECK_FALSE(matches(set(good, 2, 0x81 | 0x28), asked));                           // opcode
  CHECK_FALSE(matches(test::answer(query(0x1234, "wwx.example.com")), asked));      // name
  CHECK_FALSE(matches(test::answer(query(0x1234, "example.com")), asked));          // name
  CHECK_FALSE(matches(test::answer(query(0x1234, "www.example.com", 28)), asked));  // type
  CHECK_FALSE(matches(set(good, asked.size() - 12, 3), asked));                     // class
  CHECK_FALSE(matches(set(good, 5, 0), asked));                                     // QDCOUNT
  CHECK_FALSE(matches(set(good, 5, 2), asked));
  CHECK_FALSE(matches(set(good, 7, 2), asked));                // a record that is not there
  CHECK_FALSE(matches(set(good, good.size() - 5, 5), asked));  // its length lies
  CHECK_FALSE(matches(Bytes(good.begin(), good.end() - 1), asked));
}

TEST_CASE("an answer must be one that ldns can read") {
  const Bytes asked = query(1, "a.example");
  Bytes reply = test::answer(asked);
  // An address of three octets: every length is right, the record makes no sense.
  reply.pop_back();
  CHECK_FALSE(matches(set(reply, reply.size() - 4, 3), asked));
}

TEST_CASE("the client's spelling of the name is kept, octets behind the end are cut off") {
  const Bytes asked = query(1, "WwW.Example.com");
  Bytes reply = test::answer(query(1, "www.eXAMPLE.com"));
  const std::size_t size = reply.size();
  append(reply, bytes("rest"));
  const auto question = *dns::read_query(asked).question;
  const auto matched = dns::match_answer(reply, asked, question);
  REQUIRE(matched.has_value());
  CHECK(matched->size() == size);
  CHECK(std::memcmp(matched->data() + 12, asked.data() + 12, asked.size() - 12) == 0);
}

TEST_CASE("TC: a message that was cut in a record is reduced to its question") {
  const Bytes asked = query(1, "a.example");
  Bytes reply = set(test::answer(asked), 2, 0x83);
  const auto question = *dns::read_query(asked).question;
  CHECK(dns::match_answer(reply, asked, question)->size() == reply.size());
  reply.resize(reply.size() - 3);
  const auto cut = dns::match_answer(reply, asked, question);
  REQUIRE(cut.has_value());
  CHECK(cut->size() == question.end);
  const Bytes rest(cut->begin(), cut->end());
  CHECK(truncated(rest));
  CHECK(count_of(rest, 0) == 1);
  CHECK(count_of(rest, 1) == 0);
}

TEST_CASE("truncation starts one octet above the limit") {
  const Bytes asked = query(1, "a.example");
  const auto question = *dns::read_query(asked).question;
  Bytes reply = test::answer(asked);
  CHECK(dns::truncate(reply, question, reply.size()).size() == reply.size());
  CHECK_FALSE(truncated(reply));
  CHECK(dns::truncate(reply, question, reply.size() - 1).size() == question.end);
  CHECK(truncated(reply));
}

TEST_CASE("records that ldns handles badly never reach it") {
  const Bytes asked = query(1, "a.example");
  const auto with_additional = [&](const Bytes& record, std::uint8_t count) {
    Bytes reply = set(test::answer(asked), 11, count);
    for (int copy = 0; copy < count; ++copy) append(reply, record);
    return reply;
  };
  const Bytes opt{0, 0, 41, 4, 0xd0, 0, 0, 0, 0, 0, 0};
  CHECK(matches(with_additional(opt, 1), asked));
  CHECK_FALSE(matches(with_additional(opt, 2), asked));
  const Bytes tsig{0, 0, 250, 0, 255, 0, 0, 0, 0, 0, 0};
  CHECK_FALSE(matches(with_additional(tsig, 1), asked));
}

TEST_CASE("lists of strings may not cost ldns more than they are worth") {
  const Bytes asked = query(1, "a.example", kTxt);
  const auto text = [&](std::size_t strings, std::size_t length, std::uint16_t type = kTxt) {
    Bytes reply = set(query(1, "a.example", kTxt), 2, 0x81);
    const std::size_t size = strings * (length + 1);
    append(reply, {0xc0, 12, 0, static_cast<std::uint8_t>(type), 0, 1, 0, 0, 0, 0});
    append(reply, {static_cast<std::uint8_t>(size >> 8), static_cast<std::uint8_t>(size)});
    for (std::size_t index = 0; index < strings; ++index) {
      reply.push_back(static_cast<std::uint8_t>(length));
      reply.insert(reply.end(), length, 'x');
    }
    return set(reply, 7, 1);
  };
  CHECK(matches(text(1, 255), asked));
  CHECK(matches(text(120, 255), asked));
  CHECK(matches(text(1000, 0), asked));
  CHECK(matches(text(255, 1), asked));
  CHECK_FALSE(matches(text(65000, 0), asked));
  CHECK_FALSE(matches(text(65000, 0, 99), asked));  // SPF is the same
  CHECK_FALSE(matches(text(3000, 0), asked));
  // Many small records of them are no trouble.
  CHECK(matches(text_answer(asked, 60000), asked));
}

TEST_CASE("many names and long chains together are refused") {
  const Bytes asked = query(1, "a.example");
  const auto crafted = [&](std::uint16_t records) {
    Bytes reply = test::answer(asked);
    append(reply, {0xc0, 12, 0xff, 0, 0, 1, 0, 0, 0, 0, 0, 20});
    std::size_t target = 12;
    for (int index = 0; index < 10; ++index) {
      const std::size_t at = reply.size();
      append(reply, {static_cast<std::uint8_t>(0xc0 | target >> 8), static_cast<std::uint8_t>(target)});
      target = at;
    }
    for (int index = 2; index < records; ++index) {
      append(reply, {static_cast<std::uint8_t>(0xc0 | target >> 8), static_cast<std::uint8_t>(target)});
      append(reply, {0, 1, 0, 1, 0, 0, 0, 0, 0, 4, 1, 2, 3, 4});
    }
    return set(set(reply, 6, static_cast<std::uint8_t>(records >> 8)), 7, static_cast<std::uint8_t>(records));
  };
  CHECK(matches(crafted(1000), asked));
  CHECK_FALSE(matches(crafted(3000), asked));
}

TEST_CASE("long chains of compression pointers are not followed") {
  const Bytes asked = query(1, "a.example");
  const auto chained = [&](std::size_t pointers) {
    // An unknown type holds the chain, the first pointer of which leads to the question's name.
    Bytes reply = set(test::answer(asked), 7, 3);
    append(reply, {0xc0, 12, 0xff, 0, 0, 1, 0, 0, 0, 0});
    append(reply, {static_cast<std::uint8_t>(pointers * 2 >> 8), static_cast<std::uint8_t>(pointers * 2)});
    std::size_t target = 12;
    for (std::size_t index = 0; index < pointers; ++index) {
      const std::size_t at = reply.size();
      append(reply, {static_cast<std::uint8_t>(0xc0 | target >> 8), static_cast<std::uint8_t>(target)});
      target = at;
    }
    append(reply, {static_cast<std::uint8_t>(0xc0 | target >> 8), static_cast<std::uint8_t>(target)});
    append(reply, {0, 1, 0, 1, 0, 0, 0, 0, 0, 4, 1, 2, 3, 4});
    return reply;
  };
  CHECK(matches(chained(3), asked));
  CHECK(matches(chained(15), asked));
  CHECK_FALSE(matches(chained(16), asked));
  CHECK_FALSE(matches(chained(8000), asked));
}

TEST_CASE("data that looks like a ring of pointers passes") {
  const Bytes asked = query(1, "a.example");
  Bytes reply = set(test::answer(asked), 7, 2);
  append(reply, {0xc0, 12, 0xff, 0, 0, 1, 0, 0, 0, 0, 0, 2});
  const auto at = static_cast<std::uint8_t>(reply.size());
  append(reply, {0xc0, at});
  CHECK(matches(reply, asked));
}

TEST_CASE("our own answers") {
  const Bytes asked = set(query(0xabcd, "a.example", kA, 1232), 3, 0x10);  // CD
  const auto read = dns::read_query(asked);
  const Bytes failure = dns::make_answer(asked, read.question, Rcode::server_failure);
  CHECK(id_of(failure) == 0xabcd);
  CHECK(failure[2] == 0x81);
  CHECK(failure[3] == (0x80 | 0x10 | 2));
  CHECK(count_of(failure, 0) == 1);
  CHECK(count_of(failure, 3) == 0);
  CHECK(failure.size() == read.question->end);
  const Bytes header = dns::make_answer(set(asked, 2, 0x29), std::nullopt, Rcode::not_implemented);
  CHECK(header.size() == 12);
  CHECK(header[2] == (0x80 | 0x29));
  CHECK(count_of(header, 0) == 0);
}

TEST_CASE("random and mutated messages are survived, and what passes is well-formed") {
  std::mt19937 random(1);
  const auto octet = [&] { return static_cast<std::uint8_t>(random()); };
  const Bytes asked = query(0x1234, "www.example.com", kA, 1232);
  const auto question = *dns::read_query(asked).question;
  int passed = 0;
  for (int round = 0; round < 20000; ++round) {
    Bytes message = round % 2 ? asked : test::answer(asked);
    for (auto change = random() % 4; change > 0; --change) message[random() % message.size()] = octet();
    if (round % 7 == 0) message.resize(random() % 600, octet());
    if (round % 11 == 0)
      for (auto& one : message) one = octet();
    const auto read = dns::read_query(message);
    if (read.fate == Query::Fate::forward) CHECK(read.question->end <= message.size());
    if (const auto matched = dns::match_answer(message, asked, question)) {
      ++passed;
      CHECK(matched->size() <= message.size());
      CHECK(matched->size() >= question.end);
    }
  }
  CHECK(passed > 1000);
}

TEST_CASE("no libcrypto is loaded for ldns") {
  CHECK(dns::ldns_reads(query(1, "a.example")));
  bool seen = false;
  ::dl_iterate_phdr(
      [](dl_phdr_info* info, std::size_t, void* data) {
        if (std::strstr(info->dlpi_name, "libcrypto")) *static_cast<bool*>(data) = true;
        return 0;
      },
      &seen);
  CHECK_FALSE(seen);
}
