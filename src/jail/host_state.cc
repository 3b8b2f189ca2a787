#include "host_state.h"

#include <dirent.h>
#include <fcntl.h>
#include <linux/netfilter.h>
#include <linux/netlink.h>
#include <poll.h>
#include <sys/file.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <memory>

#include "netjail/base/text.h"
#include "netjail/kernel/netlink.h"
#include "netjail/kernel/nft.h"

namespace netjail {
namespace {

constexpr const char* kRun = "/run/netjail";
constexpr int kLinger =
    1000;  // ms the cleaner waits for a next run: making the host anew costs that run 20 ms

#ifndef SO_NETNS_COOKIE
#define SO_NETNS_COOKIE 71
#endif

Result<std::string> state_folder() {
  const Fd socket(::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0));
  std::uint64_t cookie = 0;
  socklen_t size = sizeof cookie;
  if (!socket || ::getsockopt(socket.get(), SOL_SOCKET, SO_NETNS_COOKIE, &cookie, &size) != 0)
    return fail_errno("cannot identify the host's network namespace", "netjail needs Linux 5.15 or newer");
  return std::string(kRun) + "/" + std::to_string(cookie);
}

Status make_folder(const std::string& path, mode_t mode) {
  if (::mkdir(path.c_str(), mode) != 0 && errno != EEXIST)
    return fail_errno("cannot make " + path, "netjail keeps there what it must restore on the host");
  return {};
}

// The lock file that is at `path` now: a cleaner removes it when it is done, so one that was opened before is
// void.
Result<Fd> open_lock(const std::string& folder) {
  const std::string path = folder + "/lock";
  for (int tries = 0; tries < 100; ++tries) {
    NJ_TRY(make_folder(kRun, 0755));
    NJ_TRY(make_folder(folder, 0700));
    Fd lock(::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600));
    if (!lock && errno == ENOENT) continue;
    if (!lock) return fail_errno("cannot open " + path);
    while (::flock(lock.get(), LOCK_SH) != 0)
      if (errno != EINTR) return fail_errno("cannot lock " + path);
    struct stat ours {};
    struct stat there {};
    if (::fstat(lock.get(), &ours) == 0 && ::stat(path.c_str(), &there) == 0 && ours.st_ino == there.st_ino)
      return lock;
  }
  return fail("cannot lock " + path, "something keeps removing it");
}

// '/' cannot stand in a file name.
std::string encode(const std::string& path) {
  std::string out;
  for (const char c : path) {
    if (c == '/')
      out += "%2F";
    else if (c == '%')
      out += "%25";
    else
      out.push_back(c);
  }
  return out;
}

// Writes a record that appears whole or not at all; false if there is one already.
Result<bool> write_record(const std::string& folder, const std::string& name, const std::string& text) {
  const std::string path = folder + "/" + name;
  const std::string draft = folder + "/." + std::to_string(::getpid());
  const Fd fd(::open(draft.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600));
  if (!fd) return fail_errno("cannot write " + draft);
  if (Status written = write_all(fd.get(), text); !written) {
    ::unlink(draft.c_str());
    written.error().what = "cannot write " + draft;
    if (written.error().code == EFBIG)
      written.error().hint = "the limit of file sizes is too small: see ulimit -f";
    return std::unexpected(written.error());
  }
  const bool linked = ::link(draft.c_str(), path.c_str()) == 0;
  const int code = errno;
  ::unlink(draft.c_str());
  errno = code;
  if (!linked && errno != EEXIST) return fail_errno("cannot write " + path);
  return linked;
}

std::string read_setting(const std::string& path) {
  const auto text = read_file("/proc/sys/" + path, 256);
  return text ? std::string(trim(*text)) : std::string();
}

Status switch_on(const std::string& folder, const SysctlSetting& setting) {
  const std::string old = read_setting(setting.path);
  if (old == setting.value) return {};
  NJ_TRY(write_record(folder, "sysctl-" + encode(setting.path),
                      setting.path + "\n" + old + "\n" + setting.value + "\n"));
  return set_sysctl(setting);
}

Status ensure_table(Netlink& netfilter, const std::string& folder, const nft::Ruleset& table) {
  NJ_TRY_AS(const bool there, table_exists(netfilter, table.table));
  if (!there) {
    NJ_TRY(write_record(folder, "table-" + encode(table.table), table.table + "\n"));
    const Status loaded = load_ruleset(netfilter, table);
    if (loaded) return {};
    if (loaded.error().code != EEXIST) return loaded;  // EEXIST: another run was faster
  }
  Status same = verify_ruleset(netfilter, table);
  if (!same) {
    same.error().what =
        "table inet " + table.table + " of the host is not what netjail makes: " + same.error().what;
    same.error().hint = "see it with nft list table inet " + table.table +
                        "; when no jail runs, remove it with nft delete table inet " + table.table;
  }
  return same;
}

// ---- the cleaner
// -----------------------------------------------------------------------------------------------------

// Only what netjail itself can have recorded is acted on, whoever wrote it.
bool is_ours(std::string_view path) {
  if (path == "net/ipv6/conf/all/forwarding") return true;
  const auto parts = split(path, '/');
  if (parts.size() != 5 || parts[0] != "net" || parts[2] != "conf" || parts[3].empty() || parts[3] == "." ||
      parts[3] == "..")
    return false;
  if (parts[1] == "ipv4") return parts[4] == "forwarding";
  return parts[1] == "ipv6" && (parts[4] == "force_forwarding" || parts[4] == "accept_ra");
}

void restore(const std::string& folder, const std::string& name, Netlink* netfilter) {
  const std::string path = folder + "/" + name;
  const auto text = read_file(path, 4096);
  if (!text) return;
  const auto lines = split(*text, '\n');
  if (name.starts_with("sysctl-") && lines.size() >= 3 && is_ours(lines[0]) && parse_number(lines[1], 2)) {
    // An administrator who changed it meanwhile knows better. An interface that is gone needs nothing.
    if (const std::string now = read_setting(std::string(lines[0])); now == lines[2])
      (void)write_file("/proc/sys/" + std::string(lines[0]), lines[1]);
  } else if (name.starts_with("table-") && netfilter != nullptr &&
             (lines[0] == kTable || lines[0].starts_with(std::string(kTable) + "-guard-"))) {
    (void)delete_table(*netfilter, std::string(lines[0]));
  }
  ::unlink(path.c_str());
}

std::vector<std::string> records(const std::string& folder) {
  std::vector<std::string> names;
  const std::unique_ptr<DIR, int (*)(DIR*)> dir(::opendir(folder.c_str()), ::closedir);
  if (!dir) return names;
  while (const dirent* entry = ::readdir(dir.get()))
    if (const std::string name = entry->d_name; name != "." && name != "..") names.push_back(name);
  return names;
}

void clean(const std::string& folder) {
  auto netfilter = Netlink::open(NETLINK_NETFILTER);
  const std::vector<std::string> names = records(folder);
  // Forwarding goes first, what guards it last.
  for (const std::string& name : names)
    if (name.starts_with("sysctl-")) restore(folder, name, nullptr);
  for (const std::string& name : names)
    if (name.starts_with("table-")) restore(folder, name, netfilter ? &*netfilter : nullptr);
  for (const std::string& name : records(folder)) ::unlink((folder + "/" + name).c_str());
  ::rmdir(folder.c_str());
  ::rmdir(kRun);  // stays while another namespace has state there
}

// A jail whose supervisor sees another /run (a container that shares this network namespace) needs the host
// as it is, too.
bool jails_alive() {
  const auto links = read_file("/proc/net/dev");
  if (!links) return true;
  for (const std::string_view line : split(*links, '\n'))
    if (const auto name = trim(line.substr(0, line.find(':')));
        name.starts_with(kHostInterfacePrefix) && name.size() > 2 && name[2] >= '0' && name[2] <= '9')
      return true;
  return false;
}

// A user may end all processes of a cgroup that is his (a session's scope), those of root among them: to the
// one above all, if it can be had.
void leave_cgroup() {
  for (const char* file : {"/sys/fs/cgroup/cgroup.procs", "/sys/fs/cgroup/unified/cgroup.procs"}) {
    const Fd procs(::open(file, O_WRONLY | O_CLOEXEC));
    if (procs && ::write(procs.get(), "0", 1) == 1) return;
  }
}

[[noreturn]] void run_cleaner(const std::string& folder, int claim) {
  ::setsid();
  ::prctl(PR_SET_NAME, "netjail-cleaner", 0, 0, 0);
  leave_cgroup();
  // It ends by itself; a service manager that ends the whole control group must not keep it from putting
  // things back.
  for (int signal = 1; signal < 32; ++signal) ::signal(signal, SIG_IGN);
  (void)!::chdir("/");
  // The caller's limits were for the caller.
  const rlimit files{256, 256};
  ::setrlimit(RLIMIT_NOFILE, &files);
  const rlimit size{RLIM_INFINITY, RLIM_INFINITY};
  ::setrlimit(RLIMIT_FSIZE, &size);
  // Holding the caller's terminal or pipes open would make whoever reads them wait for us.
  const int kept = ::dup3(claim, 3, O_CLOEXEC) == 3 || claim == 3 ? 3 : claim;
  ::syscall(SYS_close_range, 0u, 2u, 0u);
  ::syscall(SYS_close_range, static_cast<unsigned>(kept) + 1, ~0u, 0u);
  const int null = ::open("/dev/null", O_RDWR);
  for (int fd = null + 1; fd <= 2; ++fd) ::dup2(null, fd);

  const int lock = ::open((folder + "/lock").c_str(), O_RDWR | O_CLOEXEC | O_NOFOLLOW);
  if (lock < 0) ::_exit(0);
  while (true) {
    while (::flock(lock, LOCK_EX) != 0)
      if (errno != EINTR) ::_exit(1);
    ::flock(lock, LOCK_UN);
    ::poll(nullptr, 0, kLinger);
    if (jails_alive() || ::flock(lock, LOCK_EX | LOCK_NB) != 0) continue;
    if (!jails_alive()) break;
  }
  clean(folder);
  ::_exit(0);
}

Status ensure_cleaner(const std::string& folder) {
  const std::string path = folder + "/cleaner";
  const Fd claim(::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600));
  if (!claim) return fail_errno("cannot open " + path);
  // Held by the cleaner for its whole life; whoever gets it makes a new one.
  if (::flock(claim.get(), LOCK_EX | LOCK_NB) != 0) {
    if (errno == EWOULDBLOCK) return {};
    return fail_errno("cannot lock " + path);
  }
  const pid_t pid = ::fork();
  if (pid < 0) return fail_errno("cannot start the cleaner");
  if (pid == 0) run_cleaner(folder, claim.get());
  return {};
}

}  // namespace

Status set_sysctl(const SysctlSetting& setting) {
  Status done = write_file("/proc/sys/" + setting.path, setting.value);
  if (!done && done.error().code == EROFS)
    done.error().hint =
        "/proc/sys is read-only; start the container with --security-opt unmask=/proc/sys (Podman) or "
        "--security-opt "
        "systempaths=unconfined (Docker); see netjail(1), INSIDE CONTAINERS";
  return done;
}

Result<HostLock> HostLock::take() {
  NJ_TRY_AS(std::string folder, state_folder());
  NJ_TRY_AS(Fd lock, open_lock(folder));
  NJ_TRY(ensure_cleaner(folder));
  return HostLock(std::move(lock), std::move(folder));
}

Status make_host(const HostLock& lock, const UplinkPlan& plan) {
  NJ_TRY_AS(Netlink netfilter, Netlink::open(NETLINK_NETFILTER));
  NJ_TRY(ensure_table(netfilter, lock.folder(), plan.host_table));
  // The guards stand before forwarding is switched on.
  for (const nft::Ruleset& guard : plan.guards) NJ_TRY(ensure_table(netfilter, lock.folder(), guard));
  for (const SysctlSetting& setting : plan.sysctls) NJ_TRY(switch_on(lock.folder(), setting));
  return {};
}

}  // namespace netjail
