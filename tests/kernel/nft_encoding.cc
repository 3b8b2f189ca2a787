// The encoding oracle: what we load is what nft(8) makes of our printed text. Twice: as the bytecode that
// nft --debug=netlink prints, and, because that text hides lengths and elements, as the octets that the
// kernel reports for a table that nft loaded and for one that we loaded.
#include <doctest/doctest.h>
#include <linux/netfilter/nf_tables.h>

#include <algorithm>
#include <cstring>
#include <sstream>

#include "netjail/base/format.h"
#include "netjail/kernel/nft.h"
#include "netjail/plan/plan.h"
#include "nft_fixture.h"

using namespace netjail;
using namespace netjail::test;

namespace {

std::string one_line(const std::string& text) {
  std::istringstream words(text);
  std::string line;
  for (std::string word; words >> word;) line += line.empty() ? word : " " + word;
  return line;
}

// The rules in the output of nft --debug=netlink, a line each: "inet TABLE CHAIN [ ... ] [ ... ]".
std::vector<std::string> rules_of(const std::string& debug, const std::string& table) {
  std::vector<std::string> rules;
  std::istringstream lines(debug);
  bool inside = false;
  for (std::string line; std::getline(lines, line);) {
    const bool indented = line.starts_with("  ");
    if (line.starts_with("inet " + table + " ") && line.find('@') == std::string::npos) {
      rules.push_back(line);
      inside = true;
    } else if (inside && indented) {
      rules.back() += " " + line;
    } else if (!indented) {
      inside = inside && line.empty();
    }
  }
  for (std::string& rule : rules) rule = one_line(rule);
  return rules;
}

// A message without what differs from load to load: header, handles, and the position in the chain.
std::string without(const std::string& message, std::initializer_list<int> attributes) {
  constexpr std::size_t kHeader = NLMSG_HDRLEN + 4;
  std::string kept;
  for (std::size_t at = kHeader; at + sizeof(nlattr) <= message.size();) {
    nlattr header;
    std::memcpy(&header, message.data() + at, sizeof header);
    const int type = header.nla_type & NLA_TYPE_MASK;
    if (std::find(attributes.begin(), attributes.end(), type) == attributes.end())
      kept.append(message, at, NLA_ALIGN(header.nla_len));
    at += NLA_ALIGN(header.nla_len);
  }
  return kept;
}

std::string hexadecimal(const std::string& octets) {
  std::string text;
  for (const char c : octets) text += fmt::format("{:02x}", static_cast<unsigned char>(c));
  return text;
}

// What the kernel reports of the table, a line per object. Sorted: objects of one kind come in the order of
// their making, which nft(8) chooses for itself; a rule keeps its place in the chain.
std::vector<std::string> everything(Netlink& netfilter, const nft::Ruleset& ruleset) {
  std::vector<std::string> all;
  const auto add = [&](const char* kind, const std::vector<std::string>& messages,
                       std::initializer_list<int> handles) {
    for (const std::string& message : messages)
      all.push_back(fmt::format("{} {}", kind, hexadecimal(without(message, handles))));
  };
  add("chain", dump(netfilter, NFT_MSG_GETCHAIN, {}), {NFTA_CHAIN_HANDLE});
  for (const nft::Chain& chain : ruleset.chains)
    for (std::size_t i = 0;
         const std::string& rule :
         dump(netfilter, NFT_MSG_GETRULE, {{NFTA_RULE_TABLE, "t"}, {NFTA_RULE_CHAIN, chain.name}}))
      add(fmt::format("rule {}", ++i).c_str(), {rule}, {NFTA_RULE_HANDLE, NFTA_RULE_POSITION});
  add("object", dump(netfilter, NFT_MSG_GETOBJ, {{NFTA_OBJ_TABLE, "t"}}), {NFTA_OBJ_HANDLE});
  add("set", dump(netfilter, NFT_MSG_GETSET, {{NFTA_SET_TABLE, "t"}}), {NFTA_SET_HANDLE});
  for (const nft::Set& set : ruleset.sets)
    add("elements",
        dump(netfilter, NFT_MSG_GETSETELEM,
             {{NFTA_SET_ELEM_LIST_TABLE, "t"}, {NFTA_SET_ELEM_LIST_SET, set.name}}),
        {});
  std::sort(all.begin(), all.end());
  return all;
}

void check_encoding(const nft::Ruleset& ruleset) {
  const std::string text = nft::render_nft(ruleset);
  CAPTURE(text);

  auto theirs = NetworkNamespace::create();
  auto ours = NetworkNamespace::create();
  REQUIRE(theirs.has_value());
  REQUIRE(ours.has_value());
  const NftAnswer checked = nft_command(*theirs, {"--debug=netlink", "-c", "-f", "-"}, text);
  REQUIRE_MESSAGE(checked.status == 0, checked.err);
  const std::vector<std::string> expected = rules_of(checked.out, ruleset.table);
  const std::vector<std::string> bytecode = describe_bytecode(ruleset);
  REQUIRE(bytecode.size() == expected.size());
  for (std::size_t i = 0; i < bytecode.size(); ++i) CHECK(one_line(bytecode[i]) == expected[i]);

  const NftAnswer loaded = nft_command(*theirs, {"-f", "-"}, text);
  REQUIRE_MESSAGE(loaded.status == 0, loaded.err);
  Netlink their_socket = open_netfilter(*theirs), our_socket = open_netfilter(*ours);
  const Status status = load_ruleset(our_socket, ruleset);
  REQUIRE_MESSAGE(status.has_value(), render_error(status.error()));
  const std::vector<std::string> mine = everything(our_socket, ruleset),
                                 other = everything(their_socket, ruleset);
  REQUIRE(mine.size() == other.size());
  for (std::size_t i = 0; i < mine.size(); ++i) CHECK(mine[i] == other[i]);
  CHECK(verify_ruleset(their_socket, ruleset).has_value());
  const Status verified = verify_ruleset(our_socket, ruleset);
  REQUIRE_MESSAGE(verified.has_value(), render_error(verified.error()));
  CHECK(nft_command(*ours, {"list", "ruleset"}).out == nft_command(*theirs, {"list", "ruleset"}).out);
}

}  // namespace

TEST_CASE("every expression is encoded as nft(8) encodes its text") {
  if (!needs_root()) return;
  check_encoding(every_expression());
}

TEST_CASE("the filter of a policy with names is encoded, loaded and verified as nft(8) does it") {
  if (!needs_root()) return;
  const auto name = [](const char* text) {
    return Destination{Destination::Kind::name, {}, text, {{text}, false}};
  };
  const Service ssh{kTcp, PortRange{22, 22}, {}};
  Profile profile;
  profile.rules = {{.to = {name("example.org"), name("bücher.example")}},
                   {.to = {name("example.net"), {Destination::Kind::internet}}, .services = {ssh}},
                   {.to = {name("b.example.net")}, .services = {ssh, {kUdp, PortRange{5000, 5999}, {}}}},
                   {.action = Action::deny, .to = {name("example.com")}, .services = {ssh, {kIcmp, {}, 8}}}};
  for (const bool ipv6 : {true, false})
    for (const auto uplink : {UplinkPlan::Kind::host, UplinkPlan::Kind::pasta}) {
      profile.ipv6 = ipv6;
      nft::Ruleset ruleset = make_filter(make_policy(profile), uplink);
      ruleset.table = "t";
      CHECK(std::ranges::count(ruleset.sets, kMostLearned, &nft::Set::learns) == (ipv6 ? 8 : 4));
      check_encoding(ruleset);
    }
}

TEST_CASE("random rulesets are encoded as nft(8) encodes their text") {
  if (!needs_root()) return;
  std::mt19937 random(20260101);
  for (int i = 0; i < 40; ++i) {
    CAPTURE(i);
    check_encoding(random_ruleset(random));
  }
}
