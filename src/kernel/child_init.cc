// init of the jail. Everything here runs between clone and exec, or in pid 1 afterwards: no allocation, no
// stdio, no locks.
#include "child_init.h"

#include <fcntl.h>
#include <linux/capability.h>
#include <linux/keyctl.h>
#include <linux/seccomp.h>
#include <poll.h>
#include <sched.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

namespace netjail::init {

void send(int control, const Message& message) {
  while (::send(control, &message, sizeof message, MSG_NOSIGNAL) < 0 && errno == EINTR) {
  }
}

[[noreturn]] void die(const Start& s, Step step, int detail) {
  send(s.control,
       {static_cast<std::int32_t>(ChildEvent::Kind::failed), static_cast<int>(step), errno, detail});
  ::_exit(125);
}

// At most kMostSockets descriptors.
bool send_with(int control, Message message, const int* fds, std::size_t count) {
  iovec part{&message, sizeof message};
  alignas(cmsghdr) char space[CMSG_SPACE(kMostSockets * sizeof(int))] = {};
  msghdr header{};
  header.msg_iov = &part;
  header.msg_iovlen = 1;
  header.msg_control = space;
  header.msg_controllen = CMSG_SPACE(count * sizeof(int));
  cmsghdr* rights = CMSG_FIRSTHDR(&header);
  rights->cmsg_level = SOL_SOCKET;
  rights->cmsg_type = SCM_RIGHTS;
  rights->cmsg_len = CMSG_LEN(count * sizeof(int));
  std::memcpy(CMSG_DATA(rights), fds, count * sizeof(int));
  return ::sendmsg(control, &header, MSG_NOSIGNAL) >= 0;
}

void tie_to_supervisor(const Start& s) {
  if (::prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0) != 0) die(s, Step::parent_death);
}

namespace {

void wait_for_spec(const Start& s) {
  Message message{};
  ssize_t got = 0;
  do got = ::recv(s.control, &message, sizeof message, 0);
  while (got < 0 && errno == EINTR);
  // The supervisor is gone, or found a mistake in the profile.
  if (got != static_cast<ssize_t>(sizeof message) || message.kind != kSpecMessage) ::_exit(125);
}

// Looks at files with the rights of the user inside: what he cannot reach is not for him, and root may be
// denied what he is not (FUSE, NFS).
class AsUser {
 public:
  explicit AsUser(const Start& s) {
    // Without root the groups are his already, and stay.
    if (!s.rootless) {
      count_ = static_cast<int>(::syscall(SYS_getgroups, kMostGroups, groups_));
      if (count_ < 0 || ::syscall(SYS_setgroups, s.spec->group_count, s.spec->groups) != 0)
        die(s, Step::groups);
    }
    ::syscall(SYS_setfsgid, s.spec->gid);
    ::syscall(SYS_setfsuid, s.spec->uid);
  }
  AsUser(const AsUser&) = delete;
  AsUser& operator=(const AsUser&) = delete;
  ~AsUser() {
    const int code = errno;
    ::syscall(SYS_setfsuid, ::geteuid());
    ::syscall(SYS_setfsgid, ::getegid());
    if (count_ >= 0) ::syscall(SYS_setgroups, count_, groups_);
    errno = code;
  }

 private:
  static constexpr int kMostGroups = 65536;  // NGROUPS_MAX
  static gid_t groups_[kMostGroups];         // ours
  int count_ = -1;
};
gid_t AsUser::groups_[AsUser::kMostGroups];

// A path, as the user finds it, or we: -1 if nobody does.
int find_file(const Start& s, const char* path) {
  {
    const AsUser user(s);
    if (const int fd = ::open(path, O_PATH | O_NOFOLLOW | O_CLOEXEC); fd >= 0 || errno != EACCES) return fd;
  }
  return ::open(path, O_PATH | O_NOFOLLOW | O_CLOEXEC);
}

// What has gone or moved since it was seen, the supervisor hears of: what was there is out of sight, but not
// out of reach.
bool cover_if_there(const Start& s, const Mount& step, std::size_t index) {
  const int over = find_file(s, step.target);
  const bool done = cover(step, over);
  const int code = errno;
  if (over >= 0) ::close(over);
  errno = code;
  if (!done && code == 0) send(s.control, {kMissedMessage, static_cast<std::int32_t>(index), 0, 0});
  return done || code == 0;
}

void make_mounts(const Start& s, const Made& made) {
  int trees[kMostTrees];
  std::size_t taken = 0;
  const auto each = [&s](auto&& step) {
    for (std::size_t i = 0; i < s.spec->mount_count; ++i)
      if (!step(s.spec->mounts[i], i)) die(s, Step::mount, static_cast<int>(i));
  };
  each([&](const Mount& mount, std::size_t) {
    if (mount.kind != MountStep::Kind::shared) return true;
    errno = E2BIG;
    if (taken == kMostTrees) return false;
    const AsUser user(s);
    const int tree = take_tree(mount.target);
    trees[taken++] = tree;
    struct stat info {};
    if (tree < 0 || ::fstat(tree, &info) != 0) return false;
    // Somebody may have put another folder in its place since it was looked at.
    errno = ESTALE;
    return mount.inode == 0 || (info.st_dev == mount.device && info.st_ino == mount.inode);
  });
  taken = 0;
  each([&](const Mount& mount, std::size_t index) {
    if (mount.kind == MountStep::Kind::shared) return mount_step(mount, made, trees[taken++], *s.spec);
    return mount.inode != 0 ? cover_if_there(s, mount, index) : mount_step(mount, made, -1, *s.spec);
  });
}

// SECURITY.md P6: no capability in any of the five sets, and no way to get one back.
void drop_privileges(const Start& s) {
  // RLIMIT_CORE 1: a core_pattern pipe handler, root in the host's namespaces, is not run; 0 does not stop it
  // (core(5)).
  const rlimit core{1, 1};
  if (::setrlimit(RLIMIT_CORE, &core) != 0) {
    // A hard limit of 0 and no CAP_SYS_RESOURCE to raise it (a container): good enough where there is no
    // handler.
    const int code = errno;
    char pattern = '|';
    const int fd = ::open("/proc/sys/kernel/core_pattern", O_RDONLY | O_CLOEXEC);
    if (fd >= 0 && ::read(fd, &pattern, 1) < 0) pattern = '|';
    ::close(fd);
    errno = code;
    if (pattern == '|') die(s, Step::core_limit);
  }
  // EPERM is of a filter (Docker's), which the program inherits: it has no keyctl either.
  if (::syscall(SYS_keyctl, KEYCTL_JOIN_SESSION_KEYRING, nullptr) < 0 && errno != ENOSYS && errno != EDQUOT &&
      errno != EPERM)
    die(s, Step::keyring);
  for (unsigned long capability = 0; capability < 64; ++capability)
    if (::prctl(PR_CAPBSET_DROP, capability, 0, 0, 0) != 0) {
      if (errno == EINVAL) break;
      die(s, Step::bounding_set);
    }
  // In a user namespace without root nobody can change groups: he keeps those that he has.
  if (!s.rootless && ::syscall(SYS_setgroups, s.spec->group_count, s.spec->groups) != 0) die(s, Step::groups);
  if (::syscall(SYS_setresgid, s.spec->gid, s.spec->gid, s.spec->gid) != 0) die(s, Step::gid);
  if (::syscall(SYS_setresuid, s.spec->uid, s.spec->uid, s.spec->uid) != 0) die(s, Step::uid);
  if (::prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0) != 0) die(s, Step::capabilities);
  __user_cap_header_struct header{_LINUX_CAPABILITY_VERSION_3, 0};
  __user_cap_data_struct data[2] = {};
  if (::syscall(SYS_capset, &header, data) != 0) die(s, Step::capabilities);
  if (::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0) die(s, Step::no_new_privileges);
  // A change of ids clears it.
  if (::prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0) != 0) die(s, Step::parent_death);
  ::prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);
}

// init itself holds nothing of the caller's but 0-2 and the kept ones, and those only until the program has
// them.
void close_inherited(const Start& s) {
  unsigned first = 3;
  while (true) {
    unsigned kept = ~0u;  // the lowest one from `first` on that stays
    const auto consider = [&](int fd) {
      if (const auto number = static_cast<unsigned>(fd); number >= first && number < kept) kept = number;
    };
    for (std::size_t i = 0; i < s.spec->keep_fd_count; ++i) consider(s.spec->keep_fds[i]);
    consider(s.control);
    consider(s.start);
    if (kept > first) ::syscall(SYS_close_range, first, kept == ~0u ? kept : kept - 1, 0u);
    if (kept == ~0u) return;
    first = kept + 1;
  }
}

void close_kept(const Start& s) {
  ::syscall(SYS_close_range, 0u, 2u, 0u);
  for (std::size_t i = 0; i < s.spec->keep_fd_count; ++i) ::close(s.spec->keep_fds[i]);
}

[[noreturn]] void exec_failed(const Start& s, int code) {
  send(s.control, {static_cast<std::int32_t>(ChildEvent::Kind::exec_failed), 0, code, 0});
  ::_exit(code == ENOENT || code == ENOTDIR ? 127 : 126);
}

[[noreturn]] void exec_program(const Start& s) {
  enter_landlock(s);
  // SECURITY.md P5: nothing is inherited but 0-2 and what --keep-fd names. close_range, not a loop up to
  // RLIMIT_NOFILE.
  if (::syscall(SYS_close_range, 3u, ~0u, 4u /* CLOSE_RANGE_CLOEXEC */) != 0) die(s, Step::descriptors);
  for (std::size_t i = 0; i < s.spec->keep_fd_count; ++i)
    if (::fcntl(s.spec->keep_fds[i], F_SETFD, 0) != 0) die(s, Step::descriptors);
  char byte = 0;
  ssize_t got = 0;
  do got = ::read(s.start, &byte, 1);
  while (got < 0 && errno == EINTR);
  if (got != 1) ::_exit(125);  // the supervisor is gone
  ::sigprocmask(SIG_SETMASK, &s.signal_mask, nullptr);
  int code = ENOENT;
  for (const char* const* path = s.spec->candidates; *path != nullptr; ++path) {
    ::execve(*path, s.spec->argv, s.spec->envp);
    if (errno == ENOEXEC) {
      const_cast<char**>(s.spec->shell_argv)[1] = const_cast<char*>(*path);
      ::execve("/bin/sh", s.spec->shell_argv, s.spec->envp);
    }
    if (errno == EACCES) code = EACCES;
    if (errno != ENOENT && errno != ENOTDIR && errno != EACCES) exec_failed(s, errno);
  }
  exec_failed(s, code);
}

// Reaps until nothing is left to reap now; ends when the program itself has ended.
void reap(const Start& s, pid_t program) {
  while (true) {
    int status = 0;
    const pid_t pid = ::waitpid(-1, &status, WNOHANG | WUNTRACED);
    if (pid <= 0) return;
    if (pid != program) continue;
    if (WIFSTOPPED(status)) {
      send(s.control, {static_cast<std::int32_t>(ChildEvent::Kind::stopped), WSTOPSIG(status), 0, 0});
    } else if (WIFEXITED(status)) {
      send(s.control, {static_cast<std::int32_t>(ChildEvent::Kind::exited), WEXITSTATUS(status), 0, 0});
      ::_exit(0);
    } else {
      send(s.control, {static_cast<std::int32_t>(ChildEvent::Kind::signalled), WTERMSIG(status), 0, 0});
      ::_exit(0);
    }
  }
}

[[noreturn]] void serve(const Start& s, pid_t program, int signals) {
  pollfd waits[2] = {{signals, POLLIN, 0}, {s.control, POLLIN, 0}};
  while (true) {
    if (::poll(waits, 2, -1) < 0 && errno != EINTR) ::_exit(125);
    if (waits[0].revents != 0) {
      signalfd_siginfo info{};
      if (::read(signals, &info, sizeof info) == static_cast<ssize_t>(sizeof info)) {
        // From outside the pid namespace the sender's pid reads 0. A terminal's signals (SI_KERNEL) reach the
        // program by themselves.
        const auto signal = static_cast<int>(info.ssi_signo);
        if (signal != SIGCHLD && info.ssi_code == SI_USER && info.ssi_pid == 0) ::kill(program, signal);
      }
    }
    reap(s, program);
    if (waits[1].revents != 0) {
      Message message{};
      const ssize_t got = ::recv(s.control, &message, sizeof message, MSG_DONTWAIT);
      if (got == 0) ::_exit(125);  // the supervisor is gone: end, and the kernel ends everybody here
      if (got == static_cast<ssize_t>(sizeof message) && message.kind == kSignalMessage)
        ::kill(program, message.value);
    }
  }
}

}  // namespace

void run(const Start& s) {
  tie_to_supervisor(s);
  // It may have died before that. (0: seen from a pid namespace of our own; there the end of `control`
  // tells.)
  if (const pid_t parent = ::getppid(); parent != s.supervisor && parent != 0) ::_exit(125);
  ::prctl(PR_SET_NAME, "netjail-init", 0, 0, 0);
  const Made made = make_namespaces(s);
  wait_for_spec(s);
  if (s.spec->new_session && ::setsid() < 0) die(s, Step::session);
  make_mounts(s, made);
  drop_privileges(s);
  // Resolved again inside: below a mount that was just covered it is another folder now. As the user, too.
  if (::chdir(s.spec->cwd) != 0) die(s, Step::cwd);

  close_inherited(s);
  sigset_t all;
  sigfillset(&all);
  const int signals = ::signalfd(-1, &all, SFD_CLOEXEC | SFD_NONBLOCK);
  if (signals < 0) die(s, Step::signals);
  const sock_fprog program{static_cast<unsigned short>(s.spec->seccomp_length),
                           const_cast<sock_filter*>(s.spec->seccomp)};
  const unsigned flags = s.spec->seccomp_listener ? SECCOMP_FILTER_FLAG_NEW_LISTENER : 0;
  const auto listener = static_cast<int>(::syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, flags, &program));
  if (listener < 0) die(s, Step::seccomp);

  // Forked now, so that nothing but execve is left to do when the word comes.
  const auto child = static_cast<pid_t>(::syscall(SYS_clone, SIGCHLD, nullptr, nullptr, nullptr, 0));
  if (child < 0) die(s, Step::fork);
  if (child == 0) exec_program(s);
  ::close(s.start);
  close_kept(s);  // a pipe must see its end when the program closes it
  const Message ready{static_cast<std::int32_t>(ChildEvent::Kind::ready), 0, 0, 0};
  if (flags == 0) {
    send(s.control, ready);
  } else {
    if (!send_with(s.control, ready, &listener, 1)) die(s, Step::seccomp);
    ::close(listener);  // whoever holds it could answer
  }
  serve(s, child, signals);
}

}  // namespace netjail::init
