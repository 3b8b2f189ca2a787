// What `netjail explain` and `netjail check` say of names. What they say of addresses: tests/e2e.
#include "explanation.h"

#include <doctest/doctest.h>

using namespace netjail;

namespace {

using Kind = Destination::Kind;
using Texts = std::vector<std::string>;

Destination to(std::string_view text) {
  if (text == "any") return {Kind::any, {}, "any"};
  if (text == "internet") return {Kind::internet, {}, "internet"};
  if (const auto prefix = parse_prefix(text)) return {Kind::prefix, *prefix, std::string(text)};
  return {Kind::name, {}, std::string(text), *parse_name_pattern(text, PublicSuffixes::builtin())};
}
// As parse_spec reads "TO:SERVICE,..." or "TO".
ProfileRule spec(std::string_view destination, const std::vector<std::string>& service_texts = {},
                 Action action = Action::allow) {
  ProfileRule rule{.action = action, .to = {to(destination)}, .where = {"p.toml", 1, 1}};
  rule.service_texts = service_texts;
  for (const std::string& text : service_texts) {
    const auto services = parse_service(text, ServiceTable());
    REQUIRE_MESSAGE(services.has_value(), text);
    rule.services.insert(rule.services.end(), services->begin(), services->end());
  }
  return rule;
}
ProfileRule deny(std::string_view destination, const std::vector<std::string>& service_texts = {}) {
  return spec(destination, service_texts, Action::deny);
}
ProfileRule local(ProfileRule rule) {
  rule.local = true;
  return rule;
}
Policy policy(std::vector<ProfileRule> rules) {
  return make_policy(Profile{.name = "p", .rules = std::move(rules)});
}

std::string explained(const Policy& of, const ProfileRule& what) {
  const auto explanation = explain(of, what);
  REQUIRE_MESSAGE(explanation.has_value(), explanation.error().what);
  return (explanation->allowed ? "0\n" : "1\n") + explanation->text;
}
std::string refused(const Policy& of, const ProfileRule& what) {
  const auto explanation = explain(of, what);
  REQUIRE(!explanation.has_value());
  return explanation.error().what;
}

}  // namespace

TEST_CASE("a name with a service") {
  const Policy of = policy({spec("*.example.org"), deny("www.example.org", {"80/tcp"}),
                            deny("ads.example.org"), spec("internet", {"ping"})});
  CHECK(explained(of, spec("www.example.org", {"443/tcp"})) ==
        "0\nALLOW www.example.org:443/tcp: rule allow-1 (allow *.example.org, p.toml:1)\n");
  CHECK(explained(of, spec("www.example.org", {"22/tcp"})) ==
        "1\nDENY  www.example.org:22/tcp: no rule allows it\n"
        "      to open it: --allow www.example.org:22/tcp\n");
  // No --allow beats a denial.
  CHECK(explained(of, spec("www.example.org", {"80/tcp"})) ==
        "1\nDENY  www.example.org:80/tcp: rule deny-1 (deny www.example.org 80/tcp, p.toml:1)\n");
  CHECK(explained(of, spec("ads.example.org", {"443/tcp"})) ==
        "1\nDENY  ads.example.org:443/tcp: rule deny-2 (deny ads.example.org, p.toml:1)\n");
  // Every service that is asked for must be open; ping is one line for both families.
  CHECK(explained(of, spec("www.example.org", {"ping", "22/tcp"})).starts_with("1\nALLOW "));
  CHECK(explained(of, spec("host.example", {"ping"})) ==
        "0\nALLOW host.example:ping: rule allow-2 (allow internet ping, p.toml:1)\n");
}

TEST_CASE("a name without a service: what it opens") {
  const Policy of =
      policy({spec("*.example.org"), deny("www.example.org", {"80/tcp"}), deny("ads.example.org"),
              spec("www.example.org", {"8000-8100/tcp"}), deny("www.example.org", {"8000/tcp"})});
  CHECK(explained(of, spec("www.example.org")) ==
        "0\nlooked up: rule allow-1 (allow *.example.org, p.toml:1)\n"
        "DENY  www.example.org:80/tcp: rule deny-1 (deny www.example.org 80/tcp, p.toml:1)\n"
        "ALLOW www.example.org:443/tcp: rule allow-1 (allow *.example.org, p.toml:1)\n"
        "ALLOW www.example.org:443/udp: rule allow-1 (allow *.example.org, p.toml:1)\n"
        "ALLOW www.example.org:8000-8100/tcp: rule allow-2 (allow www.example.org 8000-8100/tcp, p.toml:1)\n"
        "DENY  www.example.org:8000/tcp: rule deny-3 (deny www.example.org 8000/tcp, p.toml:1)\n");
  CHECK(explained(of, spec("ads.example.org")) ==
        "1\nDENY  ads.example.org: rule deny-2 (deny ads.example.org, p.toml:1)\n");
  CHECK(explained(of, spec("example.org")) ==
        "1\nDENY  example.org: no rule allows it\n      to open it: --allow example.org\n");
  CHECK(explained(policy({spec("internet")}), spec("example.org")) ==
        "0\nlooked up: rule allow-1 (allow internet, p.toml:1)\n"
        "ALLOW example.org:any: rule allow-1 (allow internet, p.toml:1)\n");
  // Looked up, and nothing is open.
  CHECK(explained(policy({spec("example.org", {"80/tcp"}), deny("any", {"80/tcp"})}), spec("example.org"))
            .starts_with("1\nlooked up: "));
}

TEST_CASE("an address that a name may have") {
  const Policy of =
      policy({spec("example.org"), spec("*.example.net"), local(spec("nas.example.org", {"443/tcp"})),
              spec("198.51.100.0/24"), deny("example.com", {"25/tcp"})});
  CHECK(explained(of, spec("203.0.113.7", {"443/tcp"})) ==
        "1\nDENY  203.0.113.7:443/tcp: no rule allows it\n"
        "      opened once a name of allow-1, allow-2, allow-3 that was looked up has this address\n"
        "      to open it: --allow 203.0.113.7:443/tcp\n");
  CHECK(explained(of, spec("192.168.7.7", {"443/tcp"})).find("a name of allow-3 that") != std::string::npos);
  CHECK(explained(of, spec("192.168.7.7", {"80/tcp"})).find("a name of") == std::string::npos);
  CHECK(explained(of, spec("203.0.113.7", {"22/tcp"})).find("a name of") == std::string::npos);
  CHECK(explained(of, spec("198.51.100.7", {"443/tcp"})).find("a name of") == std::string::npos);
  CHECK(explained(of, spec("198.51.100.7", {"25/tcp"})).find("refused once a name of deny-1 that") !=
        std::string::npos);
  Policy without = of;
  without.dns = DnsChoice::none;
  CHECK(explained(without, spec("203.0.113.7", {"443/tcp"})).find("a name of") == std::string::npos);
}

TEST_CASE("what is no single destination") {
  Policy of = policy({spec("*.example.org")});
  CHECK(refused(of, spec("*.example.org")).find("one name, not *.example.org") != std::string::npos);
  CHECK(refused(of, spec("internet", {"80/tcp"})).find("one address or name, not internet") !=
        std::string::npos);
  CHECK(refused(of, spec("198.51.100.0/24", {"80/tcp"})).find("one address or name") != std::string::npos);
  CHECK(refused(of, spec("198.51.100.7")).find("a service") != std::string::npos);
  CHECK(refused(of, spec("198.51.100.7", {"80-90/tcp"})).find("one port") != std::string::npos);
  of.dns = DnsChoice::none;
  CHECK(refused(of, spec("a.example.org")).find("dns = \"none\"") != std::string::npos);
}

TEST_CASE("doubtful rules by name") {
  CHECK(lint(policy({spec("example.org"), spec("*.example.org", {"22/tcp"})})).empty());
  Policy sockets = policy({spec("example.org")});
  sockets.unix_sockets = {"wayland", "session-bus", "/run/docker.sock"};
  CHECK(lint(sockets).size() == 2);
  sockets.mount_namespaces = true;
  CHECK(lint(sockets).size() == 3);
  CHECK(lint(policy({spec("127.0.0.1")})).size() == 1);
  CHECK(lint(policy({spec("example.org", {"ftp"})})) ==
        Texts{"p.toml:1: warning: ftp passes passwords in plain text"});
  CHECK(lint(policy({spec("a.example.org"), deny("*.example.org")})) ==
        Texts{"p.toml:1: warning: denied by another rule, so not even looked up: a.example.org"});
  CHECK(lint(policy({spec("a.example.org"), deny("*.example.org", {"80/tcp"})})).empty());
  CHECK(lint(policy({spec("*.example.org"), deny("a.example.org")})).empty());
  CHECK(lint(policy({spec("example.org"), deny("internet")})) ==
        Texts{"p.toml:1: warning: deny-1 (p.toml:1) refuses everything that this rule opens"});
  ProfileRule both = spec("example.org");
  both.to.push_back(to("198.51.100.7"));
  CHECK(lint(policy({both, deny("198.51.100.0/24")})) ==
        Texts{"p.toml:1: warning: deny-1 (p.toml:1) refuses every address that this rule opens"});
  Policy without = policy({spec("example.org")});
  without.dns = DnsChoice::none;
  CHECK(lint(without) == Texts{"p.toml:1: warning: no name of this rule is looked up, since dns = \"none\""});
}
