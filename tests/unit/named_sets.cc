// Named sets: what stands in the configuration files of apt, npm and pip, and the rules that come out.
#include "netjail/profile/named_sets.h"

#include <doctest/doctest.h>

#include "netjail/base/text.h"

using namespace netjail;

namespace {

using Files = std::vector<ConfigFile>;

std::string describe(const SetHost& host) {
  return host.to.text + ' ' + to_string(host.service) + " :" + std::to_string(host.where.line);
}

// "example.org 80/tcp :1, ...", with "+N" for sources that need no network; or "FILE:LINE: MESSAGE | HELP".
std::string read(std::string_view set, const Files& files) {
  const auto contents = read_set(set, files);
  std::vector<std::string> out;
  if (!contents) {
    for (const auto& mistake : contents.error()) {
      CHECK(mistake.source_line.empty());
      out.push_back(mistake.where.file + ':' + std::to_string(mistake.where.line) + ": " + mistake.message +
                    (mistake.suggestion.empty() ? "" : " | " + mistake.suggestion));
    }
    return join(out, "\n");
  }
  for (const auto& host : contents->hosts) out.push_back(describe(host));
  if (contents->local != 0) out.push_back('+' + std::to_string(contents->local));
  return join(out, ", ");
}

std::string list(std::string text) { return read("@apt-sources", {{"a.list", std::move(text)}}); }
std::string stanzas(std::string text) { return read("@apt-sources", {{"a.sources", std::move(text)}}); }
std::string npm(std::string text) { return read("@npm-registry", {{"npmrc", std::move(text)}}); }
std::string pip(std::string text) { return read("@pip-index", {{"pip.conf", std::move(text)}}); }
// Through the simplest of the files.
std::string url(const std::string& text) { return npm("registry=" + text); }

bool has(std::string_view text, std::string_view part) { return text.find(part) != text.npos; }

}  // namespace

TEST_CASE("one-line sources of apt") {
  CHECK(list("deb http://deb.example.org/debian stable main\n") == "deb.example.org 80/tcp :1");
  CHECK(
      list("\n# deb http://no.example.org/ x\n  deb-src\thttps://src.example.org/debian stable main # yes") ==
      "src.example.org 443/tcp :3");
  CHECK(list("deb [ arch=amd64 signed-by=/k#.gpg ] https://a.example.org:8443/x ./\r\n") ==
        "a.example.org 8443/tcp :1");
  CHECK(list("deb [arch=amd64]https://a.example.org stable main") == "a.example.org 443/tcp :1");
  CHECK(list("deb cdrom:[Debian GNU/Linux 12 # x http://no.example.org]/ bookworm main\n"
             "deb file:/srv/mirror stable main\ndeb copy:/srv/m stable main\n"
             "deb \"http://b.example.org/with blank\" stable main") == "b.example.org 80/tcp :4, +3");
  CHECK(list("deb ftp://f.example.org/debian stable main") == "f.example.org 21/tcp :1");
  CHECK(list("deb http://[2001:db8::1]:3142/debian stable main\ndeb http://10.0.0.7/ x y") ==
        "2001:db8::1 3142/tcp :1, 10.0.0.7 80/tcp :2");
  CHECK(list("") == "");
  CHECK(list("rpm http://a.example.org x\ndeb\ndeb [arch=x http://a.example.org x") ==
        "a.list:1: this line begins with neither 'deb' nor 'deb-src'\na.list:2: this source has no URI\n"
        "a.list:3: the bracket of the options is not closed");
  CHECK(
      has(list("deb mirror+https://m.example.org/list x"), "'mirror+https' leads to is known only when apt"));
  CHECK(has(list("deb mirror://m.example.org/list x"), "known only when apt runs | name the hosts"));
  CHECK(has(list("deb mirror+file:/etc/apt/mirrors x"), "known only when apt runs"));
  CHECK(has(list("deb tor+http://m.example.org/ x"), "proxy on this machine"));
  CHECK(has(list("deb s3://m.example.org/ x"), "no rule can be made of the scheme 's3'"));
  CHECK(has(list("deb /srv/mirror x"), "this is no URL"));
}

TEST_CASE("sources of apt in deb822") {
  CHECK(stanzas("Types: deb deb-src\nURIs: http://a.example.org/debian https://b.example.org\nSuites: x\n") ==
        "a.example.org 80/tcp :2, b.example.org 443/tcp :2");
  CHECK(stanzas("# URIs: http://no.example.org\r\nuris:\r\n http://a.example.org\r\n# a comment\r\n"
                "\thttps://b.example.org:444/x\r\nSuites: x\r\n http://no.example.org") ==
        "a.example.org 80/tcp :3, b.example.org 444/tcp :5");
  CHECK(
      stanzas("URIs: http://no.example.org\nEnabled: no\n\n\nEnabled: FALSE\nURIs: http://no.example.org\n\n"
              "Enabled: yes\nURIs: file:/srv http://a.example.org") == "a.example.org 80/tcp :9, +1");
  // apt takes any other word for yes, and a line of blanks for a part of the stanza.
  CHECK(stanzas("Enabled: nope\nURIs: http://a.example.org\n \nEnabled: 0\n") == "");
  CHECK(stanzas("Enabled: nope\nURIs: http://a.example.org\n") == "a.example.org 80/tcp :2");
  CHECK(stanzas("Signed-By:\n -----BEGIN PGP-----\n .\n http://no.example.org\nURIs: http://a.example.org") ==
        "a.example.org 80/tcp :5");
  CHECK(stanzas("URIs a.example.org") == "a.sources:1: this line is no 'Field: value'");
  CHECK(stanzas("URIs: http://u:secret@\n") == "a.sources:1: the URL has no host");
  CHECK(stanzas(" http://no.example.org\nURIs: http://a.example.org") == "a.example.org 80/tcp :2");
}

TEST_CASE("registries of npm") {
  CHECK(npm("registry=https://npm.example.org/\n") == "npm.example.org 443/tcp :1");
  CHECK(npm("; registry=https://no.example.org/\n# registry=https://no.example.org/\n"
            "//npm.example.org/:_authToken=${TOKEN}\n\n@my:registry = \"http://my.example.org:4873\" \n"
            "proxy=http://no.example.org\nregistry = 'https://npm.example.org' ") ==
        "my.example.org 4873/tcp :5, npm.example.org 443/tcp :7");
  CHECK(npm("registry=https://a.example.org ; a comment\r\n") == "a.example.org 443/tcp :1");
  CHECK(npm("registry=https://a.example.org\nregistry=https://b.example.org") == "b.example.org 443/tcp :2");
  CHECK(npm("save=true\n[section]\nregistry=https://no.example.org") == "");
  CHECK(npm("registry\nregistrys=https://no.example.org\nmy-registry=x") == "");
  CHECK(npm("registry=https://${HOST}/") ==
        "npmrc:1: a variable of the environment stands in for the registry, and netjail does not read those: "
        "who sets them is not known | write the URL out in this file");
  CHECK(has(npm("${SCOPE}:registry=https://a.example.org/"), "npmrc:1: a variable"));
  CHECK(has(npm("registry="), "npmrc:1: this is no URL"));
  CHECK(has(npm("registry=npm.example.org"), "npmrc:1: this is no URL"));
  // The nearest file's value of each key; the farther ones are not even looked at.
  CHECK(read("@npm-registry", {{"near", "registry=https://a.example.org"},
                               {"none", {}},
                               {"far", "registry=${X}\n@s:registry=https://s.example.org\n"}}) ==
        "s.example.org 443/tcp :2, a.example.org 443/tcp :1");
}

TEST_CASE("indexes of pip") {
  CHECK(pip("[global]\nindex-url = https://pip.example.org/simple\n") == "pip.example.org 443/tcp :2");
  CHECK(pip("[global]\r\nINDEX_URL: https://pip.example.org/simple\r\n"
            "extra-index-url =\r\n    https://a.example.org/simple\r\n    # not this: "
            "https://no.example.org\r\n"
            "\r\n    http://u:p@b.example.org:8080/ https://c.example.org\r\ntimeout = 60\r\n") ==
        "a.example.org 443/tcp :4, b.example.org 8080/tcp :7, c.example.org 443/tcp :7, "
        "pip.example.org 443/tcp :2");
  CHECK(pip("[install]\nfind-links = /srv/wheels https://w.example.org/\n   file:///srv/w\n"
            "[download]\nindex-url=https://d.example.org\n;index-url=https://no.example.org") ==
        "d.example.org 443/tcp :5, w.example.org 443/tcp :2, +2");
  CHECK(pip("[global]\nproxy = http://no.example.org\ntrusted-host = no.example.org\n") == "");
  CHECK(pip("[global\nindex-url") ==
        "pip.conf:1: the bracket of this section is not closed\npip.conf:2: this line is no 'key = value'");
  CHECK(read("@pip-index", {{"near", "[global]\nextra-index-url=https://a.example.org"},
                            {"far",
                             "[global]\nextra-index-url=https://no.example.org\n"
                             "index-url=https://b.example.org\n[install]\n"
                             "extra-index-url=https://c.example.org"}}) ==
        "a.example.org 443/tcp :2, b.example.org 443/tcp :3, c.example.org 443/tcp :5");
}

TEST_CASE("URLs: hosts as rules know them, nothing guessed, nothing shown") {
  CHECK(url("HTTPS://NPM.Example.ORG./x?y#z") == "npm.example.org 443/tcp :1");
  CHECK(url("https://npm.example.org:") == "npm.example.org 443/tcp :1");
  CHECK(url("https://user:pass@word@npm.example.org:99/@x:1") == "npm.example.org 99/tcp :1");
  CHECK(url("https://b\xc3\xbc\x63her.example/") == "xn--bcher-kva.example 443/tcp :1");
  CHECK(url("https://host/") == "host 443/tcp :1");
  CHECK(url("https://[2001:DB8:0::1]/") == "2001:db8::1 443/tcp :1");
  for (const auto& [text, message] : std::vector<std::pair<std::string, std::string>>{
           {"https:/secret", "'//' is missing"},
           {"https://", "no host"},
           {"https://:secret@/x", "no host"},
           {"https://u:sec/ret@a.example.org", "no number from 1 to 65535"},
           {"https://a.example.org:0", "no number"},
           {"https://a.example.org:65536", "no number"},
           {"https://a.example.org:08", "no number"},
           {"https://a.example.org:4 4", "blank or a backslash"},
           {"https://secret.example.org\\@a.example.org", "blank or a backslash"},
           {"https://secret\tx", "blank or a backslash"},
           {"https://[2001:db8::1", "bracket that is not closed"},
           {"https://[2001:db8::1]secret", "something else than a port"},
           {"https://[secret]/", "neither a name of DNS nor an address"},
           {"https://[198.51.100.7]/", "brackets that are wrong"},
           {"https://*.example.org/", "neither a name of DNS nor an address"},
           {"https://any%2fsecret/", "neither a name of DNS nor an address"},
           {"https://@any\x01/", "blank or a backslash"},
           {"https://198.51.100.7.8/", "neither a name of DNS nor an address"},
           {"https://0x7f000001/", "neither a name of DNS nor an address"},
           {"https://198.51.100.0/24@secret:x/", "+"},
           {"http://localhost:4873/", "this machine's loopback"},
           {"http://x.LOCALHOST/", "this machine's loopback"},
           {"http://127.0.0.2:4873/", "this machine's loopback"},
           {"http://[::1]/", "this machine's loopback"},
           {"http://[::ffff:198.51.100.7]/", "IPv4 address in IPv6 form"},
           {"http://224.0.0.1/", "no router forwards"},
           {"git+ssh://a.example.org/", "the scheme 'git+ssh'"},
           {"javascript:secret", "the scheme 'javascript'"},
           {"1http://a.example.org", "this is no URL"},
       }) {
    CAPTURE(text);
    const std::string found = url(text);
    CAPTURE(found);
    if (message != "+") CHECK(has(found, "npmrc:1: "));
    if (message != "+") CHECK(has(found, message));
    CHECK_FALSE(has(found, "secret"));
  }
  // The words that mean more than a host are hosts here.
  const auto any = read_set("@npm-registry", Files{{"npmrc", "registry=https://any/"}});
  REQUIRE(any);
  CHECK(any->hosts.at(0).to.kind == Destination::Kind::name);
}

TEST_CASE("hostile files") {
  const std::string binary =
      std::string("\n\nregistry=https://a.example.org") + '\0' + "https://b.example.org";
  for (const auto set : set_names()) {
    CHECK(has(read(set, {{"x", binary}}), "x:3: this file is binary"));
    for (const char c : {'x', ' ', '[', '"', '\\', '/', '\n', '@'}) {
      const std::string filling(1u << 20, c);
      for (const std::string before : {"deb http://", "URIs: ", "registry=http://", "[g]\nindex-url=\n "}) {
        for (const auto* name : {"x.list", "x.sources"}) {
          if (set != "@apt-sources" && name != std::string("x.list")) continue;
          const auto contents = read_set(set, Files{{name, before + filling}});
          if (contents) CHECK(contents->hosts.empty());
          if (!contents) CHECK(contents.error().size() <= 100);
          if (!contents) CHECK(render_diagnostics(contents.error()).size() < 20'000);
        }
      }
    }
  }
  std::string many;
  for (int i = 0; i < 10'000; ++i) many += "deb http://x" + std::to_string(i) + ".example.org/ a b\n";
  CHECK(read_set("@apt-sources", Files{{"a.list", many}})->hosts.size() == 10'000);
  CHECK(read_set("@unknown", Files{{"a.list", many}})->hosts.empty());
}

namespace {

std::string expand(const std::string& rules, const SetFiles& files) {
  static const ServiceTable services;
  const auto profile = parse_profile(rules, "p.toml", services);
  if (!profile) return render_diagnostics(profile.error());
  const auto expanded = expand_sets(*profile, files);
  if (!expanded) return render_diagnostics(expanded.error());
  CHECK(sets_of(*expanded).empty());
  CHECK(expand_sets(*expanded, {}) == expanded);
  std::string out;
  for (const auto& rule : expanded->rules) {
    std::vector<std::string> words{rule.action == Action::allow ? "allow" : "deny"};
    if (!rule.set.empty()) words.push_back(rule.set);
    for (const auto& to : rule.to) words.push_back(to.text);
    for (const auto& service : rule.services) words.push_back(to_string(service));
    if (rule.local) words.emplace_back("local");
    if (!rule.purpose.empty()) words.push_back(rule.purpose);
    CHECK(rule.where.file == "p.toml");
    out += join(words, " ") + '\n';
  }
  return out;
}

std::string rule(const std::string& to, const std::string& more = {}) {
  return "[[allow]]\nto = [" + to + "]\n" + more;
}

}  // namespace

TEST_CASE("a rule with a set becomes rules without") {
  const SetFiles files{
      {"@apt-sources",
       {{"a.list",
         "deb http://a.example.org x\ndeb http://198.51.100.7/ x\ndeb https://b.example.org x\n"
         "deb http://A.example.org. y\n"}}},
      {"@npm-registry", {{"npmrc", "registry=http://n.example.org\n@s:registry=https://n.example.org:99"}}}};
  CHECK(expand(rule("\"internet\""), {}) == "allow internet\n");
  CHECK(expand(rule("\"@apt-sources\"", "purpose = \"why\"\n"), files) ==
        "allow @apt-sources a.example.org 198.51.100.7 80/tcp why\n"
        "allow @apt-sources b.example.org 443/tcp why\n");
  CHECK(expand(rule("\"203.0.113.1\", \"@npm-registry\", \"203.0.113.2\"", "local = true\n"), files) ==
        "allow 203.0.113.1 203.0.113.2 local\nallow @npm-registry n.example.org 80/tcp 99/tcp local\n");
  CHECK(expand(rule("\"@apt-sources\", \"@npm-registry\"", "service = [\"3142/tcp\"]\n"), files) ==
        "allow @apt-sources a.example.org 198.51.100.7 b.example.org 3142/tcp\n"
        "allow @npm-registry n.example.org 3142/tcp\n");
  // A denial is of the host, not of the port that its URL has today.
  CHECK(
      expand(
          "[[deny]]\nto = [\"@npm-registry\"]\n[[deny]]\nto = [\"@npm-registry\"]\nservice = [\"80/tcp\"]\n",
          files) == "deny @npm-registry n.example.org\ndeny @npm-registry n.example.org 80/tcp\n");
  CHECK(expand(rule("\"internet\"", "service = [\"ssh\"]\n") + rule("\"@npm-registry\""), files) ==
        "allow internet 22/tcp\nallow @npm-registry n.example.org 80/tcp 99/tcp\n");
}

TEST_CASE("a user's own configuration opens a local address only where the rule says local = true") {
  for (const char* host : {"169.254.169.254", "192.168.1.1", "[fd00:ec2::254]", "[64:ff9b::a00:1]"}) {
    const SetFiles files{
        {"@npm-registry", {{"npmrc", "registry=http://" + std::string(host) + "/\n"}}},
        {"@pip-index",
         {{"pip.conf", "[global]\nindex-url=http://n.example.org/ http://" + std::string(host)}}},
        {"@apt-sources", {{"a.list", "deb http://" + std::string(host) + "/ x y"}}}};
    CHECK_MESSAGE(expand(rule("\"@npm-registry\""), files).empty(), host);
    CHECK(expand(rule("\"@pip-index\""), files) == "allow @pip-index n.example.org 80/tcp\n");
    CHECK(has(expand(rule("\"@npm-registry\"", "local = true\n"), files), " 80/tcp local"));
    CHECK(has(expand("[[deny]]\nto = [\"@npm-registry\"]\n", files), "deny @npm-registry "));
    CHECK(has(expand(rule("\"@apt-sources\""), files), "allow @apt-sources "));
  }
}

TEST_CASE("a set with nothing in it is a mistake at its rule") {
  const std::string nothing =
      expand("\n" + rule("\"@npm-registry\""), {{"@npm-registry", {{"/h/.npmrc", {}}, {"/etc/npmrc", ""}}}});
  CHECK(has(nothing,
            "p.toml:2:1: error: @npm-registry: nothing is configured; looked at /h/.npmrc, /etc/npmrc\n"));
  CHECK(has(nothing, "help: npm config set registry URL --location=user"));
  CHECK(has(expand(rule("\"@pip-index\""), {}), "help: pip config --user set global.index-url URL"));
  CHECK(has(expand("[[deny]]\nto = [\"@apt-sources\"]\n", {}), "help: add a source"));
  const std::string local =
      expand(rule("\"@apt-sources\""), {{"@apt-sources", {{"a.list", "deb file:/x y z"}}}});
  CHECK(has(local, "local sources only, which need no network; see a.list"));
  CHECK_FALSE(has(local, "help"));
  // Beside the mistakes of the files, of all sets at once.
  const std::string both = expand(rule("\"@apt-sources\", \"@pip-index\", \"@npm-registry\""),
                                  {{"@apt-sources", {{"a.list", "x y\nz\n"}}},
                                   {"@npm-registry", {{"npmrc", "registry=https://u:secret@:1/"}}}});
  CHECK(has(both, "a.list:1:1: error: "));
  CHECK(has(both, "a.list:2:1: error: "));
  CHECK(has(both, "npmrc:1:1: error: the URL has no host\n"));
  CHECK(has(both, "@pip-index: nothing is configured"));
  CHECK_FALSE(has(both, "secret"));
}
