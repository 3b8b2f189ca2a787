// The filter in the kernel: the real calls, each made without the filter first, so that a refusal is the
// filter's and not the machine's. Needs no privilege; as root every case runs a second time as nobody.
#include "netjail/kernel/seccomp.h"

#include <doctest/doctest.h>
#include <fcntl.h>
#include <grp.h>
#include <linux/keyctl.h>
#include <sched.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdlib>
#include <functional>
#include <string>
#include <thread>

#include "netjail/os/fd.h"
#include "seccomp_filtered.h"

using namespace netjail;
using namespace netjail::test;

namespace {

constexpr long kGarbage = 0x5eadbeefL << 32;
constexpr int kBroken = 100000;  // the test itself failed
constexpr uid_t kNobody = 65534;

enum class Filter { without, with };
enum class Who { caller, nobody };

std::vector<Who> everybody() {
  if (geteuid() == 0) return {Who::caller, Who::nobody};
  return {Who::caller};
}

// errno of the call, 0 when it succeeded; a descriptor that it opened goes with the process.
int errno_of(long result) { return result < 0 ? errno : 0; }

// What `body` returns in a process of its own. One word of it comes back through a pipe.
int in_child(Who who, Filter filter, const std::function<int()>& body) {
  static const std::vector<sock_filter> program = default_filter();
  if (program.empty()) return kBroken;
  std::array<int, 2> pipe{};
  if (::pipe2(pipe.data(), O_CLOEXEC) != 0) return kBroken;
  const pid_t pid = fork();
  if (pid == 0) {
    int result = kBroken;
    const bool ready =
        who == Who::caller || (setgroups(0, nullptr) == 0 && setresgid(kNobody, kNobody, kNobody) == 0 &&
                               setresuid(kNobody, kNobody, kNobody) == 0);
    const rlimit one{1, 1};
    setrlimit(RLIMIT_CORE, &one);  // as the jail's child does
    if (ready && (filter == Filter::without || install(program))) result = body();
    _exit(write(pipe[1], &result, sizeof result) == sizeof result ? 0 : 1);
  }
  ::close(pipe[1]);
  int result = kBroken;
  if (pid < 0 || read(pipe[0], &result, sizeof result) != sizeof result) result = kBroken;
  ::close(pipe[0]);
  if (pid > 0) waitpid(pid, nullptr, 0);
  return result;
}

struct Attempt {
  const char* name;
  std::function<int()> call;
  int refusal;
  // Root alone can show that the kernel has it; to others it says EPERM itself.
  bool for_root = false;
};

void check_refused(const Attempt& attempt) {
  for (const Who who : everybody()) {
    const std::string what = std::string(attempt.name) + (who == Who::nobody ? " as nobody" : "");
    INFO(what);
    const int before = in_child(who, Filter::without, attempt.call);
    CHECK(before != kBroken);
    const bool shows = !attempt.for_root || (who == Who::caller && geteuid() == 0);
    // ENOSYS: this kernel is built without it, there is nothing to refuse.
    if (shows && before != ENOSYS) CHECK(before != attempt.refusal);
    CHECK(in_child(who, Filter::with, attempt.call) == attempt.refusal);
  }
}

// The same with the filter as without.
void check_untouched(const char* name, const std::function<int()>& call) {
  for (const Who who : everybody()) {
    const std::string what = std::string(name) + (who == Who::nobody ? " as nobody" : "");
    INFO(what);
    const int before = in_child(who, Filter::without, call);
    CHECK(before != kBroken);
    CHECK(in_child(who, Filter::with, call) == before);
  }
}

template <class... Args>
int call(long number, Args... args) {
  return errno_of(::syscall(number, args...));
}

// Every family with every type; 0 as soon as one opens, else the errno that says most.
int open_any(long number, long family) {
  int last = EAFNOSUPPORT;
  for (const long type : {SOCK_STREAM, SOCK_DGRAM, SOCK_RAW, SOCK_SEQPACKET}) {
    std::array<int, 2> pair{-1, -1};
    const int error = call(number, family, type, 0L, pair.data());
    if (error == 0) return 0;
    if (error != EAFNOSUPPORT) last = error;
  }
  return last;
}

#ifdef __x86_64__
// The i386 table, from a 64-bit process. Pointers must lie below 4 GiB.
long call_i386(long number, long a, long b, long c) {
  long result = number;
  asm volatile("int $0x80"
               : "+a"(result)
               : "b"(a), "c"(b), "d"(c)
               : "memory", "cc", "r8", "r9", "r10", "r11");
  if (result < 0) {
    errno = static_cast<int>(-result);
    return -1;
  }
  return result;
}

int i386_socketcall() {
  void* const page =
      mmap(nullptr, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_32BIT, -1, 0);
  if (page == MAP_FAILED) return kBroken;
  auto* const arguments = static_cast<std::uint32_t*>(page);
  arguments[0] = AF_INET;
  arguments[1] = SOCK_STREAM;
  arguments[2] = 0;
  return errno_of(call_i386(102, 1, reinterpret_cast<long>(page), 0));
}
#endif

// The slave of a new pseudo-terminal, as the controlling terminal of this process. The master stays open with
// it.
int open_terminal() {
  const int master = posix_openpt(O_RDWR | O_NOCTTY);
  if (master < 0 || grantpt(master) != 0 || unlockpt(master) != 0 || setsid() < 0) return -1;
  return open(ptsname(master), O_RDWR);
}

int terminal_call(long request, const void* argument) {
  const int terminal = open_terminal();
  if (terminal < 0) return kBroken;
  return call(SYS_ioctl, terminal, request, argument);
}

}  // namespace

TEST_CASE("every family by number: those of the policy as ever, the others EAFNOSUPPORT") {
  std::vector<long> opened;  // without the filter, beyond the policy
  for (const Who who : everybody())
    for (const long number : {long{SYS_socket}, long{SYS_socketpair}})
      for (long family = 0; family <= 50; ++family)
        for (const long upper : {0L, 1L << 32, kGarbage}) {
          INFO("call ", number, " family ", family, " upper ", upper);
          const auto attempt = [&] { return open_any(number, family | upper); };
          const int before = in_child(who, Filter::without, attempt);
          CHECK(before != kBroken);
          const int after = in_child(who, Filter::with, attempt);
          const bool allowed =
              family == AF_UNIX || family == AF_INET || family == AF_INET6 || family == AF_NETLINK;
          CHECK(after == (allowed ? before : EAFNOSUPPORT));
          if (!allowed && before == 0) opened.push_back(family);
          if (allowed && number == SYS_socket)
            CHECK(before == 0);  // the upper half never mattered to the kernel
        }
  // AF_PACKET opens for root on every kernel that DESIGN's router can run on.
  if (geteuid() == 0) CHECK(std::ranges::find(opened, long{AF_PACKET}) != opened.end());
  MESSAGE("families that opened without the filter only: ", opened.size(), " attempts");
}

TEST_CASE("AF_INET with SOCK_PACKET is AF_PACKET") {
  check_refused(
      {"SOCK_PACKET", [] { return call(SYS_socket, AF_INET, SOCK_PACKET, 0); }, EAFNOSUPPORT, true});
}

TEST_CASE("of netlink the routing protocol alone") {
  const auto netlink = [](long protocol) {
    return [protocol] {
      return call(SYS_socket, AF_NETLINK | kGarbage, long{SOCK_RAW} | SOCK_CLOEXEC, protocol);
    };
  };
  check_untouched("NETLINK_ROUTE", netlink(0));
  check_untouched("NETLINK_ROUTE with garbage", netlink(kGarbage));
  int opened = 0;
  for (long protocol = 1; protocol < 70; ++protocol) {
    opened += in_child(Who::caller, Filter::without, netlink(protocol)) == 0 ? 1 : 0;
    CHECK(in_child(Who::caller, Filter::with, netlink(protocol)) == EPROTONOSUPPORT);
    CHECK(in_child(Who::caller, Filter::with, netlink(protocol | kGarbage)) == EPROTONOSUPPORT);
  }
  CHECK(opened > 0);
}

TEST_CASE("other ABIs of the machine") {
#ifdef __x86_64__
  check_refused({"socketcall by int 0x80", i386_socketcall, ENOSYS});
  check_refused(
      {"socket by int 0x80", [] { return errno_of(call_i386(359, AF_INET, SOCK_STREAM, 0)); }, ENOSYS});
  check_refused({"getpid by int 0x80", [] { return errno_of(call_i386(20, 0, 0, 0)); }, ENOSYS});
  // Most kernels have no x32 and say the same; the emulator in tests/golden tells them apart.
  check_refused(
      {"socket of x32", [] { return call(0x40000000 | SYS_socket, AF_INET, SOCK_STREAM, 0); }, ENOSYS});
#endif
}

TEST_CASE("io_uring") {
  static std::array<char, 256> parameters{};
  check_refused({"setup", [] { return call(SYS_io_uring_setup, 1, parameters.data()); }, ENOSYS});
  check_refused({"enter", [] { return call(SYS_io_uring_enter, -1, 0, 0, 0, nullptr, 0); }, ENOSYS});
  check_refused({"register", [] { return call(SYS_io_uring_register, -1, 0, nullptr, 0); }, ENOSYS});
}

TEST_CASE("namespaces") {
  check_refused({"clone3", [] { return call(SYS_clone3, nullptr, 0L); }, ENOSYS});
  check_refused({"setns", [] { return call(SYS_setns, -1, 0L); }, EPERM});
  for (const long flag : {CLONE_NEWUSER, CLONE_NEWNET, CLONE_NEWNS, CLONE_NEWPID, CLONE_NEWUTS, CLONE_NEWIPC,
                          CLONE_NEWCGROUP, 0x80}) {
    CAPTURE(flag);
    // Without privilege the other namespaces need the user namespace first.
    for (const long flags : {flag, flag | CLONE_NEWUSER}) {
      // Handed over, and nobody listens here.
      check_refused({"unshare", [=] { return call(SYS_unshare, flags); }, ENOSYS, true});
      if (flag == 0x80) continue;
      const auto clone = [=] {
        const long pid = ::syscall(SYS_clone, flags | SIGCHLD, nullptr, nullptr, nullptr, 0L);
        if (pid == 0) _exit(0);
        const int error = errno_of(pid);
        if (pid > 0) waitpid(static_cast<pid_t>(pid), nullptr, 0);
        return error;
      };
      check_refused({"clone", clone, ENOSYS, true});
    }
  }
  // With it the program would answer itself once the supervisor is dead.
  check_refused(
      {"a listener of its own",
       [] { return call(SYS_seccomp, SECCOMP_SET_MODE_FILTER, SECCOMP_FILTER_FLAG_NEW_LISTENER, nullptr); },
       EBUSY});
  check_untouched("a filter of its own",
                  [] { return call(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, nullptr); });
  check_untouched("unshare of files", [] { return call(SYS_unshare, CLONE_FILES | CLONE_FS); });
  check_untouched("threads, processes", [] {
    int reached = 0;
    std::thread([&] { reached = 1; }).join();  // clone3, then clone
    const pid_t pid = fork();
    if (pid == 0) _exit(7);
    int status = 0;
    waitpid(pid, &status, 0);
    return reached == 1 && WEXITSTATUS(status) == 7 ? 0 : EINVAL;
  });
}

TEST_CASE("keys, handles, and the kernel's own code") {
  check_refused({"keyctl", [] { return call(SYS_keyctl, KEYCTL_GET_KEYRING_ID, -2L, 1L); }, EPERM});
  check_refused({"add_key", [] { return call(SYS_add_key, "user", "netjail", "x", 1L, -2L); }, EPERM});
  check_refused(
      {"request_key", [] { return call(SYS_request_key, "user", "netjail-none", nullptr, 0L); }, EPERM});
  check_refused({"pidfd_getfd", [] { return call(SYS_pidfd_getfd, -1, 0, 0); }, EPERM});
  // A handle of eight octets and type 1: stale, or not of this file system, for those who may ask.
  static std::array<std::uint32_t, 40> handle{8, 1};
  const auto by_handle = [] {
    return call(SYS_open_by_handle_at, open("/", O_RDONLY), handle.data(), O_RDONLY);
  };
  check_refused({"open_by_handle_at", by_handle, EPERM, true});
  check_untouched("name_to_handle_at", [] {
    static std::array<std::uint32_t, 40> name{128};
    int mount = -1;
    return call(SYS_name_to_handle_at, AT_FDCWD, "/", name.data(), &mount, 0);
  });
  // Arguments that the kernel refuses with another errno once it has found the caller entitled.
  check_refused({"bpf", [] { return call(SYS_bpf, 9999L, nullptr, 0L); }, EPERM, true});
  check_refused(
      {"perf_event_open", [] { return call(SYS_perf_event_open, nullptr, 0, -1, -1, 0L); }, EPERM, true});
  check_refused({"userfaultfd", [] { return call(SYS_userfaultfd, 0L); }, EPERM, true});
  check_refused({"kexec_load", [] { return call(SYS_kexec_load, 0L, 0L, nullptr, ~0L); }, EPERM, true});
  check_refused({"init_module", [] { return call(SYS_init_module, nullptr, 0L, ""); }, EPERM, true});
  check_refused({"finit_module", [] { return call(SYS_finit_module, -1, "", 0L); }, EPERM, true});
  check_refused(
      {"delete_module", [] { return call(SYS_delete_module, "netjail_none", O_NONBLOCK); }, EPERM, true});
#ifdef SYS_kexec_file_load
  check_refused(
      {"kexec_file_load", [] { return call(SYS_kexec_file_load, -1, -1, 0L, nullptr, ~0L); }, EPERM, true});
#endif
}

TEST_CASE("nobody types into the terminal") {
  for (const long upper : {0L, 1L << 32, kGarbage}) {
    check_refused({"TIOCSTI", [=] { return terminal_call(TIOCSTI | upper, "x"); }, EPERM});
    check_refused({"TIOCLINUX", [=] { return terminal_call(TIOCLINUX | upper, "\2"); }, EPERM});
  }
  check_untouched("TIOCGWINSZ", [] {
    winsize size{};
    return terminal_call(TIOCGWINSZ, &size);
  });
}

TEST_CASE("the core limit stays") {
  static const rlimit none{0, 0};
  static rlimit old{};
  // Success is said, and the limit is what it was: with 0 the helper of core_pattern would run.
  const auto keeps = [](long (*set)()) {
    return [set] {
      rlimit before{}, after{};
      getrlimit(RLIMIT_CORE, &before);
      const bool said = set() == 0;
      getrlimit(RLIMIT_CORE, &after);
      return said && before.rlim_cur != 0 && after.rlim_cur == before.rlim_cur ? 1 : 0;
    };
  };
  check_refused({"setrlimit(3)", keeps([] { return long{setrlimit(RLIMIT_CORE, &none)}; }), 1});
  check_refused({"setrlimit", keeps([] { return ::syscall(SYS_setrlimit, RLIMIT_CORE, &none); }), 1});
  check_refused(
      {"garbage", keeps([] { return ::syscall(SYS_prlimit64, 0, kGarbage | RLIMIT_CORE, &none, 0L); }), 1});
  check_refused({"prlimit64", [] { return call(SYS_prlimit64, 0, RLIMIT_CORE, &none, &old); }, EPERM});
  check_untouched("getrlimit", [] { return errno_of(getrlimit(RLIMIT_CORE, &old)); });
  check_untouched("prlimit64, reading", [] { return call(SYS_prlimit64, 0, RLIMIT_CORE, nullptr, &old); });
  check_untouched("another limit", [] {
    static const rlimit few{64, 64};
    return errno_of(setrlimit(RLIMIT_NOFILE, &few));
  });
}
