// What the system calls that are left can do, tried from inside: options of sockets that name stations on the
// way, questions to the kernel about other namespaces, files that user 0 could write, core dumps. Run in both
// modes.
#include <algorithm>

#include "e2e/python.h"

using namespace netjail;
using namespace netjail::test;

namespace {

// "LINE\n" for each thing that went well, in a jail and outside.
Outcome outside(const std::string& text) {
  static int count = 0;
  const std::string script = world().write("outside-" + std::to_string(++count) + ".py", text);
  return world().call({"python3", script});
}

// Any program may set these; the first address is open, the last is where the packet would end.
const char* const kSourceRoutes = R"(
import socket, struct, time
v4, v6 = ('198.51.100.10', 7), ('2001:db8:1::10', 7)
def pack4(a): return socket.inet_pton(socket.AF_INET, a)
def pack6(a): return socket.inet_pton(socket.AF_INET6, a)
for option in (0x83, 0x89, 0x07):                       # loose and strict source route, record route
    s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    s.sendto(b'admitted', v4)
    try:
        s.setsockopt(socket.IPPROTO_IP, socket.IP_OPTIONS,
                     struct.pack('!BBB', option, 7, 4) + pack4('203.0.113.10') + b'\0')
        s.sendto(b'by another', v4)
        print('option', option)
    except OSError as error: print(error)               # strict: the next station is not next door
for kind in (0, 2, 4):
    s = socket.socket(socket.AF_INET6, socket.SOCK_DGRAM)
    s.sendto(b'admitted', v6)
    header = (struct.pack('!BBBBBBH', 0, 2, 4, 0, 0, 0, 0) if kind == 4 else
              struct.pack('!BBBBI', 0, 2, kind, 1, 0)) + pack6('2001:db8:2::10')
    try:
        s.setsockopt(socket.IPPROTO_IPV6, 57, header)   # IPV6_RTHDR
        s.sendto(b'by another', v6)
        print('routing header', kind)
    except OSError as error:
        print(error)
print('sent')
time.sleep(0.2)
)";

}  // namespace

TEST_CASE("packets that name stations on their way do not leave, of admitted flows either") {
  if (!needs_root()) return;
  const auto packets = [] { return world().servers().packets(); };
  const auto extended = [](const std::vector<Packet>& all) {
    return std::ranges::count_if(all, [](const Packet& p) {
      return p.protocol == 43 || p.destination == "203.0.113.10" || p.destination == "2001:db8:2::10";
    });
  };
  world().servers().forget();
  const Outcome open = outside(kSourceRoutes);
  REQUIRE_MESSAGE(has(open.out, "sent"), open.describe());
  const std::size_t without = packets().size();
  REQUIRE(extended(packets()) > 0);
  world().servers().forget();
  const Outcome outcome =
      python({"--allow", "198.51.100.10:7/udp", "--allow", "[2001:db8:1::10]:7/udp"}, kSourceRoutes);
  REQUIRE_MESSAGE(has(outcome.out, "sent"), outcome.describe());
  REQUIRE(world().probe({"ping", "198.51.100.1"}).ok());
  // What needs no capability: record route, and a header of segment routing.
  CHECK_MESSAGE(has(outcome.out, "option 7\n"), outcome.out);
  CHECK_MESSAGE(has(outcome.out, "routing header 4\n"), outcome.out);
  CHECK(extended(packets()) == 0);
  // Six datagrams without; of the others none.
  CHECK(world().servers().arrivals().size() == 6);
  CHECK(without > packets().size());
}

TEST_CASE("the kernel answers nothing about another network namespace, and changes nothing in this one") {
  if (!needs_root()) return;
  const std::string script = R"(
import os, socket, struct
def ask(kind, flags, body):
    s = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, 0)
    s.settimeout(2)
    s.send(struct.pack('IHHII', 16 + len(body), kind, flags, 1, 0) + body)
    answer = s.recv(65536)
    code = struct.unpack('H', answer[4:6])[0]
    return os.strerror(-struct.unpack('i', answer[16:20])[0]) if code == 2 else 'answer'
link = struct.pack('BxHiII', 0, 0, 1, 0, 0)
print('own', ask(18, 1, link))                                             # RTM_GETLINK
for nsid in range(4):
    print('other', ask(18, 1, link + struct.pack('HHi', 8, 46, nsid)))     # IFLA_TARGET_NETNSID
s = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, 0)
try:
    s.setsockopt(270, 8, 1)                                                # NETLINK_LISTEN_ALL_NSID
    print('listens to all')
except OSError as error: print(error.strerror)
up = struct.pack('BxHiII', 0, 0, 1, 0, 1)
print('change', ask(19, 5, up))                                            # RTM_SETLINK: down
print('change', ask(20, 0x605, struct.pack('BBBBi', 2, 32, 0, 0, 1) + struct.pack('HH4s', 8, 2, bytes([198, 51, 100, 2]))))
)";
  const Outcome open = outside(script);
  CHECK_MESSAGE(has(open.out, "listens to all"), open.describe());
  const Outcome outcome = python({"--profile", "internet"}, script);
  CHECK_MESSAGE(has(outcome.out, "own answer\n"), outcome.describe());
  CHECK_MESSAGE(!has(outcome.out, "other answer"), outcome.describe());
  CHECK_MESSAGE(!has(outcome.out, "listens to all"), outcome.describe());
  CHECK_MESSAGE(!has(outcome.out, "change Success"), outcome.describe());
  CHECK_MESSAGE(has(outcome.out, "change Operation not permitted"), outcome.describe());
}

// Opened and not written: what the machine's own can do is not tried.
TEST_CASE("user 0 inside opens no file of the kernel's for writing but those of its own processes" *
          only_root("inside is no root where there is none outside")) {
  if (!needs_root()) return;
  const std::string script = R"(
import os
for top in ('/proc', '/sys'):
    for folder, folders, files in os.walk(top):
        # Of its own processes, by several names; the pressure files only wake whoever writes them; net is its own
        # network namespace's.
        folders[:] = [f for f in folders if not (folder == '/proc' and (f.isdigit() or f in ('self', 'thread-self', 'pressure', 'net')))]
        for name in files:
            path = os.path.join(folder, name)
            if os.path.islink(path): continue
            try:
                os.close(os.open(path, os.O_WRONLY | os.O_NONBLOCK | os.O_NOFOLLOW))
                print(path)
            except OSError: pass
)";
  REQUIRE(world().call({"sh", "-c", "true 9>>/proc/sys/kernel/core_pattern"}).ok());
  const Outcome outcome = python({"--profile", "internet"}, script);
  CHECK_MESSAGE(outcome.ok(), outcome.describe());
  CHECK_MESSAGE(outcome.out.empty(), outcome.out);
}

// A core_pattern that begins with '@' goes round RLIMIT_CORE: measured, on 6.18.
TEST_CASE("where core dumps go to a server outside nothing is started" *
          only_root("without root nobody gets a new /proc while a file of the old one is covered")) {
  if (!needs_root()) return;
  const Words run{kNetjail, "run", "--profile", "offline", "--", "echo", "ran"};
  const auto with = [](const std::string& pattern) {
    return "echo '" + pattern +
           "' > /srv/pattern\nmount -n --bind /srv/pattern /proc/sys/kernel/core_pattern";
  };
  const Outcome file = world().run(after(with("core"), run));
  REQUIRE_MESSAGE(file.out == "ran\n", file.describe());
  for (const char* pattern : {"@/run/coredump", "@@/run/coredump"}) {
    const Outcome outcome = world().run(after(with(pattern), run));
    CHECK_MESSAGE(outcome.status == 125, outcome.describe());
    CHECK_MESSAGE(has(outcome.err, "kernel.core_pattern"), outcome.describe());
    CHECK(outcome.out.empty());
  }
}
