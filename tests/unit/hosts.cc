#include "netjail/net/hosts.h"

#include <doctest/doctest.h>

using namespace netjail;

TEST_CASE("hosts(5) is read as the C library reads it") {
  const auto entries = parse_hosts(
      "# a comment\n"
      "127.0.0.1\tlocalhost loghost # and another\n"
      "  192.0.2.7   WWW.Example.ORG. www  \r\n"
      "\n"
      "2001:db8::7 six.example.org#seven.example.org\n"
      "192.0.2.9 last.example.org");
  CHECK(entries == std::vector<HostsEntry>{
                       {*parse_ip("127.0.0.1"), {{"localhost"}, {"loghost"}}},
                       {*parse_ip("192.0.2.7"), {{"www.example.org"}, {"www"}}},
                       {*parse_ip("2001:db8::7"), {{"six.example.org"}}},
                       {*parse_ip("192.0.2.9"), {{"last.example.org"}}},
                   });
}

TEST_CASE("junk in hosts(5) is left out, what stands beside it is not") {
  const std::string long_label(64, 'a');
  std::string long_name = "a";
  while (long_name.size() < 255) long_name += ".a";
  const auto entries = parse_hosts(
      "192.0.2.1\n192.0.2.1 \n#\n192.0.2.300 a.example.org\nfe80::1%eth0 a.example.org\n"
      "name.example.org 192.0.2.1\n192.0.2.2 . .. a..b .c b\xC3\xBC"
      "cher.example a/b " +
      long_label + " " + long_name + " good.example.org\n192.0.2.3 " + std::string("\0\x01", 2) +
      "\n192.0.2.4 $x\n");
  CHECK(entries == std::vector<HostsEntry>{{*parse_ip("192.0.2.2"), {{"good.example.org"}}}});
  CHECK(parse_hosts("").empty());
}
