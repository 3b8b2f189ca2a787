// Patterns of names that are none: what is said, where, and what is suggested.
#include <doctest/doctest.h>

#include <array>

#include "netjail/net/name.h"

using namespace netjail;

namespace {

struct Mistaken {
  std::string_view text;
  std::string_view what;        // a part of it
  std::string_view place;       // the stretch of the text that is marked
  std::string_view suggestion;  // a part of it
};
using namespace std::string_view_literals;
constexpr std::array kMistakes{
    // Nothing there.
    Mistaken{"", "is empty", "", "\"example.com\""},
    Mistaken{" ", "blanks around", " ", "\"example.com\""},
    Mistaken{".", "dots alone", ".", "\"example.com\""},
    Mistaken{"..", "dots alone", "..", "\"example.com\""},
    Mistaken{"*..", "between two dots a label is missing", "", ""},
    Mistaken{"a..b", "between two dots a label is missing", "", ""},
    Mistaken{"example.com..", "between two dots a label is missing", "", ""},
    Mistaken{"*..example.com", "between two dots a label is missing", "", ""},
    Mistaken{"a\u3002\u3002b", "between two dots a label is missing", "", ""},
    Mistaken{"a\u3002.", "between two dots a label is missing", "", ""},
    Mistaken{".example.com", "begins with a dot", "",
             "*.example.com for every name below it, or example.com"},
    Mistaken{"..example.com", "begins with a dot", "", "*.example.com"},
    Mistaken{"\u3002example.com", "begins with a dot", "", ""},
    // Blanks, lists, control characters.
    Mistaken{" example.com", "blanks around", " example.com", "example.com"},
    Mistaken{"example.com\n", "blanks around", "example.com\n", "example.com"},
    Mistaken{"example.com\t", "blanks around", "example.com\t", "example.com"},
    Mistaken{"a.example b.example", "more than one", " ", "[\"a.example\", \"b.example\"]"},
    Mistaken{"a.example,b.example", "more than one", ",", "quotes of its own"},
    Mistaken{"a.example;b.example", "more than one", ";", "quotes of its own"},
    Mistaken{"a\0b"sv, "control character", "\0"sv, ""},
    Mistaken{"a\nb", "control character", "\n", ""},
    Mistaken{"a\x7f"
             "b",
             "control character", "\x7f", ""},
    Mistaken{"a\x1b[31m.example", "control character", "\x1b", ""},
    // '*'
    Mistaken{"*", "'*' alone", "*", "\"*.example.com\""},
    Mistaken{"*.", "'*' alone", "*.", "\"*.example.com\""},
    Mistaken{"**", "whole labels", "*", "\"*.example.com\""},
    Mistaken{"*example.com", "whole labels", "*", "*.example.com"},
    Mistaken{"**.example.com", "whole labels", "*", "*.example.com"},
    Mistaken{"*.*", "whole labels", "*", "\"*.example.com\""},
    Mistaken{"*.*.example.com", "whole labels", "*", "*.example.com"},
    Mistaken{"foo*.example.com", "whole labels", "*", "*.example.com"},
    Mistaken{"f*o.example.com", "whole labels", "*", "*.example.com"},
    Mistaken{"a.*.example.com", "whole labels", "*", "*.example.com"},
    Mistaken{"*.a*b.example.com", "whole labels", "*", "*.example.com"},
    Mistaken{"example.*", "whole labels", "*", "\"*.example.com\""},
    Mistaken{"*a.*", "whole labels", "*", "\"*.example.com\""},
    Mistaken{"*\u3002example.com", "whole labels", "*", ""},
    Mistaken{"\uff0a.example.com", "no international label", "\uff0a", ""},
    // Public suffixes, of both sections, of rules with a '*', of unknown top-level names.
    Mistaken{"*.com", "'com' is a top-level name", "*.com", "*.example.com"},
    Mistaken{"*.COM.", "'com' is a top-level name", "*.COM.", "*.example.com"},
    Mistaken{"*.co.uk", "'co.uk' is a public suffix", "*.co.uk", "*.example.co.uk"},
    Mistaken{"*.github.io", "'github.io' is a public suffix", "*.github.io", "*.example.github.io"},
    Mistaken{"*.githubusercontent.com", "is a public suffix", "*.githubusercontent.com", ""},
    Mistaken{"*.s3.amazonaws.com", "is a public suffix", "*.s3.amazonaws.com", ""},
    Mistaken{"*.compute.amazonaws.com", "is a public suffix", "*.compute.amazonaws.com", ""},
    Mistaken{"*.eu-west-1.compute.amazonaws.com", "is a public suffix", "*.eu-west-1.compute.amazonaws.com",
             ""},
    Mistaken{"*.ck", "top-level", "*.ck", ""},
    Mistaken{"*.foo.ck", "is a public suffix", "*.foo.ck", ""},
    Mistaken{"*.kawasaki.jp", "is a public suffix", "*.kawasaki.jp", ""},
    Mistaken{"*.foo.kawasaki.jp", "is a public suffix", "*.foo.kawasaki.jp", ""},
    Mistaken{"*.рф", "top-level", "*.рф", "*.example.xn--p1ai"},
    Mistaken{"*.xn--p1ai", "top-level", "*.xn--p1ai", ""},
    Mistaken{"*.公司.cn", "'xn--55qx5d.cn' is a public suffix", "*.公司.cn", ""},
    Mistaken{"*.lan", "'lan' is a top-level name", "*.lan", "*.example.lan"},
    Mistaken{"*.internal", "top-level", "*.internal", ""},
    Mistaken{"*.test", "top-level", "*.test", ""},
    Mistaken{"*.arpa", "top-level", "*.arpa", ""},
    // What is more than a name.
    Mistaken{"https://example.com/x", "URL", "https://example.com/x", "example.com"},
    Mistaken{"https://example.com", "URL", "https://example.com", "example.com"},
    Mistaken{"http://user:pw@example.com:8080/x?y#z", "URL", "http://user:pw@example.com:8080/x?y#z",
             "example.com"},
    Mistaken{"ssh://git@example.com", "URL", "ssh://git@example.com", "example.com"},
    Mistaken{"https://[2001:db8::1]:443/", "URL", "https://[2001:db8::1]:443/", "[2001:db8::1]"},
    Mistaken{"https://*.example.com/", "URL", "https://*.example.com/", "*.example.com"},
    Mistaken{"https://", "URL", "https://", "\"example.com\""},
    Mistaken{"example.com:443", "port", ":443", "example.com"},
    Mistaken{"*.example.com:443", "port", ":443", "*.example.com"},
    Mistaken{"example.com:https", "port", ":https", "example.com"},
    Mistaken{"example.com:", "port", ":", "example.com"},
    Mistaken{"example.com/x", "path", "/x", "example.com"},
    Mistaken{"example.com/", "path", "/", "example.com"},
    Mistaken{"example.com/24", "path", "/24", "example.com"},
    Mistaken{"example.com?x", "path", "?x", "example.com"},
    Mistaken{"example.com#x", "path", "#x", "example.com"},
    Mistaken{"git@example.com", "user", "git@", "example.com"},
    Mistaken{"a@b@example.com", "user", "a@b@", "example.com"},
    // Addresses, and what programs take for them.
    Mistaken{"127.0.0.1", "is an address", "127.0.0.1", "127.0.0.1"},
    Mistaken{"198.51.100.0/24", "is an address", "198.51.100.0/24", "198.51.100.0/24"},
    Mistaken{"::1", "is an address", "::1", "::1"},
    Mistaken{"2001:DB8::/32", "is an address", "2001:DB8::/32", "2001:db8::/32"},
    Mistaken{"[::1]", "brackets", "[::1]", ""},
    Mistaken{"[example.com]", "brackets", "[example.com]", ""},
    Mistaken{"1:2:3", "neither", "1:2:3", ""},
    Mistaken{"127.0.0.999", "no number", "999", "four numbers"},
    Mistaken{"127.0.0.1.", "no number", "1", "four numbers"},
    Mistaken{"1.2.3", "no number", "3", "four numbers"},
    Mistaken{"127.1", "no number", "1", "four numbers"},
    Mistaken{"2130706433", "no number", "2130706433", "four numbers"},
    Mistaken{"0x7f000001", "no number", "0x7f000001", ""},
    Mistaken{"127.0.0.0x1", "no number", "0x1", ""},
    Mistaken{"example.0X1F", "no number", "0X1F", ""},
    Mistaken{"example.0x", "no number", "0x", ""},
    Mistaken{"1.2.3.4.5", "no number", "5", ""},
    Mistaken{"example.123", "no number", "123", ""},
    Mistaken{"*.1.2.3", "no number", "3", ""},
    Mistaken{"127.0.0.\uff11", "no number", "\uff11", ""},
    Mistaken{"127\u30020\u30020\u30021", "no number", "1", ""},
    Mistaken{"\u2460.\u2461", "no number", "\u2461", ""},
    // Names of a special use.
    Mistaken{"localhost", "loopback", "localhost", ""},
    Mistaken{"LOCALHOST.", "loopback", "LOCALHOST.", ""},
    Mistaken{"x.localhost", "'x.localhost' is the jail's own", "x.localhost", ""},
    Mistaken{"*.localhost", "loopback", "*.localhost", ""},
    Mistaken{"ｌocalhost", "loopback", "ｌocalhost", ""},
    Mistaken{"invalid", "never has an address", "invalid", ""},
    Mistaken{"a.b.invalid", "never has an address", "a.b.invalid", ""},
    Mistaken{"expyuzz4wqqyqhjn.onion", "Tor", "expyuzz4wqqyqhjn.onion", "proxy"},
    Mistaken{"*.onion", "Tor", "*.onion", ""},
    Mistaken{"onion", "Tor", "onion", ""},
    Mistaken{"x.alt", "not in DNS", "x.alt", ""},
    Mistaken{"7.100.51.198.in-addr.arpa", "is the name of an address", "7.100.51.198.in-addr.arpa",
             "address itself"},
    Mistaken{"*.in-addr.arpa", "is the name of an address", "*.in-addr.arpa", ""},
    Mistaken{"1.0.ip6.arpa", "is the name of an address", "1.0.ip6.arpa", ""},
    // Octets that no label has.
    Mistaken{"exa!mple.com", "'!' cannot stand", "!", ""},
    Mistaken{"exa\"mple.com", "cannot stand", "\"", ""},
    Mistaken{"a\\b.example", "cannot stand", "\\", ""},
    Mistaken{"a+b.example", "cannot stand", "+", ""},
    Mistaken{"$HOME.example", "cannot stand", "$", ""},
    Mistaken{"a|b", "cannot stand", "|", ""},
    Mistaken{"(a)", "cannot stand", "(", ""},
    Mistaken{"~", "cannot stand", "~", ""},
    Mistaken{"é!.example", "'!' cannot stand", "!", ""},
    Mistaken{"www.\xff.example", "encoding error", "\xff", ""},
    Mistaken{"www.\xc3\x28.example", "'(' cannot stand", "(", ""},
    Mistaken{"www.\xed\xa0\x80.example", "encoding error", "\xed\xa0\x80", ""},
    Mistaken{"www.\xc0\xae.example", "encoding error", "\xc0\xae", ""},
    Mistaken{"a\u00a0b.example", "international label", "a\u00a0b", ""},
    Mistaken{"-a.example", "'-' stands at an end of '-a'", "-a", ""},
    Mistaken{"a-.example", "'-' stands at an end of 'a-'", "a-", ""},
    Mistaken{"-.example", "'-' stands at an end", "-", ""},
    Mistaken{"*.-.example", "'-' stands at an end", "-", ""},
    Mistaken{"--profile", "'-' stands at an end", "--profile", ""},
    Mistaken{"www.☃.example", "disallowed character", "☃", ""},
    Mistaken{"www.xn--n3h.example", "'xn--n3h' is no international label", "xn--n3h", ""},
    Mistaken{"www.XN--N3H.example", "'XN--N3H' is no international label", "XN--N3H", ""},
    Mistaken{"www.a\u0627.example", "bi-directional", "a\u0627", ""},
};

}  // namespace

TEST_CASE("each mistake has its words, its place and its remedy") {
  const auto list = PublicSuffixes::builtin();
  for (const auto& [text, what, place, suggestion] : kMistakes) {
    CAPTURE(text);
    const auto pattern = parse_name_pattern(text, list);
    REQUIRE_MESSAGE(!pattern, "is read");
    const NameError& error = pattern.error();
    CHECK_MESSAGE(error.what.find(what) != error.what.npos, error.what);
    REQUIRE(error.offset + error.length <= text.size());
    CHECK(text.substr(error.offset, error.length) == place);
    if (suggestion.empty()) continue;
    CHECK_MESSAGE(error.suggestion.find(suggestion) != error.suggestion.npos, error.suggestion);
  }
}

TEST_CASE("the place of a missing label") {
  const auto offset = [](std::string_view text) {
    return parse_name_pattern(text, PublicSuffixes::builtin()).error().offset;
  };
  CHECK(offset("a..b") == 2);
  CHECK(offset("example.com..") == 12);
  CHECK(offset("*..a") == 2);
  CHECK(offset("*..") == 2);
  CHECK(offset("a\u3002\u3002b") == 4);
}

TEST_CASE("messages stay short") {
  for (const char c : {'a', '*', '!', '-', '1', ' '}) {
    const auto pattern = parse_name_pattern(std::string(1024, c), PublicSuffixes::builtin());
    REQUIRE(!pattern);
    CHECK(pattern.error().what.size() < 200);
  }
}

TEST_CASE("without a public suffix list no '*' is read") {
  CHECK(PublicSuffixes::builtin());
  const PublicSuffixes none;
  CHECK(!none);
  CHECK(parse_name_pattern("example.com", none) == NamePattern{{"example.com"}, false});
  const auto refused = parse_name_pattern("*.example.com", none);
  REQUIRE(!refused);
  CHECK(refused.error().what == "a '*' needs the public suffix list, and there is none");
  CHECK(refused.error().suggestion.find("package publicsuffix") != std::string::npos);
  // Other mistakes come first.
  CHECK(parse_name_pattern("*.localhost", none).error().what.find("loopback") != std::string::npos);
}

TEST_CASE("a list from a file") {
  const auto list = PublicSuffixes::parse("// a list\ncom\nexample.com\n*.star.com\n!not.star.com\nрф\n");
  REQUIRE(list);
  const auto reads = [&](std::string_view text) { return parse_name_pattern(text, list).has_value(); };
  CHECK(reads("*.other.com"));
  CHECK(!reads("*.example.com"));
  CHECK(reads("*.x.example.com"));
  CHECK(!reads("*.star.com"));
  CHECK(!reads("*.x.star.com"));
  CHECK(reads("*.not.star.com"));
  CHECK(!reads("*.рф"));
  CHECK(!reads("*.net"));  // not in the list
  const PublicSuffixes copy = list;
  CHECK(!copy.contains(Name{"other.com"}));
  CHECK(copy.contains(Name{"example.com"}));

  for (const auto text :
       {""sv, "\n"sv, "<html>404</html>\n"sv, "net\norg\n"sv, ".DAFSA@PSL_0   \n"sv, "\0\0\0"sv})
    CHECK_MESSAGE(!PublicSuffixes::parse(text), text);
}
