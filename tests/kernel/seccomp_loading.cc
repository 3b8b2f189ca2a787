// What makes the kernel load a module for whoever asks: protocols of inet sockets, and three old ioctls. The
// real calls, without the filter and with it.
#include <doctest/doctest.h>
#include <linux/sockios.h>
#include <netinet/in.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

#include <array>
#include <cerrno>
#include <functional>
#include <set>
#include <thread>

#include "seccomp_filtered.h"

using namespace netjail::test;

namespace {

// errno of the call, 0 when it succeeded. In a thread, for a filter belongs to one.
int errno_of(bool filtered, const std::function<long()>& call) {
  int result = -1;
  std::thread([&] {
    if (filtered && !install(default_filter())) return;
    const long value = call();
    result = value < 0 ? errno : 0;
    if (value > 2) ::close(static_cast<int>(value));
  }).join();
  return result;
}

long open_socket(long family, long type, long protocol) {
  return ::syscall(SYS_socket, family, type | SOCK_CLOEXEC, protocol);
}

}  // namespace

TEST_CASE("of the protocols of inet sockets those that a rule can name; the kernel is not asked for others") {
  const std::set<long> known{0, 1, 6, 17, 33, 58, 132, 136, 255, 262};
  constexpr long kGarbage = 0x5eadbeefL << 32;
  int opened = 0;
  for (const long family : {AF_INET, AF_INET6})
    for (const long type : {SOCK_STREAM, SOCK_DGRAM, SOCK_RAW, SOCK_SEQPACKET})
      for (long protocol = 0; protocol < 300; ++protocol) {
        INFO("family ", family, " type ", type, " protocol ", protocol);
        const auto call = [=] { return open_socket(family, type, protocol); };
        const auto garbage = [=] { return open_socket(family | kGarbage, type, protocol | kGarbage); };
        const int before = errno_of(false, call);
        if (known.contains(protocol)) {
          CHECK(errno_of(true, call) == before);
          CHECK(errno_of(true, garbage) == before);
        } else {
          opened += before == 0;
          CHECK(errno_of(true, call) == EPROTONOSUPPORT);
          CHECK(errno_of(true, garbage) == EPROTONOSUPPORT);
        }
      }
  // Root opens raw sockets of any number.
  if (geteuid() == 0) CHECK(opened > 0);
}

TEST_CASE("ioctls that load bridge, 8021q and dlci") {
  const int fd = ::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  for (const unsigned long request :
       std::initializer_list<unsigned long>{SIOCGIFBR, SIOCSIFBR, SIOCBRADDBR, SIOCBRDELBR, SIOCGIFVLAN,
                                            SIOCSIFVLAN, SIOCADDDLCI, SIOCDELDLCI}) {
    INFO("request ", request);
    // EFAULT where the module is there: no argument.
    const auto call = [=]() -> long { return ::syscall(SYS_ioctl, fd, request, nullptr); };
    const int before = errno_of(false, call);
    CHECK(before != 0);
    CHECK(errno_of(true, call) == ENOPKG);
    CHECK(errno_of(true, [=]() -> long { return ::syscall(SYS_ioctl, fd, request | 1UL << 32, nullptr); }) ==
          ENOPKG);
  }
  char name[40] = "lo";
  const auto index = [&]() -> long { return ::syscall(SYS_ioctl, fd, SIOCGIFINDEX, name); };
  CHECK(errno_of(false, index) == 0);
  CHECK(errno_of(true, index) == 0);
  ::close(fd);
}
