// [network.resolver]: name servers and record types, and the policy they become.
#include <doctest/doctest.h>

#include "netjail/policy/policy.h"

using namespace netjail;

namespace {

Parsed<Profile> read(const std::string& key, const std::string& list) {
  static const ServiceTable services;
  return parse_profile("[network.resolver]\n" + key + " = " + list + "\n", "p.toml", services);
}

struct Row {
  std::string_view word, message, help;
};

void expect_mistake(const std::string& key, const Row& row) {
  CAPTURE(row.word);
  const auto profile = read(key, "'" + std::string(row.word) + "'");
  REQUIRE_FALSE(profile);
  REQUIRE(profile.error().size() == 1);
  CHECK(profile.error()[0].message == row.message);
  CHECK(profile.error()[0].suggestion == row.help);
}

constexpr std::string_view kServers = "give addresses, such as \"203.0.113.53\" or \"[2001:db8::53]:5353\"";
constexpr std::string_view kTypes = "known here: A, AAAA, CNAME, HTTPS, SVCB, MX, SRV, TXT, PTR";

}  // namespace

TEST_CASE("name servers") {
  struct Good {
    std::string_view word, address;
    std::uint16_t port = 53;
  };
  const std::vector<Good> rows{
      {"203.0.113.53", "203.0.113.53"},
      {"203.0.113.53:5353", "203.0.113.53", 5353},
      {"203.0.113.53:65535", "203.0.113.53", 65535},
      {"2001:db8::53", "2001:db8::53"},
      {"[2001:db8::53]", "2001:db8::53"},
      {"[2001:db8::53]:1", "2001:db8::53", 1},
      {"127.0.0.1", "127.0.0.1"},
      {"127.0.0.53:5354", "127.0.0.53", 5354},
      {"::1", "::1"},
      {"169.254.169.253", "169.254.169.253"},
      {"fd00::53", "fd00::53"},
      {"2001:db8::53:53", "2001:db8::53:53"},  // an address, and nobody can know better
  };
  for (const auto& [word, address, port] : rows) {
    CAPTURE(word);
    const auto profile = read("upstream", "['" + std::string(word) + "']");
    REQUIRE(profile);
    CHECK(profile->resolver_upstream == std::vector{NameServer{*parse_ip(address), port}});
  }
  CHECK(read("upstream", "'203.0.113.53'")->resolver_upstream->size() == 1);
}

TEST_CASE("name servers that are none") {
  const std::string_view zone = "give the server's global or unique local address";
  const std::vector<Row> rows{
      {"", "a name server is empty", kServers},
      {" 203.0.113.53", "a name server has blanks around it", "203.0.113.53"},
      {"0.0.0.0", "0.0.0.0 is no address of a server", "127.0.0.1 for one on the host itself"},
      {"::", ":: is no address of a server", "127.0.0.1 for one on the host itself"},
      {"224.0.0.251", "224.0.0.251 is multicast: a name server is one", ""},
      {"ff02::fb", "ff02::fb is multicast: a name server is one", ""},
      {"255.255.255.255:53", "255.255.255.255 is broadcast: a name server is one", ""},
      {"::ffff:203.0.113.53", "::ffff:203.0.113.53 is an IPv4 address in IPv6 form", "203.0.113.53"},
      {"fe80::1", "fe80::1 is link-local: it needs a zone, which is not supported", zone},
      {"fe80::1%eth0", "'fe80::1%eth0' has a zone, which is not supported", zone},
      {"203.0.113.0/24", "'203.0.113.0/24' is a network, not one server", "203.0.113.0"},
      {"203.0.113.53#5353", "a port stands behind a ':'", "203.0.113.53:5353"},
      {"2001:db8::53#5353", "a port stands behind a ':'", "[2001:db8::53]:5353"},
      {"203.0.113.53:0", "port 0 is none: ports go from 1 to 65535", ""},
      {"203.0.113.53:65536", "port 65536 is above 65535", ""},
      {"203.0.113.53:", "'' is no port: a port is a number from 1 to 65535", ""},
      {"203.0.113.53:domain", "'domain' is no port: a port is a number from 1 to 65535", ""},
      {"203.0.113.300", "'203.0.113.300' is no IPv4 address: '300' is above 255", ""},
      {"203.0.113.300:53", "'203.0.113.300' is no IPv4 address: '300' is above 255", ""},
      {"[2001:db8::53", "'[2001:db8::53' is no IPv6 address, nor one in brackets with a port", kServers},
      {"[2001:db8::53]53", "'[2001:db8::53]53' is no IPv6 address, nor one in brackets with a port",
       kServers},
      {"[203.0.113.53]:53", "'[203.0.113.53]:53' is no IPv6 address, nor one in brackets with a port",
       kServers},
      {"dns.example.org", "'dns.example.org' is no address: a name server cannot be found by its name",
       kServers},
      {"localhost:53", "'localhost:53' is no address: a name server cannot be found by its name", kServers},
      {"https://dns.example.org/dns-query", "a URL is no name server: servers are asked by UDP and TCP",
       kServers},
      {"203.0.113.53,203.0.113.54", "'203.0.113.53,203.0.113.54' is more than one name server",
       "write each in quotes of its own: [\"a\", \"b\"]"}};
  for (const auto& row : rows) expect_mistake("upstream", row);

  const auto twice = read("upstream", "['203.0.113.53', '203.0.113.53:53']");
  REQUIRE_FALSE(twice);
  CHECK(twice.error()[0].message == "this name server is named twice");
  CHECK(twice.error()[0].where.column == 29);
  std::string many = "[";
  for (int i = 1; i <= 8; ++i) many += "'203.0.113." + std::to_string(i) + "',";
  CHECK(read("upstream", many + "]")->resolver_upstream->size() == 8);
  const auto nine = read("upstream", many + "'203.0.113.9']");
  REQUIRE_FALSE(nine);
  CHECK(nine.error()[0].message == "at most 8 name servers are asked");
  CHECK_FALSE(read("upstream", "[]"));
}

TEST_CASE("record types") {
  CHECK(read("types", "['a', 'Https', 'PTR', 'ptr']")->resolver_types ==
        std::vector<std::string>{"A", "HTTPS", "PTR"});
  CHECK_FALSE(read("types", "[]"));
  const std::vector<Row> rows{{"AAA", "'AAA' is no record type that can be answered", "AAAA"},
                              {"HTTP", "'HTTP' is no record type that can be answered", "HTTPS"},
                              {"NS", "'NS' is no record type that can be answered", kTypes},
                              {"ANY", "'ANY' is no record type that can be answered", kTypes},
                              {"A,AAAA", "'A,AAAA' is no record type that can be answered", "AAAA"}};
  for (const auto& row : rows) expect_mistake("types", row);
}

TEST_CASE("the nearer file's servers and types win, and the policy has them") {
  const Profile base = *read("upstream", "['203.0.113.53', '203.0.113.54']");
  const Profile nearer = *read("upstream", "['203.0.113.55']");
  const Profile types = *read("types", "['A']");
  CHECK(merge(base, nearer).resolver_upstream == nearer.resolver_upstream);
  CHECK(merge(base, types).resolver_upstream == base.resolver_upstream);
  CHECK(merge(*read("types", "['MX', 'TXT']"), types).resolver_types == types.resolver_types);

  const Policy policy = make_policy(merge(nearer, types));
  CHECK(policy.upstreams == std::vector{NameServer{*parse_ip("203.0.113.55")}});
  CHECK(policy.record_types == std::vector<std::string>{"A"});
  CHECK(make_policy({}).upstreams.empty());
  CHECK(make_policy({}).record_types.empty());
}
