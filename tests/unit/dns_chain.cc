// From the name asked to the name that has the records.
#include <doctest/doctest.h>

#include <algorithm>

#include "dns_build.h"

using namespace netjail;
using namespace netjail::test;
using dns::Flaw;

namespace {

const Bytes kAsked = query(1, "a.test", kA, 1232);

std::string told(const std::vector<Rr>& answers) { return shown(teach(kAsked, {.answers = answers})); }

}  // namespace

TEST_CASE("no alias: the addresses of the name") {
  CHECK(told({address("a.test", "198.51.100.1"), address("a.test", "198.51.100.2")}) ==
        "a.test: 198.51.100.1 198.51.100.2");
  CHECK(told({}) == "a.test:");
  CHECK(told({address("A.TesT", "198.51.100.1")}) == "a.test: 198.51.100.1");
  Rr record = address("", "198.51.100.1");
  record.owner = {0xc0, 12};
  CHECK(told({record}) == "a.test: 198.51.100.1");
}

TEST_CASE("aliases are followed in whatever order the records stand") {
  std::vector<Rr> records{cname("a.test", "B.test"), cname("b.test", "c.example"),
                          address("c.example", "198.51.100.1"), address("C.example", "198.51.100.2")};
  const auto by_data = [](const Rr& one, const Rr& other) { return one.data < other.data; };
  std::ranges::sort(records, by_data);
  int orders = 0;
  do {
    const std::string text = told(records);
    CHECK((text == "a.test b.test c.example: 198.51.100.1 198.51.100.2" ||
           text == "a.test b.test c.example: 198.51.100.2 198.51.100.1"));
    ++orders;
  } while (std::ranges::next_permutation(records, by_data).found);
  CHECK(orders == 24);
}

TEST_CASE("records of other names, types and classes teach nothing") {
  CHECK(told({address("a.test", "198.51.100.1"), address("b.test", "203.0.113.1"),
              address("test", "203.0.113.2"), address("x.a.test", "203.0.113.3"), address("", "203.0.113.4"),
              address("a.test", "2001:db8::1"), of_class(address("a.test", "203.0.113.5"), 3)}) ==
        "a.test: 198.51.100.1");
  // Of a name with an alias there is nothing else (RFC 1034 section 3.6.2).
  CHECK(told({address("a.test", "203.0.113.1"), cname("a.test", "b.test"),
              address("b.test", "198.51.100.1")}) == "a.test b.test: 198.51.100.1");
  CHECK(told({cname("b.test", "c.test"), address("c.test", "203.0.113.1")}) == "a.test:");
  CHECK(told({of_class(cname("a.test", "b.test"), 3), address("b.test", "203.0.113.1")}) == "a.test:");
  // Neither do those of the other sections.
  CHECK(shown(teach(kAsked, {.answers = {cname("a.test", "b.test")},
                             .authorities = {address("b.test", "203.0.113.1")},
                             .additional = {address("b.test", "203.0.113.2")}})) == "a.test b.test:");
}

TEST_CASE("aliases that lead nowhere, back, too far or two ways") {
  CHECK(told({cname("a.test", "b.test")}) == "a.test b.test:");
  refuse(Flaw::loop, kAsked, {.answers = {cname("a.test", "A.Test")}});
  refuse(Flaw::loop, kAsked, {.answers = {cname("a.test", "b.test"), cname("b.test", "a.test")}});
  refuse(Flaw::loop, kAsked,
         {.answers = {cname("a.test", "b.test"), cname("b.test", "c.test"), cname("c.test", "b.test"),
                      address("c.test", "203.0.113.1")}});
  refuse(Flaw::contradiction, kAsked, {.answers = {cname("a.test", "b.test"), cname("a.test", "c.test")}});
  CHECK(told({cname("a.test", "b.test"), cname("A.test", "B.test")}) == "a.test b.test:");

  std::vector<Rr> links{cname("a.test", "x1")};
  for (int link = 1; link < 16; ++link)
    links.push_back(cname("x" + std::to_string(link), "x" + std::to_string(link + 1)));
  links.push_back(address("x16", "198.51.100.1"));
  const auto longest = teach(kAsked, {.answers = links});
  CHECK(longest.chain.size() == 17);
  CHECK(longest.addresses.size() == 1);
  links.push_back(cname("x16", "x17"));
  refuse(Flaw::too_many, kAsked, {.answers = links});
}

TEST_CASE("a DNAME is believed with the CNAME that follows from it only") {
  const Bytes asked = query(1, "www.a.test", kA, 1232);
  const auto text = [&](const std::vector<Rr>& answers) { return shown(teach(asked, {.answers = answers})); };
  const Rr there = address("www.b.example", "198.51.100.1");
  CHECK(text({dname("a.test", "b.example"), cname("www.a.test", "www.b.example"), there}) ==
        "www.a.test www.b.example: 198.51.100.1");
  CHECK(text({there, cname("www.a.test", "WWW.b.example"), dname("A.test", "B.example")}) ==
        "www.a.test www.b.example: 198.51.100.1");
  CHECK(text({dname("a.test", ""), cname("www.a.test", "www")}) == "www.a.test www:");
  refuse(Flaw::false_alias, asked, {.answers = {dname("a.test", "b.example"), there}});
  refuse(Flaw::false_alias, asked,
         {.answers = {dname("a.test", "b.example"), cname("www.a.test", "b.example"), there}});
  refuse(Flaw::false_alias, asked,
         {.answers = {dname("a.test", "b.example"), cname("www.a.test", "evil.example"), there}});
  // The root's applies to what follows from it, too: it would never end.
  refuse(Flaw::false_alias, asked,
         {.answers = {dname("", "b.example"), cname("www.a.test", "www.a.test.b.example")}});
  // Too long for a name (YXDOMAIN, RFC 6672 section 2.2).
  const std::string label63(63, 'x');
  const std::string long_name = label63 + "." + label63 + "." + label63 + "." + std::string(58, 'y');
  refuse(Flaw::false_alias, asked, {.answers = {dname("a.test", long_name), cname("www.a.test", long_name)}});
  // It says nothing of its own name, of names that merely end alike, or in another class.
  CHECK(text({dname("www.a.test", "b.example"), address("www.a.test", "198.51.100.1")}) ==
        "www.a.test: 198.51.100.1");
  CHECK(text({dname("w.a.test", "b.example"), dname("b.example", "c.example"),
              address("www.a.test", "198.51.100.1")}) == "www.a.test: 198.51.100.1");
  CHECK(text({of_class(dname("a.test", "b.example"), 3), address("www.a.test", "198.51.100.1")}) ==
        "www.a.test: 198.51.100.1");
  // Later in the chain.
  CHECK(text({cname("www.a.test", "x.c.test"), dname("c.test", "d.test"), cname("x.c.test", "x.d.test")}) ==
        "www.a.test x.c.test x.d.test:");
  refuse(Flaw::false_alias, asked, {.answers = {cname("www.a.test", "x.c.test"), dname("c.test", "d.test")}});
}

TEST_CASE("who asks for an alias gets it and is not led on") {
  const Bytes asked = query(1, "a.test", dns::kTypeCname);
  const auto answer = teach(
      asked, {.answers = {cname("a.test", "B.test"), cname("b.test", "c.test"), cname("a.test", "a.test")}});
  CHECK(answer.chain == std::vector{name("a.test")});
  CHECK(answer.records == std::vector<dns::Data>{wire_name("b.test"), wire_name("a.test")});
}

TEST_CASE("within: whole labels") {
  CHECK(dns::is_within(name("a.test"), name("test")));
  CHECK(dns::is_within(name("a.test"), name("a.test")));
  CHECK(dns::is_within(name("a.test"), name("")));
  CHECK(dns::is_within(name(""), name("")));
  CHECK_FALSE(dns::is_within(name("atest"), name("test")));
  CHECK_FALSE(dns::is_within(name("test"), name("a.test")));
  CHECK_FALSE(dns::is_within(name(""), name("test")));
  // A label that ends in what looks like another name's wire form.
  CHECK_FALSE(dns::is_within(dns::Name{std::string("\6x\4test\0", 8)}, name("test")));
}
