// --allow and --deny.
#include <doctest/doctest.h>

#include "netjail/profile/profile.h"

using namespace netjail;

namespace {

const ServiceTable& services() {
  static const ServiceTable table;
  return table;
}

// "DESTINATION|SERVICE,SERVICE": what a SPEC means.
std::string meaning(const std::string& spec) {
  const auto rule = parse_spec(spec, Action::allow, services());
  if (!rule) return render_diagnostics(rule.error());
  CHECK(rule->action == Action::allow);
  CHECK_FALSE(rule->local);
  CHECK(rule->where == Position{"--allow", 1, 1});
  REQUIRE(rule->to.size() == 1);
  const Destination& to = rule->to[0];
  std::string out = to.kind == Destination::Kind::prefix ? to_string(to.prefix) : to.text;
  for (std::size_t i = 0; i < rule->services.size(); ++i)
    out.append(i == 0 ? "|" : ",").append(to_string(rule->services[i]));
  return out;
}

void expect(const std::string& spec, std::uint32_t column, std::uint32_t width, const std::string& message,
            const std::string& help) {
  const auto rule = parse_spec(spec, Action::allow, services());
  CAPTURE(spec);
  REQUIRE_FALSE(rule);
  const std::string rendered = render_diagnostics(rule.error());
  CAPTURE(rendered);
  REQUIRE(rule.error().size() == 1);
  const Diagnostic& found = rule.error()[0];
  CHECK(found.where == Position{"--allow", 1, column});
  CHECK(found.width == width);
  CHECK(found.message.find(message) != std::string::npos);
  CHECK(found.suggestion.find(help) != std::string::npos);
  CHECK(found.suggestion.empty() == help.empty());
}

}  // namespace

TEST_CASE("a SPEC is a destination, a service or both") {
  CHECK(meaning("198.51.100.7:443") == "198.51.100.7|443/tcp,443/udp");
  CHECK(meaning("[2001:db8::1]:53/udp") == "2001:db8::1|53/udp");
  CHECK(meaning("[2001:db8::/32]:ssh") == "2001:db8::/32|22/tcp");
  CHECK(meaning("[2001:db8::1]") == "2001:db8::1");
  CHECK(meaning("2001:db8::1") == "2001:db8::1");
  CHECK(meaning("2001:db8::1:443") == "2001:db8::1:443");  // an address, and nobody can know better
  CHECK(meaning("10.0.0.0/8:ssh") == "10.0.0.0/8|22/tcp");
  CHECK(meaning("10.0.0.0/8") == "10.0.0.0/8");
  CHECK(meaning("internet:https") == "internet|443/tcp,443/udp");
  CHECK(meaning("443/tcp") == "internet|443/tcp");
  CHECK(meaning("443") == "internet|443/tcp,443/udp");
  CHECK(meaning(":443/tcp") == "internet|443/tcp");
  CHECK(meaning("https,22/tcp,8000-8010/udp") == "internet|443/tcp,443/udp,22/tcp,8000-8010/udp");
  CHECK(meaning("198.51.100.7") == "198.51.100.7");
  CHECK(meaning("any:ping") == "any|ping,ping");
  CHECK(meaning("any:gre/ip") == "any|47/ip");
  CHECK(meaning("any") == "any");
  CHECK(meaning("@npm-registry") == "@npm-registry");
  CHECK(meaning("@apt-sources:https,ssh") == "@apt-sources|443/tcp,443/udp,22/tcp");
  CHECK(meaning("icmp") == "internet|icmp,icmpv6");
  CHECK(meaning("203.0.113.0/24:80,443/tcp") == "203.0.113.0/24|80/tcp,80/udp,443/tcp");
  const auto rule = parse_spec("10.0.0.0/8:ssh,25", Action::deny, services());
  REQUIRE(rule);
  CHECK(rule->action == Action::deny);
  CHECK(rule->where.file == "--deny");
  CHECK(rule->service_texts == std::vector<std::string>{"ssh", "25"});
  CHECK(rule->to[0].text == "10.0.0.0/8");
}

TEST_CASE("mistakes in a SPEC stand at their place") {
  expect("", 1, 1, "empty", "forms");
  expect(" any", 1, 4, "blanks", "any");
  expect("localhost:5432", 1, 9, "loopback", "[[host]]");
  expect("localhost", 1, 9, "loopback", "[[host]]");
  expect("127.0.0.1:5432", 1, 9, "loopback", "[[host]]");
  expect("@set", 1, 4, "there is no set '@set'", "@apt-sources, @npm-registry, @pip-index");
  expect("@npm-registri:443", 1, 13, "there is no set '@npm-registri'", "@npm-registry");
  expect("@npm-registry:", 15, 1, "a service is missing", "leave out");
  expect("https://198.51.100.7/x", 1, 22, "a URL is no destination", "198.51.100.7:https");
  expect("198.51.100.7:", 14, 1, "a service is missing", "leave out");
  expect("198.51.100.7:htps", 14, 4, "no service is named 'htps'", "https");
  expect("198.51.100.7:443,70000", 18, 5, "above 65535", "");
  expect("198.51.100.7:443,", 18, 1, "empty", "service");
  expect("198.51.100.300:443", 1, 14, "'300' is above 255", "");
  expect("198.51.100.300", 1, 14, "'300' is above 255", "");
  expect("10.0.0.1/8:ssh", 1, 10, "bits set", "10.0.0.0/8");
  expect("10.0.0.1/8", 1, 10, "bits set", "10.0.0.0/8");
  expect("2001:db8::1:https", 1, 17, "needs brackets", "[2001:db8::1]:https");
  expect("2001:db8::/32:443", 1, 17, "needs brackets", "[2001:db8::/32]:443");
  expect("2001:db8:0:0:0:0:0:1:443/tcp", 1, 28, "needs brackets", "[2001:db8:0:0:0:0:0:1]:443/tcp");
  expect("2001:db8:::1", 1, 12, "no IPv6 address", "");
  expect("[2001:db8::1", 1, 12, "not closed", "[2001:db8::1]:443");
  expect("[2001:db8::1]443", 14, 3, "':'", "forms");
  expect("[2001:db8::]/32:443", 13, 7, "inside the brackets", "[2001:db8::/32]:443");
  expect("[198.51.100.7]:443", 1, 14, "IPv6", "198.51.100.7:443");
  expect("[2001:db8::g]:443", 2, 11, "no IPv6 address", "");
  expect("70000/tcp", 1, 9, "above 65535", "");
  expect("443/tpc", 1, 7, "'tpc'", "443/tcp");
  expect("intrnet", 1, 7, "'intrnet' is no destination", "internet");
  expect("intrnet:443", 1, 7, "'intrnet' is no destination", "internet");
  expect("htps", 1, 4, "no service is named", "https");
  expect("0", 1, 1, "port 0", "");
  expect("*", 1, 1, "no destination", "any");
  expect("any:any", 5, 3, "no service", "leave");
  expect("any:80:90", 5, 5, "range of ports", "80-90");
  expect("tcp:443", 1, 7, "before the protocol", "443/tcp");
  expect("ssh:22", 1, 3, "'ssh' is a service", "internet:ssh");
  expect("255.255.255.255:67", 1, 15, "broadcast", "");
  expect(std::string("any\0:22", 7), 1, 1, "no text", "forms");
}

TEST_CASE("all mistakes of a SPEC at once") {
  const auto rule = parse_spec("1.2.3:htps,0", Action::deny, services());
  REQUIRE_FALSE(rule);
  REQUIRE(rule.error().size() == 3);
  CHECK(rule.error()[0].where == Position{"--deny", 1, 1});
  CHECK(rule.error()[1].where == Position{"--deny", 1, 7});
  CHECK(rule.error()[2].where == Position{"--deny", 1, 12});
}
