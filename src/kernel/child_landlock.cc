// What Landlock keeps inside the jail, where the kernel has it. Runs between fork and exec: no allocation.
//
// Signals, from Linux 6.12 on (ABI 6): on a terminal the program is in the caller's process group, and
// kill(0,
// ...) knows no pid namespace. Unix sockets, from Linux 7.1 on (ABI 9): a path leads to a socket only when it
// was bound in the same domain, that is in the jail, or is one of those named (SECURITY.md P13). Before that
// kernel nothing but what is mounted keeps the program from them.
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>
#include <cstdint>

#include "child_init.h"

namespace netjail::init {
namespace {

// linux/landlock.h of 7.1; Debian 12's headers have none of it. The numbers are those of all architectures.
constexpr long kCreateRuleset = 444;
constexpr long kAddRule = 445;
constexpr long kRestrictSelf = 446;
constexpr std::uint64_t kScopeSignal = 1u << 1;
constexpr std::uint64_t kMakeSocket = 1u << 9;
constexpr std::uint64_t kRefer = 1u << 13;
constexpr std::uint64_t kResolveUnix = 1u << 16;
constexpr int kPathBeneath = 1;
constexpr long kReferAbi = 2;  // before it nothing can be renamed into another folder (Linux 5.19)
constexpr long kScopeAbi = 6;
constexpr long kUnixAbi = 9;

struct Attributes {
  std::uint64_t handled_access_fs, handled_access_net, scoped;
};
struct [[gnu::packed]] PathBeneath {
  std::uint64_t allowed_access;
  std::int32_t parent;
};

// False where the path is not there any more, or something else: a rule for a folder is one for all below it.
bool allow(const Start& s, long ruleset, const char* path, std::uint64_t access) {
  const int fd = ::open(path, O_PATH | O_NOFOLLOW | O_CLOEXEC);
  if (fd < 0) return false;
  struct stat info {};
  if (access == kResolveUnix && (::fstat(fd, &info) != 0 || !S_ISSOCK(info.st_mode))) {
    ::close(fd);
    return false;
  }
  const PathBeneath rule{access, fd};
  if (::syscall(kAddRule, ruleset, kPathBeneath, &rule, 0u) != 0) die(s, Step::sockets_scope);
  ::close(fd);
  return true;
}

long read_abi() { return ::syscall(kCreateRuleset, nullptr, std::size_t{0}, 1u /* version */); }

}  // namespace

void enter_landlock(const Start& s) {
  const long abi = read_abi();
  // An older kernel would take none of it.
  Attributes attributes{0, 0, abi >= kScopeAbi ? kScopeSignal : 0};
  const bool sockets = s.spec->scope_sockets && abi >= kUnixAbi;
  // Whoever confines any access to files confines renaming from one folder to another, too, said or not.
  if (sockets) attributes.handled_access_fs = kResolveUnix | kRefer;
  // Who cannot connect to a socket, for whom so none is covered, shall not give it a name that a jail beside
  // him has not covered, either.
  const bool names = s.spec->no_socket_names && abi >= kReferAbi;
  if (names) attributes.handled_access_fs |= kMakeSocket | kRefer;
  if (attributes.handled_access_fs == 0 && attributes.scoped == 0) return;
  const long ruleset = ::syscall(kCreateRuleset, &attributes, sizeof attributes, 0u);
  if (ruleset < 0) {
    if (attributes.handled_access_fs != 0) die(s, Step::sockets_scope);
    return;
  }
  if (attributes.handled_access_fs != 0 && !allow(s, ruleset, "/", kRefer)) die(s, Step::sockets_scope);
  if (sockets) {
    for (const char* const* path = s.spec->sockets; *path != nullptr; ++path)
      allow(s, ruleset, *path, kResolveUnix);
  }
  if (::syscall(kRestrictSelf, ruleset, 0u) != 0) die(s, Step::signals);
  ::close(static_cast<int>(ruleset));
}

}  // namespace netjail::init

namespace netjail {

bool can_scope_sockets() { return init::read_abi() >= init::kUnixAbi; }

}  // namespace netjail
