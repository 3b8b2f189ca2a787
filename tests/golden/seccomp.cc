// The seccomp programs of both architectures: their text, and their meaning. An emulator of classic BPF runs
// them on system calls, sensible ones and garbage, and an oracle of a few lines says what each must get.
//
// NETJAIL_UPDATE_GOLDEN=1 writes the texts anew. libseccomp 2.5.4 (Debian 12) made them.
#include "netjail/kernel/seccomp.h"

#include <doctest/doctest.h>
#include <linux/audit.h>
#include <linux/seccomp.h>
#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <map>
#include <random>
#include <set>
#include <sstream>

#include "seccomp_compile.h"

using namespace netjail;

namespace {

using Program = std::vector<sock_filter>;
using Args = std::array<std::uint64_t, 6>;
constexpr std::uint64_t kGarbage = 0xdeadbeef00000000;
constexpr std::array kArchitectures{Architecture::x86_64, Architecture::aarch64};

// What the kernel would do with `program`; nothing when it would not have accepted it.
std::optional<std::uint32_t> emulate(const Program& program, const seccomp_data& data) {
  std::uint32_t a = 0;
  for (std::size_t pc = 0; pc < program.size(); ++pc) {
    const sock_filter& at = program[pc];
    bool holds = false;
    switch (at.code) {
      case BPF_LD | BPF_W | BPF_ABS:
        if (at.k % 4 != 0 || at.k >= sizeof data) return std::nullopt;
        std::memcpy(&a, reinterpret_cast<const char*>(&data) + at.k, sizeof a);
        continue;
      case BPF_ALU | BPF_AND | BPF_K: a &= at.k; continue;
      case BPF_RET | BPF_K: return at.k;
      case BPF_JMP | BPF_JA: pc += at.k; continue;
      case BPF_JMP | BPF_JEQ | BPF_K: holds = a == at.k; break;
      case BPF_JMP | BPF_JGT | BPF_K: holds = a > at.k; break;
      case BPF_JMP | BPF_JGE | BPF_K: holds = a >= at.k; break;
      case BPF_JMP | BPF_JSET | BPF_K: holds = (a & at.k) != 0; break;
      default: return std::nullopt;
    }
    pc += holds ? at.jt : at.jf;
  }
  return std::nullopt;
}

struct Calls {
  int socket, socketpair, clone, clone3, unshare, setns, ioctl, setrlimit, prlimit64, seccomp;
  std::vector<int> always_enosys, always_eperm, allowed;
};
// From the kernel's tables, not from the headers: those have one architecture's.
const std::map<Architecture, Calls> kCalls{
    {Architecture::x86_64,
     {41,
      53,
      56,
      435,
      272,
      308,
      16,
      160,
      302,
      317,
      {435, 425, 426, 427},                      // clone3, io_uring_*
      {308, 304, 248, 249, 250, 438,             // setns, open_by_handle_at, keys, pidfd_getfd
       321, 298, 323, 246, 320, 175, 313, 176},  // bpf, perf_event_open, userfaultfd, kexec_*, *_module
      {0, 1, 39, 57, 58, 59, 97, 101, 303,
       311}}},  // ..., fork, vfork, execve, getrlimit, ptrace, name_to_handle_at
    {Architecture::aarch64,
     {198,
      199,
      220,
      435,
      97,
      268,
      29,
      164,
      261,
      277,
      {435, 425, 426, 427},
      {268, 265, 217, 218, 219, 438, 280, 241, 282, 104, 294, 105, 273, 106},
      {63, 64, 172, 221, 163, 117, 264, 271}}}};

std::uint32_t token(Architecture architecture) {
  return architecture == Architecture::x86_64 ? AUDIT_ARCH_X86_64 : AUDIT_ARCH_AARCH64;
}

// SECCOMP_RET_ERRNO with 0: success, but nothing was done.
constexpr int kPretended = 100000;
// SECCOMP_RET_USER_NOTIF: for the supervisor to refuse.
constexpr int kHandedOver = 100001;

// The errno that a call gets, 0 when the kernel gets the call, -1 for anything else.
int verdict(const Program& program, std::uint32_t arch, int nr, const Args& args) {
  seccomp_data data{};
  data.nr = nr;
  data.arch = arch;
  for (std::size_t i = 0; i < args.size(); ++i) data.args[i] = args[i];
  const auto action = emulate(program, data);
  if (!action) return -1;
  if (*action == SECCOMP_RET_ALLOW) return 0;
  if (*action == SECCOMP_RET_USER_NOTIF) return kHandedOver;
  if ((*action & SECCOMP_RET_ACTION_FULL) != SECCOMP_RET_ERRNO) return -1;
  const int error = static_cast<int>(*action & SECCOMP_RET_DATA);
  return error == 0 ? kPretended : error;
}

// clone(2)'s CLONE_NEW* but CLONE_NEWNS; unshare has CLONE_NEWTIME, too, and UNSHARE_EMPTY_MNTNS.
constexpr std::uint64_t kNewOthers = 0x7e000000;
constexpr std::uint64_t kNewMounts = 0x20000;

enum class Namespaces : std::uint8_t { none, users, mounts };

const std::set<std::uint64_t> kInetProtocols{0, 1, 6, 17, 33, 58, 132, 136, 255, 262};

int expected(const std::set<std::uint32_t>& families, Namespaces namespaces, const Calls& calls, int nr,
             const Args& args) {
  const auto low = [&](std::size_t i) { return static_cast<std::uint32_t>(args[i]); };
  if (nr == calls.socket || nr == calls.socketpair) {
    // A pair of connected unix sockets reaches nobody else; one of datagrams does.
    const bool is_pair =
        nr == calls.socketpair && low(0) == AF_UNIX && low(1) % 16 != SOCK_DGRAM && low(1) % 16 != SOCK_RAW;
    if (!families.contains(low(0)) && !is_pair) return EAFNOSUPPORT;
    if (nr == calls.socketpair) return 0;
    if (low(0) == AF_NETLINK && low(2) % 32 != 0) return EPROTONOSUPPORT;
    if ((low(0) == AF_INET || low(0) == AF_INET6) && !kInetProtocols.contains(low(2) % 1024))
      return EPROTONOSUPPORT;
    if (low(0) == AF_INET && low(1) % 16 == SOCK_PACKET && !families.contains(AF_PACKET)) return EAFNOSUPPORT;
    return 0;
  }
  const bool no_mounts = namespaces != Namespaces::mounts;
  const std::uint64_t refused =
      (no_mounts ? kNewMounts : 0) | (namespaces == Namespaces::none ? kNewOthers : 0);
  if (nr == calls.clone) return (args[0] & refused) != 0 ? kHandedOver : 0;
  if (nr == calls.unshare) {
    const std::uint64_t more = (no_mounts ? 0x100000 : 0) | (namespaces == Namespaces::none ? 0x80 : 0);
    return (args[0] & (refused | more)) != 0 ? kHandedOver : 0;
  }
  if (nr == calls.seccomp)
    return no_mounts && low(0) == SECCOMP_SET_MODE_FILTER && (low(1) & SECCOMP_FILTER_FLAG_NEW_LISTENER) != 0
               ? EBUSY
               : 0;
  static const std::set<std::uint32_t> kLoading{0x8940, 0x8941, 0x89a0, 0x89a1,
                                                0x8982, 0x8983, 0x8980, 0x8981};
  if (nr == calls.ioctl)
    return low(1) == 0x5412 || low(1) == 0x541c ? EPERM : kLoading.contains(low(1)) ? ENOPKG : 0;
  if (nr == calls.setrlimit) return low(0) == 4 ? kPretended : 0;
  if (nr == calls.prlimit64) return low(1) != 4 || args[2] == 0 ? 0 : args[3] == 0 ? kPretended : EPERM;
  if (std::ranges::find(calls.always_enosys, nr) != calls.always_enosys.end()) return ENOSYS;
  if (std::ranges::find(calls.always_eperm, nr) != calls.always_eperm.end()) return EPERM;
  return 0;
}

Program make(const std::vector<std::string>& families, Architecture architecture,
             Namespaces namespaces = Namespaces::none) {
  auto program = make_seccomp_filter(
      SeccompPolicy{families, namespaces != Namespaces::none, namespaces == Namespaces::mounts},
      architecture);
  REQUIRE_MESSAGE(program, render_error(program.error()));
  return *std::move(program);
}

std::set<std::uint32_t> numbers(const std::vector<std::string>& families) {
  std::set<std::uint32_t> result;
  for (const auto& family : families)
    result.insert(static_cast<std::uint32_t>(family_number(family).value()));
  return result;
}

void check_text(Architecture architecture, const std::string& path) {
  const std::string text = render_seccomp(make(kDefaultFamilies, architecture));
  if (std::getenv("NETJAIL_UPDATE_GOLDEN") != nullptr) std::ofstream(path) << text;
  std::ostringstream golden;
  golden << std::ifstream(path).rdbuf();
  CHECK_MESSAGE(text == golden.str(),
                path << " is not what the compiler says; NETJAIL_UPDATE_GOLDEN=1 writes it anew");
}

// Mostly values near those that the filter looks at, each with garbage or none in its upper half.
class Chance {
 public:
  std::uint64_t below(std::uint64_t end) { return engine_() % end; }
  std::uint64_t argument() {
    static constexpr std::array<std::uint64_t, 21> kSeen{
        0,      1,      2,      4,      10,         16,         17,   6,    132,        256,     0x20000,
        0x8940, 0x89a1, 0x5412, 0x541c, 0x10000000, 0x40000000, 0x80, 0x20, 0xfffffffe, 0x100000};
    const std::uint64_t kind = below(4);
    std::uint64_t value = kind == 0   ? below(64)
                          : kind == 1 ? kSeen.at(below(kSeen.size()))
                                      : engine_() & 0xffffffff;
    if (kind == 3) value = std::uint64_t{1} << below(64);
    if (below(2) == 0) value |= engine_() << 32;
    return value;
  }

 private:
  std::mt19937_64 engine_{20270101};
};

}  // namespace

TEST_CASE("the programs of the default policy are the golden ones") {
  const std::string folder = NETJAIL_SOURCE_DIR "/tests/golden/";
  check_text(Architecture::x86_64, folder + "seccomp-x86_64.txt");
  check_text(Architecture::aarch64, folder + "seccomp-aarch64.txt");
}

TEST_CASE("the ready table is what the compiler says, and order and repetition of names do not matter") {
  for (const auto architecture : kArchitectures) {
    const auto fresh = compile_seccomp_filter(SeccompPolicy{kDefaultFamilies}, architecture);
    REQUIRE(fresh);
    CHECK(render_seccomp(make(kDefaultFamilies, architecture)) == render_seccomp(*fresh));
    CHECK(render_seccomp(make({"netlink", "inet6", "inet", "unix", "inet"}, architecture)) ==
          render_seccomp(*fresh));
    CHECK(render_seccomp(make({"unix", "inet"}, architecture)) != render_seccomp(*fresh));
    const std::string users = render_seccomp(make(kDefaultFamilies, architecture, Namespaces::users));
    CHECK(users != render_seccomp(*fresh));
    CHECK(users != render_seccomp(make(kDefaultFamilies, architecture, Namespaces::mounts)));
  }
}

TEST_CASE("other ABIs have no system call") {
  const Program x86 = make(kDefaultFamilies, Architecture::x86_64);
  const Program arm = make(kDefaultFamilies, Architecture::aarch64);
  for (int nr = 0; nr < 600; ++nr) {
    CHECK(verdict(x86, AUDIT_ARCH_I386, nr, {}) == ENOSYS);
    CHECK(verdict(x86, AUDIT_ARCH_AARCH64, nr, {}) == ENOSYS);
    CHECK(verdict(x86, AUDIT_ARCH_X86_64, nr | 0x40000000, {AF_INET}) == ENOSYS);  // x32
    CHECK(verdict(arm, AUDIT_ARCH_ARM, nr, {}) == ENOSYS);
    CHECK(verdict(arm, AUDIT_ARCH_X86_64, nr, {}) == ENOSYS);
  }
  CHECK(verdict(x86, AUDIT_ARCH_X86_64, static_cast<int>(0x80000029), {AF_INET}) == ENOSYS);
  CHECK(verdict(x86, AUDIT_ARCH_X86_64, -1, {}) == 0);  // what a tracer writes to skip a call
}

TEST_CASE("families are judged by the low 32 bits, whatever is above") {
  for (const auto architecture : kArchitectures) {
    const Program program = make(kDefaultFamilies, architecture);
    const Calls& calls = kCalls.at(architecture);
    const auto families = numbers(kDefaultFamilies);
    for (std::uint64_t family = 0; family < 70000; ++family)
      for (const int nr : {calls.socket, calls.socketpair})
        for (const std::uint64_t upper : {std::uint64_t{0}, kGarbage, std::uint64_t{1} << 32}) {
          const int want = families.contains(static_cast<std::uint32_t>(family)) ? 0 : EAFNOSUPPORT;
          if (verdict(program, token(architecture), nr, {family | upper, SOCK_STREAM}) != want)
            FAIL("family ", family, " upper ", upper);
        }
    for (std::uint32_t protocol = 0; protocol < 40; ++protocol)
      for (const std::uint64_t upper : {std::uint64_t{0}, kGarbage})
        CHECK(verdict(program, token(architecture), calls.socket,
                      {AF_NETLINK | upper, SOCK_RAW | SOCK_CLOEXEC, protocol | upper}) ==
              (protocol % 32 == 0 ? 0 : EPROTONOSUPPORT));
  }
}

TEST_CASE("calls that would lead around the packet filter, one by one") {
  for (const auto architecture : kArchitectures) {
    const Program program = make(kDefaultFamilies, architecture);
    const Calls& calls = kCalls.at(architecture);
    const auto says = [&](int nr, const Args& args) {
      return verdict(program, token(architecture), nr, args);
    };
    for (const int nr : calls.always_enosys) CHECK(says(nr, {}) == ENOSYS);
    for (const int nr : calls.always_eperm) CHECK(says(nr, {}) == EPERM);
    for (const int nr : calls.allowed) CHECK(says(nr, {4, 4, 4, 4, 4, 4}) == 0);
    for (const std::uint64_t upper : {std::uint64_t{0}, kGarbage}) {
      CHECK(says(calls.ioctl, {0, 0x5412 | upper}) == EPERM);
      CHECK(says(calls.ioctl, {0, 0x541c | upper}) == EPERM);
      CHECK(says(calls.ioctl, {0, 0x5413 | upper}) == 0);
      CHECK(says(calls.ioctl, {3, 0x89a0 | upper}) == ENOPKG);  // SIOCBRADDBR
      CHECK(says(calls.ioctl, {3, 0x89a2 | upper}) == 0);       // SIOCBRADDIF
      for (std::uint64_t protocol = 0; protocol < 1024; ++protocol)
        for (const int family : {AF_INET, AF_INET6, AF_UNIX})
          CHECK(says(calls.socket, {static_cast<unsigned>(family) | upper, SOCK_STREAM, protocol | upper}) ==
                (kInetProtocols.contains(protocol) || family == AF_UNIX ? 0 : EPROTONOSUPPORT));
      CHECK(says(calls.socket, {AF_INET | upper, SOCK_PACKET | upper}) == EAFNOSUPPORT);
      CHECK(says(calls.setrlimit, {4 | upper, 8}) == kPretended);
      CHECK(says(calls.setrlimit, {7 | upper, 8}) == 0);
      CHECK(says(calls.prlimit64, {0, 4 | upper, 8}) == kPretended);
      CHECK(says(calls.prlimit64, {0, 4 | upper, std::uint64_t{1} << 32, 0}) ==
            kPretended);  // a pointer, all of it counts
      CHECK(says(calls.prlimit64, {0, 4 | upper, 8, 8}) == EPERM);
      CHECK(says(calls.prlimit64, {0, 4 | upper, 8, std::uint64_t{1} << 32}) == EPERM);
      CHECK(says(calls.prlimit64, {0, 4 | upper, 0, 8}) == 0);
      CHECK(says(calls.prlimit64, {0, 7 | upper, 8}) == 0);
    }
    for (const std::uint64_t flag : std::array<std::uint64_t, 7>{0x20000, 0x2000000, 0x4000000, 0x8000000,
                                                                 0x10000000, 0x20000000, 0x40000000}) {
      CHECK(says(calls.clone, {flag | 17}) == kHandedOver);
      CHECK(says(calls.unshare, {flag}) == kHandedOver);
    }
    CHECK(says(calls.unshare, {0x80}) == kHandedOver);      // CLONE_NEWTIME
    CHECK(says(calls.unshare, {0x100000}) == kHandedOver);  // UNSHARE_EMPTY_MNTNS
    CHECK(says(calls.unshare, {0x400 | 0x200}) == 0);       // CLONE_FILES | CLONE_FS
    CHECK(says(calls.clone, {0x3d0f00}) == 0);              // pthread_create
    CHECK(says(calls.clone, {0x4111}) == 0);                // vfork
    CHECK(says(calls.clone, {0x01200011}) == 0);            // fork of glibc
  }
}

TEST_CASE("random policies and calls get what the oracle says") {
  Chance chance;
  const auto names = family_names();
  for (int round = 0; round < 60; ++round) {
    std::vector<std::string> families;
    if (round == 0) families = names;
    const std::uint64_t count = round == 1 ? 0 : chance.below(12);
    for (std::uint64_t i = 0; i < count; ++i) families.push_back(names.at(chance.below(names.size())));
    if (chance.below(2) == 0)
      families.insert(families.end(), kDefaultFamilies.begin(), kDefaultFamilies.end());
    if (round == 1) families.clear();
    const auto wanted = numbers(families);
    const auto namespaces = static_cast<Namespaces>(chance.below(3));
    for (const auto architecture : kArchitectures) {
      const Program program = make(families, architecture, namespaces);
      CHECK(program.size() <= BPF_MAXINSNS);
      const Calls& calls = kCalls.at(architecture);
      const std::array special{calls.socket, calls.socketpair, calls.clone,     calls.unshare,
                               calls.ioctl,  calls.setrlimit,  calls.prlimit64, calls.seccomp};
      for (int i = 0; i < 4000; ++i) {
        const int nr = chance.below(4) == 0 ? static_cast<int>(chance.below(600))
                                            : special.at(chance.below(special.size()));
        Args args{};
        for (auto& arg : args) arg = chance.argument();
        const int want = expected(wanted, namespaces, calls, nr, args);
        const int got = verdict(program, token(architecture), nr, args);
        if (got != want)
          FAIL("call ", nr, " args ", args[0], " ", args[1], " ", args[2], ": ", got, ", not ", want);
      }
    }
  }
}

TEST_CASE("families have names and numbers") {
  CHECK(family_names().size() == 45);
  for (const auto& [name, number] :
       std::map<std::string, int>{{"unix", AF_UNIX},     {"inet", AF_INET},
                                  {"inet6", AF_INET6},   {"netlink", AF_NETLINK},
                                  {"packet", AF_PACKET}, {"ax25", AF_AX25},
                                  {"x25", AF_X25},       {"can", AF_CAN},
                                  {"tipc", AF_TIPC},     {"bluetooth", AF_BLUETOOTH},
                                  {"alg", AF_ALG},       {"nfc", AF_NFC},
                                  {"vsock", AF_VSOCK},   {"kcm", AF_KCM},
                                  {"ib", AF_IB},         {"smc", AF_SMC},
                                  {"xdp", AF_XDP},       {"mctp", 45},
                                  {"decnet", AF_DECnet}, {"key", AF_KEY},
                                  {"rds", AF_RDS},       {"pppox", AF_PPPOX},
                                  {"llc", AF_LLC},       {"mpls", AF_MPLS},
                                  {"caif", AF_CAIF},     {"qipcrtr", AF_QIPCRTR}})
    CHECK(family_number(name) == number);
  for (const char* wrong : {"", "INET", "AF_INET", "unspec", "inet 6"}) CHECK_FALSE(family_number(wrong));
  const auto unknown = make_seccomp_filter(SeccompPolicy{{"unix", "netlnk"}}, Architecture::x86_64);
  REQUIRE_FALSE(unknown);
  CHECK(unknown.error().what == "no socket family is called 'netlnk'");
  CHECK(unknown.error().hint == "did you mean 'netlink'?");
}
