// The printed ruleset against nft(8) itself: it takes every line, and makes of every expression exactly the
// bytecode that stands in the table here, with no dependency of its own added. The encoder (kernel/nft) owes
// the same.
#include <doctest/doctest.h>
#include <sched.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <set>
#include <sstream>

#include "netjail/nft/ruleset.h"

using namespace netjail;
using namespace netjail::nft;

namespace {

struct Answer {
  int status = -1;
  std::string text;  // stdout and stderr
};

// A network namespace of our own. An ordinary user gets it through a user namespace in which they are root:
// exec would take the capabilities from anyone else.
bool enter_namespaces() {
  if (geteuid() == 0) return unshare(CLONE_NEWNET) == 0;
  const std::string map = "0 " + std::to_string(geteuid()) + " 1";
  if (unshare(CLONE_NEWUSER | CLONE_NEWNET) != 0) return false;
  std::ofstream file("/proc/self/uid_map");
  return static_cast<bool>(file << map << std::flush);
}

// `nft ARGUMENTS FILE` in a network namespace that ends with it.
Answer run_nft(const std::string& script, std::vector<const char*> arguments) {
  char path[] = "/tmp/netjail-nft-text-XXXXXX";
  const int file = mkstemp(path);
  REQUIRE(file >= 0);
  close(file);
  std::ofstream(path) << script;
  arguments.insert(arguments.begin(), "nft");
  arguments.push_back(path);
  arguments.push_back(nullptr);

  int ends[2];
  REQUIRE(pipe(ends) == 0);
  const pid_t child = fork();
  REQUIRE(child >= 0);
  if (child == 0) {
    dup2(ends[1], 1);
    dup2(ends[1], 2);
    close(ends[0]);
    close(ends[1]);
    if (!enter_namespaces()) {
      std::perror("cannot enter a network namespace");
      _exit(120);
    }
    setenv("PATH", "/usr/sbin:/usr/bin:/sbin:/bin", 1);
    execvp("nft", const_cast<char* const*>(arguments.data()));
    std::perror("exec nft");
    _exit(121);
  }
  close(ends[1]);
  Answer answer;
  char buffer[65536];
  for (ssize_t got = 0; (got = read(ends[0], buffer, sizeof buffer)) > 0;) {
    answer.text.append(buffer, static_cast<std::size_t>(got));
  }
  close(ends[0]);
  int status = 0;
  waitpid(child, &status, 0);
  answer.status = WIFEXITED(status) ? WEXITSTATUS(status) : -1;
  unlink(path);
  return answer;
}

Answer check(const Ruleset& ruleset) { return run_nft(render_nft(ruleset), {"--debug=netlink", "-c", "-f"}); }

// The expressions of every rule in `nft --debug=netlink` output, a line each; comments (userdata) left out.
std::vector<std::vector<std::string>> bytecode(const std::string& text, const std::string& chain) {
  std::vector<std::vector<std::string>> rules;
  std::istringstream lines(text);
  bool inside = false;
  for (std::string line; std::getline(lines, line);) {
    if (line.starts_with("inet ")) {
      inside = line == "inet t " + chain;
      if (inside) rules.emplace_back();
    } else if (inside && line.starts_with("  [ ") && line.ends_with(" ]")) {
      rules.back().push_back(line.substr(4, line.size() - 6));
    }
  }
  return rules;
}

AddressRange range(std::string_view first, std::string_view last) {
  const auto from = parse_ip(first), to = parse_ip(last);
  REQUIRE((from && to));
  return {*from, *to};
}

struct Encoded {
  std::vector<Expression> expressions;
  std::vector<std::string> bytecode;
};

const std::string kIif = "meta load iifname => reg 1", kOif = "meta load oifname => reg 1";
const std::string kNfproto = "meta load nfproto => reg 1", kL4proto = "meta load l4proto => reg 1";
const std::string kIs4 = "cmp eq reg 1 0x00000002", kIs6 = "cmp eq reg 1 0x0000000a";
const std::string kDport = "payload load 2b @ transport header + 2 => reg 1";
const std::string kIcmpTypeField = "payload load 1b @ transport header + 0 => reg 1";
const std::string kState = "ct load state => reg 1";
const std::string kIsTcp = "cmp eq reg 1 0x00000006", kIsIcmp = "cmp eq reg 1 0x00000001";
const std::string kIsIcmp6 = "cmp eq reg 1 0x0000003a", kNotZero = "cmp neq reg 1 0x00000000";

std::string masked(const char* bits) {
  return std::string("bitwise reg 1 = ( reg 1 & ") + bits + " ) ^ 0x00000000";
}

const std::vector<Encoded>& table() {
  static const std::vector<Encoded> rows{
      {{IifName{"nj*"}}, {kIif, "cmp eq reg 1 0x00006a6e"}},
      {{IifName{"nj*", true}}, {kIif, "cmp neq reg 1 0x00006a6e"}},
      {{IifName{"eth0"}}, {kIif, "cmp eq reg 1 0x30687465 0x00000000 0x00000000 0x00000000"}},
      {{OifName{"eth0", true}}, {kOif, "cmp neq reg 1 0x30687465 0x00000000 0x00000000 0x00000000"}},
      {{NfProto{Family::ipv4}}, {kNfproto, kIs4}},
      {{NfProto{Family::ipv6}}, {kNfproto, kIs6}},
      {{L4Proto{kTcp}}, {kL4proto, kIsTcp}},
      {{L4Proto{kUdp}}, {kL4proto, "cmp eq reg 1 0x00000011"}},
      {{L4Proto{kDccp}}, {kL4proto, "cmp eq reg 1 0x00000021"}},
      {{L4Proto{kSctp}}, {kL4proto, "cmp eq reg 1 0x00000084"}},
      {{L4Proto{kUdpLite}}, {kL4proto, "cmp eq reg 1 0x00000088"}},
      {{L4Proto{0}}, {kL4proto, "cmp eq reg 1 0x00000000"}},
      {{L4Proto{47}}, {kL4proto, "cmp eq reg 1 0x0000002f"}},
      {{L4Proto{253}}, {kL4proto, "cmp eq reg 1 0x000000fd"}},
      {{NfProto{Family::ipv4}, DaddrIn{Family::ipv4, "four"}, L4Proto{kTcp}, DportIn{"ports"}},
       {kNfproto, kIs4, "payload load 4b @ network header + 16 => reg 1", "lookup reg 1 set four", kL4proto,
        kIsTcp, kDport, "lookup reg 1 set ports"}},
      {{L4Proto{kTcp}, NfProto{Family::ipv6}, CtDirection{false}, DaddrIn{Family::ipv6, "six"}, Dport{443}},
       {kL4proto, kIsTcp, kNfproto, kIs6, "ct load direction => reg 1", "cmp eq reg 1 0x00000000",
        "payload load 16b @ network header + 24 => reg 1", "lookup reg 1 set six", kDport,
        "cmp eq reg 1 0x0000bb01"}},
      {{NfProto{Family::ipv4}, DaddrIn{Family::ipv4, "learned4"}},
       {kNfproto, kIs4, "payload load 4b @ network header + 16 => reg 1", "lookup reg 1 set learned4"}},
      {{L4Proto{kIcmp}, IcmpType{Family::ipv4, 8}},
       {kL4proto, kIsIcmp, kIcmpTypeField, "cmp eq reg 1 0x00000008"}},
      {{NfProto{Family::ipv6}, L4Proto{kIcmp}, IcmpType{Family::ipv4, 77}},
       {kNfproto, kIs6, kL4proto, kIsIcmp, kIcmpTypeField, "cmp eq reg 1 0x0000004d"}},
      {{NfProto{Family::ipv4}, L4Proto{kIcmp6}, IcmpType{Family::ipv6, 128}},
       {kNfproto, kIs4, kL4proto, kIsIcmp6, kIcmpTypeField, "cmp eq reg 1 0x00000080"}},
      {{CtState{kInvalid}}, {kState, masked("0x00000001"), kNotZero}},
      {{CtState{kEstablished | kRelated}}, {kState, masked("0x00000006"), kNotZero}},
      {{CtState{kNew | kUntracked}}, {kState, masked("0x00000048"), kNotZero}},
      {{CtDirection{true}}, {"ct load direction => reg 1", "cmp eq reg 1 0x00000001"}},
      {{CtMark{0x4e4a0001}}, {"ct load mark => reg 1", "cmp eq reg 1 0x4e4a0001"}},
      {{CtStatusDnat{}}, {"ct load status => reg 1", masked("0x00000020"), kNotZero}},
      {{CtUntranslated{}}, {"ct load status => reg 1", masked("0x00000018"), "cmp eq reg 1 0x00000008"}},
      {{FibSpoofed{}}, {"fib saddr . iif oif present => reg 1", "cmp eq reg 1 0x00000000"}},
      {{NfProto{Family::ipv4}, Fragment{}},
       {kNfproto, kIs4, "payload load 2b @ network header + 6 => reg 1",
        "bitwise reg 1 = ( reg 1 & 0x0000ff3f ) ^ 0x00000000", kNotZero}},
      {{NfProto{Family::ipv4}, HeaderLength{5}},
       {kNfproto, kIs4, "payload load 1b @ network header + 0 => reg 1",
        "bitwise reg 1 = ( reg 1 & 0x0000000f ) ^ 0x00000000", "cmp eq reg 1 0x00000005"}},
      {{NfProto{Family::ipv6}, NextHeader{kUdp}},
       {kNfproto, kIs6, "payload load 1b @ network header + 6 => reg 1", "cmp eq reg 1 0x00000011"}},
      {{NfProto{Family::ipv4}, HeaderLength{5, true}},
       {kNfproto, kIs4, "payload load 1b @ network header + 0 => reg 1",
        "bitwise reg 1 = ( reg 1 & 0x0000000f ) ^ 0x00000000", "cmp neq reg 1 0x00000005"}},
      {{NfProto{Family::ipv6}, RoutingHeader{}},
       {kNfproto, kIs6, "exthdr load ipv6 1b @ 43 + 0 present => reg 1", "cmp eq reg 1 0x00000001"}},
      {{FlowsOver{"flows", 63, 16}},  // "unknown": ct id, in Debian 12's libnftnl
       {"ct load unknown => reg 1", masked("0x3f000000"),
        "dynset add reg_key 1 set flows expr [ connlimit count 16 flags 1 ]"}},
      {{Limit{10, 20, true}}, {"limit rate 10/second burst 20 type packets flags 0x1"}},
      {{Counter{"allow-1"}}, {"objref type 1 name allow-1"}},
      {{Limit{10, 20}}, {"limit rate 10/second burst 20 type packets flags 0x0"}},
      {{Limit{10, 0}}, {"limit rate 10/second burst 5 type packets flags 0x0"}},
      {{Log{5, "a b", 128}}, {"log prefix a b group 5 snaplen 128 qthreshold 0"}},
      {{Log{5, "", 0}}, {"log group 5 snaplen 0 qthreshold 0"}},
      {{SetCtMark{7}}, {"immediate reg 1 0x00000007", "ct set mark with reg 1"}},
      {{L4Proto{kTcp}, RejectTcpReset{}}, {kL4proto, kIsTcp, "reject type 1 code 0"}},
      {{RejectAdmin{}}, {"reject type 2 code 3"}},
      {{NfProto{Family::ipv4}, L4Proto{kUdp}, RejectAdmin{}},
       {kNfproto, kIs4, kL4proto, "cmp eq reg 1 0x00000011", "reject type 2 code 3"}},
      {{Accept{}}, {"immediate reg 0 accept"}},
      {{Drop{}}, {"immediate reg 0 drop"}},
      {{Return{}}, {"immediate reg 0 return"}},
      {{Jump{"other"}}, {"immediate reg 0 jump -> other"}},
      {{Goto{"other"}}, {"immediate reg 0 goto -> other"}},
  };
  return rows;
}

const std::vector<Encoded>& nat_table() {
  static const std::vector<Encoded> rows{
      {{OifName{"eth0"}, Masquerade{true}},
       {kOif, "cmp eq reg 1 0x30687465 0x00000000 0x00000000 0x00000000", "masq flags 0x10"}},
      {{Masquerade{false}}, {"masq"}},
  };
  return rows;
}

Chain chain_of(std::string name, BaseChain base, const std::vector<Encoded>& rows) {
  Chain chain{std::move(name), base, {}};
  for (const auto& row : rows)
    chain.rules.push_back({row.expressions, "rule " + std::to_string(chain.rules.size())});
  return chain;
}

Ruleset sample() {
  return {.table = "t",
          .counters = {{"allow-1"}, {"deny-1"}, {"default"}, {"local"}, {"host"}, {"unroutable"}},
          .sets = {{"four",
                    KeyType::ipv4_addr,
                    {range("0.0.0.0", "0.0.0.0"), range("198.51.100.0", "198.51.100.6"),
                     range("255.255.255.255", "255.255.255.255")},
                    {}},
                   {"six",
                    KeyType::ipv6_addr,
                    {range("::", "::1"), range("::1.2.3.4", "::1.2.3.4"),
                     range("::ffff:1.2.3.4", "::ffff:1.2.3.9"), range("2001:db8::", "2001:db8::ffff")},
                    {}},
                   {"whole", KeyType::ipv4_addr, {range("0.0.0.0", "255.255.255.255")}, {}},
                   {"ports", KeyType::inet_service, {}, {{0, 5}, {6, 9}, {443, 443}, {65535, 65535}}},
                   {"none", KeyType::ipv6_addr, {}, {}},
                   {"learned4", KeyType::ipv4_addr, {}, {}, 1024},
                   {"learned6", KeyType::ipv6_addr, {}, {}, 1},
                   {.name = "flows", .key = KeyType::mark, .counts = 64}},
          .chains = {{"other", {}, {{{Return{}}, ""}}},
                     chain_of("forward", {.hook = Hook::forward, .priority = -5, .drop = true}, table()),
                     chain_of("postrouting", {.nat = true, .hook = Hook::postrouting, .priority = 100},
                              nat_table())}};
}

void compare(const std::vector<std::vector<std::string>>& made, const std::vector<Encoded>& rows) {
  REQUIRE(made.size() == rows.size());
  for (std::size_t i = 0; i < rows.size(); ++i) {
    CAPTURE(i);
    REQUIRE(made[i].size() == rows[i].bytecode.size());
    for (std::size_t j = 0; j < made[i].size(); ++j) CHECK(made[i][j] == rows[i].bytecode[j]);
  }
}

}  // namespace

TEST_CASE("the table has every expression there is") {
  std::set<std::size_t> seen;
  for (const auto* rows : {&table(), &nat_table()}) {
    for (const auto& row : *rows) {
      for (const auto& expression : row.expressions) seen.insert(expression.index());
    }
  }
  CHECK(seen.size() == std::variant_size_v<Expression>);
}

TEST_CASE("nft makes of our text exactly the bytecode in the table") {
  const Answer answer = check(sample());
  REQUIRE_MESSAGE(answer.status == 0, answer.text << render_nft(sample()));
  compare(bytecode(answer.text, "forward"), table());
  compare(bytecode(answer.text, "postrouting"), nat_table());
}

TEST_CASE("nft loads the text into a kernel") {
  const Answer answer = run_nft(render_nft(sample()), {"-f"});
  CHECK_MESSAGE(answer.status == 0, answer.text);
}

TEST_CASE("nft refuses a broken text: the check above can fail") {
  Ruleset broken = sample();
  broken.chains.back().rules.push_back({{Counter{"no such counter"}}, ""});
  CHECK(run_nft(render_nft(broken), {"-f"}).status == 1);
}

TEST_CASE("every hook that netjail uses") {
  for (const Hook hook : {Hook::prerouting, Hook::input, Hook::forward, Hook::output, Hook::postrouting}) {
    Ruleset ruleset{.table = "t", .chains = {{"c", BaseChain{.hook = hook, .priority = -300}, {}}}};
    CHECK(check(ruleset).status == 0);
  }
}

TEST_CASE("hostile texts stay inside their quotes") {
  Ruleset ruleset{.table = "t", .chains = {{"c", {}, {}}}};
  for (const std::string text :
       {"a\"; drop; #", "$x", "a\nb", "\\\"", "{ } ; #", "*", "\x7f\x01", "\xc3\xa9"}) {
    ruleset.chains[0].rules.push_back({{Log{1, text, 0}, Drop{}}, text});
    ruleset.chains[0].rules.push_back(
        {{Log{1, text + std::string(200, 'x'), 0}}, text + std::string(200, 'y')});
  }
  const Answer answer = check(ruleset);
  CHECK_MESSAGE(answer.status == 0, answer.text);
  CHECK(bytecode(answer.text, "c").size() == ruleset.chains[0].rules.size());
}

TEST_CASE("local addresses and a set of many ranges") {
  // nft sends its batch as one message: for an ordinary user it must fit net.core.wmem_max (208 KiB by
  // default).
  const std::uint32_t count = geteuid() == 0 ? 20'000 : 1'000;
  std::vector<AddressRange> many;
  for (std::uint32_t i = 0; i < count; ++i) {
    const auto octet = [&](int shift) { return static_cast<std::uint8_t>((0x0B000000U + i * 512) >> shift); };
    const Ip first{Family::ipv4, {octet(24), octet(16), octet(8), octet(0)}};
    Ip last = first;
    last.bytes[3] = static_cast<std::uint8_t>(i % 256);
    many.push_back({first, last});
  }
  const Ruleset ruleset{.table = "t",
                        .sets = {{"many", KeyType::ipv4_addr, many, {}},
                                 {"local4", KeyType::ipv4_addr, local_addresses().ranges(Family::ipv4), {}},
                                 {"local6", KeyType::ipv6_addr, local_addresses().ranges(Family::ipv6), {}}}};
  const Answer answer = run_nft(render_nft(ruleset), {"-c", "-f"});
  CHECK_MESSAGE(answer.status == 0, answer.text.substr(0, 2000));
}
