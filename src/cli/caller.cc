#include "caller.h"

#include <fcntl.h>
#include <grp.h>
#include <limits.h>
#include <pwd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>

#include "netjail/base/text.h"

extern char** environ;

namespace netjail {
namespace {

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

bool under_sudo() { return ::geteuid() == 0 && ::getuid() == 0 && parse_number(variable("SUDO_UID"), kMaxId); }

}  // namespace

Result<Identity> find_identity(const std::string& wanted, const std::optional<std::vector<std::string>>& groups) {
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
    return fail("cannot run as another user (" + (identity.name ? *identity.name : std::to_string(identity.uid)) + ")",
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
  if (identity.name || identity.uid != ::getuid()) {
    for (const char* name : {"SUDO_USER", "SUDO_UID", "SUDO_GID", "SUDO_COMMAND", "MAIL"}) caller.environment.erase(name);
    caller.environment["HOME"] = identity.home;
    caller.environment["USER"] = caller.environment["LOGNAME"] = identity.name.value_or(std::to_string(identity.uid));
    if (!identity.shell.empty()) caller.environment["SHELL"] = identity.shell;
  }
  return caller;
}

Result<int> parse_keep_fd(const std::string& text) {
  const auto number = parse_number(text, INT_MAX);
  const std::string what = "cannot keep file descriptor " + printable(text);
  if (!number || *number < 3) return fail(what, "give a number from 3 on; 0, 1 and 2 are always passed");
  const int fd = static_cast<int>(*number);
  struct stat info {};
  if (::fstat(fd, &info) != 0) return fail_errno(what, "it is not open");
  if (S_ISREG(info.st_mode) || S_ISFIFO(info.st_mode)) {
    // A namespace file is a regular file of nsfs: setns(2) would lead out.
    char target[64] = {};
    const ssize_t size = ::readlink(("/proc/self/fd/" + std::to_string(fd)).c_str(), target, sizeof target - 1);
    if (size > 0 && target[0] == '/') return fd;
    if (S_ISFIFO(info.st_mode)) return fd;
  }
  if (S_ISCHR(info.st_mode) && (::isatty(fd) == 1 || info.st_rdev == makedev(1, 3))) return fd;
  return fail(what + ": it is no file, pipe or terminal", "anything else (socket, folder, namespace) could be a way out");
}

Status check_standard_streams() {
  for (int fd = 0; fd <= 2; ++fd) {
    int domain = 0;
    int type = 0;
    socklen_t size = sizeof domain;
    if (::getsockopt(fd, SOL_SOCKET, SO_DOMAIN, &domain, &size) != 0) continue;
    size = sizeof type;
    if (::getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &size) != 0) continue;
    sockaddr_storage peer{};
    size = sizeof peer;
    const bool connected = ::getpeername(fd, reinterpret_cast<sockaddr*>(&peer), &size) == 0;
    // A connected stream of AF_UNIX (ssh, Node's spawn, a terminal multiplexer) cannot be aimed elsewhere.
    if (domain == AF_UNIX && type != SOCK_DGRAM && connected) continue;
    static constexpr const char* kNames[] = {"standard input", "standard output", "standard error"};
    return fail(std::string(kNames[fd]) + " is a socket: it would lead around the profile",
                "put a pipe between: cat | netjail run ... | cat");
  }
  return {};
}

}  // namespace netjail
