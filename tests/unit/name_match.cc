// What patterns match: against oracles that split names into labels, and sets against one look at each
// pattern.
#include <doctest/doctest.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <random>

#include "netjail/base/text.h"
#include "netjail/net/name.h"

using namespace netjail;

namespace {

NamePattern pattern(std::string_view text) {
  const auto parsed = parse_name_pattern(text, PublicSuffixes::builtin());
  REQUIRE_MESSAGE(parsed, text);
  return *parsed;
}
bool match(std::string_view text, const char* name) { return matches(pattern(text), Name{name}); }
bool cover(std::string_view outer, std::string_view inner) { return covers(pattern(outer), pattern(inner)); }

std::optional<Name> wire(std::string_view octets) {
  return parse_wire_name({reinterpret_cast<const std::uint8_t*>(octets.data()), octets.size()});
}
std::string to_wire(std::string_view name) {
  std::string out;
  for (const auto label : split(name, '.')) out += static_cast<char>(label.size()) + std::string(label);
  return out + '\0';
}

using Labels = std::vector<std::string_view>;

bool oracle_matches(const NamePattern& pattern, const Name& name) {
  const Labels wanted = split(pattern.name.text, '.'), labels = split(name.text, '.');
  if (!pattern.below) return wanted == labels;
  return labels.size() > wanted.size() && std::equal(wanted.rbegin(), wanted.rend(), labels.rbegin());
}

// Few different labels, some of which end in others: names meet often, and ends of text are not ends of
// labels.
Name random_name(std::mt19937& random, std::size_t most = 5) {
  static constexpr std::array kLabels{"a", "b", "ab", "a-b", "xn--p1ai", "com", "_a"};
  Name name;
  for (std::size_t i = random() % most + 1; i > 0; --i) {
    if (!name.text.empty()) name.text += '.';
    name.text += kLabels[random() % kLabels.size()];
  }
  return name;
}
NamePattern random_pattern(std::mt19937& random) { return {random_name(random, 3), random() % 2 == 0}; }

std::vector<std::size_t> scan(std::span<const NamePattern> patterns, const Name& name) {
  std::vector<std::size_t> found;
  for (std::size_t i = 0; i < patterns.size(); ++i)
    if (matches(patterns[i], name)) found.push_back(i);
  return found;
}

}  // namespace

TEST_CASE("a name is that name alone, '*.' is every name below it") {
  CHECK(match("example.com", "example.com"));
  CHECK(match("EXAMPLE.com.", "example.com"));
  for (const auto* other :
       {"www.example.com", "example.org", "com", "xample.com", "anexample.com", "example.com.org", ""})
    CHECK_MESSAGE(!match("example.com", other), other);
  for (const auto* below :
       {"www.example.com", "a.b.c.example.com", "_x.example.com", "xn--n3h.example.com", "-.example.com"})
    CHECK_MESSAGE(match("*.example.com", below), below);
  for (const auto* other : {"example.com", "anexample.com", "example.com.org", "com", "www.example.org", "",
                            ".example", "www.example.com.evil.org", "wwwexample.com"})
    CHECK_MESSAGE(!match("*.example.com", other), other);
  CHECK(match("*.bücher.example", "www.xn--bcher-kva.example"));
  CHECK(!match("*.bücher.example", "www.bucher.example"));
}

TEST_CASE("what covers what") {
  CHECK(cover("example.com", "Example.com."));
  CHECK(cover("*.example.com", "*.example.com"));
  CHECK(cover("*.example.com", "www.example.com"));
  CHECK(cover("*.example.com", "*.www.example.com"));
  CHECK(!cover("*.example.com", "example.com"));
  CHECK(!cover("example.com", "*.example.com"));
  CHECK(!cover("example.com", "www.example.com"));
  CHECK(!cover("*.www.example.com", "*.example.com"));
  CHECK(!cover("*.example.com", "*.anexample.com"));
  CHECK(!cover("www.example.com", "*.www.example.com"));
}

TEST_CASE("patterns are ordered, and equal when they match the same") {
  CHECK(pattern("example.com") == pattern("EXAMPLE.COM."));
  CHECK(pattern("example.com") != pattern("*.example.com"));
  CHECK(pattern("a.example") < pattern("b.example"));
  CHECK(pattern("a.example") < pattern("*.a.example"));
  CHECK(to_string(pattern("*.Example.com")) == "*.example.com");
  CHECK(to_unicode(pattern("*.xn--bcher-kva.example")) == "*.bücher.example");
}

TEST_CASE("matches and covers equal the oracle") {
  std::mt19937 random(20261123);
  std::size_t hits = 0;
  for (int round = 0; round < 100'000; ++round) {
    const NamePattern one = random_pattern(random), other = random_pattern(random);
    const Name name = random_name(random);
    const bool hit = matches(one, name);
    hits += hit ? 1U : 0U;
    REQUIRE_MESSAGE(hit == oracle_matches(one, name), to_string(one) << ' ' << name.text);
    // What is covered matches nothing that the outer does not, and one witness shows what is not covered: the
    // name itself, or a label below it that no other pattern has.
    const Name witness{other.below ? "witness." + other.name.text : other.name.text};
    const bool covered = covers(one, other);
    REQUIRE(covered == oracle_matches(one, witness));
    if (covered && matches(other, name)) REQUIRE(hit);
    REQUIRE(covers(one, one));
    REQUIRE((covers(one, other) && covers(other, one)) == (one == other));
  }
  CHECK(hits > 1000);
}

TEST_CASE("a set finds what a look at each pattern finds") {
  std::mt19937 random(7);
  std::size_t several = 0;
  for (int round = 0; round < 2000; ++round) {
    std::vector<NamePattern> patterns(random() % 40);
    for (auto& one : patterns) one = random_pattern(random);
    const NameSet set(patterns);
    for (int i = 0; i < 20; ++i) {
      const Name name = random_name(random, 7);
      const auto found = set.find(name);
      REQUIRE_MESSAGE(found == scan(patterns, name), name.text);
      several += found.size() > 1 ? 1U : 0U;
    }
  }
  CHECK(several > 1000);
  CHECK(NameSet().find(Name{"example.com"}).empty());
  // Names that are none end the walk too.
  const std::array all{NamePattern{{""}, true}, NamePattern{{"a"}, true}, NamePattern{{"b.c.d"}, true}};
  for (const auto* text : {"", ".", "..", ".a", "a.", "..a", "a..a"})
    CHECK_MESSAGE(NameSet(all).find(Name{text}) == scan(all, Name{text}), text);
}

TEST_CASE("a hundred thousand patterns cost a name no more than its labels") {
  std::vector<NamePattern> patterns;
  for (std::size_t i = 0; i < 50'000; ++i) {
    const std::string number = std::to_string(i);
    patterns.push_back({Name{"host" + number + ".example.com"}});
    patterns.push_back({Name{"zone" + number + ".example.com"}, true});
  }
  const NameSet set(patterns);
  CHECK(set.find(Name{"host7.example.com"}) == std::vector<std::size_t>{14});
  CHECK(set.find(Name{"zone7.example.com"}).empty());
  CHECK(set.find(Name{"a.b.zone7.example.com"}) == std::vector<std::size_t>{15});
  // A long way: 121 labels.
  std::string deep = "zone9.example.com";
  while (deep.size() + 2 <= kMaxName) deep.insert(0, "a.");
  CHECK(set.find(Name{deep}) == std::vector<std::size_t>{19});
  const auto start = std::chrono::steady_clock::now();
  std::size_t found = 0;
  for (int i = 0; i < 100'000; ++i) found += set.find(Name{deep}).size();
  const auto took = std::chrono::steady_clock::now() - start;
  CHECK(found == 100'000);
  // A look at each pattern would take ten thousand million steps.
  CHECK(took < std::chrono::seconds(5));
  MESSAGE((std::chrono::duration_cast<std::chrono::nanoseconds>(took).count() / 100'000) << " ns a name");
}

TEST_CASE("names from the wire") {
  using namespace std::string_view_literals;
  CHECK(wire("\3www\7Example\3COM\0"sv) == Name{"www.example.com"});
  CHECK(wire("\1a\0"sv) == Name{"a"});
  CHECK(wire("\5_acme\4-a--\0"sv) == Name{"_acme.-a--"});
  CHECK(wire(to_wire("xn--n3h.example")) == Name{"xn--n3h.example"});
  for (const auto octets :
       {""sv,           "\0"sv,          "\1"sv,           "\1a"sv,    "\2a\0"sv,   "\1a\0\0"sv,
        "\1a\0\1b\0"sv, "\1a\xc0\x0c"sv, "\xc0\x0c"sv,     "\x40"sv,   "\3a.b\0"sv, "\1.\0"sv,
        "\1*\0"sv,      "\1 \0"sv,       "\2\xc3\xbc\0"sv, "\1\0\0"sv, "\1\\\0"sv,  "\1/\0"sv,
        "\1\x7f\0"sv,   "\1@\0"sv,       "\1[\0"sv,        "\1`\0"sv,  "\1{\0"sv})
    CHECK_MESSAGE(!wire(octets), printable(octets));
  const std::string label(63, 'a');
  const std::string three = label + '.' + label + '.' + label + '.';
  CHECK(wire(to_wire(three + std::string(61, 'b'))) == Name{three + std::string(61, 'b')});
  CHECK(!wire(to_wire(three + std::string(62, 'b'))));
  CHECK(!wire('\x40' + std::string(64, 'a') + '\0'));
}
