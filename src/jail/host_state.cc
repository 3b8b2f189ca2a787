#include "host_state.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>

#include "host_records.h"
#include "keeper.h"

namespace netjail {
namespace {

#ifndef SO_NETNS_COOKIE
#define SO_NETNS_COOKIE 71
#endif

Result<std::string> state_folder() {
  const Fd socket(::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0));
  std::uint64_t cookie = 0;
  socklen_t size = sizeof cookie;
  if (!socket || ::getsockopt(socket.get(), SOL_SOCKET, SO_NETNS_COOKIE, &cookie, &size) != 0)
    return fail_errno("cannot identify the host's network namespace", "netjail needs Linux 5.15 or newer");
  return std::string(kRunFolder) + "/" + std::to_string(cookie);
}

Status make_folder(const std::string& path, mode_t mode) {
  if (::mkdir(path.c_str(), mode) != 0 && errno != EEXIST)
    return fail_errno("cannot make " + path, "netjail keeps there what it must restore on the host");
  return {};
}

// The lock file that is at `path` now: a keeper removes it when it is done, so one that was opened before is
// void.
Result<Fd> open_lock(const std::string& folder) {
  const std::string path = folder + "/lock";
  for (int tries = 0; tries < 100; ++tries) {
    NJ_TRY(make_folder(kRunFolder, 0755));
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

Status ensure_keeper(const std::string& folder) {
  const std::string path = folder + "/keeper";
  const Fd claim(::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600));
  if (!claim) return fail_errno("cannot open " + path);
  // Held by the keeper for its whole life; whoever gets it makes a new one.
  if (::flock(claim.get(), LOCK_EX | LOCK_NB) != 0) {
    if (errno == EWOULDBLOCK) return {};
    return fail_errno("cannot lock " + path);
  }
  const pid_t pid = ::fork();
  if (pid < 0) return fail_errno("cannot start the keeper");
  if (pid == 0) run_keeper(folder, claim.get());
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
  NJ_TRY(ensure_keeper(folder));
  return HostLock(std::move(lock), std::move(folder));
}

Status make_host(const std::string& folder, const UplinkPlan& plan) {
  NJ_TRY_AS(Netlink netfilter, Netlink::open(NETLINK_NETFILTER));
  NJ_TRY(ensure_table(netfilter, folder, plan.host_table));
  // The guards stand before forwarding is switched on.
  for (const nft::Ruleset& guard : plan.guards) NJ_TRY(ensure_table(netfilter, folder, guard));
  for (const SysctlSetting& setting : plan.sysctls) NJ_TRY(switch_on(folder, setting));
  return {};
}

}  // namespace netjail
