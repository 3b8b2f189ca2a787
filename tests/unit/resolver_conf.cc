// resolv.conf: what is read from it, and that a change is noticed.
#include <doctest/doctest.h>
#include <fcntl.h>
#include <unistd.h>

#include <cstdio>
#include <fstream>

#include "resolver_upstreams.h"
#include "resolver_world.h"

using namespace netjail;
using namespace netjail::test;

namespace {

std::vector<std::string> servers(std::string_view text) {
  std::vector<std::string> result;
  for (const auto& upstream : parse_resolv_conf(text)) {
    CHECK(upstream.port == 53);
    result.push_back(to_string(upstream.address) + (upstream.zone.empty() ? "" : "%" + upstream.zone));
  }
  return result;
}

using Servers = std::vector<std::string>;

// A file of its own in /tmp, removed with it.
struct TemporaryFile {
  TemporaryFile() {
    const int fd = ::mkstemp(path.data());
    REQUIRE(fd >= 0);
    ::close(fd);
  }
  TemporaryFile(const TemporaryFile&) = delete;
  TemporaryFile& operator=(const TemporaryFile&) = delete;
  ~TemporaryFile() { ::unlink(path.c_str()); }
  void write(const std::string& text) const { std::ofstream(path) << text; }
  void replace(const std::string& text) const {
    std::ofstream(path + ".new") << text;
    REQUIRE(::rename((path + ".new").c_str(), path.c_str()) == 0);
  }
  std::string path = "/tmp/netjail-resolv-XXXXXX";
};

std::size_t count(Upstreams& upstreams, Clock::time_point now) { return upstreams.current(now)->size(); }

}  // namespace

TEST_CASE("nameserver lines") {
  CHECK(servers("") == Servers{});
  CHECK(servers("nameserver 192.0.2.1") == Servers{"192.0.2.1"});
  CHECK(servers("nameserver 192.0.2.1\nnameserver\t2001:db8::1\n") == Servers{"192.0.2.1", "2001:db8::1"});
  CHECK(servers("nameserver 192.0.2.1\r\nnameserver 192.0.2.2\r\n") == Servers{"192.0.2.1", "192.0.2.2"});
  CHECK(servers("nameserver fe80::1%eth0\nnameserver fe80::2\n") == Servers{"fe80::1%eth0", "fe80::2"});
  CHECK(servers("# nameserver 192.0.2.1\n; nameserver 192.0.2.2\n#nameserver 192.0.2.3\n") == Servers{});
  CHECK(servers("search example.com\noptions edns0 timeout:1\nnameserver 127.0.0.53\ndomain x\n") ==
        Servers{"127.0.0.53"});
  CHECK(servers("nameserver 192.0.2.1 # the router\n  nameserver 192.0.2.2\n") ==
        Servers{"192.0.2.1", "192.0.2.2"});
}

TEST_CASE("what is no address of a server is left out") {
  CHECK(
      servers(
          "nameserver\nnameserver 300.0.0.1\nnameserver example.com\nnameserver 1.2.3\nnameservers 1.2.3.4\n"
          "Nameserver 192.0.2.9\nnameserver 192.0.2.1%eth0\nnameserver 2001:db8::1%eth0\nnameserver "
          "fe80::1%\n"
          "nameserver192.0.2.1\n") == Servers{});
  CHECK(servers(std::string("nameserver 192.0.2.1\0\n", 22)) == Servers{});
}

TEST_CASE("the file is looked at again when it changes, once a second at most") {
  const TemporaryFile file;
  file.write("nameserver 192.0.2.1\n");
  Upstreams upstreams({}, file.path);
  const auto start = Clock::now();
  const auto after = [&](int milliseconds) { return start + std::chrono::milliseconds(milliseconds); };
  CHECK(count(upstreams, start) == 1);
  file.replace("nameserver 192.0.2.1\nnameserver 192.0.2.2\n");
  CHECK(count(upstreams, after(999)) == 1);
  CHECK(count(upstreams, after(1000)) == 2);
  // In place, with the same size.
  file.write("nameserver 192.0.2.3\nnameserver 192.0.2.4\n");
  CHECK(to_string(upstreams.current(after(2000))->front().address) == "192.0.2.3");
  // The list is the same object as long as the file is the same.
  CHECK(upstreams.current(after(3000)) == upstreams.current(after(4000)));
  // Gone for a moment: the servers stay. Empty: no servers.
  ::unlink(file.path.c_str());
  CHECK(count(upstreams, after(5000)) == 2);
  file.write("");
  CHECK(count(upstreams, after(6000)) == 0);
}

TEST_CASE("given servers are what the file said; without a file they stay") {
  const TemporaryFile file;
  file.write("nameserver 192.0.2.1\n");
  const std::vector<Upstream> given{{.address = *parse_ip("192.0.2.9"), .port = 53, .zone = {}},
                                    {.address = *parse_ip("192.0.2.8"), .port = 53, .zone = {}}};
  const auto start = Clock::now();
  Upstreams upstreams(given, file.path);
  CHECK(count(upstreams, start) == 2);
  file.replace("nameserver 192.0.2.1\n");
  CHECK(count(upstreams, start + std::chrono::seconds(1)) == 1);
  Upstreams fixed(given, "");
  CHECK(count(fixed, start) == 2);
}

TEST_CASE("the server that answered last is the first, until the list changes") {
  const TemporaryFile file;
  file.write("nameserver 192.0.2.1\nnameserver 192.0.2.2\n");
  Upstreams upstreams({}, file.path);
  const auto start = Clock::now();
  const auto list = upstreams.current(start);
  CHECK(upstreams.first() == 0);
  upstreams.answered(list, 1);
  CHECK(upstreams.first() == 1);
  file.replace("nameserver 192.0.2.3\n");
  (void)upstreams.current(start + std::chrono::seconds(2));
  CHECK(upstreams.first() == 0);
  upstreams.answered(list, 1);  // an answer that comes late, for a list that is gone
  CHECK(upstreams.first() == 0);
}

TEST_CASE("a server behind an interface that does not exist cannot be asked") {
  CHECK_FALSE(open_upstream({.address = *parse_ip("fe80::1"), .port = 53, .zone = "nosuch0"}, SOCK_DGRAM));
  const Fd fd = open_upstream({.address = *parse_ip("127.0.0.1"), .port = 53, .zone = {}}, SOCK_DGRAM);
  REQUIRE(fd);
  CHECK((::fcntl(fd.get(), F_GETFD) & FD_CLOEXEC) != 0);
}

TEST_CASE("a running resolver follows its resolv.conf; without a server it fails at once") {
  const TemporaryFile file;
  file.write("nameserver 192.0.2.1\n");
  World world;
  FakeUpstream upstream(world.loop, [](const Bytes& asked, bool) { return Messages{answer(asked)}; });
  // The file cannot name a port, so the server is given and the change is that it goes away.
  world.settings.upstreams = {upstream.upstream()};
  world.settings.resolv_conf = file.path;
  world.start();
  CHECK(rcode_of(world.ask(query(1, "a.example"))) == 0);
  file.replace("# none\n");
  int count = 0;
  CHECK(world.until(
      [&] { return rcode_of(world.ask(query(2, "a" + std::to_string(++count) + ".example"))) == 2; }));
  const auto asked = upstream.asked.size();
  const auto start = Clock::now();
  CHECK(rcode_of(world.ask(query(3, "b.example"))) == 2);
  CHECK(Clock::now() - start < kLong);
  CHECK(upstream.asked.size() == asked);
}
