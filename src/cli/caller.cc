#include "caller.h"

#include <fcntl.h>
#include <grp.h>
#include <limits.h>
#include <linux/magic.h>
#include <pwd.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/vfs.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdlib>

#include "netjail/base/text.h"

extern char** environ;

namespace netjail {
namespace {

constexpr long kPidFsMagic = 0x50494446;      // PID_FS_MAGIC, Linux 6.9
constexpr long kMqueueMagic = 0x19800202;     // ipc/mqueue.c
constexpr long kConfigFsMagic = 0x62656570;   // fs/configfs
constexpr long kFuseCtlMagic = 0x65735543;    // fs/fuse/control.c
constexpr std::uint64_t kMaxId = 0xfffffffe;  // -1 means "unchanged"

std::string variable(const char* name) {
  const char* value = std::getenv(name);
  return value == nullptr ? std::string() : std::string(value);
}

Result<Identity> from_passwd(const passwd& entry) {
  Identity identity;
  identity.uid = entry.pw_uid;
  identity.gid = entry.pw_gid;
  identity.name = entry.pw_name;
  identity.home = entry.pw_dir;
  identity.shell = entry.pw_shell;
  int count = 64;
  std::vector<gid_t> groups(static_cast<std::size_t>(count));
  while (::getgrouplist(entry.pw_name, entry.pw_gid, groups.data(), &count) < 0) {
    if (count <= static_cast<int>(groups.size())) count = static_cast<int>(groups.size()) * 2;
    groups.resize(static_cast<std::size_t>(count));
  }
  groups.resize(static_cast<std::size_t>(count));
  identity.groups.assign(groups.begin(), groups.end());
  return identity;
}

Result<Identity> by_id(std::uint64_t uid) {
  errno = 0;
  if (const passwd* entry = ::getpwuid(static_cast<uid_t>(uid))) return from_passwd(*entry);
  Identity identity;  // a number without an entry is as good, without groups
  identity.uid = static_cast<uid_t>(uid);
  identity.gid = static_cast<gid_t>(uid);
  identity.home = "/";
  return identity;
}

Result<Identity> by_name(const std::string& wanted) {
  if (const auto number = parse_number(wanted, kMaxId)) return by_id(*number);
  errno = 0;
  if (const passwd* entry = ::getpwnam(wanted.c_str())) return from_passwd(*entry);
  return fail("unknown user " + printable(wanted), "getent passwd lists the users");
}

Identity current() {
  Identity identity;
  identity.uid = ::getuid();
  identity.gid = ::getgid();
  const int count = ::getgroups(0, nullptr);
  std::vector<gid_t> groups(static_cast<std::size_t>(std::max(count, 0)));
  if (::getgroups(count, groups.data()) >= 0) identity.groups.assign(groups.begin(), groups.end());
  return identity;
}

Result<std::vector<std::uint32_t>> find_groups(const std::vector<std::string>& names) {
  std::vector<std::uint32_t> out;
  for (const std::string& name : names) {
    if (const auto number = parse_number(name, kMaxId)) {
      out.push_back(static_cast<std::uint32_t>(*number));
    } else if (const group* entry = ::getgrnam(name.c_str())) {
      out.push_back(entry->gr_gid);
    } else {
      return fail("unknown group " + printable(name), "getent group lists the groups");
    }
  }
  return out;
}

// File systems whose files are something else of the kernel's (linux/magic.h; some are newer than Debian
// 12's).
bool is_of_kernel(long type) {
  constexpr long kTypes[] = {
      NSFS_MAGIC,     PROC_SUPER_MAGIC, SYSFS_MAGIC,  CGROUP_SUPER_MAGIC, CGROUP2_SUPER_MAGIC, DEBUGFS_MAGIC,
      TRACEFS_MAGIC,  SECURITYFS_MAGIC, BPF_FS_MAGIC, SELINUX_MAGIC,      EFIVARFS_MAGIC,      PSTOREFS_MAGIC,
      BINFMTFS_MAGIC, kPidFsMagic,      kMqueueMagic, kConfigFsMagic,     kFuseCtlMagic};
  return std::ranges::find(kTypes, type) != std::end(kTypes);
}

// A file, pipe or terminal, or one of the memory devices: nothing that leads further than itself.
bool is_harmless(int fd) {
  struct stat info {};
  struct statfs file_system {};
  if (::fstat(fd, &info) != 0) return false;
  if (S_ISFIFO(info.st_mode)) return true;
  constexpr unsigned kMemoryMajor = 1;  // null, zero, full, random, urandom; not mem, port, kmsg
  if (S_ISCHR(info.st_mode)) {
    const unsigned number = minor(info.st_rdev);
    return ::isatty(fd) == 1 || (major(info.st_rdev) == kMemoryMajor &&
                                 (number == 3 || number == 5 || number == 7 || number == 8 || number == 9));
  }
  if (!S_ISREG(info.st_mode)) return false;
  // A namespace is a regular file of nsfs, also where it is bind-mounted; a pidfd is one of pidfs; a
  // process's memory, a sysctl, a queue are files, too.
  return ::fstatfs(fd, &file_system) == 0 && !is_of_kernel(file_system.f_type);
}

// The environment is of somebody else.
bool is_other_user(const Identity& identity) { return identity.name || identity.uid != ::getuid(); }

bool under_sudo() {
  return ::geteuid() == 0 && ::getuid() == 0 && parse_number(variable("SUDO_UID"), kMaxId);
}

}  // namespace

Result<Identity> find_identity(const std::string& wanted,
                               const std::optional<std::vector<std::string>>& groups) {
  Identity identity = current();
  if (!wanted.empty()) {
    NJ_TRY_AS(identity, by_name(wanted));
  } else if (under_sudo()) {
    NJ_TRY_AS(identity, by_id(*parse_number(variable("SUDO_UID"), kMaxId)));
    if (const auto gid = parse_number(variable("SUDO_GID"), kMaxId)) identity.gid = static_cast<gid_t>(*gid);
  }
  if (groups) {
    NJ_TRY_AS(identity.groups, find_groups(*groups));
  }
  if (identity.uid != ::getuid() && ::geteuid() != 0)
    return fail("cannot run as another user (" +
                    (identity.name ? *identity.name : std::to_string(identity.uid)) + ")",
                "only root may: sudo netjail ...");
  return identity;
}

std::string config_home() {
  if (under_sudo()) {
    const passwd* entry = ::getpwuid(static_cast<uid_t>(*parse_number(variable("SUDO_UID"), kMaxId)));
    return entry == nullptr ? std::string() : std::string(entry->pw_dir) + "/.config";
  }
  // XDG Base Directory: a relative path is to be ignored.
  if (const std::string home = variable("XDG_CONFIG_HOME"); home.starts_with('/')) return home;
  const std::string home = variable("HOME");
  return home.empty() ? std::string() : home + "/.config";
}

std::string home_of(const Identity& identity) {
  return is_other_user(identity) ? identity.home : variable("HOME");
}

Result<Caller> make_caller(const Identity& identity, const std::vector<std::string>& command,
                           const std::vector<int>& keep_fds) {
  Caller caller;
  caller.command = command;
  caller.uid = identity.uid;
  caller.gid = identity.gid;
  caller.groups = identity.groups;
  caller.keep_fds = keep_fds;
  char cwd[PATH_MAX];
  // The kernel says "(unreachable)" for a folder outside the root.
  if (::getcwd(cwd, sizeof cwd) == nullptr || cwd[0] != '/')
    return fail_errno("the working directory does not exist any more", "cd to one that does");
  caller.cwd = cwd;
  for (char** entry = environ; *entry != nullptr; ++entry) {
    const std::string_view text(*entry);
    const auto equals = text.find('=');
    if (equals == std::string_view::npos || equals == 0) continue;
    caller.environment[std::string(text.substr(0, equals))] = text.substr(equals + 1);
  }
  if (is_other_user(identity)) {
    for (const char* name : {"SUDO_USER", "SUDO_UID", "SUDO_GID", "SUDO_COMMAND", "MAIL"})
      caller.environment.erase(name);
    caller.environment["HOME"] = home_of(identity);
    caller.environment["USER"] = caller.environment["LOGNAME"] =
        identity.name.value_or(std::to_string(identity.uid));
    if (!identity.shell.empty()) caller.environment["SHELL"] = identity.shell;
  }
  return caller;
}

Result<int> parse_keep_fd(const std::string& text) {
  const auto number = parse_number(text, INT_MAX);
  const std::string what = "cannot keep file descriptor " + printable(text);
  if (!number || *number < 3) return fail(what, "give a number from 3 on; 0, 1 and 2 are always passed");
  const int fd = static_cast<int>(*number);
  if (::fcntl(fd, F_GETFD) < 0) return fail_errno(what, "it is not open");
  if (!is_harmless(fd))
    return fail(what + ": it is no file, pipe or terminal",
                "anything else (socket, folder, namespace, device) could be a way out");
  return fd;
}

Status check_standard_streams() {
  static constexpr const char* kNames[] = {"standard input", "standard output", "standard error"};
  for (int fd = 0; fd <= 2; ++fd) {
    struct stat info {};
    if (is_harmless(fd) || (::fstat(fd, &info) == 0 && S_ISSOCK(info.st_mode))) continue;
    return fail(std::string(kNames[fd]) +
                    " is a folder, a device, a namespace or another file of the kernel's: it could lead "
                    "around the profile",
                "put a pipe between: cat | netjail run ... | cat");
  }
  return {};
}

}  // namespace netjail
