// Names as destinations: in `to` and in a SPEC, good ones and what is said of the others.
#include <doctest/doctest.h>

#include "netjail/profile/profile.h"

using namespace netjail;

namespace {

const ServiceTable& services() {
  static const ServiceTable table;
  return table;
}

// What one word of `to` means: the pattern as it is compared.
std::string name_of(const std::string& word, const std::string& table = "allow") {
  const auto profile = parse_profile("[[" + table + "]]\nto = ['" + word + "']\n", "p.toml", services());
  if (!profile) return render_diagnostics(profile.error());
  const Destination& to = profile->rules.at(0).to.at(0);
  CHECK(to.kind == Destination::Kind::name);
  CHECK(to.text == word);
  CHECK(profile->rules[0].services.empty());  // the policy has the default
  return to_string(to.pattern);
}

// "PATTERN|SERVICE,SERVICE", or "!WORD|..." for what is no name.
std::string meaning(const std::string& spec, const ServiceTable& table = services()) {
  const auto rule = parse_spec(spec, Action::allow, table);
  if (!rule) return render_diagnostics(rule.error());
  REQUIRE(rule->to.size() == 1);
  const Destination& to = rule->to[0];
  std::string out = to.kind == Destination::Kind::name ? to_string(to.pattern) : "!" + to.text;
  for (std::size_t i = 0; i < rule->services.size(); ++i)
    out.append(i == 0 ? "|" : ",").append(to_string(rule->services[i]));
  return out;
}

struct Row {
  std::string_view word;
  std::uint32_t column, width;  // in a profile from the quote on, 0; width 0: not looked at
  std::string_view message, help;
};

void expect_to(const Row& row) {
  CAPTURE(row.word);
  for (const std::string table : {"allow", "deny"}) {
    const auto profile =
        parse_profile("[[" + table + "]]\nto = ['" + std::string(row.word) + "']\n", "p.toml", services());
    REQUIRE_FALSE(profile);
    REQUIRE(profile.error().size() == 1);
    const Diagnostic& found = profile.error()[0];
    CHECK(found.message == row.message);
    CHECK(found.suggestion == row.help);
    CHECK(found.where == Position{"p.toml", 2, 7 + row.column});
    if (row.width != 0) CHECK(found.width == row.width);
  }
}

void expect_spec(const Row& row) {
  CAPTURE(row.word);
  const auto rule = parse_spec(row.word, Action::allow, services());
  REQUIRE_FALSE(rule);
  REQUIRE(rule.error().size() == 1);
  const Diagnostic& found = rule.error()[0];
  CHECK(found.message == row.message);
  CHECK(found.suggestion == row.help);
  CHECK(found.where == Position{"--allow", 1, row.column});
  CHECK(found.source_line.substr(found.caret, found.width).size() >= row.width);
}

}  // namespace

TEST_CASE("names in a profile") {
  for (const std::string table : {"allow", "deny"}) {
    CHECK(name_of("example.org", table) == "example.org");
    CHECK(name_of("*.example.org", table) == "*.example.org");
    CHECK(name_of("Git.EXAMPLE.Org.", table) == "git.example.org");
    CHECK(name_of("bücher.example", table) == "xn--bcher-kva.example");
    CHECK(name_of("*.xn--bcher-kva.example", table) == "*.xn--bcher-kva.example");
    CHECK(name_of("_dmarc.example.org", table) == "_dmarc.example.org");
    CHECK(name_of("co.uk", table) == "co.uk");
    CHECK(name_of("1.example.org", table) == "1.example.org");
    CHECK(name_of("3com", table) == "3com");
    CHECK(name_of("db", table) == "db");
    CHECK(name_of("printer", table) == "printer");
    CHECK(name_of("wiki.lan", table) == "wiki.lan");
  }
  // A dot at the end: meant as a name, whatever else the word is.
  for (const std::string word : {"ssh", "intranet", "internet", "any", "lan", "all", "tcp"})
    CHECK(name_of(word + '.') == word);
  // The machine's services(5) decides nothing here.
  const ServiceTable machine("printer 515/tcp\nhost-a 999/tcp\n");
  CHECK(parse_profile("allow = [{to = ['printer', 'host-a']}]", "p.toml", machine));
}

TEST_CASE("words that are no names, in a profile") {
  const std::string host =
      "a service on the host's loopback will be reached by [[host]], which is not supported yet";
  const std::string wide = "\"internet\" (all but local addresses) or \"any\"";
  const std::string loopback =
      "the host's loopback cannot be reached from the jail, and the jail's own is always open";
  const std::vector<Row> rows{
      {"https://forge.test/x", 0, 22, "a URL is no destination",
       "to = [\"forge.test\"], service = [\"https\"]"},
      {"ssh://git@example.org:2222/x", 0, 0, "a URL is no destination",
       "to = [\"example.org\"], service = [\"2222/tcp\"]"},
      {"wss://example.org?x=@y", 0, 0, "a URL is no destination",
       "to = [\"example.org\"], service = [\"https\"]"},
      {"foo://example.org", 0, 0, "a URL is no destination", "to = [\"example.org\"]"},
      {"https://localhost/", 0, 0, "a URL is no destination",
       "only the host is a destination, here 'localhost'"},
      {"git@forge.test:org/repo", 0, 25, "a user is no part of a destination",
       "to = [\"forge.test\"], service = [\"ssh\"]"},
      {"user@example.org", 0, 0, "a user is no part of a destination", "to = [\"example.org\"]"},
      {"example.org:443", 0, 17, "a port does not belong here",
       "to = [\"example.org\"], service = [\"443\"]"},
      {"*.example.org:https", 0, 0, "a port does not belong here",
       "to = [\"*.example.org\"], service = [\"https\"]"},
      {"example.org:", 0, 0, "a port does not belong here", "to = [\"example.org\"]"},
      {"localhost:5432", 0, 0, loopback, host},
      {"example.org/path", 0, 0, "a path is no destination, only the host is", "example.org"},
      {"example.org/24", 0, 0, "a path is no destination, only the host is", "example.org"},
      {"a.example,b.example", 0, 0, "'a.example,b.example' is more than one destination",
       "write each in quotes of its own: [\"a\", \"b\"]"},
      {"127.0.0.999", 0, 0, "'127.0.0.999' is no IPv4 address: '999' is above 255", ""},
      {"https", 0, 0, "'https' is a service, not a destination",
       "to = [\"internet\"], service = [\"https\"]; a host of this name is \"https.\""},
      {"443", 0, 0, "'443' is a service, not a destination", "to = [\"internet\"], service = [\"443\"]"},
      {"HTTP", 0, 0, "'HTTP' is a service, not a destination",
       "to = [\"internet\"], service = [\"HTTP\"]; a host of this name is \"HTTP.\""},
      {"intrenet", 0, 0, "'intrenet' is no destination", "internet; a host of this name is \"intrenet.\""},
      {"Internet", 0, 0, "destinations are in small letters", "internet"},
      {"everything", 0, 0, "'everything' is no destination", wide},
      {"All", 0, 0, "'All' is no destination", wide},
      {"*", 0, 0, "'*' is no destination", wide},
      {"none", 0, 0, "'none' is no destination", "leave the rule out: what none allows is refused"},
      {"ipv6", 0, 0, "'ipv6' is no destination", "::/0"},
      {"localhost", 0, 0, loopback, host},
      // The part that is wrong is marked.
      {"*.com", 1, 5, "'com' is a top-level name: a '*' stands below a domain",
       "*.example.com, or each name"},
      {"*.github.io", 1, 11, "'github.io' is a public suffix: anybody may have a name below it",
       "*.example.github.io, or each name"},
      {"*.*.example.org", 3, 1, "a '*' stands for whole labels, alone and in front", "*.example.org"},
      {"foo*.example.org", 4, 1, "a '*' stands for whole labels, alone and in front", "*.example.org"},
      {"foo..bar", 5, 1, "between two dots a label is missing", ""},
      {"-x.org", 1, 2, "a '-' stands at an end of '-x'", ""},
      {"bücher.b!.example", 9, 1, "'!' cannot stand in a name", ""},
      {"x.invalid", 1, 9, "'x.invalid' never has an address (RFC 6761)", "leave it out"},
      {".example.org", 1, 1, "a name begins with a dot",
       "*.example.org for every name below it, or example.org"},
      {"a b.example", 2, 1, "'a b.example' is more than one name",
       "write each in quotes of its own: [\"a.example\", \"b.example\"]"},
  };
  for (const auto& row : rows) expect_to(row);
}

TEST_CASE("where the text has escapes the whole of it is marked") {
  const auto failed =
      parse_profile("[[allow]]\nto = [\"\\u0062!.example\", \"b!.example\"]\n", "p.toml", services());
  REQUIRE_FALSE(failed);
  REQUIRE(failed.error().size() == 2);
  CHECK(failed.error()[0].where.column == 7);
  CHECK(failed.error()[0].width == 17);
  CHECK(failed.error()[1].where.column == 28);
  CHECK(failed.error()[1].width == 1);
  const auto lines = parse_profile("[[allow]]\nto = '''b!.example'''\n", "p.toml", services());
  REQUIRE_FALSE(lines);
  CHECK(lines.error()[0].where.column == 6);
}

TEST_CASE("names in a SPEC") {
  CHECK(meaning("forge.test") == "forge.test");
  CHECK(meaning("forge.test:443") == "forge.test|443/tcp,443/udp");
  CHECK(meaning("forge.test:443,80") == "forge.test|443/tcp,443/udp,80/tcp,80/udp");
  CHECK(meaning("forge.test:ssh") == "forge.test|22/tcp");
  CHECK(meaning("forge.test:53/udp") == "forge.test|53/udp");
  CHECK(meaning("*.example.org") == "*.example.org");
  CHECK(meaning("*.example.org:8443/tcp") == "*.example.org|8443/tcp");
  CHECK(meaning("bücher.example:443/tcp") == "xn--bcher-kva.example|443/tcp");
  CHECK(meaning("bücher") == "xn--bcher-kva");
  CHECK(meaning("Forge.TEST.:443/tcp") == "forge.test|443/tcp");
  CHECK(meaning("db:5432") == "db|5432/tcp,5432/udp");
  CHECK(meaning("printer:ipp") == "printer|631/tcp,631/udp");
  CHECK(meaning("db.") == "db");
  CHECK(meaning("ssh.:22") == "ssh|22/tcp,22/udp");
  CHECK(meaning("internet.:22/tcp") == "internet|22/tcp");
  // As ever.
  CHECK(meaning("https") == "!internet|443/tcp,443/udp");
  CHECK(meaning("internet:22/tcp") == "!internet|22/tcp");
  // A service of the machine's, and a name before a ':'.
  const ServiceTable machine("printer 515/tcp\n");
  CHECK(meaning("printer", machine) == "!internet|515/tcp");
  CHECK(meaning("printer:ipp", machine) == "printer|631/tcp,631/udp");
  CHECK(parse_spec("*.example.org:ssh", Action::deny, services()));
}

TEST_CASE("mistakes in a SPEC with a name") {
  const std::string more = "give each an option of its own: --allow ";
  const std::string suffix = "'com' is a top-level name: a '*' stands below a domain";
  const std::string each = "*.example.com, or each name";
  const std::string star = "\"internet\" (all but local addresses) or \"any\"";
  const std::string two = more + "a.example --allow b.example";
  const std::string three = more + "a.example:443 --allow b.example:80";
  const std::vector<Row> rows{
      {"forge.test:", 12, 0, "a service is missing after the ':'",
       "leave out the ':' for the web: 443/tcp, 443/udp and 80/tcp"},
      {"forge.test:99999", 12, 5, "port 99999 is above 65535", ""},
      {"forge.test:htps", 12, 4, "no service is named 'htps'", "https"},
      {"*.com", 1, 5, suffix, each},
      {"*.com:443", 1, 5, suffix, each},
      {"https://forge.test/x", 1, 20, "a URL is no destination", "forge.test:https"},
      {"http://user:pw@example.org:8080/x", 1, 33, "a URL is no destination", "example.org:8080/tcp"},
      {"https://[2001:db8::1]/", 1, 22, "a URL is no destination", "[2001:db8::1]:https"},
      {"user@host", 1, 9, "a user is no part of a destination", "host."},
      {"user@example.org", 1, 16, "a user is no part of a destination", "example.org"},
      {"user@host:22", 1, 12, "a user is no part of a destination", "host:22"},
      {"git@forge.test:org/repo", 1, 23, "a user is no part of a destination", "forge.test:ssh"},
      {"forge.test/org", 1, 14, "a path is no destination, only the host is", "forge.test"},
      {"forge.test/org:443", 1, 14, "a path is no destination, only the host is", "forge.test"},
      {"*", 1, 1, "'*' is no destination", star},
      {"*:443", 1, 1, "'*' is no destination", star},
      {"*.*.example.org", 3, 1, "a '*' stands for whole labels, alone and in front", "*.example.org"},
      {"foo..bar", 5, 1, "between two dots a label is missing", ""},
      {"foo..bar:443", 5, 1, "between two dots a label is missing", ""},
      {"-x.org", 1, 2, "a '-' stands at an end of '-x'", ""},
      {"ü.b!.example:443", 4, 1, "'!' cannot stand in a name", ""},
      {"ssh:22", 1, 3, "'ssh' is a service, not a destination",
       "internet:ssh; a host of this name is ssh.:22"},
      {"http:", 1, 4, "'http' is a service, not a destination",
       "internet:http; a host of this name is http."},
      {"443:80", 1, 3, "'443' is a service, not a destination", "internet:443"},
      {"db", 1, 2, "no service is named 'db'",
       "give its port and protocol, such as \"443/tcp\"; a host of this name is db."},
      {"htps", 1, 4, "no service is named 'htps'", "https; a host of this name is htps."},
      {"everything", 1, 10, "no service is named 'everything'",
       "give its port and protocol, such as \"443/tcp\""},
      {"intrenet:443", 1, 8, "'intrenet' is no destination",
       "internet; a host of this name is \"intrenet.\""},
      {"a.example,b.example", 1, 19, "'a.example,b.example' is more than one rule", two},
      {"a.example b.example", 1, 19, "'a.example b.example' is more than one rule", two},
      {"a.example:443,b.example:80", 15, 12, "'a.example:443,b.example:80' is more than one rule", three},
  };
  for (const auto& row : rows) expect_spec(row);
}
