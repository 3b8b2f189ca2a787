#include "namespaces.h"

#include <doctest/doctest.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <atomic>
#include <cstdlib>
#include <string_view>
#include <thread>

#include "netjail/base/text.h"
#include "run.h"
#include "skipped.h"

namespace netjail::test {
namespace {

bool has_capabilities() {
  __user_cap_header_struct header{.version = _LINUX_CAPABILITY_VERSION_3, .pid = 0};
  __user_cap_data_struct data[2]{};
  if (::syscall(SYS_capget, &header, data) != 0) return false;
  const unsigned wanted = 1u << CAP_NET_ADMIN | 1u << CAP_SYS_ADMIN;
  return (data[0].effective & wanted) == wanted;
}

// Runs `body` in a thread and hands its result back.
Status in_thread(const std::function<Status()>& body) {
  Status status;
  std::thread([&] { status = body(); }).join();
  return status;
}

Status enter(Place place) {
  if (place.network >= 0 && ::setns(place.network, CLONE_NEWNET) != 0)
    return fail_errno("cannot enter the network namespace");
  if (place.mount < 0) return {};
  // A thread shares its root and working directory with the others; setns wants them to be its own.
  if (::unshare(CLONE_FS) != 0) return fail_errno("cannot unshare the file system attributes");
  if (::setns(place.mount, CLONE_NEWNS) != 0) return fail_errno("cannot enter the mount namespace");
  return {};
}

Result<Fd> open_own(const char* path) {
  Fd fd(::open(path, O_RDONLY | O_CLOEXEC));
  if (!fd) return fail_errno(std::string("cannot open ") + path);
  return fd;
}

}  // namespace

bool needs_root() {
  if (::geteuid() == 0 && has_capabilities()) return true;
  const char* must = std::getenv("NETJAIL_TESTS_MUST_RUN");
  if (must != nullptr && std::string_view(must) == "1")
    FAIL("needs root with CAP_NET_ADMIN and CAP_SYS_ADMIN, and NETJAIL_TESTS_MUST_RUN=1 forbids to skip");
  MESSAGE("SKIPPED: needs root with CAP_NET_ADMIN and CAP_SYS_ADMIN");
  g_skipped = true;
  return false;
}

Result<NetworkNamespace> NetworkNamespace::create() {
  Fd fd;
  const auto make = [&]() -> Status {
    if (::unshare(CLONE_NEWNET) != 0) return fail_errno("cannot make a network namespace");
    NJ_TRY_AS(fd, open_own("/proc/thread-self/ns/net"));
    // /proc/sys/net shows the namespace of the thread that looks.
    for (const char* scope : {"all", "default"}) {
      const std::string conf = std::string("/proc/sys/net/ipv6/conf/") + scope;
      NJ_TRY(write_file(conf + "/accept_dad", "0"));
      NJ_TRY(write_file(conf + "/accept_ra", "0"));
    }
    NJ_TRY(write_file("/proc/sys/net/ipv4/ip_forward", "0"));
    return {};
  };
  NJ_TRY(in_thread(make));
  NetworkNamespace made(std::move(fd));
  NJ_TRY(ip_batch(made.place(), "link set lo up\n"));
  return made;
}

std::string NetworkNamespace::path() const {
  return "/proc/" + std::to_string(::getpid()) + "/fd/" + std::to_string(fd_.get());
}

std::string NetworkNamespace::id() const {
  char target[64]{};
  const ssize_t size = ::readlink(path().c_str(), target, sizeof target - 1);
  return {target, size > 0 ? static_cast<std::size_t>(size) : 0};
}

Status in_place(Place place, const std::function<Status()>& body) {
  return in_thread([&]() -> Status {
    NJ_TRY(enter(place));
    return body();
  });
}

Result<Fd> create_mount_namespace(int network, const std::function<Status()>& body) {
  Fd fd;
  const auto make = [&]() -> Status {
    NJ_TRY(enter({.network = network}));
    if (::unshare(CLONE_NEWNS) != 0) return fail_errno("cannot make a mount namespace");
    if (::mount(nullptr, "/", nullptr, MS_REC | MS_PRIVATE, nullptr) != 0)
      return fail_errno("cannot make the mounts private");
    NJ_TRY(body());
    NJ_TRY_AS(fd, open_own("/proc/thread-self/ns/mnt"));
    return {};
  };
  NJ_TRY(in_thread(make));
  return fd;
}

Status ip_batch(Place place, const std::string& lines) {
  NJ_TRY_AS(const Outcome outcome, run(place, {.argv = {"ip", "-batch", "-"}, .input = lines}));
  if (!outcome.ok()) return fail("ip -batch failed: " + outcome.err + "\n" + lines);
  return {};
}

Status wait_for_ipv6(Place place, const std::string& link) {
  constexpr std::uint64_t kTentative = 0x40;
  const auto ready = [&] {
    // Lines "ADDRESS INDEX LENGTH SCOPE FLAGS NAME" in hexadecimal; scope 20 is link-local.
    const auto table = read_file("/proc/thread-self/net/if_inet6");
    if (!table) return false;
    for (const auto line : split(*table, '\n')) {
      const auto words = split_words(line);
      if (words.size() != 6 || words[5] != link || words[3] != "20") continue;
      return (std::strtoul(std::string(words[4]).c_str(), nullptr, 16) & kTentative) == 0;
    }
    return false;
  };
  return in_place(place, [&]() -> Status {
    if (!eventually(ready)) return fail("IPv6 does not come up on " + link);
    return {};
  });
}

Status add_veth(const NetworkNamespace& a, const std::string& name_a, const NetworkNamespace& b,
                const std::string& name_b) {
  // Equal indices at both ends would make the kernel report the carrier up to a second late (see world.cc).
  static std::atomic<int> g_index = 1000;
  NJ_TRY(ip_batch(a.place(), "link add " + name_a + " index " + std::to_string(++g_index) +
                                 " type veth peer name " + name_b + " netns " + b.path() + "\nlink set " +
                                 name_a + " up\n"));
  NJ_TRY(ip_batch(b.place(), "link set " + name_b + " up\n"));
  NJ_TRY(wait_for_ipv6(a.place(), name_a));
  return wait_for_ipv6(b.place(), name_b);
}

}  // namespace netjail::test
