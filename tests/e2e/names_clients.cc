// Rules by name with the programs that people use: each reaches a name that is allowed, as it does without
// netjail, and no other; and nothing of a program's own question leaves but name and type.
#include <doctest/doctest.h>

#include <algorithm>

#include <filesystem>

#include "e2e/forge.h"

using namespace netjail;
using namespace netjail::test;

namespace {

Words dig(const Words& words) {
  Words out{"dig", "+time=3", "+tries=1"};
  out.insert(out.end(), words.begin(), words.end());
  return out;
}

std::string octets_of(const std::string& name, std::uint16_t type) {
  std::string text;
  for (const auto label : split(name, '.')) text += static_cast<char>(label.size()) + std::string(label);
  return text + '\0' + std::string{static_cast<char>(type >> 8), static_cast<char>(type & 255), '\0', '\1'};
}

// All that may leave: RD, one question, an OPT record (1232 octets) without options and without DO.
bool is_own_question(const std::string& message, const std::string& name, std::uint16_t type) {
  using namespace std::string_literals;
  return message.size() > 2 && lower(message.substr(2)) == "\1\0\0\1\0\0\0\0\0\1"s + octets_of(name, type) +
                                                               "\0\0\x29\x04\xd0\0\0\0\0\0\0"s;
}

std::vector<Arrival> questions() {
  auto all = world().servers().arrivals();
  std::erase_if(all, [](const Arrival& arrival) { return arrival.question.empty(); });
  return all;
}

}  // namespace

TEST_CASE("dig with its options: an answer inside, and no option passes") {
  if (!needs_root()) return;
  const std::vector<Words> cases{
      {},
      {"+tcp"},
      {"+dnssec"},
      {"+cdflag", "+noadflag"},
      {"+bufsize=512"},
      {"+nsid"},
      {"+cookie=0123456789abcdef"},
      {"+nocookie"},
      {"+subnet=203.0.113.0/24"},
      {"+noedns"},
      {"+ednsopt=65001:736563726574"},
      {"+padding=256"},
      {"+qr"},
      {"+tcp", "+keepalive", "+expire"},
  };
  std::string spelling;
  int number = 0;
  for (const Words& options : cases) {
    const std::string name = "o" + std::to_string(++number) + ".zone.test";
    Words words = dig(options);
    words.push_back(name);
    CAPTURE(join(words, " "));
    const Outcome outside = unjailed(words);
    CHECK_MESSAGE(has(outside.out, "198.51.100.11"), outside.describe());

    world().servers().forget();
    const Outcome inside = jailed({"--allow", "*.zone.test"}, words);
    CHECK_MESSAGE(has(inside.out, "status: NOERROR"), inside.describe());
    CHECK_MESSAGE(has(inside.out, "198.51.100.11"), inside.describe());
    const auto asked = questions();
    REQUIRE_MESSAGE(asked.size() == 1, describe(asked));
    CHECK_MESSAGE(is_own_question(asked[0].message, name, kTypeA), describe(asked));
    spelling += asked[0].message.substr(12);

    world().servers().forget();
    const Outcome refused = jailed({"--allow", "allowed.test"}, words);
    CHECK_MESSAGE(has(refused.out, "status: NXDOMAIN"), refused.describe());
    CHECK_MESSAGE(has(refused.err, "look-up of " + name), refused.describe());
    CHECK_MESSAGE(world().servers().arrivals().empty(), describe(world().servers().arrivals()));
  }
  // At random: that all of it came in one case is less likely than 2^-100.
  CHECK(std::ranges::any_of(spelling, [](char c) { return c >= 'A' && c <= 'Z'; }));
  CHECK(std::ranges::any_of(spelling, [](char c) { return c >= 'a' && c <= 'z'; }));

  // The record is of what was sent: dig's own options are in it.
  world().servers().forget();
  unjailed(dig({"+ednsopt=65001:736563726574", "o.zone.test"}));
  REQUIRE(questions().size() == 1);
  CHECK(has(questions()[0].message, "secret"));
  CHECK(!is_own_question(questions()[0].message, "o.zone.test", kTypeA));
}

TEST_CASE("dig: what may not be asked is refused here, of an allowed name too") {
  if (!needs_root()) return;
  struct Case {
    Words words;
    std::string shown, told;
  };
  for (const auto& [words, shown, told] :
       std::vector<Case>{{{"allowed.test", "ANY"}, "status: REFUSED", "type ANY"},
                         {{"allowed.test", "AXFR"}, "; Transfer failed", "type AXFR"},
                         {{"allowed.test", "NS"}, "status: REFUSED", "type NS"},
                         {{"allowed.test", "SOA"}, "status: REFUSED", "type SOA"},
                         {{"allowed.test", "NULL"}, "status: REFUSED", "type TYPE10"},
                         {{"allowed.test", "TYPE65400"}, "status: REFUSED", "TYPE65400"},
                         {{"version.bind", "CH", "TXT"}, "status: REFUSED", ""},
                         {{"+opcode=NOTIFY", "allowed.test"}, "status: NOTIMP", ""},
                         {{"+header-only", "allowed.test"}, "status: FORMERR", ""},
                         {{"-x", "203.0.113.10"}, "status: NXDOMAIN", "10.113.0.203.in-addr.arpa"},
                         {{"-x", "2001:db8:1::10"}, "status: NXDOMAIN", "ip6.arpa"},
                         {{"localhost"}, "127.0.0.1", ""},
                         {{"use-application-dns.net"}, "status: NXDOMAIN", ""}}) {
    CAPTURE(join(words, " "));
    world().servers().forget();
    const Outcome outcome = jailed({"--allow", "allowed.test"}, dig(words));
    CHECK_MESSAGE(has(outcome.out, shown), outcome.describe());
    CHECK_MESSAGE(has(outcome.err, told), outcome.describe());
    CHECK_MESSAGE(world().servers().arrivals().empty(), describe(world().servers().arrivals()));
  }
  // The record is not empty because nothing is recorded.
  unjailed(dig({"allowed.test", "NS"}));
  CHECK(questions().size() == 1);
}

TEST_CASE("dig: what there is beside addresses, and the name of a learned address") {
  if (!needs_root()) return;
  const Outcome outcome =
      jailed({"--allow", "allowed.test", "--allow", "alias.test"},
             {"sh", "-c",
              "dig +short allowed.test TXT; dig +short alias.test AAAA; "
              "dig +short -x 2001:db8:1::10; dig +short -x 198.51.100.10; dig +short mx allowed.test"});
  CHECK_MESSAGE(outcome.out == "\"allowed\"\nallowed.test.\n2001:db8:1::10\nalias.test.\n",
                outcome.describe());
}

TEST_CASE("the C library") {
  if (!needs_root()) return;
  check_client("allowed.test", {"getent", "hosts", "allowed.test"}, "2001:db8:1::10");
  check_client("allowed.test", {"getent", "ahosts", "allowed.test"}, "198.51.100.10");
  check_client("allowed.test", {"getent", "ahostsv6", "allowed.test"}, "2001:db8:1::10");
  check_client("alias.test", {"getent", "ahostsv4", "alias.test"}, "198.51.100.10");
  // 200 addresses of each family: by TCP, from server to program.
  const Outcome big = jailed({"--allow", "big.test"}, {"getent", "ahosts", "big.test"});
  CHECK_MESSAGE(std::ranges::count(big.out, '\n') == 1200, big.describe());
}

TEST_CASE("c-ares, by itself and in Node.js") {
  if (!needs_root()) return;
  const std::string script = world().write("c-ares.py", R"(
import ctypes, select, socket, sys
cares = ctypes.CDLL('libcares.so.2')
class Hostent(ctypes.Structure):
    _fields_ = [('name', ctypes.c_char_p), ('aliases', ctypes.c_void_p), ('family', ctypes.c_int),
                ('length', ctypes.c_int), ('addresses', ctypes.POINTER(ctypes.POINTER(ctypes.c_ubyte)))]
results = []
@ctypes.CFUNCTYPE(None, ctypes.c_void_p, ctypes.c_int, ctypes.c_int, ctypes.POINTER(Hostent))
def done(_, status, timeouts, host):
    text = '' if status else socket.inet_ntop(host[0].family, bytes(host[0].addresses[0][:host[0].length]))
    results.append((status, text))
channel = ctypes.c_void_p()
assert cares.ares_library_init(1) == 0 and cares.ares_init(ctypes.byref(channel)) == 0
for family in (socket.AF_INET, socket.AF_INET6):
    cares.ares_gethostbyname(channel, sys.argv[1].encode(), family, done, None)
while len(results) < 2:
    sockets = (ctypes.c_int * 16)()
    bits = cares.ares_getsock(channel, sockets, 16)
    readable = select.select([sockets[i] for i in range(16) if bits >> i & 1], [], [], 1)[0]
    for fd in readable or [-1]: cares.ares_process_fd(channel, fd, -1)
print(sorted(results))
sys.exit(any(status for status, _ in results))
)");
  check_client("allowed.test", {"python3", script, "allowed.test"},
               "[(0, '198.51.100.10'), (0, '2001:db8:1::10')]");
  // By way of env: node would take the profile of its name.
  check_client("allowed.test",
               {"env", "node", "-e",
                "require('dns').resolve6('allowed.test', (error, found) => error ? process.exit(1) : "
                "console.log(found))"},
               "2001:db8:1::10");
}

TEST_CASE("musl") {
  if (!needs_root()) return;
  const std::string source = world().write("resolve.c", R"(
#include <netdb.h>
#include <stdio.h>
int main(int count, char** words) {
  struct addrinfo hints = {.ai_socktype = SOCK_STREAM}, *found = 0;
  int error = getaddrinfo(words[count - 1], "443", &hints, &found);
  if (error) return puts(gai_strerror(error)), 1;
  for (; found; found = found->ai_next) {
    char text[64];
    getnameinfo(found->ai_addr, found->ai_addrlen, text, sizeof text, 0, 0, NI_NUMERICHOST);
    puts(text);
  }
})");
  const Outcome made = world().call({"musl-gcc", "-static", "-o", "/srv/resolve", source});
  REQUIRE_MESSAGE(made.ok(), made.describe());
  check_client("allowed.test", {"/srv/resolve", "allowed.test"}, "2001:db8:1::10");
  const Outcome refused = jailed({"--allow", "v4only.test"}, {"/srv/resolve", "allowed.test"});
  CHECK_MESSAGE(refused.took < 1s, refused.describe());
}

TEST_CASE("curl") {
  if (!needs_root()) return;
  forge();
  check_client("allowed.test", {"curl", "-4sS", "http://allowed.test/"}, "server 198.51.100.10 port 80");
  check_client("allowed.test", {"curl", "-6sS", "http://allowed.test/"}, "server 2001:db8:1::10 port 80");
  check_client("forge.test", {"curl", "-sS", "--cacert", kAuthority, "https://forge.test/"}, "forged page");

  // Address literals, of the very server: shut before its name was looked up, and its other ports after it.
  const Words literal{"curl", "-sS", "http://203.0.113.70/"};
  CHECK(unjailed(literal).ok());
  const Outcome shut = jailed({"--allow", "forge.test"}, literal);
  CHECK_MESSAGE(!shut.ok(), shut.describe());
  CHECK_MESSAGE(has(shut.err, "203.0.113.70:80/tcp  (no rule allows it)"), shut.describe());
  const Words other_port{"curl", "-sS", "http://forge.test:4873/"};
  CHECK(unjailed(other_port).ok());
  const Outcome port = jailed({"--allow", "forge.test"}, other_port);
  CHECK_MESSAGE(!port.ok(), port.describe());
  CHECK_MESSAGE(has(port.err, "--allow forge.test:4873/tcp"), port.describe());
}

TEST_CASE("public addresses beside the way to the Internet, by name and as a part of it") {
  if (!needs_root()) return;
  FakeWorld two = make_world({.watch = false});
  REQUIRE(ip_batch(two.host(), "addr add 203.0.113.129/26 dev eth1\n"));
  REQUIRE(ip_batch(two.lan().place(), "addr add 203.0.113.130/26 dev eth0\n"));
  DnsTable table = default_dns_table();
  table["beside.test"].records = {dns_address("203.0.113.130")};
  two.servers().set_dns(table);
  const std::string url = "http://beside.test/";
  CHECK(two.run({.argv = {"curl", "-sS", url}}).ok());
  for (const Words& options : std::vector<Words>{
           {"--allow", "beside.test"}, {"--profile", "internet"}, {"--allow", "203.0.113.0/24"}}) {
    Words words = options;
    const bool by_name = options[1] != "203.0.113.0/24";
    words.insert(words.end(), {"--", "curl", "-sSm3", by_name ? url : "http://203.0.113.130/"});
    const Outcome outcome = two.netjail(words);
    CHECK_MESSAGE(has(outcome.out, "server 203.0.113.130"), outcome.describe());
    // What one run switches on stays for a second: the next must not find it.
    CHECK(eventually([&] { return !has(two.call({"nft", "list", "tables"}).out, "netjail"); }));
  }
}

TEST_CASE("git over http, https and ssh") {
  if (!needs_root()) return;
  forge();
  const auto clone = [](const std::string& url) {
    return Words{"sh", "-ec", "rm -rf clone; git clone -q " + url + " clone; git -C clone log --oneline"};
  };
  check_client("forge.test", clone("http://forge.test/x.git"), " forged\n");
  check_client("forge.test", clone("https://forge.test/x.git"), " forged\n");

  // The server says no more than its name: how far ssh comes is what it then says of itself.
  const Words ssh{"git", "clone", "-q", "ssh://git@forge.test/x.git"};
  const auto seen = [&](const Outcome& outcome) {
    CHECK_MESSAGE(!outcome.ok(), outcome.describe());
    return forge().server.wait_for("SSH SSH-2.0-OpenSSH", 200ms);
  };
  const Outcome shut = jailed({"--allow", "forge.test"}, ssh);
  CHECK(!seen(shut));
  CHECK_MESSAGE(has(shut.err, "--allow forge.test:22/tcp"), shut.describe());
  CHECK(!seen(jailed({"--allow", "v4only.test:22"}, ssh)));
  CHECK(seen(jailed({"--allow", "forge.test:ssh"}, ssh)));
}

// Not among the packages that scripts/install-packages installs: it would open port 22 of the machine.
TEST_CASE("git from a real sshd, with a key" * doctest::skip(!std::filesystem::exists("/usr/sbin/sshd"))) {
  if (!needs_root()) return;
  const std::string folder = world().directory() + "/sshd";
  auto server = forge().annex.serve("sshd.py", {folder});
  REQUIRE_MESSAGE(server, (server ? "" : render_error(server.error())));
  const std::string key = home() + "/key";
  const Outcome made =
      world().call({"install", "-m", "600", "-o", kCaller, "-g", kCaller, folder + "/key", key});
  REQUIRE_MESSAGE(made.ok(), made.describe());
  const Words clone{
      "sh", "-ec",
      "rm -rf clone; GIT_SSH_COMMAND='ssh -F none -i " + key +
          " -o IdentitiesOnly=yes -o StrictHostKeyChecking=no -o UserKnownHostsFile=/dev/null' git clone "
          "-q ssh://root@forge.test:2222" +
          world().directory() + "/tree/x.git clone; git -C clone log --oneline"};
  const Outcome open = unjailed(clone);
  REQUIRE_MESSAGE(has(open.out, " forged\n"), open.describe());
  const Outcome inside = jailed({"--allow", "forge.test:2222"}, clone);
  CHECK_MESSAGE(has(inside.out, " forged\n"), inside.describe());
  const Outcome shut = jailed({"--allow", "forge.test"}, clone);
  CHECK_MESSAGE(!has(shut.out, " forged\n"), shut.describe());
  CHECK_MESSAGE(has(shut.err, "--allow forge.test:2222/tcp"), shut.describe());
}

TEST_CASE("Chromium by name: one site, and nobody asked for another") {
  if (!needs_root()) return;
  forge();
  const std::string user = std::to_string(kOrdinaryUser);
  const Outcome made = world().call({"install", "-d", "-o", user, "-g", user, "/srv/browser"});
  REQUIRE_MESSAGE(made.ok(), made.describe());
  const std::string profile = world().write("site.toml", R"(
[process]
user-namespaces = true
[[allow]]
to = ["allowed.test"]
)");
  const auto load = [&](const std::string& url) {
    world().servers().forget();
    // Its own resolver, with DNS over HTTPS wherever it can be had.
    return jailed({"--profile", profile, "--user", user},
                  {"env", "HOME=/srv/browser", "chromium-headless-shell", "--disable-gpu", "--timeout=8000",
                   "--enable-features=AsyncDns,DnsOverHttps:Fallback/true/Templates/"
                   "https%3A%2F%2Fforge.test%2Fdns-query",
                   "--dump-dom", url});
  };
  const Outcome reached = load("http://allowed.test/");
  CHECK_MESSAGE(has(reached.out, "port 80"), reached.describe());
  for (const Arrival& asked : questions())
    CHECK_MESSAGE(asked.question.starts_with("allowed.test "), asked.question);
  const Outcome refused = load("http://other.test/");
  CHECK_MESSAGE(!has(refused.out, "port 80"), refused.describe());
  CHECK_MESSAGE(has(refused.err, "look-up of other.test"), refused.describe());
  CHECK_MESSAGE(world().servers().arrivals().empty(), describe(world().servers().arrivals()));
}
