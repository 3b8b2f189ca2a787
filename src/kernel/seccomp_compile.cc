// Theory of operation. The filter is a deny-list with one allow-list in it, the socket families. Everything
// that it refuses would lead around the packet filter, or to somebody outside who acts for the program; what
// merely needs a capability that the jail has not (mount, reboot, ...) is left to the kernel.
//
// A system call's argument is 64 bits wide here, but the kernel takes an int from most of them: the upper
// half is garbage that a compiler may leave there, and a comparison that includes it can be walked around
// (CVE-2019-10063). So every comparison is masked to the bits that the kernel looks at. libseccomp has no
// "masked not equal" and no "not in this list": both are written as several rules, each for some bits that
// are wrong.
//
// Errors: what a kernel would say that was built without the feature (EAFNOSUPPORT, EPROTONOSUPPORT, ENOSYS)
// where programs then fall back to something; EPERM where a kernel says so to the unprivileged anyway.
#include "seccomp_compile.h"

#include <linux/sched.h>
#include <linux/seccomp.h>
#include <linux/sockios.h>
#include <netinet/in.h>
#include <seccomp.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <memory>
#include <span>

#include "netjail/os/fd.h"

namespace netjail {
namespace {

using Comparisons = std::vector<scmp_arg_cmp>;
struct Release {
  void operator()(void* filter) const { seccomp_release(filter); }
};
using Filter = std::unique_ptr<void, Release>;

constexpr std::uint64_t kInt = 0xffffffff;

scmp_arg_cmp argument(unsigned index, std::uint64_t mask, std::uint64_t value) {
  return {index, SCMP_CMP_MASKED_EQ, mask, value};
}

// Collects rules; the first one that libseccomp refuses is the error.
class Rules {
 public:
  explicit Rules(scmp_filter_ctx filter) : filter_(filter) {}
  void refuse(int call, int error, const Comparisons& when = {}) {
    add(SCMP_ACT_ERRNO(static_cast<std::uint16_t>(error)), call, when);
  }
  void hand_over(int call, const Comparisons& when) { add(SCMP_ACT_NOTIFY, call, when); }
  Status status() const {
    if (failed_ == 0) return {};
    Error error = make_error("cannot add a seccomp rule for system call " + std::to_string(call_));
    error.code = -failed_;
    return std::unexpected(std::move(error));
  }

 private:
  void add(std::uint32_t action, int call, const Comparisons& when) {
    if (failed_ != 0) return;
    failed_ = seccomp_rule_add_array(filter_, action, call, static_cast<unsigned>(when.size()), when.data());
    call_ = call;
  }
  scmp_filter_ctx filter_;
  int failed_ = 0;
  int call_ = 0;
};

struct Bits {
  std::uint64_t mask, value;
};

// Patterns that match, between them, every 32-bit number but those of `allowed`. A walk down the binary tree
// of the allowed numbers: at a bit on which all of them agree, the other value is a pattern of its own; at a
// bit on which they differ the walk parts, and that bit belongs to all patterns below it.
void add_complement(std::span<const int> allowed, int bit, Bits path, std::vector<Bits>& patterns) {
  if (bit < 0) return;
  const std::uint64_t flag = std::uint64_t{1} << bit;
  const auto is_set = [&](int number) { return (static_cast<std::uint64_t>(number) & flag) != 0; };
  // Sorted, and alike in all bits above: those without the bit come first.
  const auto middle = std::ranges::find_if(allowed, is_set);
  const std::span<const int> zeros{allowed.begin(), middle};
  const std::span<const int> ones{middle, allowed.end()};
  if (zeros.empty() || ones.empty()) {
    patterns.push_back({path.mask | flag, path.value | (ones.empty() ? flag : 0)});
    add_complement(allowed, bit - 1, path, patterns);
  } else {
    add_complement(zeros, bit - 1, {path.mask | flag, path.value}, patterns);
    add_complement(ones, bit - 1, {path.mask | flag, path.value | flag}, patterns);
  }
}

std::vector<Bits> complement(std::span<const int> allowed) {
  if (allowed.empty()) return {Bits{0, 0}};
  std::vector<Bits> patterns;
  add_complement(allowed, 31, {0, 0}, patterns);
  return patterns;
}

// Of the protocols of inet sockets those that a rule can name: socket(2) loads a module for any other (L2TP,
// ...) for whoever asks, and SMC, else a family, is one of them. The kernel has 263 and refuses other numbers
// itself: ten bits are compared. By number, for headers do not have all.
constexpr std::array<int, 10> kInetProtocols{0,
                                             IPPROTO_ICMP,
                                             IPPROTO_TCP,
                                             IPPROTO_UDP,
                                             IPPROTO_DCCP,
                                             IPPROTO_ICMPV6,
                                             IPPROTO_SCTP,
                                             IPPROTO_UDPLITE,
                                             IPPROTO_RAW,
                                             262 /* MPTCP */};
static_assert(std::ranges::is_sorted(kInetProtocols));

void add_protocols(Rules& rules, bool inet, bool inet6) {
  static_assert((AF_INET | 8) == AF_INET6);
  const scmp_arg_cmp family = argument(0, inet && inet6 ? kInt & ~8ULL : kInt, inet ? AF_INET : AF_INET6);
  std::vector<Bits> patterns;
  add_complement(kInetProtocols, 9, {0, 0}, patterns);
  if (inet || inet6)
    for (const Bits& wrong : patterns)
      rules.refuse(SCMP_SYS(socket), EPROTONOSUPPORT, {family, argument(2, wrong.mask, wrong.value)});
}

// AF_VSOCK and others are not confined by a network namespace, and socket(2) loads a module for each.
// socketpair(2) asks the same protocols before it finds that they have no pairs.
void refuse_others(Rules& rules, int call, std::span<const int> families) {
  for (const Bits& wrong : complement(families))
    rules.refuse(call, EAFNOSUPPORT,
                 wrong.mask == 0 ? Comparisons{} : Comparisons{argument(0, wrong.mask, wrong.value)});
}

void add_families(Rules& rules, std::vector<int> families) {
  refuse_others(rules, SCMP_SYS(socket), families);
  const auto allowed = [names = families](int family) { return std::ranges::binary_search(names, family); };
  if (!allowed(AF_UNIX)) {
    // A pair reaches nobody but its own ends: connected for ever, and a name in a message is not looked at.
    // Not so one of datagrams (SOCK_RAW is another word for them).
    for (const std::uint64_t type : {std::uint64_t{SOCK_DGRAM}, std::uint64_t{SOCK_RAW}})
      rules.refuse(SCMP_SYS(socketpair), EAFNOSUPPORT, {argument(0, kInt, AF_UNIX), argument(1, 0xf, type)});
    families.insert(families.begin(), AF_UNIX);
  }
  refuse_others(rules, SCMP_SYS(socketpair), families);
  // Of netlink NETLINK_ROUTE (0) alone, which getifaddrs(3) and getaddrinfo(3) need. The kernel has 32
  // protocols, refuses other numbers itself, and says the same of a protocol that it was built without: ss(8)
  // then reads /proc, libaudit (useradd) goes on.
  if (allowed(AF_NETLINK))
    for (std::uint64_t flag = 1; flag < 32; flag <<= 1)
      rules.refuse(SCMP_SYS(socket), EPROTONOSUPPORT,
                   {argument(0, kInt, AF_NETLINK), argument(2, flag, flag)});
  add_protocols(rules, allowed(AF_INET), allowed(AF_INET6));
  // Since Linux 2.0 socket(AF_INET, SOCK_PACKET) has been another name of AF_PACKET.
  if (allowed(AF_INET) && !allowed(AF_PACKET))
    rules.refuse(SCMP_SYS(socket), EAFNOSUPPORT, {argument(0, kInt, AF_INET), argument(1, 0xf, SOCK_PACKET)});
}

constexpr std::array<std::uint64_t, 7> kNewNamespaces{
    CLONE_NEWUSER, CLONE_NEWNET, CLONE_NEWPID, CLONE_NEWUTS, CLONE_NEWIPC, CLONE_NEWCGROUP, CLONE_NEWTIME};
// From Linux 7.1 on unshare(2) makes an empty mount namespace (UNSHARE_EMPTY_MNTNS), before it knows no such
// flag.
constexpr std::uint64_t kEmptyMounts = 0x100000;

void hand_over_clones(Rules& rules, std::uint64_t flag) {
  rules.hand_over(SCMP_SYS(unshare), {argument(0, flag, flag)});
  // CLONE_NEWTIME lies among the bits of clone's exit signal: clone cannot ask for it.
  if ((flag & CSIGNAL) == 0) rules.hand_over(SCMP_SYS(clone), {argument(0, flag, flag)});
}

// A new user namespace has every capability over the network namespaces made in it, and over nothing else;
// what it opens is the kernel's attack surface. clone3 has its flags behind a pointer; without it the C
// library uses clone, whose flags are the first argument on both architectures. The supervisor refuses what
// is handed over.
//
// Who can mount in a mount namespace of his own can look under what the jail has mounted (overlayfs), so
// those are for themselves (P13). Mounting where he is needs a right that no user namespace of his gives;
// what makes a mount namespace without entering it (open_tree(2) and fsmount(2) of Linux 7) is of no use to
// him, for setns(2) is refused.
void add_namespaces(Rules& rules, const SeccompPolicy& policy) {
  rules.refuse(SCMP_SYS(clone3), ENOSYS);
  rules.refuse(SCMP_SYS(setns), EPERM);
  if (policy.mount_namespaces) return;
  // One of the program's own would win over the supervisor's; the kernel refuses it, but only while that one
  // lives.
  rules.refuse(SCMP_SYS(seccomp), EBUSY,
               {argument(0, kInt, SECCOMP_SET_MODE_FILTER),
                argument(1, SECCOMP_FILTER_FLAG_NEW_LISTENER, SECCOMP_FILTER_FLAG_NEW_LISTENER)});
  hand_over_clones(rules, CLONE_NEWNS);
  rules.hand_over(SCMP_SYS(unshare), {argument(0, kEmptyMounts, kEmptyMounts)});
  if (policy.user_namespaces) return;
  for (const std::uint64_t flag : kNewNamespaces) hand_over_clones(rules, flag);
}

void add_rest(Rules& rules) {
  // A ring opens and uses sockets where no filter sees it.
  for (const int call : {SCMP_SYS(io_uring_setup), SCMP_SYS(io_uring_enter), SCMP_SYS(io_uring_register)})
    rules.refuse(call, ENOSYS);
  for (const int call :
       {SCMP_SYS(request_key), SCMP_SYS(add_key), SCMP_SYS(keyctl),  // a helper outside, as root
        SCMP_SYS(open_by_handle_at),  // files outside; from Linux 6.18 also network namespaces
        SCMP_SYS(pidfd_getfd),        // descriptors of another process
        SCMP_SYS(bpf), SCMP_SYS(perf_event_open), SCMP_SYS(userfaultfd),  // the kernel's attack surface
        SCMP_SYS(kexec_load), SCMP_SYS(kexec_file_load), SCMP_SYS(init_module), SCMP_SYS(finit_module),
        SCMP_SYS(delete_module)})
    rules.refuse(call, EPERM);
  // Input pushed into the caller's terminal.
  for (const std::uint64_t request : {std::uint64_t{TIOCSTI}, std::uint64_t{TIOCLINUX}})
    rules.refuse(SCMP_SYS(ioctl), EPERM, {argument(1, kInt, request)});
  // Whoever asks makes the kernel load bridge, 8021q, dlci, before it asks who he is; where there is no such
  // module the kernel says this.
  for (const std::uint64_t request :
       std::initializer_list<std::uint64_t>{SIOCGIFBR, SIOCSIFBR, SIOCBRADDBR, SIOCBRDELBR, SIOCGIFVLAN,
                                            SIOCSIFVLAN, SIOCADDDLCI, SIOCDELDLCI})
    rules.refuse(SCMP_SYS(ioctl), ENOPKG, {argument(1, kInt, request)});
  // The child sets RLIMIT_CORE to 1, the one value for which no core_pattern helper runs; with 0 one would.
  // Who sets it wants no core dump, as a rule, and has none already: error 0 is success without the call, for
  // gpg and ssh-agent end when they are refused. Who also asks for the old limit gets EPERM: nobody would
  // write it.
  rules.refuse(SCMP_SYS(setrlimit), 0, {argument(0, kInt, RLIMIT_CORE)});
  const Comparisons sets{argument(1, kInt, RLIMIT_CORE), {2, SCMP_CMP_NE, 0, 0}};
  rules.refuse(SCMP_SYS(prlimit64), 0, {sets[0], sets[1], {3, SCMP_CMP_EQ, 0, 0}});
  rules.refuse(SCMP_SYS(prlimit64), EPERM, {sets[0], sets[1], {3, SCMP_CMP_NE, 0, 0}});
}

Status check(int result, const char* what) {
  if (result == 0) return {};
  Error error = make_error(what);
  error.code = -result;
  return std::unexpected(std::move(error));
}

Result<Filter> open_filter(Architecture architecture) {
  // The program shall not depend on the kernel of the machine that compiles it. 5: SCMP_ACT_NOTIFY.
  NJ_TRY(check(seccomp_api_set(5), "libseccomp is older than 2.5"));
  Filter filter{seccomp_init(SCMP_ACT_ALLOW)};
  if (!filter) return fail("libseccomp cannot make a filter");
  const std::uint32_t token = architecture == Architecture::x86_64 ? SCMP_ARCH_X86_64 : SCMP_ARCH_AARCH64;
  if (token != seccomp_arch_native()) {
    NJ_TRY(check(seccomp_arch_add(filter.get(), token), "libseccomp does not know the architecture"));
    NJ_TRY(check(seccomp_arch_remove(filter.get(), seccomp_arch_native()),
                 "cannot drop the native architecture"));
  }
  // Another ABI of the same machine (i386, x32, arm) has other numbers for the same calls.
  NJ_TRY(check(seccomp_attr_set(filter.get(), SCMP_FLTATR_ACT_BADARCH, SCMP_ACT_ERRNO(ENOSYS)),
               "cannot refuse the other ABIs"));
  return filter;
}

// libseccomp 2.5 writes its program to a descriptor only.
Result<std::vector<sock_filter>> read_program(scmp_filter_ctx filter) {
  const Fd file{memfd_create("seccomp", MFD_CLOEXEC)};
  if (!file) return fail_errno("cannot make a memory file for the seccomp filter");
  NJ_TRY(check(seccomp_export_bpf(filter, file.get()), "libseccomp cannot compile the filter"));
  const off_t size = lseek(file.get(), 0, SEEK_END);
  if (size <= 0) return fail_errno("cannot read the compiled seccomp filter");
  std::vector<sock_filter> program(static_cast<std::size_t>(size) / sizeof(sock_filter));
  if (program.size() > BPF_MAXINSNS) return fail("the seccomp filter is too long for the kernel");
  if (pread(file.get(), program.data(), static_cast<std::size_t>(size), 0) != size)
    return fail_errno("cannot read the compiled seccomp filter");
  return program;
}

}  // namespace

Result<std::vector<sock_filter>> compile_seccomp_filter(const SeccompPolicy& policy,
                                                        Architecture architecture) {
  NJ_TRY_AS(const std::vector<int> families, family_numbers(policy));
  NJ_TRY_AS(const Filter filter, open_filter(architecture));
  Rules rules(filter.get());
  add_families(rules, families);
  add_namespaces(rules, policy);
  add_rest(rules);
  NJ_TRY(rules.status());
  return read_program(filter.get());
}

}  // namespace netjail
