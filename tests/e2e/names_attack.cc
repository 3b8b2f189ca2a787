// Rules by name against a program that works together with the DNS servers of names it may ask for.
#include <doctest/doctest.h>

#include <algorithm>

#include "e2e/fixture.h"

using namespace netjail;
using namespace netjail::test;

namespace {

// `python` under these rules, `names` beside those of the world.
Outcome attack(const Words& options, const DnsTable& names, const std::string& text) {
  DnsTable table = default_dns_table();
  for (const auto& [name, entry] : names) table[name] = entry;
  world().servers().set_dns(table);
  static int count = 0;
  const std::string script = world().write("attack-" + std::to_string(++count) + ".py", R"(
import os, socket, struct, time
def question(name, kind):
    wire = b''.join(bytes([len(l)]) + l.encode() for l in name.split('.')) + b'\0'
    return struct.pack('>6H', 77, 0x100, 1, 0, 0, 0) + wire + struct.pack('>2H', kind, 1)
def ask(name, kind=1, patience=20):
    'rcode and number of records; nothing when there was no answer'
    s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    s.settimeout(patience)
    s.sendto(question(name, kind), ('127.0.0.1', 53))
    try: answer = s.recv(65535)
    except TimeoutError: return None
    return answer[3] & 15, struct.unpack('>H', answer[6:8])[0]
def connect(address, port):
    try:
        socket.create_connection((address, port), 5).close()
        return 'open'
    except OSError: return 'shut'
)" + text);
  Words arguments{"run"};
  arguments.insert(arguments.end(), options.begin(), options.end());
  arguments.insert(arguments.end(), {"--", "python3", script});
  world().servers().forget();
  return world().run({.argv = netjail_command(arguments), .deadline = 60s});
}

long count_questions(std::string_view part) {
  const auto arrivals = world().servers().arrivals();
  return std::ranges::count_if(arrivals, [&](const Arrival& one) { return has(one.question, part); });
}

}  // namespace

TEST_CASE("a denied service stays shut by whatever way its name is found") {
  if (!needs_root()) return;
  const Words rules{"--allow", "alias.test:22,443", "--deny", "allowed.test:22/tcp"};
  const std::string tries = "print(connect('198.51.100.10', 443), connect('198.51.100.10', 22))\n";
  // alias.test is an alias of allowed.test: asked as a whole, and step by step.
  CHECK(attack(rules, {}, "print(ask('alias.test'))\n" + tries).out == "(0, 2)\nopen shut\n");
  CHECK(attack(rules, {}, "print(ask('alias.test', 5), ask('allowed.test'))\n" + tries).out ==
        "(0, 1) (0, 1)\nopen shut\n");
  // Without the denial 22 is open.
  CHECK(attack({"--allow", "alias.test:22,443"}, {}, "print(ask('alias.test'))\n" + tries).out ==
        "(0, 2)\nopen open\n");
}

TEST_CASE("exact names carry nothing but timing: a server that fails is not asked again at once") {
  if (!needs_root()) return;
  const Outcome outcome =
      attack({"--allow", "loop.test"}, {{"loop.test", {.records = {dns_alias("loop.test")}}}},
             R"(
end, count = time.time() + 3, 0
while time.time() < end:
    for kind in (1, 28, 64, 65, 15, 33, 16, 12):
        rcode = ask('loop.test', kind)[0]
        count += 1
print(rcode, count > 500)
)");
  CHECK_MESSAGE(outcome.out == "2 True\n", outcome.describe());
  CHECK(count_questions("loop.test") >= 8);
  CHECK(count_questions("loop.test") <= 5 * 8);
}

TEST_CASE("no local address is told or reached, in whatever form it stands") {
  if (!needs_root()) return;
  DnsName forms;
  for (const char* address : {"0.0.0.0",
                              "0.1.2.3",
                              "10.77.0.10",
                              "100.64.77.10",
                              "127.0.0.1",
                              "127.9.9.9",
                              "169.254.169.254",
                              "172.16.77.10",
                              "192.168.77.10",
                              "192.0.0.1",
                              "198.18.0.1",
                              "224.0.0.1",
                              "240.0.0.1",
                              "255.255.255.255",
                              "198.51.100.2",
                              "198.51.100.255",
                              "::",
                              "::1",
                              "::10.77.0.10",
                              "::ffff:10.77.0.10",
                              "::ffff:198.51.100.2",
                              "64:ff9b::10.77.0.10",
                              "64:ff9b::198.51.100.2",
                              "64:ff9b:1::10.77.0.10",
                              "2002:a4d:a::",
                              "2002:c633:6402::",
                              "2001:0:1:1:1:1:f5b2:fff5",
                              "2001:db8:1::2",
                              "fd77::10",
                              "fe80::1",
                              "fe80::5efe:10.77.0.10",
                              "fec0::1",
                              "ff02::1",
                              "100::1"})
    forms.records.push_back(dns_address(address));
  const Outcome outcome = attack({"--allow", "forms.test"}, {{"forms.test", forms}}, R"(
print(ask('forms.test'), ask('forms.test', 28))
print({connect(a, 80) for a in ('10.77.0.10', '192.168.77.10', '169.254.169.254', '198.51.100.2', 'fd77::10',
                                '2001:db8:1::2', '64:ff9b::10.77.0.10', '::ffff:10.77.0.10')})
)");
  CHECK_MESSAGE(outcome.out == "(0, 0) (0, 0)\n{'shut'}\n", outcome.describe());
}

TEST_CASE("a flood of names that nobody answers does not keep others waiting") {
  if (!needs_root()) return;
  DnsTable dark;
  for (int name = 0; name < 1000; ++name) dark["n" + std::to_string(name) + ".dark.test"].silent = true;
  for (const Words& rules :
       {Words{"--allow", "*.dark.test", "--allow", "*.zone.test"}, {"--profile", "internet"}}) {
    const Outcome outcome = attack(rules, dark, R"(
child = os.fork()
if child == 0:
    s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    s.connect(('127.0.0.1', 53))
    end, count = time.time() + 6, 0
    while time.time() < end:
        s.send(question('n%d.dark.test' % (count % 1000), 1))
        count += 1
        if count > 2000: time.sleep(0.0005)  # the machine is shared
    os._exit(0)
time.sleep(0.5)
waits = []
for name in range(8):
    start = time.time()
    while ask('v%d.zone.test' % name, 1, 0.3) is None: pass
    waits.append(time.time() - start)
os.waitpid(child, 0)
print('longest', 'short' if max(waits) < 3 else waits)
)");
    CHECK_MESSAGE(outcome.out == "longest short\n", outcome.describe());
  }
}
