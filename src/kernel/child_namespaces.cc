// The namespaces of the jail and its router, up to the sockets in them. Runs between clone and exec: no
// allocation.
#include <fcntl.h>
#include <sched.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <cstdio>
#include <cstring>

#include "child_init.h"

namespace netjail::init {
namespace {

void hand_over(const Start& s, const Sockets& sockets) {
  const Message message{kSocketsMessage, static_cast<std::int32_t>(sockets.count), 0, 0};
  if (!send_with(s.control, message, sockets.fds, sockets.count)) die(s, Step::sockets);
  for (std::size_t i = 1; i < sockets.count; ++i) ::close(sockets.fds[i]);
}

void check(const Start& s, const Failure& failure) {
  if (failure.step != Step::none) die(s, failure.step, failure.detail);
}

// Handed over at once: the supervisor loads the rules while we make the rest. Returns the namespace, which is
// still to be pinned (MountStep::Kind::pin).
int make_router(const Start& s, int proc) {
  Sockets sockets;
  check(s, make_router(proc, sockets));
  hand_over(s, sockets);
  return sockets.fds[0];
}

bool write_proc(const char* folder, const char* file, const char* text) {
  char path[64];
  std::snprintf(path, sizeof path, "%s/%s", folder, file);
  const int fd = ::open(path, O_WRONLY | O_CLOEXEC);
  if (fd < 0) return false;
  const auto size = static_cast<ssize_t>(std::strlen(text));
  const bool done = ::write(fd, text, std::strlen(text)) == size;
  const int code = errno;
  ::close(fd);
  errno = code;
  return done;
}

// Of a new user namespace, in which the user is who he was and nobody else exists (user_namespaces(7): what
// needs no privilege). `process`: its folder below /proc.
void map_ids(const Start& s, const char* process) {
  char uids[64];
  char gids[64];
  std::snprintf(uids, sizeof uids, "%u %u 1", s.uid, s.uid);
  std::snprintf(gids, sizeof gids, "%u %u 1", s.gid, s.gid);
  if (!write_proc(process, "setgroups", "deny") || !write_proc(process, "gid_map", gids) ||
      !write_proc(process, "uid_map", uids))
    die(s, Step::user_namespace);
}

bool read_byte(int fd) {
  char byte = 0;
  ssize_t got = 0;
  do got = ::read(fd, &byte, 1);
  while (got < 0 && errno == EINTR);
  return got == 1;
}

// Where root acts for somebody, nobody may be dumpable who has been root: each process of the user's could
// take what he inherited. So nobody can write his own maps, whose files are root's then: the supervisor
// writes the launcher's, and the launcher init's, for only somebody in the namespace above may
// (proc_uid_map_write). For that he keeps root's id for files; the effective one is the user's, who so owns
// the namespaces.
void act_for(const Start& s) {
  if (::syscall(SYS_setgroups, s.group_count, s.groups) != 0 ||
      ::syscall(SYS_setresgid, s.gid, s.gid, s.gid) != 0 || ::syscall(SYS_setresuid, -1, s.uid, -1) != 0)
    die(s, Step::uid);
  ::syscall(SYS_setfsuid, 0);
}

// The launcher: comes back as init in a user namespace below the router's, which it returns.
int launch_init(const Start& s) {
  const bool for_another = s.groups != nullptr;
  if (for_another) act_for(s);
  if (::unshare(CLONE_NEWUSER) != 0) die(s, Step::user_namespace);
  if (for_another) {
    send(s.control, {kMapMessage, 0, 0, 0});
    if (!read_byte(s.start)) ::_exit(125);
  } else {
    map_ids(s, "/proc/self");
  }
  const int proc = ::open("/proc", O_PATH | O_DIRECTORY | O_CLOEXEC);
  if (proc < 0) die(s, Step::user_namespace);
  const int router = make_router(s, proc);
  ::close(proc);
  int mapped[2];
  if (::pipe2(mapped, O_CLOEXEC) != 0) die(s, Step::user_namespace);
  // The pid is in the shared memory before init runs.
  constexpr unsigned long kFlags =
      CLONE_NEWUSER | CLONE_NEWPID | CLONE_PARENT | CLONE_PARENT_SETTID | SIGCHLD;
  const auto pid = static_cast<pid_t>(::syscall(SYS_clone, kFlags, nullptr, s.init_pid, nullptr, 0));
  if (pid < 0) die(s, Step::user_namespace);
  if (pid > 0) {
    if (!for_another) ::_exit(0);
    char process[32];
    std::snprintf(process, sizeof process, "/proc/%d", pid);
    map_ids(s, process);
    ::_exit(::write(mapped[1], "m", 1) == 1 ? 0 : 125);
  }
  ::close(mapped[1]);
  if (!for_another) {
    map_ids(s, "/proc/self");
  } else if (!read_byte(mapped[0])) {
    ::_exit(125);
  } else if (::syscall(SYS_setresuid, s.uid, s.uid, s.uid) != 0) {
    die(s, Step::uid);
  }
  ::close(mapped[0]);
  tie_to_supervisor(s);
  return router;
}

}  // namespace

// What needs no profile.
Made make_namespaces(const Start& s) {
  constexpr int kOthers = CLONE_NEWNS | CLONE_NEWIPC;
  int router = -1;
  if (s.rootless) {
    router = launch_init(s);
    // Only in a mount namespace of our own may we mount.
    if (::unshare(kOthers) != 0) die(s, Step::namespaces);
  }
  const int proc = make_proc();
  if (proc < 0) die(s, Step::proc);
  if (!s.rootless) router = make_router(s, proc);
  Sockets sockets;
  char groups[64] = "0 2147483647";
  if (s.rootless) std::snprintf(groups, sizeof groups, "%u %u", s.gid, s.gid);
  check(s, make_jail(proc, groups, sockets));
  hand_over(s, sockets);
  ::close(sockets.fds[0]);
  // Here the supervisor does not wait for it.
  if (!s.rootless && ::unshare(kOthers) != 0) die(s, Step::namespaces);
  if (!prepare_mounts()) die(s, Step::namespaces);
  return {proc, router};
}

}  // namespace netjail::init
