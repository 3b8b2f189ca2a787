#include "surroundings.h"

#include <sched.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <climits>
#include <csignal>
#include <cstdlib>

#include "netjail/base/text.h"
#include "netjail/os/fd.h"

namespace netjail {
namespace {

std::optional<std::uint64_t> read_sysctl(const char* path) {
  const auto text = read_file(path, 64);
  if (!text) return std::nullopt;
  return parse_number(trim(*text), INT_MAX);
}

// The kernel says EINVAL to these flags before it asks for any right; a filter that refuses CLONE_NEWUSER
// answers first, with another error. Neither call can succeed.
bool has_filter() {
  constexpr unsigned long kNoUnshareFlag = 1;
  const bool unshare = ::syscall(SYS_unshare, CLONE_NEWUSER | kNoUnshareFlag) < 0 && errno != EINVAL;
  constexpr unsigned long kNeverBoth = CLONE_NEWUSER | CLONE_FS;
  const long pid = ::syscall(SYS_clone, kNeverBoth | SIGCHLD, nullptr, nullptr, nullptr, 0);
  if (pid == 0) ::_exit(0);
  return unshare || (pid < 0 && errno != EINVAL);
}

// proc_pid_mountinfo(5): the fifth word is the mount point. In an empty folder (binfmt_misc) or below /sys/fs
// a mount hides nothing that the kernel minds.
bool is_covered() {
  const auto text = read_file("/proc/self/mountinfo");
  if (!text) return false;
  for (const std::string_view line : split(*text, '\n')) {
    const auto words = split_words(line);
    if (words.size() < 7) continue;
    const std::string_view target = words[4];
    if (target.starts_with("/proc/") && !target.starts_with("/proc/sys/fs/")) return true;
    if (target == "/sys/firmware") return true;
  }
  return false;
}

constexpr const char* kBecomeRoot = "; or run netjail as root: sudo netjail ...";
constexpr const char* kManual = "; see netjail(1), INSIDE CONTAINERS";

// "docker-default (enforce)"; AppArmor's alone ends so.
std::string read_profile() {
  const auto text = read_file("/proc/self/attr/current", 4096);
  constexpr std::string_view kEnforced = " (enforce)";
  const std::string_view label = text ? trim(*text) : std::string_view();
  if (!label.ends_with(kEnforced)) return {};
  return printable(label.substr(0, label.size() - kEnforced.size()));
}

std::string limit_remedy(const std::string& sysctl, std::optional<std::uint64_t> limit) {
  if (limit == 0) return "as root: sysctl " + sysctl + "=15000";
  return "too many are in use, here or in a namespace above; as root, there: sysctl " + sysctl + "=" +
         std::to_string(2 * std::max<std::uint64_t>(limit.value_or(0), 15000)) +
         (limit ? ", now " + std::to_string(*limit) : "");
}

std::string apparmor_remedy(const Surroundings& around) {
  return std::string("AppArmor shuts user namespaces to programs without a profile; as root: ") +
         (around.apparmor_profile ? "" : "cmake --install BUILD (with -DNETJAIL_APPARMOR=ON), then ") +
         "apparmor_parser -r /etc/apparmor.d/netjail; or, for all programs, sysctl "
         "kernel.apparmor_restrict_unprivileged_userns=0";
}

std::string filter_remedy(const Surroundings& around) {
  return std::string("a system call filter (seccomp) refuses user namespaces; ") +
         (around.container
              ? "start the container with --security-opt seccomp=unconfined" + std::string(kManual)
              : "of a service? RestrictNamespaces=no; of a container? --security-opt "
                "seccomp=unconfined" +
                    std::string(kManual));
}

// For a caller without root who asked for a user namespace.
std::string user_namespace_remedy(int code, const Surroundings& around) {
  if (code == ENOSPC || code == EUSERS)
    return limit_remedy("user.max_user_namespaces", around.user_namespaces) + kBecomeRoot;
  if (around.clone == 0)
    return std::string("as root: sysctl kernel.unprivileged_userns_clone=1") + kBecomeRoot;
  if (around.filter) return filter_remedy(around);
  if (around.apparmor) return apparmor_remedy(around) + kBecomeRoot;
  if (code == EINVAL || code == ENOSYS) return std::string("this kernel has none") + kBecomeRoot;
  if (code == EPERM)
    return std::string("is this a chroot? There nobody without root can, see unshare(2)") + kBecomeRoot;
  return std::string("does a security module (SELinux) forbid it?") + kBecomeRoot;
}

}  // namespace

Surroundings look_around() {
  Surroundings around;
  around.root = ::geteuid() == 0;
  around.clone = read_sysctl("/proc/sys/kernel/unprivileged_userns_clone");
  around.user_namespaces = read_sysctl("/proc/sys/user/max_user_namespaces");
  around.net_namespaces = read_sysctl("/proc/sys/user/max_net_namespaces");
  around.filter = has_filter();
  around.apparmor = read_sysctl("/proc/sys/kernel/apparmor_restrict_unprivileged_userns") == 1;
  around.apparmor_profile = ::access("/etc/apparmor.d/netjail", F_OK) == 0;
  around.profile = read_profile();
  around.container = ::access("/run/.containerenv", F_OK) == 0 || ::access("/.dockerenv", F_OK) == 0 ||
                     ::getenv("container") != nullptr;
  around.covered = is_covered();
  return around;
}

std::string find_remedy(init::Step step, int code, const Surroundings& around) {
  using init::Step;
  if (step == Step::user_namespace) return user_namespace_remedy(code, around);
  if ((step == Step::router || step == Step::jail) && code == ENOSPC)
    return limit_remedy("user.max_net_namespaces", around.net_namespaces);
  if (step == Step::namespaces && code == EINVAL)
    return "/ is no mount point (a plain chroot?): mount --bind DIR DIR before chroot";
  if (step == Step::sysctl && code == EROFS)
    return std::string(
               "/proc/sys is read-only; start the container with --security-opt unmask=ALL (Podman) or ") +
           "--security-opt systempaths=unconfined (Docker)" + kManual;
  if ((code != EPERM && code != EACCES) || step > Step::mount) return {};
  if (code == EACCES && !around.profile.empty())
    return "the AppArmor profile " + around.profile +
           " forbids it; start the container with --security-opt apparmor=unconfined" + kManual;
  if (around.root)
    return std::string(
               "root lacks a capability here; start the container with --cap-add SYS_ADMIN --cap-add "
               "NET_ADMIN --cap-add NET_RAW") +
           kManual;
  if (around.covered && (step == Step::proc || step == Step::mount))
    return std::string(
               "parts of /proc or /sys are hidden, so the kernel gives nobody without root a new one; start "
               "the container with --security-opt unmask=ALL (Podman) or --security-opt "
               "systempaths=unconfined (Docker)") +
           kManual;
  // The namespace is made, and then every capability in it denied: the profile unprivileged_userns of Ubuntu.
  if (around.apparmor) return apparmor_remedy(around) + kBecomeRoot;
  return std::string("does a security module (SELinux, AppArmor) forbid it?") + kBecomeRoot;
}

}  // namespace netjail
