// init of the jail. Everything here runs between clone and exec, or in pid 1 afterwards: no allocation, no
// stdio, no locks.
#include "child_init.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <linux/keyctl.h>
#include <linux/netlink.h>
#include <linux/seccomp.h>
#include <net/if.h>
#include <poll.h>
#include <sched.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

namespace netjail::init {
namespace {

void send(int control, const Message& message) {
  while (::send(control, &message, sizeof message, MSG_NOSIGNAL) < 0 && errno == EINTR) {
  }
}

[[noreturn]] void die(const Prepared& p, Step step, int detail = 0) {
  send(p.control,
       {static_cast<std::int32_t>(ChildEvent::Kind::failed), static_cast<int>(step), errno, detail});
  ::_exit(125);
}

// A sysctl that is missing on this kernel (no IPv6) is no failure; one that refuses the value is.
bool set_sysctl(const char* path, const char* value) {
  const int fd = ::open(path, O_WRONLY | O_CLOEXEC);
  if (fd < 0) return errno == ENOENT;
  const bool done = ::write(fd, value, std::strlen(value)) == static_cast<ssize_t>(std::strlen(value));
  const int code = errno;
  ::close(fd);
  errno = code;
  return done;
}

bool loopback_up() {
  const int fd = ::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  if (fd < 0) return false;
  ifreq request{};
  std::memcpy(request.ifr_name, "lo", 3);
  request.ifr_flags = IFF_UP;
  const bool done = ::ioctl(fd, SIOCSIFFLAGS, &request) == 0;
  const int code = errno;
  ::close(fd);
  errno = code;
  return done;
}

int bound_socket(int type) {
  const int fd = ::socket(AF_INET, type | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  if (fd < 0) return -1;
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(53);
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  if (::bind(fd, reinterpret_cast<sockaddr*>(&address), sizeof address) != 0) return -1;
  if (type == SOCK_STREAM && ::listen(fd, 64) != 0) return -1;
  return fd;
}

bool send_sockets(const Prepared& p) {
  int fds[6];
  std::size_t count = 0;
  fds[count++] = ::open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC);
  fds[count++] = ::socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE);
  fds[count++] = ::socket(AF_INET, SOCK_RAW | SOCK_CLOEXEC, IPPROTO_RAW);
  for (std::size_t i = 0; i < count; ++i)
    if (fds[i] < 0) return false;
  // bit 0: IPv6, bit 1: resolver
  int present = 0;
  const int raw6 = ::socket(AF_INET6, SOCK_RAW | SOCK_CLOEXEC, IPPROTO_RAW);
  if (raw6 >= 0) {
    present |= 1;
    fds[count++] = raw6;
  } else if (errno != EAFNOSUPPORT) {
    return false;
  }
  if (p.listen) {
    present |= 2;
    fds[count++] = bound_socket(SOCK_DGRAM);
    fds[count++] = bound_socket(SOCK_STREAM);
    if (fds[count - 1] < 0 || fds[count - 2] < 0) return false;
  }

  Message message{kSocketsMessage, present, 0, 0};
  iovec part{&message, sizeof message};
  alignas(cmsghdr) char space[CMSG_SPACE(sizeof fds)] = {};
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
  if (::sendmsg(p.control, &header, MSG_NOSIGNAL) < 0) return false;
  for (std::size_t i = 0; i < count; ++i) ::close(fds[i]);
  return true;
}

void make_network(const Prepared& p) {
  if (::unshare(CLONE_NEWNET | CLONE_NEWIPC) != 0) die(p, Step::network_namespace);
  // Before any link exists: links inherit "default". No link-local address, no redirects; ping works without
  // a capability (what it may reach is the router's business).
  if (!set_sysctl("/proc/sys/net/ipv6/conf/default/addr_gen_mode", "1") ||
      !set_sysctl("/proc/sys/net/ipv6/conf/default/accept_redirects", "0") ||
      !set_sysctl("/proc/sys/net/ipv6/conf/default/accept_ra", "0") ||
      !set_sysctl("/proc/sys/net/ipv4/ping_group_range", "0 2147483647"))
    die(p, Step::sysctl);
  if (!loopback_up()) die(p, Step::loopback);
  if (!send_sockets(p)) die(p, Step::sockets);
}

void make_mounts(const Prepared& p) {
  if (::unshare(CLONE_NEWNS) != 0) die(p, Step::mount_namespace);
  if (!prepare_mounts()) die(p, Step::mount_namespace);
  for (std::size_t i = 0; i < p.mount_count; ++i)
    if (!mount_step(p.mounts[i], p.pin)) die(p, Step::mount, static_cast<int>(i));
}

// SECURITY.md P6: no capability in any of the five sets, and no way to get one back.
void drop_privileges(const Prepared& p) {
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
    if (pattern == '|') die(p, Step::core_limit);
  }
  if (::syscall(SYS_keyctl, KEYCTL_JOIN_SESSION_KEYRING, nullptr) < 0 && errno != ENOSYS && errno != EDQUOT)
    die(p, Step::keyring);
  for (unsigned long capability = 0; capability < 64; ++capability)
    if (::prctl(PR_CAPBSET_DROP, capability, 0, 0, 0) != 0) {
      if (errno == EINVAL) break;
      die(p, Step::bounding_set);
    }
  if (::syscall(SYS_setgroups, p.group_count, p.groups) != 0) die(p, Step::groups);
  if (::syscall(SYS_setresgid, p.gid, p.gid, p.gid) != 0) die(p, Step::gid);
  if (::syscall(SYS_setresuid, p.uid, p.uid, p.uid) != 0) die(p, Step::uid);
  if (::prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0) != 0) die(p, Step::capabilities);
  __user_cap_header_struct header{_LINUX_CAPABILITY_VERSION_3, 0};
  __user_cap_data_struct data[2] = {};
  if (::syscall(SYS_capset, &header, data) != 0) die(p, Step::capabilities);
  if (::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0) die(p, Step::no_new_privileges);
  // A change of ids clears it.
  if (::prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0) != 0) die(p, Step::parent_death);
  ::prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);
}

// init itself holds nothing of the caller's but 0-2 and the kept ones, and those only until the program has
// them.
void close_inherited(const Prepared& p) {
  unsigned start = 3;
  while (true) {
    unsigned stop = ~0u;
    for (std::size_t i = 0; i < p.keep_fd_count; ++i)
      if (const auto fd = static_cast<unsigned>(p.keep_fds[i]); fd >= start && fd < stop) stop = fd;
    if (const auto control = static_cast<unsigned>(p.control); control >= start && control < stop)
      stop = control;
    if (stop > start) ::syscall(SYS_close_range, start, stop == ~0u ? stop : stop - 1, 0u);
    if (stop == ~0u) return;
    start = stop + 1;
  }
}

void close_kept(const Prepared& p) {
  ::syscall(SYS_close_range, 0u, 2u, 0u);
  for (std::size_t i = 0; i < p.keep_fd_count; ++i) ::close(p.keep_fds[i]);
}

[[noreturn]] void exec_failed(const Prepared& p, int code) {
  send(p.control, {static_cast<std::int32_t>(ChildEvent::Kind::exec_failed), 0, code, 0});
  ::_exit(code == ENOENT || code == ENOTDIR ? 127 : 126);
}

[[noreturn]] void exec_program(const Prepared& p) {
  // SECURITY.md P5: nothing is inherited but 0-2 and what --keep-fd names. close_range, not a loop up to
  // RLIMIT_NOFILE.
  if (::syscall(SYS_close_range, 3u, ~0u, 4u /* CLOSE_RANGE_CLOEXEC */) != 0) die(p, Step::descriptors);
  for (std::size_t i = 0; i < p.keep_fd_count; ++i)
    if (::fcntl(p.keep_fds[i], F_SETFD, 0) != 0) die(p, Step::descriptors);
  ::sigprocmask(SIG_SETMASK, &p.signal_mask, nullptr);
  int code = ENOENT;
  for (const char* const* path = p.candidates; *path != nullptr; ++path) {
    ::execve(*path, p.argv, p.envp);
    if (errno == ENOEXEC) {
      const_cast<char**>(p.shell_argv)[1] = const_cast<char*>(*path);
      ::execve("/bin/sh", p.shell_argv, p.envp);
    }
    if (errno == EACCES) code = EACCES;
    if (errno != ENOENT && errno != ENOTDIR && errno != EACCES) exec_failed(p, errno);
  }
  exec_failed(p, code);
}

// Reaps until nothing is left to reap now; ends when the program itself has ended.
void reap(const Prepared& p, pid_t program) {
  while (true) {
    int status = 0;
    const pid_t pid = ::waitpid(-1, &status, WNOHANG | WUNTRACED);
    if (pid <= 0) return;
    if (pid != program) continue;
    if (WIFSTOPPED(status)) {
      send(p.control, {static_cast<std::int32_t>(ChildEvent::Kind::stopped), WSTOPSIG(status), 0, 0});
    } else if (WIFEXITED(status)) {
      send(p.control, {static_cast<std::int32_t>(ChildEvent::Kind::exited), WEXITSTATUS(status), 0, 0});
      ::_exit(0);
    } else {
      send(p.control, {static_cast<std::int32_t>(ChildEvent::Kind::signalled), WTERMSIG(status), 0, 0});
      ::_exit(0);
    }
  }
}

[[noreturn]] void serve(const Prepared& p, pid_t program, int signals) {
  pollfd waits[2] = {{signals, POLLIN, 0}, {p.control, POLLIN, 0}};
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
    reap(p, program);
    if (waits[1].revents != 0) {
      Message message{};
      const ssize_t got = ::recv(p.control, &message, sizeof message, MSG_DONTWAIT);
      if (got == 0) ::_exit(125);  // the supervisor is gone: end, and the kernel ends everybody here
      if (got == static_cast<ssize_t>(sizeof message) && message.kind == kSignalMessage)
        ::kill(program, message.value);
    }
  }
}

}  // namespace

void run(const Prepared& p) {
  if (::prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0) != 0) die(p, Step::parent_death);
  ::prctl(PR_SET_NAME, "netjail-init", 0, 0, 0);
  if (p.new_session && ::setsid() < 0) die(p, Step::session);
  make_network(p);
  make_mounts(p);
  drop_privileges(p);
  // Resolved again inside: below a mount that was just covered it is another folder now. As the user, too.
  if (::chdir(p.cwd) != 0) die(p, Step::cwd);

  close_inherited(p);
  sigset_t all;
  sigfillset(&all);
  const int signals = ::signalfd(-1, &all, SFD_CLOEXEC | SFD_NONBLOCK);
  if (signals < 0) die(p, Step::signals);

  send(p.control, {static_cast<std::int32_t>(ChildEvent::Kind::ready), 0, 0, 0});
  Message message{};
  ssize_t got = 0;
  do got = ::recv(p.control, &message, sizeof message, 0);
  while (got < 0 && errno == EINTR);
  if (got != static_cast<ssize_t>(sizeof message) || message.kind != kGoMessage) ::_exit(125);

  const sock_fprog program{static_cast<unsigned short>(p.seccomp_length),
                           const_cast<sock_filter*>(p.seccomp)};
  if (::syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, &program) != 0) die(p, Step::seccomp);

  const pid_t child = static_cast<pid_t>(::syscall(SYS_clone, SIGCHLD, nullptr, nullptr, nullptr, 0));
  if (child < 0) die(p, Step::fork);
  if (child == 0) exec_program(p);
  close_kept(p);  // a pipe must see its end when the program closes it
  serve(p, child, signals);
}

const char* step_name(Step step) {
  switch (step) {
    case Step::none: return "start";
    case Step::parent_death: return "tie the jail to the supervisor";
    case Step::session: return "start a session for the jail";
    case Step::network_namespace: return "make the jail's network namespace";
    case Step::loopback: return "bring up the jail's loopback";
    case Step::sysctl: return "set the jail's network sysctls";
    case Step::sockets: return "open the jail's sockets";
    case Step::send_sockets: return "hand over the jail's sockets";
    case Step::mount_namespace: return "make the jail's mount namespace";
    case Step::mount: return "mount";
    case Step::cwd: return "enter the working directory";
    case Step::core_limit: return "limit core dumps";
    case Step::keyring: return "make a session keyring";
    case Step::bounding_set: return "empty the capability bounding set";
    case Step::groups: return "set the groups";
    case Step::gid: return "set the group id";
    case Step::uid: return "set the user id";
    case Step::capabilities: return "drop the capabilities";
    case Step::no_new_privileges: return "set no_new_privs";
    case Step::descriptors: return "close the inherited descriptors";
    case Step::seccomp: return "install the seccomp filter";
    case Step::fork: return "start a process in the jail";
    case Step::signals: return "watch signals";
  }
  return "start";
}

}  // namespace netjail::init
