#include "pasta.h"

#include <fcntl.h>
#include <linux/nsfs.h>
#include <poll.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <csignal>
#include <ctime>

#include "netjail/base/format.h"
#include "netjail/base/text.h"
#include "netjail/os/fd.h"

namespace netjail {
namespace {

// Never from PATH: it gets the keys of the router's user namespace.
constexpr const char* kProgram = NETJAIL_PASTA;
constexpr std::chrono::seconds kDeadline{10};

}  // namespace

Status check_pasta() {
  struct stat info {};
  if (::stat(kProgram, &info) != 0)
    return fail_errno(std::string("the way out without root needs ") + kProgram,
                      "as root: apt install passt; or run netjail as root: sudo netjail ...");
  // Where root has no id (a user namespace of the caller's) he is still the owner of "/".
  struct stat root {};
  if (::stat("/", &root) != 0) return fail_errno("cannot look at /");
  if (!S_ISREG(info.st_mode) || info.st_uid != root.st_uid || (info.st_mode & (S_IWGRP | S_IWOTH)) != 0)
    return fail(std::string(kProgram) + " is not root's alone to write, so netjail does not trust it",
                "as root: apt install --reinstall passt");
  if (::access("/dev/net/tun", R_OK | W_OK) != 0)
    return fail_errno("the way out without root needs to open /dev/net/tun",
                      errno == ENOENT
                          ? "as root: modprobe tun; of a container: start it with --device /dev/net/tun"
                          : "as root: chmod 666 /dev/net/tun (as udev does); or run netjail as root");
  return {};
}

namespace {

std::vector<std::string> make_command(const UplinkPlan& plan, const JailAddresses& addresses,
                                      const Owner& user) {
  std::vector<std::string> words{
      kProgram, "--foreground", "--quiet", "--stderr",
      // Our descriptors (run_pasta()). By the pid of a process there it would have to read that process,
      // which the AppArmor profile of passt forbids in Debian 12. Later versions close all descriptors but
      // these.
      "--userns", "/proc/self/fd/0", "--netns", "/proc/self/fd/1", "--no-netns-quit", "--ns-ifname",
      std::string(kUplinkInterface), "--mtu", std::to_string(plan.mtu),
      // Nothing of the host's is reached by a name of its own, and nothing comes in.
      "--no-map-gw", "--gateway", "192.0.0.6", "--tcp-ports", "none", "--udp-ports", "none", "--tcp-ns",
      "none", "--udp-ns", "none",
      // The router is configured by us.
      "--no-dhcp", "--no-dhcpv6", "--no-ra", "--no-ndp", "--address", to_string(*addresses.ipv4), "--netmask",
      "32",
      // What it would read from the interface of the host's default route, and not start where there is none,
      // or one without a hardware address (a tunnel). It takes nothing from this one but a link-local address
      // that we do not use; packets leave by the host's routes.
      "--interface", plan.interface, "--mac-addr", "02:6e:6a:00:00:01"};
  if (addresses.ipv6)
    words.insert(words.end(), {"--address", to_string(*addresses.ipv6), "--gateway", "fe80::6e6a"});
  else
    words.emplace_back("--ipv4-only");
  // As root it would become nobody, who must not enter root's namespaces. It leaves root's for them.
  if (user.uid == 0) words.insert(words.end(), {"--runas", "0"});
  return words;
}

[[noreturn]] void run_pasta(char* const* argv, int userns, int netns, int words, pid_t parent,
                            const Owner& user) {
  const auto die = [](const char* what) {
    ::dprintf(2, "cannot %s: %s\n", what, ::strerrordesc_np(errno));
    ::_exit(125);
  };
  ::dup2(words, 2);
  // Not by the C library, whose calls speak to all threads: we share its memory.
  if (::geteuid() == 0 && (::syscall(SYS_setgroups, user.groups.size(), user.groups.data()) != 0 ||
                           ::syscall(SYS_setresgid, user.gid, user.gid, user.gid) != 0 ||
                           ::syscall(SYS_setresuid, user.uid, user.uid, user.uid) != 0))
    die("become pasta's user");
  // Killed by the kernel when nobody reads its standard error any more: when we end, or drop Pasta. A
  // parent-death signal alone would not do, for it is lost where execve(2) changes to an AppArmor profile;
  // nor a kill(2), which that profile allows to few.
  if (::prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0) != 0 || ::fcntl(2, F_SETOWN, ::getpid()) != 0 ||
      ::fcntl(2, F_SETSIG, SIGKILL) != 0 || ::fcntl(2, F_SETFL, O_WRONLY | O_NONBLOCK | O_ASYNC) != 0)
    die("tie pasta to netjail");
  if (::getppid() != parent) ::_exit(125);
  ::setsid();  // a terminal's signals are not for it
  ::dup2(userns, 0);
  ::dup2(netns, 1);
  ::syscall(SYS_close_range, 3u, ~0u, 0u);
  // It takes a SIGPIPE that the caller ignored for an error.
  for (const int signal : {SIGPIPE, SIGCHLD, SIGTERM, SIGQUIT}) ::signal(signal, SIG_DFL);
  sigset_t none;
  sigemptyset(&none);
  ::sigprocmask(SIG_SETMASK, &none, nullptr);
  char path[] = "PATH=/usr/bin:/bin";
  char* const environment[] = {path, nullptr};
  ::execve(kProgram, argv, environment);
  die("execute pasta");
  ::_exit(125);
}

// `what` with pasta's own words, in one line; without the help that follows an option that it does not know,
// and what it says in addition on a machine without syslog.
Error make_pasta_error(std::string what, const Fd& words) {
  char text[1024];
  const ssize_t got = ::read(words.get(), text, sizeof text);
  std::string separator = ": ";
  for (const auto line : split(std::string_view(text, got > 0 ? static_cast<std::size_t>(got) : 0), '\n')) {
    if (line.starts_with("Usage:")) break;
    if (trim(line).empty() || line.starts_with("Failed to send")) continue;
    what += separator + printable(trim(line));
    separator = "; ";
  }
  return make_error(std::move(what),
                    "see netjail doctor; as root there is a way without pasta: sudo netjail ...");
}

}  // namespace

Result<Pasta> Pasta::start(const Fd& router, const UplinkPlan& plan, const JailAddresses& addresses,
                           const Owner& user) {
  NJ_TRY(check_pasta());
  const Fd userns(::ioctl(router.get(), NS_GET_USERNS));
  if (!userns) return fail_errno("cannot open the user namespace of the router");
  std::vector<std::string> words = make_command(plan, addresses, user);
  std::vector<char*> argv;
  for (std::string& word : words) argv.push_back(word.data());
  argv.push_back(nullptr);
  int ends[2];
  if (::pipe2(ends, O_CLOEXEC | O_NONBLOCK) != 0) return fail_errno("cannot make a pipe");
  Fd ours(ends[0]);
  const Fd theirs(ends[1]);

  const pid_t parent = ::getpid();
  sigset_t all;
  sigset_t before;
  sigfillset(&all);
  ::sigprocmask(SIG_SETMASK, &all, &before);
  // As posix_spawn(3): our memory is its until it executes, so that no page of ours is copied.
  const pid_t pid = ::vfork();
  if (pid == 0) run_pasta(argv.data(), userns.get(), router.get(), theirs.get(), parent, user);
  const int code = errno;
  ::sigprocmask(SIG_SETMASK, &before, nullptr);
  errno = code;
  if (pid < 0) return fail_errno("cannot start pasta");
  Pasta pasta(pid, Fd(static_cast<int>(::syscall(SYS_pidfd_open, pid, 0))), std::move(ours));
  if (!pasta.pidfd_) return fail_errno("cannot watch pasta");
  return pasta;
}

Pasta::Pasta(Pasta&& other) noexcept
    : pid_(std::exchange(other.pid_, -1)), pidfd_(std::move(other.pidfd_)), words_(std::move(other.words_)) {}

// It waits in one place for all its descriptors (epoll), so that it sleeps only when none has anything for
// it. What the jail sent may still be on its way to it (the kernel's backlog), so several looks have to
// agree.
void Pasta::settle() const {
  constexpr int kLeast = 10, kMost = 1000, kLooks = 3;
  int asleep = 0;
  for (int ms = 0; ms < kMost && (ms < kLeast || asleep < kLooks); ++ms) {
    ::poll(nullptr, 0, 1);
    // proc_pid_stat(5): "PID (NAME) STATE ..."; what cannot be read is taken for asleep.
    const auto stat = read_file("/proc/" + std::to_string(pid_) + "/stat", 4096);
    const auto end = stat ? stat->rfind(") ") : std::string::npos;
    asleep = end == std::string::npos || stat->compare(end + 2, 1, "S") == 0 ? asleep + 1 : 0;
  }
}

Pasta::~Pasta() {
  if (pid_ < 0) return;
  // Not waited for: the kernel takes 20 ms to take its tap apart, and nobody uses the router any more.
  ::kill(pid_, SIGKILL);
  ::waitpid(pid_, nullptr, WNOHANG);
}

Status Pasta::wait_link(Netlink& router_route) {
  constexpr timespec kPause{0, 300000};
  const auto deadline = std::chrono::steady_clock::now() + kDeadline;
  while (!find_link(router_route, std::string(kUplinkInterface))) {
    pollfd ended{pidfd_.get(), POLLIN, 0};
    if (::ppoll(&ended, 1, &kPause, nullptr) == 1)
      return std::unexpected(make_pasta_error("pasta ended before it was ready", words_));
    if (std::chrono::steady_clock::now() > deadline)
      return std::unexpected(
          make_pasta_error(fmt::format("pasta was not ready within {} seconds", kDeadline.count()), words_));
  }
  return {};
}

}  // namespace netjail
