// What a good profile means, the key table, the diagnostics' text.
#include "netjail/profile/profile.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <chrono>
#include <set>

#include "netjail/profile/keys.h"

using namespace netjail;

namespace {

const ServiceTable& services() {
  static const ServiceTable table;
  return table;
}

Profile good(const std::string& text, const std::string& file = "p.toml") {
  auto profile = parse_profile(text, file, services());
  if (!profile) FAIL(render_diagnostics(profile.error()));
  return *profile;
}

std::vector<std::string> texts(const std::vector<Service>& list) {
  std::vector<std::string> out;
  for (const auto& service : list) out.push_back(to_string(service));
  return out;
}

std::vector<std::string> service(const std::string& text) {
  auto result = parse_service(text, services());
  if (!result) FAIL(render_diagnostics(result.error()));
  return texts(*result);
}

using Strings = std::vector<std::string>;

}  // namespace

TEST_CASE("an empty profile allows nothing and says nothing") {
  for (const std::string text :
       {"", "\n", "# a comment\n", "\xef\xbb\xbf# with a byte order mark\n", "\r\n", "[network]\n"}) {
    Profile expected;
    expected.name = "p";
    CHECK(good(text) == expected);
  }
}

TEST_CASE("every supported key") {
  const Profile profile = good(R"(
description = "Web"
extends = ["base", "./x.toml"]
[network]
refuse = "drop"
ipv6 = false
uplink = "host"
dns = "none"
resolver.types = ["txt", "A", "a"]
resolver.upstream = ["203.0.113.53", "[2001:db8::53]:5353"]
[[allow]]
to = ["internet", "10.0.0.0/8", "2001:db8::/32", "198.51.100.7"]
service = ["https", 22, "8000-8100/tcp"]
local = true
purpose = "why"
[[deny]]
to = ["any"]
service = "25/tcp"
[[allow]]
to = "any"
[seccomp]
families = ["inet", "bluetooth", "inet"]
[process]
user = "www-data"
groups = ["audio", 44]
user-namespaces = true
mount-namespaces = false
environment = { LANG = "C.UTF-8", "_X1" = "" }
[log]
denied = false
)",
                               "/etc/netjail/profiles/web.toml");
  CHECK(profile.name == "web");
  CHECK(profile.description == "Web");
  CHECK(profile.extends == Strings{"base", "./x.toml"});
  CHECK(profile.refuse == Refuse::drop);
  CHECK(profile.ipv6 == false);
  CHECK(profile.uplink == UplinkChoice::host);
  CHECK(profile.dns == DnsChoice::none);
  CHECK(profile.resolver_types == Strings{"TXT", "A"});
  CHECK(profile.resolver_upstream ==
        std::vector{NameServer{*parse_ip("203.0.113.53")}, NameServer{*parse_ip("2001:db8::53"), 5353}});
  CHECK(profile.seccomp_families == Strings{"inet", "bluetooth"});
  CHECK(profile.user == "www-data");
  CHECK(profile.groups == Strings{"audio", "44"});
  CHECK(profile.environment == std::map<std::string, std::string>{{"LANG", "C.UTF-8"}, {"_X1", ""}});
  CHECK(profile.user_namespaces == true);
  CHECK(profile.mount_namespaces == false);
  CHECK(profile.log_denied == false);

  REQUIRE(profile.rules.size() == 3);
  const ProfileRule& first = profile.rules[0];
  CHECK(first.action == Action::allow);
  REQUIRE(first.to.size() == 4);
  CHECK(first.to[0] == Destination{Destination::Kind::internet, {}, "internet"});
  CHECK(first.to[1] == Destination{Destination::Kind::prefix, *parse_prefix("10.0.0.0/8"), "10.0.0.0/8"});
  CHECK(first.to[2] ==
        Destination{Destination::Kind::prefix, *parse_prefix("2001:db8::/32"), "2001:db8::/32"});
  CHECK(first.to[3] == Destination{Destination::Kind::prefix, *parse_prefix("198.51.100.7"), "198.51.100.7"});
  CHECK(texts(first.services) == Strings{"443/tcp", "443/udp", "22/tcp", "22/udp", "8000-8100/tcp"});
  CHECK(first.service_texts == Strings{"https", "22", "8000-8100/tcp"});
  CHECK(first.local);
  CHECK(first.purpose == "why");
  CHECK(first.where == Position{"/etc/netjail/profiles/web.toml", 11, 1});

  // The order written, although TOML keeps two lists.
  CHECK(profile.rules[1].action == Action::deny);
  CHECK(profile.rules[1].where.line == 16);
  CHECK(texts(profile.rules[1].services) == Strings{"25/tcp"});
  CHECK(profile.rules[2].action == Action::allow);
  CHECK(profile.rules[2].to[0].kind == Destination::Kind::any);
  CHECK(profile.rules[2].services.empty());
}

TEST_CASE("a rule can be written in one line, keys dotted") {
  const Profile profile = good("network.ipv6 = false\nallow = [ { to = ['any'] }, {to='internet'} ]\n");
  CHECK(profile.ipv6 == false);
  REQUIRE(profile.rules.size() == 2);
  CHECK(profile.rules[0].where == Position{"p.toml", 2, 11});
  CHECK(profile.rules[1].where == Position{"p.toml", 2, 29});
}

TEST_CASE("services") {
  CHECK(service("https") == Strings{"443/tcp", "443/udp"});
  CHECK(service("HTTPS") == Strings{"443/tcp", "443/udp"});
  CHECK(service("https/udp") == Strings{"443/udp"});
  CHECK(service("www") == Strings{"80/tcp"});
  CHECK(service("53") == Strings{"53/tcp", "53/udp"});
  CHECK(service("1-65535") == Strings{"1-65535/tcp", "1-65535/udp"});
  CHECK(service("8000-8100/udp") == Strings{"8000-8100/udp"});
  CHECK(service("36412/sctp") == Strings{"36412/sctp"});
  CHECK(service("5000-5000/dccp") == Strings{"5000/dccp"});
  CHECK(service("7/udplite") == Strings{"7/udplite"});
  CHECK(service("icmp") == Strings{"icmp", "icmpv6"});
  CHECK(service("icmpv6") == Strings{"icmpv6"});
  CHECK(service("ping") == Strings{"ping", "ping"});
  CHECK(service("tcp") == Strings{"tcp"});
  CHECK(service("udp") == Strings{"udp"});
  CHECK(service("gre/ip") == Strings{"47/ip"});
  CHECK(service("47/ip") == Strings{"47/ip"});
  CHECK(service("0/ip") == Strings{"0/ip"});
  CHECK(service("255/ip") == Strings{"255/ip"});
  CHECK(service("esp/ip") == Strings{"50/ip"});
  CHECK(service("sctp/ip") == Strings{"sctp"});
  CHECK(service("icmp/ip") == Strings{"icmp"});
  const auto ping = *parse_service("ping", services());
  CHECK(ping[0] == Service{kIcmp, {}, 8});
  CHECK(ping[1] == Service{kIcmp6, {}, 128});
}

TEST_CASE("what a service prints as is what it is written as") {
  for (const std::string text :
       {"443/tcp", "8000-8100/udp", "icmpv6", "47/ip", "tcp", "udp", "sctp", "dccp", "udplite"}) {
    CHECK(service(text) == Strings{text});
  }
}

TEST_CASE("services(5) of the machine, and the built-in list without it") {
  const ServiceTable own(
      "# comment\n"
      "mine\t\t4000/tcp\tother # more\n"
      "mine 4001/udp\n"
      "https 4433/tcp\n"
      "ddp-thing 1/ddp\nbroken\nworse x/tcp\nzero 0/tcp\nbig 65536/tcp\n/tcp 1\n"
      "3com-tsmux 106/tcp\n"
      "last 5/udp");
  CHECK(texts(own.find("mine")) == Strings{"4000/tcp", "4001/udp"});
  CHECK(texts(own.find("other")) == Strings{"4000/tcp"});
  CHECK(texts(own.find("https")) == Strings{"4433/tcp"});  // the machine's word counts
  CHECK(texts(own.find("ssh")) == Strings{"22/tcp"});      // built in
  CHECK(texts(own.find("last")) == Strings{"5/udp"});
  for (const auto* name : {"ddp-thing", "broken", "worse", "zero", "big", "", "nothing"})
    CHECK(own.find(name).empty());
  CHECK(texts(*parse_service("3com-tsmux", own)) == Strings{"106/tcp"});
  const auto names = ServiceTable().names();
  CHECK(std::set<std::string>(names.begin(), names.end()).count("git") == 1);
}

TEST_CASE("every supported key has a reader, every other is refused by name") {
  // A date fits no supported key: whoever reads the key complains about it.
  for (const auto& info : profile_keys()) {
    const std::string table(info.table), key(info.key == "NAME" ? "mine" : info.key);
    std::string text;
    if (!table.empty()) text = is_table_list(table) ? "[[" + table + "]]\n" : '[' + table + "]\n";
    if (info.supported && info.table == "allow" && info.key != "to") text += "to = \"any\"\n";
    if (info.supported && info.table == "deny" && info.key != "to") text += "to = \"any\"\n";
    text += key + " = 1999-01-01\n";
    CAPTURE(text);
    const auto profile = parse_profile(text, "k.toml", services());
    REQUIRE_FALSE(profile);
    REQUIRE(profile.error().size() == 1);
    const std::string& message = profile.error()[0].message;
    CAPTURE(message);
    CHECK(message.find('\'' + key + '\'') != message.npos);
    if (info.supported)
      CHECK(message.find(" must be " + std::string(info.type) + ", not a date") != message.npos);
    else
      CHECK(message.find("not supported") != message.npos);
  }
}

TEST_CASE("the key table is whole") {
  std::set<std::pair<std::string_view, std::string_view>> seen;
  for (const auto& info : profile_keys()) {
    CAPTURE(info.table);
    CAPTURE(info.key);
    CHECK(seen.emplace(info.table, info.key).second);
    CHECK_FALSE(info.type.empty());
    CHECK(info.description.ends_with('.'));
    CHECK(find_key(info.table, info.key) == &info);
  }
  CHECK(find_key("network", "nothing") == nullptr);
  CHECK(key_tables() == Strings{"", "network", "network.resolver", "allow", "deny", "limits", "seccomp",
                                "process", "unix", "publish", "host", "log", "alerts", "lsm", "geoip",
                                "services"});
  CHECK(keys_of("geoip") == Strings{"database"});
  CHECK(is_table_list("deny"));
  CHECK_FALSE(is_table_list("network"));
  // The defaults that are written down parse, and are what they say.
  const Profile defaults =
      good("[network]\nrefuse = " + std::string(find_key("network", "refuse")->fallback) +
           "\nipv6 = " + std::string(find_key("network", "ipv6")->fallback) +
           "\nuplink = " + std::string(find_key("network", "uplink")->fallback) +
           "\ndns = " + std::string(find_key("network", "dns")->fallback) +
           "\nresolver.types = " + std::string(find_key("network.resolver", "types")->fallback) +
           "\n[seccomp]\nfamilies = " + std::string(find_key("seccomp", "families")->fallback) +
           "\n[log]\ndenied = " + std::string(find_key("log", "denied")->fallback) + "\n");
  CHECK(defaults.refuse == Refuse::reject);
  CHECK(std::ranges::equal(defaults.resolver_types.value(), record_type_names()));
  CHECK(defaults.seccomp_families == Strings{"unix", "inet", "inet6", "netlink"});
}

TEST_CASE("socket families") {
  const auto names = socket_family_names();
  CHECK(std::set<std::string_view>(names.begin(), names.end()).size() == names.size());
  std::string text = "[seccomp]\nfamilies = [";
  for (const auto name : names) text += '"' + std::string(name) + "\", ";
  CHECK(good(text + "]\n").seccomp_families->size() == names.size());
}

TEST_CASE("diagnostics look like a compiler's") {
  const auto failed =
      parse_profile("[network]\nrefuse = \"rejct\"  # \xc3\xa9\n[[allow]]\n\tto = [\"10.0.0.1/8\"]\n",
                    "a.toml", services());
  REQUIRE_FALSE(failed);
  CHECK(render_diagnostics(failed.error()) ==
        "a.toml:2:10: error: 'rejct' is no value of 'refuse': it is \"reject\" or \"drop\"\n"
        "    2 | refuse = \"rejct\"  # \\xc3\\xa9\n"
        "      |          ^~~~~~~\n"
        "help: reject\n"
        "a.toml:4:8: error: '10.0.0.1/8' has bits set behind its prefix length\n"
        "    4 |  to = [\"10.0.0.1/8\"]\n"
        "      |        ^~~~~~~~~~~~\n"
        "help: 10.0.0.0/8 for the network, or 10.0.0.1 for the one address\n");
}

TEST_CASE("the caret stands under the mistake, however long the line and strange its characters") {
  // Columns are characters; what is shown of one can be longer.
  const std::string before = "to = [\"198.51.100.1\", \"\xc3\xa9\xe2\x82\xac\", ";
  for (const std::size_t padding : {0u, 50u, 130u, 150u, 190u, 200u, 1000u, 100'000u}) {
    const std::string text =
        "[[allow]]\nto = [" + std::string(padding, ' ') + "\"203.0.113.1\", \"1.2.3.400\", \"x\"]\n";
    const auto failed = parse_profile(text, "a.toml", services());
    REQUIRE_FALSE(failed);
    const Diagnostic& first = failed.error().front();
    CAPTURE(padding);
    CHECK(first.where == Position{"a.toml", 2, static_cast<std::uint32_t>(7 + padding + 15)});
    CHECK(first.source_line.size() <= 206);
    CHECK(first.source_line.substr(first.caret, first.width) == "\"1.2.3.400\"");
  }
  const auto failed = parse_profile("[[allow]]\n" + before + "\"1.2.3.400\"]\n", "a.toml", services());
  REQUIRE_FALSE(failed);
  REQUIRE(failed.error().size() == 2);
  CHECK(failed.error()[0].source_line.substr(failed.error()[0].caret, failed.error()[0].width) ==
        "\\xc3\\xa9\\xe2\\x82\\xac");
  CHECK(failed.error()[1].where.column == 29);
  CHECK(failed.error()[1].source_line.substr(failed.error()[1].caret, failed.error()[1].width) ==
        "\"1.2.3.400\"");

  // A mistake wider than the line that is shown.
  const auto wide =
      parse_profile("[[allow]]\nto = \"" + std::string(5000, 'x') + "\"\n", "a.toml", services());
  REQUIRE_FALSE(wide);
  CHECK(wide.error()[0].caret + wide.error()[0].width <= wide.error()[0].source_line.size());
  CHECK(wide.error()[0].message.size() < 300);
  // Nothing of a stranger's file reaches the terminal as it is.
  const auto escape = parse_profile("\"\\u001b[31m\" = 1 # \x1b[31m\n", "\x1b.toml", services());
  REQUIRE_FALSE(escape);
  CHECK(render_diagnostics(escape.error()).find('\x1b') == std::string::npos);
}

TEST_CASE("all mistakes at once, in the order of the file, a hundred at most") {
  std::string text = "[[allow]]\nto = [\n";
  for (int i = 0; i < 250; ++i) text += "  \"10.0.0.999\",\n";
  const auto failed = parse_profile(text + "]\n", "a.toml", services());
  REQUIRE_FALSE(failed);
  REQUIRE(failed.error().size() == 101);
  for (std::uint32_t i = 0; i < 100; ++i) CHECK(failed.error()[i].where.line == 3 + i);
  CHECK(failed.error()[100].message == "and 150 more mistakes");
}

TEST_CASE("a list of 100,000 networks or names takes time in proportion") {
  const auto seconds = [](bool names, bool one_line) {
    constexpr int kCount = 100'000;
    std::string text = "[[allow]]\nto = [";
    for (int i = 0; i < kCount; ++i) {
      text += one_line ? "" : "\n";
      text += names ? "\"host-" + std::to_string(i) + ".example.org\","
                    : '"' + std::to_string(20 + (i >> 16)) + '.' + std::to_string(i >> 8 & 255) + '.' +
                          std::to_string(i & 255) + ".0/24\",";
    }
    text += "]\n";
    const auto begin = std::chrono::steady_clock::now();
    CHECK(good(text).rules[0].to.size() == std::size_t{kCount});
    return std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
  };
  for (const bool names : {false, true}) {
    for (const bool one_line : {false, true}) {
      const double all = seconds(names, one_line);
      MESSAGE("100,000 " << std::string(names ? "names: " : "networks: ") << all << " s");
      CHECK(all < 20);  // also with sanitizers on a busy machine; a quadratic step takes minutes
    }
  }
}
