// Name servers that fail, lie or are odd (liar.py): what the program is told, and what that opens.
#include <doctest/doctest.h>

#include <thread>

#include "e2e/python.h"
#include "support/annex.h"

using namespace netjail;
using namespace netjail::test;

namespace {

struct Liar {
  Annex annex;
  Process dns, web;
};

Liar make_liar() {
  auto annex = Annex::create(world());
  if (!annex) FAIL(render_error(annex.error()));
  auto dns = annex->serve("liar.py");
  if (!dns) FAIL(render_error(dns.error()));
  auto web = annex->serve("echo.py");
  if (!web) FAIL(render_error(web.error()));
  return {std::move(*annex), std::move(*dns), std::move(*web)};
}

// A profile that asks the servers 203.0.113.N, and allows `names`; `more` are its own lines of
// [network.resolver].
std::string ask(const Words& servers, const Words& names, const std::string& more = {}) {
  static Liar liar = make_liar();
  static int count = 0;
  std::string upstream, to;
  for (const auto& server : servers) upstream += "\"203.0.113." + server + "\", ";
  for (const auto& name : names) to += "\"" + name + "\", ";
  return world().write("ask-" + std::to_string(++count) + ".toml",
                       "[network.resolver]\nupstream = [" + upstream + "]\n" + more + "\n[[allow]]\nto = [" +
                           to + "]\nservice = [\"80/tcp\"]\n");
}

void check(const Words& servers, const Words& names, const std::string& text, const std::string& out) {
  CAPTURE(text);
  const Outcome outcome = python({"--profile", ask(servers, names)}, text);
  CHECK_MESSAGE(outcome.out == out, outcome.describe());
}

const std::string kGood = "(0, ['203.0.113.70'])\n", kFailed = "(2, [])\n";

}  // namespace

TEST_CASE("chains of aliases: as long as real ones are, and no further") {
  if (!needs_root()) return;
  check({"73"}, {"chain8.test", "dname.zone.test"}, R"(
print(ask('chain8.test'), connect('203.0.113.70', 80))
print(ask('l0.links.test'))
print(ask('dname.zone.test'))
)",
        "(0, ['203.0.113.70']) open\n(3, [])\n" + kGood);
  check({"73"}, {"chain40.test", "loop.test", "self.test", "falsedname.zone.test"}, R"(
for name in ('chain40.test', 'loop.test', 'self.test', 'falsedname.zone.test'): print(ask(name))
print(connect('203.0.113.70', 80), connect('203.0.113.72', 80))
)",
        kFailed + kFailed + kFailed + kFailed + "refused refused\n");
}

TEST_CASE("TTL 0 and another address with every answer: who connects each time never fails") {
  if (!needs_root()) return;
  check({"73"}, {"ttl0.test"}, R"(
seen = set()
for _ in range(25):
    for address in ask('ttl0.test')[1]:
        seen.add(address)
        if connect(address, 80) != 'open': print(address, 'shut')
    time.sleep(0.15)
print(len(seen) > 2, all(connect(address, 80) == 'open' for address in seen))
)",
        "True True\n");
}

TEST_CASE("truncation") {
  if (!needs_root()) return;
  check({"73"}, {"trunc.test", "onlyudp.test"}, R"(
print(ask('trunc.test'), connect('203.0.113.70', 80))
start = time.monotonic()
print(ask('onlyudp.test'), time.monotonic() - start < 3)
)",
        "(0, ['203.0.113.70']) open\n(2, []) True\n");
  // 500 addresses are 14,000 octets.
  const Outcome many = world().netjail({"--profile", ask({"73"}, {"many.test"}), "--", "sh", "-c",
                                        "dig +short +time=3 +tries=1 many.test AAAA | wc -l; " +
                                            std::string(kProbe) + " tcp 2001:db8:7::70 80"});
  CHECK_MESSAGE(many.ok(), many.describe());
  CHECK_MESSAGE(many.out.starts_with("500\n"), many.describe());
}

TEST_CASE("a server that does not keep the spelling of a question") {
  if (!needs_root()) return;
  // With TCP, where that is no sign of a forger; and without, where it is the server's way.
  check({"78"}, {"a.test", "b.test"}, "print(ask('a.test'))\nprint(ask('b.test'))\n", kGood + kGood);
  check({"79"}, {"a.test", "b.test"}, "print(ask('a.test'))\nprint(ask('b.test'))\n", kGood + kGood);
}

TEST_CASE("forged answers are not believed") {
  if (!needs_root()) return;
  check({"73"}, {"wrongid.test", "wrongcase.test", "wrongname.test", "poison.test", "plain.test"}, R"(
for name in ('wrongid', 'wrongcase', 'wrongname', 'poison', 'plain'): print(ask(name + '.test'))
print(connect('203.0.113.70', 80), connect('203.0.113.72', 80))
)",
        kGood + kGood + kGood + kGood + kGood + "open refused\n");
  // The first answer comes when the question has been asked again.
  check({"73"}, {"late.test"}, R"(
print(ask('late.test'))
time.sleep(1)
print(ask('late.test'), connect('203.0.113.72', 80))
)",
        kGood + "(0, ['203.0.113.70']) refused\n");
}

TEST_CASE("the next server is asked") {
  if (!needs_root()) return;
  for (const char* first : {"74", "75", "76"})
    check({first, "73"}, {"plain.test"}, R"(
start = time.monotonic()
print(ask('plain.test'), time.monotonic() - start < 1)
)",
          "(0, ['203.0.113.70']) True\n");
  check({"77", "73"}, {"plain.test", "chain8.test"}, R"(
start = time.monotonic()
print(ask('plain.test'), time.monotonic() - start < 3)
# The one that answered is asked first from now on.
start = time.monotonic()
print(ask('chain8.test'), time.monotonic() - start < 1)
)",
        "(0, ['203.0.113.70']) True\n(0, ['203.0.113.70']) True\n");
}

TEST_CASE("no server") {
  if (!needs_root()) return;
  // Nobody listens there: told by ICMP.
  check({"70"}, {"plain.test"}, R"(
start = time.monotonic()
print(ask('plain.test'), time.monotonic() - start < 1)
)",
        "(2, []) True\n");
  const Outcome none =
      world().run(after("mount --bind " + world().write("empty", "") + " $(readlink -f /etc/resolv.conf)",
                        netjail_command({"run", "--allow", "allowed.test", "--", "true"})));
  CHECK_MESSAGE(none.status == 125, none.describe());
  CHECK_MESSAGE(has(none.err, "/etc/resolv.conf names no server"), none.describe());
}

TEST_CASE("records that lead to others open what they name, and let that be asked, not before") {
  if (!needs_root()) return;
  check(
      {"73"}, {"service.test", "servicealias.test", "mail.test", "_srv._tcp.test", "srv.test"}, R"(
print(connect('203.0.113.71', 80), ask('service.test', 65)[0], connect('203.0.113.71', 80))
for name, kind, target in (('servicealias.test', 65, 'pool'), ('mail.test', 15, 'mx'), ('srv.test', 33, 'node')):
    target += '.links.test'
    print(ask(target), ask(name, kind)[0], ask(target))
)",
      "refused 0 open\n"
      "(3, []) 0 (0, ['203.0.113.70'])\n(3, []) 0 (0, ['203.0.113.70'])\n(3, []) 0 (0, ['203.0.113.70'])\n");
}

TEST_CASE("signatures are left out, and nobody is told that they were checked") {
  if (!needs_root()) return;
  const Outcome outcome = world().netjail({"--profile", ask({"73"}, {"signed.test"}), "--", "dig", "+dnssec",
                                           "+adflag", "+time=3", "+tries=1", "signed.test"});
  CHECK_MESSAGE(has(outcome.out, "203.0.113.70"), outcome.describe());
  CHECK_MESSAGE(!has(outcome.out, "RRSIG"), outcome.describe());
  CHECK_MESSAGE(has(outcome.out, "flags: qr rd ra;"), outcome.describe());
  const Outcome outside = world().call({"dig", "@203.0.113.73", "+dnssec", "+adflag", "signed.test"});
  CHECK_MESSAGE(has(outside.out, "RRSIG"), outside.describe());
  CHECK_MESSAGE(has(outside.out, "flags: qr rd ra ad;"), outside.describe());
}

TEST_CASE("a slow server keeps nobody waiting for others") {
  if (!needs_root()) return;
  check({"73"},
        {"*.slow.test", "*.quick.test", "slow0.test", "slow1.test", "slow2.test", "quick0.test",
         "quick1.test", "quick2.test"},
        R"(
import threading
done = []
def one(name):
    if ask(name)[0] == 0: done.append(name[:4])
threads = [threading.Thread(target=one, args=[kind + str(i) + '.test']) for kind in ('slow', 'quick') for i in range(3)]
for t in threads: t.start()
for t in threads: t.join()
print(done)
)",
        "['quic', 'quic', 'quic', 'slow', 'slow', 'slow']\n");
}

TEST_CASE("types of a profile: no other is asked for") {
  if (!needs_root()) return;
  const std::string profile = ask({"73"}, {"plain.test", "mail.test"}, "types = [\"A\"]");
  const Outcome outcome = python({"--profile", profile},
                                 "print(ask('plain.test'), ask('plain.test', 28), ask('mail.test', 15))\n");
  CHECK_MESSAGE(outcome.out == "(0, ['203.0.113.70']) (5, []) (5, [])\n", outcome.describe());
  CHECK_MESSAGE(has(outcome.err, "type AAAA"), outcome.describe());
}

TEST_CASE("a stub on the host's loopback, as systemd-resolved is") {
  if (!needs_root()) return;
  FakeWorld stub = make_world({.nameservers = {"127.0.0.53"}});
  const Outcome outcome =
      stub.netjail({"--allow", "allowed.test", "--", "curl", "-4sS", "http://allowed.test/"});
  CHECK_MESSAGE(has(outcome.out, "server 198.51.100.10"), outcome.describe());
  std::size_t asked = 0;
  for (const Arrival& arrival : stub.servers().arrivals())
    if (arrival.address == "127.0.0.53") ++asked;
  CHECK(asked > 0);
  // The stub itself stays out of reach.
  const Outcome direct =
      stub.netjail({"--allow", "any", "--", kProbe, "dns", "allowed.test", "A", "udp", "127.0.0.53"});
  CHECK_MESSAGE(has(direct.out, "ECONNREFUSED"), direct.describe());
}

TEST_CASE("a host with one family only") {
  if (!needs_root()) return;
  for (const bool ipv4 : {true, false}) {
    CAPTURE(ipv4);
    FakeWorld one = make_world({.ipv4 = ipv4, .ipv6 = !ipv4});
    const Outcome outcome =
        one.netjail({"--allow", "allowed.test", "--", "curl", "-sS", "http://allowed.test/"});
    CHECK_MESSAGE(has(outcome.out, ipv4 ? "server 198.51.100.10" : "server 2001:db8:1::10"),
                  outcome.describe());
    CHECK_MESSAGE(outcome.took < 2s, outcome.describe());
  }
}

TEST_CASE("resolv.conf: its second server, and what it says since the start") {
  if (!needs_root()) return;
  FakeWorld host = make_world({.nameservers = {"198.51.100.99", "198.51.100.53"}});
  Process jail = host.start(
      {.argv = netjail_command({"run", "--allow", "allowed.test", "--allow", "v4only.test", "--", "sh", "-c",
                                "getent ahostsv4 allowed.test; echo asked; read line; "
                                "getent ahostsv4 v4only.test; echo asked again"}),
       .keep_input_open = true});
  CHECK_MESSAGE(jail.wait_for("198.51.100.10", 4s), jail.err());
  REQUIRE(jail.wait_for("asked"));
  host.write("resolv.conf", "nameserver 192.168.77.53\n");
  std::this_thread::sleep_for(1200ms);  // it is looked at once a second
  host.servers().forget();
  REQUIRE(jail.send("go\n"));
  CHECK_MESSAGE(jail.wait_for("asked again"), jail.err());
  CHECK_MESSAGE(has(jail.out(), "198.51.100.11"), jail.out());
  CHECK(host.servers().count("udp", "192.168.77.53", 53) > 0);
  CHECK(host.servers().count("udp", "198.51.100.53", 53) == 0);
}
