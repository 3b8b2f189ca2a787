// Every mistake at its exact place, with words that help. One row per way to be wrong.
#include <doctest/doctest.h>

#include "netjail/profile/profile.h"

using namespace netjail;

namespace {

struct Expected {
  std::uint32_t line, column, width;
  std::string message;  // a part of it
  std::string help;     // a part of it; empty: there must be none
};

void expect(const std::string& text, const std::vector<Expected>& expected) {
  static const ServiceTable services;
  const auto profile = parse_profile(text, "p.toml", services);
  CAPTURE(text);
  REQUIRE_FALSE(profile);
  const Diagnostics& found = profile.error();
  const std::string rendered = render_diagnostics(found);
  CAPTURE(rendered);
  REQUIRE(found.size() == expected.size());
  for (std::size_t i = 0; i < found.size(); ++i) {
    CHECK(found[i].where == Position{"p.toml", expected[i].line, expected[i].column});
    CHECK(found[i].width == expected[i].width);
    CHECK(found[i].message.find(expected[i].message) != std::string::npos);
    CHECK(found[i].suggestion.find(expected[i].help) != std::string::npos);
    CHECK(found[i].suggestion.empty() == expected[i].help.empty());
  }
}

// One destination of an [[allow]].
void expect_to(const std::string& word, const std::string& message, const std::string& help) {
  expect("[[allow]]\nto = [\"" + word + "\"]\n",
         {{2, 7, static_cast<std::uint32_t>(word.size() + 2), message, help}});
}

void expect_service(const std::string& word, const std::string& message, const std::string& help) {
  expect("[[allow]]\nto = [\"any\"]\nservice = [\"" + word + "\"]\n",
         {{3, 12, static_cast<std::uint32_t>(word.size() + 2), message, help}});
}

}  // namespace

TEST_CASE("mistakes of TOML") {
  expect("a = \"x", {{1, 7, 1, "the file ends in the middle of: string", ""}});
  expect("[network]\nipv6 =\n", {{2, 7, 1, "expected value", ""}});
  expect("[[allow]]\nto = [\"any\"\n", {{2, 13, 1, "the file ends in the middle of: array", ""}});
  expect("description = \"a\ndescription = \"b\"\n", {{1, 17, 1, "no closing quote", "close it"}});
  expect("description = \"a\"\ndescription = \"b\"\n",
         {{2, 1, 11, "'description' is written twice", "keep one"}});
  expect("[network]\nipv6 = true\nrefuse = \"drop\"\n  ipv6 = false\n",
         {{4, 3, 4, "'ipv6' is written twice", "keep one"}});
  expect("[network]\n[log]\n[network]\n", {{3, 2, 7, "'network' is written twice", "keep one"}});
  expect("[allow]\nto = \"any\"\n[[allow]]\n", {{3, 1, 1, "cannot redefine", "[[...]]"}});
  expect("[[allow]]\nto = [internet]\n", {{2, 7, 8, "'internet' must stand in quotes", "\"internet\""}});
  expect("[[allow]]\nto = [\n  10.0.0.0/8,\n]\n",
         {{3, 3, 10, "'10.0.0.0/8' must stand in quotes", "\"10.0.0.0/8\""}});
  expect("[[allow]]\nto = \"any\"\nservice = [443/tcp]\n",
         {{3, 12, 7, "'443/tcp' must stand in quotes", "\"443/tcp\""}});
  expect("[network]\nipv6 = yes\n", {{2, 8, 3, "true or false", "true"}});
  expect("[network]\nipv6 = False\n", {{2, 8, 5, "true or false", "false"}});
  expect("[[allow]]\nto = [\"a\" \"b\"]\n", {{2, 11, 1, "expected comma", ""}});
  expect("network ipv6 = 1\n", {{1, 9, 1, "expected '='", ""}});
  // Letters that toml++ 3.3 thinks impossible (U+00A1..U+0499, U+2C4E.., U+FA26..).
  for (const std::string letter : {"\xc3\xa9", "\xd2\x99", "\xe2\xb1\x8e", "\xef\xa8\xa6"}) {
    CAPTURE(letter);
    const auto width = static_cast<std::uint32_t>(letter.size() * 4);
    expect(letter + " = 1\n", {{1, 1, width, "expected keys", ""}});
    expect("description = " + letter + "\n", {{1, 15, width, "must stand in quotes", letter}});
    expect("description = \"\"\"\\\n" + letter + "\"\"\" x\n", {{2, 6, 1, "expected a comment", ""}});
  }
  expect("[[\\u0000allow]]\n", {{1, 3, 1, "expected bare key", ""}});
  // A syntax error stops the reading: what is wrong before it is not reported.
  expect("nonsense = 1\n= 2\n", {{2, 1, 1, "not valid TOML", ""}});
}

TEST_CASE("texts that are none") {
  expect(std::string("[network]\n\0", 11), {{2, 1, 4, "binary", "text file"}});
  expect(std::string("\x7f"
                     "ELF\x02\x01\x01\0\0",
                     9),
         {{1, 8, 4, "binary", "text file"}});
  expect("# \xc3\xa9\nx = \"\xff\"\n", {{2, 6, 4, "not UTF-8", "UTF-8"}});
  expect("# \xc0\x80\n", {{1, 3, 4, "not UTF-8", "UTF-8"}});
  expect("# \xed\xa0\x80\n", {{1, 3, 4, "not UTF-8", "UTF-8"}});
  expect("# \xf4\x90\x80\x80\n", {{1, 3, 4, "not UTF-8", "UTF-8"}});
  expect("# \xe2\x82", {{1, 3, 4, "not UTF-8", "UTF-8"}});
  expect(std::string("\xff\xfe[\0", 4), {{1, 1, 4, "UTF-16", "UTF-8"}});
  expect(std::string((16u << 20) + 1, '#'), {{1, 1, 1, "larger than 16 MiB", ""}});
  expect("description = \"a\\u0000b\"\n", {{1, 15, 10, "NUL character", ""}});
}

TEST_CASE("shapes that would cost the reader its stack or an hour") {
  std::string deep = "a";
  for (int i = 0; i < 100'000; ++i) deep += ".a";
  expect(deep + " = 1\n", {{1, 18, 1, "too many parts", ""}});
  expect('[' + deep + "]\n", {{1, 19, 1, "too many parts", ""}});
  std::string nested;
  for (int i = 0; i < 100'000; ++i) nested += '[';
  const ServiceTable services;
  CHECK_FALSE(parse_profile("x = " + nested, "p.toml", services));
  std::string many;
  for (int i = 0; i < 200'000; ++i) many += "[a" + std::to_string(i) + "]\n";
  expect(many, {{50'001, 1, 1, "too many tables", ""}});
}

TEST_CASE("unknown keys and tables") {
  expect("[network]\nrefus = \"drop\"\n", {{2, 1, 5, "unknown key 'refus' in [network]", "'refuse'"}});
  expect("[netwrok]\nipv6 = true\n", {{1, 2, 7, "unknown key 'netwrok'", "'network'"}});
  expect("refuse = \"drop\"\n", {{1, 1, 6, "unknown key 'refuse'", "[network]"}});
  expect("to = [\"any\"]\n", {{1, 1, 2, "unknown key 'to'", "[[allow]]"}});
  expect("[network]\ndescription = \"x\"\n", {{2, 1, 11, "unknown key", "at the top"}});
  expect("zzzzzzzz = 1\n", {{1, 1, 8, "unknown key", "known here: description"}});
  expect("[[allow]]\nto = \"any\"\nservices = [\"ssh\"]\n",
         {{3, 1, 8, "unknown key 'services' in [[allow]]", "'service'"}});
  expect("[[allow]]\nto = \"any\"\nport = 443\n",
         {{3, 1, 4, "unknown key 'port' in [[allow]]", "'service'"}});
  expect("network.resolver.upstrem = 1\n",
         {{1, 18, 7, "unknown key 'upstrem' in [network.resolver]", "'upstream'"}});
  expect("[limits]\nconections = 4\n", {{2, 1, 10, "unknown key 'conections' in [limits]", "'connections'"}});
  expect("\"a b\" = 1\n", {{1, 1, 5, "unknown key 'a b'", "known here"}});
}

TEST_CASE("keys of a later version are refused by name, never passed over") {
  expect("[limits]\nconnections = 200\nupload = \"10mbit\"\n",
         {{2, 1, 11, "'connections' in [limits] is not supported", ""},
          {3, 1, 6, "'upload' in [limits] is not supported", ""}});
  expect("[limits]\n", {{1, 2, 6, "[limits] is not supported", ""}});
  expect("[[allow]]\nto = \"any\"\nrate = \"10/minute\"\n",
         {{3, 1, 4, "'rate' in [[allow]] is not supported", ""}});
  expect("[[deny]]\ncountry = [\"NZ\"]\n", {{2, 1, 7, "'country' in [[deny]] is not supported", ""}});
  expect("[[publish]]\nlisten = \"127.0.0.1:80\"\n",
         {{2, 1, 6, "'listen' in [[publish]] is not supported", ""}});
  expect("[[host]]\n", {{1, 1, 8, "[[host]] is not supported", ""}});
  expect("[process]\nkeep = [\"cap_net_raw\"]\n", {{2, 1, 4, "'keep' in [process] is not supported", ""}});
  expect("[process]\nhide = [\"/x\"]\n", {{2, 1, 4, "'hide' in [process] is not supported", ""}});
  expect("[services]\nweb = [\"80\"]\n", {{2, 1, 3, "'web' in [services] is not supported", ""}});
  expect("[log]\nfile = \"x\"\n", {{2, 1, 4, "'file' in [log] is not supported", ""}});
}

TEST_CASE("values of the wrong type") {
  expect("description = 1\n", {{1, 15, 1, "must be a text in quotes, not a whole number", ""}});
  expect("extends = [1.5]\n", {{1, 12, 3, "not a number with a fraction", ""}});
  expect("extends = [\"a\", [\"b\"]]\n", {{1, 17, 5, "not a list", ""}});
  expect("[network]\nipv6 = \"yes\"\n",
         {{2, 8, 5, "'ipv6' in [network] must be true or false, not a text", "true"}});
  expect("[network]\nipv6 = 0\n", {{2, 8, 1, "must be true or false", "false"}});
  expect("[network]\nrefuse = true\n", {{2, 10, 4, "must be \"reject\" or \"drop\", not true or false", ""}});
  expect("[network]\ndns = \"host\"\n", {{2, 7, 6, "'host' is no value of 'dns'", ""}});
  expect("[network]\nuplink = \"hst\"\n", {{2, 10, 5, "'hst' is no value of 'uplink'", "host"}});
  expect("network = 3\n", {{1, 1, 7, "'network' is a table", "[network]"}});
  expect("[allow]\nto = \"any\"\n", {{1, 2, 5, "list of tables", "[[allow]]"}});
  expect("allow = []\n", {{1, 1, 5, "list of tables", "[[allow]]"}});
  expect("allow = [\"internet\"]\n", {{1, 1, 5, "list of tables", "[[allow]]"}});
  expect("[[network]]\nipv6 = true\n", {{1, 3, 7, "'network' is a table", "[network]"}});
  expect("[[allow]]\nto = \"any\"\nlocal = \"true\"\n", {{3, 9, 6, "must be true or false", "true"}});
  expect("[[allow]]\nto = 5\n", {{2, 6, 1, "must be a list of destinations", ""}});
  expect("[[allow]]\nto = \"any\"\nservice = true\n", {{3, 11, 4, "must be a list of services", ""}});
  expect("[log]\ndenied = 1999-01-01\n", {{2, 10, 10, "must be true or false, not a date", ""}});
}

TEST_CASE("empty lists and rules without a destination") {
  expect("[[allow]]\nto = []\n", {{2, 6, 2, "this list is empty", "leave 'to' out"}});
  expect("[[allow]]\nto = \"any\"\nservice = []\n",
         {{3, 11, 2, "this list is empty", "leave 'service' out"}});
  expect("extends = []\n", {{1, 11, 2, "this list is empty", "leave 'extends' out"}});
  expect("[seccomp]\nfamilies = []\n", {{2, 12, 2, "this list is empty", "leave 'families' out"}});
  expect("[[allow]]\n", {{1, 1, 9, "names no destination", "to = [\"internet\"]"}});
  expect("\n[[deny]]\nservice = \"ssh\"\n", {{2, 1, 8, "names no destination", "to = [\"internet\"]"}});
  expect("[[allow]]\nto = \"\"\n", {{2, 6, 2, "empty", "internet"}});
}

TEST_CASE("destinations: words, sets and URLs") {
  expect_to("@blocklist", "there is no set '@blocklist'", "@apt-sources, @npm-registry, @pip-index");
  expect_to("@Apt-sources", "there is no set '@Apt-sources'", "@apt-sources");
  expect_to("@pip-index:443", "a port does not belong here", "to = [\"@pip-index\"], service = [\"443\"]");
  expect_to("https://u:p@198.51.100.7:8443/x?y", "a URL is no destination",
            "to = [\"198.51.100.7\"], service = [\"8443/tcp\"]");
  expect_to("http://[2001:db8::1]/", "a URL is no destination",
            "to = [\"2001:db8::1\"], service = [\"http\"]");
  expect_to("intrnet", "'intrnet' is no destination", "internet");
  expect_to("Internet", "small letters", "internet");
  expect_to("*", "'*' is no destination", "\"any\"");
  expect_to("localhost", "loopback", "[[host]]");
  expect_to("lan", "'lan' is no destination", "192.168.1.0/24");
  expect_to("ssh", "'ssh' is a service, not a destination", "service = [\"ssh\"]");
  expect_to("443/tcp", "'443/tcp' is a service", "to = [\"internet\"], service = [\"443/tcp\"]");
  expect_to("a, b", "more than one destination", "quotes of its own");
  expect_to(" any", "blanks", "any");
}

TEST_CASE("destinations: addresses") {
  expect_to("127.0.0.999", "'999' is above 255", "");
  expect_to("10.0.0.1/8", "bits set", "10.0.0.0/8");
  expect_to("2001:db8::1/32", "bits set", "2001:db8::/32");
  expect_to("10.0.0.0/33", "'33' is no prefix length", "");
  expect_to("10.0.0.0/08", "'08' is no prefix length", "");
  expect_to("10.0.0.0/", "'' is no prefix length", "");
  expect_to("10.0.0.0/255.0.0.0", "no prefix length", "number of bits");
  expect_to("2001:db8::/129", "0 to 128", "");
  expect_to("010.0.0.1", "octal", "");
  expect_to("10.0.0", "3 numbers", "10.0.0.0/24");
  expect_to("1.2.3.4.5", "5 numbers", "");
  expect_to("1..2.3", "missing", "");
  expect_to("198.51.100.7:443", "a port does not belong here",
            "to = [\"198.51.100.7\"], service = [\"443\"]");
  expect_to("[2001:db8::1]", "brackets", "2001:db8::1");
  expect_to("[2001:db8::1]:443", "brackets", "2001:db8::1");
  expect_to("2001:db8::g", "no IPv6 address", "");
  expect_to("2001:db8:::1", "no IPv6 address", "");
  expect_to("fe80::1%eth0", "zone", "fe80::1");
  expect_to("192.0.2.1-192.0.2.9", "ranges of addresses", "CIDR");
}

TEST_CASE("destinations that no router forwards to, in an allow") {
  expect_to("127.0.0.0/8", "loopback", "[[host]]");
  expect_to("127.0.0.1", "loopback", "[[host]]");
  expect_to("::1", "loopback", "[[host]]");
  expect_to("224.0.0.251", "multicast", "");
  expect_to("ff02::/16", "multicast", "");
  expect_to("255.255.255.255", "broadcast", "");
  expect_to("fe80::1", "link-local", "global");
  expect_to("0.0.0.0", "no address that packets go to", "");
  expect_to("::", "no address that packets go to", "");
  expect_to("::ffff:10.0.0.1", "IPv4 address in IPv6 form", "10.0.0.1");
  expect_to("::ffff:10.0.0.0/104", "IPv4 address in IPv6 form", "10.0.0.0/8");
  // Those that merely cover some are cut by the policy, and a denial can name what it wants.
  const ServiceTable services;
  CHECK(parse_profile("[[allow]]\nto = [\"0.0.0.0/0\", \"::/0\", \"0.0.0.0/1\", \"169.254.169.254\"]", "p",
                      services));
  CHECK(parse_profile("[[deny]]\nto = [\"127.0.0.0/8\", \"224.0.0.0/4\", \"fe80::/10\", \"::1\"]", "p",
                      services));
}

TEST_CASE("services") {
  expect_service("65536/tcp", "port 65536 is above 65535", "");
  expect_service("99999999999999999999", "is above 65535", "");
  expect_service("0", "port 0 is none", "");
  expect_service("0/udp", "port 0 is none", "");
  expect_service("0-10/udp", "port 0 is none", "");
  expect_service("0443/tcp", "begins with 0", "443");
  expect_service("8100-8000/tcp", "reversed", "8000-8100");
  expect_service("80-/tcp", "'' is no port", "");
  expect_service("80-90-100", "'90-100' is no port", "");
  expect_service("80:90", "range of ports", "80-90");
  expect_service("tcp/443", "before the protocol", "443/tcp");
  expect_service("tcp:443", "before the protocol", "443/tcp");
  expect_service("443/tpc", "'tpc' has no ports", "443/tcp");
  expect_service("443/", "the protocol is missing", "443/tcp");
  expect_service("443/icmp", "'icmp' has no ports", "443/tcp or 443/udp");
  expect_service("htps", "no service is named 'htps'", "https");
  expect_service("dns", "no service is named 'dns'", "domain");
  expect_service("https/sctp", "not listed for sctp, only as 443/tcp, 443/udp", "");
  expect_service("gre", "protocol without ports", "gre/ip");
  expect_service("256/ip", "no IP protocol", "");
  expect_service("nothing/ip", "no IP protocol", "47/ip");
  expect_service("80,443", "more than one service", "quotes of its own");
  expect_service("443 /tcp", "blanks", "");
  expect_service(" 443/tcp", "blanks", "443/tcp");
  expect_service("any", "'any' is no service", "leave `service` out");
  expect_service("", "empty", "leave `service` out");
  expect_service("internet", "is a destination", "");
  expect("[[allow]]\nto = \"any\"\nservice = [443, 65536]\n", {{3, 17, 5, "above 65535", ""}});
  expect("[[allow]]\nto = \"any\"\nservice = -1\n", {{3, 11, 2, "no service is named '-1'", "443/tcp"}});
}

TEST_CASE("socket families, accounts, environment, extends") {
  expect("[seccomp]\nfamilies = [\"inet\", \"AF_INET6\"]\n",
         {{2, 21, 10, "no socket family is named 'AF_INET6'", "inet6"}});
  expect("[seccomp]\nfamilies = [\"bluetoth\"]\n", {{2, 13, 10, "no socket family", "bluetooth"}});
  expect("[seccomp]\nfamilies = [\"ipv4\"]\n", {{2, 13, 6, "no socket family", "inet"}});
  expect("[seccomp]\nfamilies = [2]\n", {{2, 13, 1, "must be a list of socket families", ""}});
  expect("[process]\nuser = \"a:b\"\n", {{2, 8, 5, "'a:b' is no name or number of a user", ""}});
  expect("[process]\nuser = \"\"\n", {{2, 8, 2, "no name or number", ""}});
  expect("[process]\nuser = -1\n", {{2, 8, 2, "no name or number", ""}});
  expect("[process]\nuser = [\"a\", \"b\"]\n", {{2, 8, 10, "must be a user name", ""}});
  expect("[process]\ngroups = [\"a b\"]\n", {{2, 11, 5, "no name or number of a group", ""}});
  expect("[process.environment]\n1A = \"x\"\nB = 1\n",
         {{2, 1, 2, "no name of an environment variable", "letters"}, {3, 5, 1, "must be a text", ""}});
  expect("[process]\nenvironment = [\"A=b\"]\n", {{2, 15, 7, "must be a table of texts", ""}});
  expect("extends = [\"\", \"a/\", \"..\"]\n", {{1, 12, 2, "no name of a profile", "path"},
                                                {1, 16, 4, "no name of a profile", "path"},
                                                {1, 22, 4, "no name", "path"}});
}

TEST_CASE("many mistakes of many kinds in one file") {
  expect(
      "[[deny]]\n"
      "to = [\"1.2.3\", \"any\", \"example.com/\"]\n"
      "[network]\n"
      "ipv6 = 1\n"
      "[[allow]]\n"
      "service = [\"70000\", \"ssh\"]\n",
      {{2, 7, 7, "3 numbers", "1.2.3.0/24"},
       {2, 23, 14, "a path", "example.com"},
       {4, 8, 1, "true or false", "true"},
       {5, 1, 9, "no destination", "internet"},
       {6, 12, 7, "above 65535", ""}});
}
