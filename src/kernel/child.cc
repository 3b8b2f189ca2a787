#include "netjail/kernel/child.h"

#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <csignal>
#include <cstring>
#include <span>

#include "child_init.h"
#include "netjail/base/format.h"
#include "surroundings.h"

namespace netjail {
namespace {

using init::Message;

Result<bool> wait_readable(int fd, int milliseconds) {
  pollfd wait{fd, POLLIN, 0};
  while (true) {
    const int ready = ::poll(&wait, 1, milliseconds);
    if (ready < 0 && errno == EINTR) continue;
    if (ready < 0) return fail_errno("cannot wait for the jail");
    return ready == 1;
  }
}

constexpr int kSetUpTimeout = 20000;  // ms; set-up takes about 2

std::optional<ChildEvent> to_event(const Message& message) {
  if (message.kind < 0 || message.kind > static_cast<int>(ChildEvent::Kind::signalled)) return std::nullopt;
  return ChildEvent{static_cast<ChildEvent::Kind>(message.kind), message.value, message.code, message.detail};
}

// A message of the set-up, and the descriptors that came with it.
Result<Message> receive_set_up(int control, std::span<Fd> received, std::size_t& count) {
  NJ_TRY_AS(const bool ready, wait_readable(control, kSetUpTimeout));
  if (!ready) return fail("the jail's first process does not answer");
  Message message{};
  iovec part{&message, sizeof message};
  std::array<int, init::kMostSockets> fds{};
  alignas(cmsghdr) char space[CMSG_SPACE(sizeof fds)] = {};
  msghdr header{};
  header.msg_iov = &part;
  header.msg_iovlen = 1;
  header.msg_control = space;
  header.msg_controllen = sizeof space;
  ssize_t got = 0;
  // The end of init discards nothing that it sent, but is told first if it left something of ours unread.
  do got = ::recvmsg(control, &header, MSG_CMSG_CLOEXEC);
  while (got < 0 && (errno == EINTR || errno == ECONNRESET));
  if (got != static_cast<ssize_t>(sizeof message)) return fail("the jail's first process died during set-up");
  count = 0;
  if (const cmsghdr* at = CMSG_FIRSTHDR(&header);
      at != nullptr && at->cmsg_level == SOL_SOCKET && at->cmsg_type == SCM_RIGHTS) {
    count = (at->cmsg_len - CMSG_LEN(0)) / sizeof(int);
    std::memcpy(fds.data(), CMSG_DATA(at), count * sizeof(int));
    for (std::size_t i = 0; i < count; ++i) received[i] = Fd(fds[i]);
  }
  return message;
}

}  // namespace

Child::Child(pid_t pid, pid_t launcher, Fd control, Fd start, std::unique_ptr<SharedSpec> shared)
    : pid_(pid),
      launcher_(launcher),
      control_(std::move(control)),
      start_(std::move(start)),
      shared_(std::move(shared)) {}
Child::Child(Child&&) noexcept = default;

Result<Child> Child::spawn() { return spawn(nullptr); }
Result<Child> Child::spawn_as(const Owner& owner) { return spawn(&owner); }

Result<Child> Child::spawn(const Owner* owner) {
  NJ_TRY_AS(auto shared, SharedSpec::map());
  int pair[2];
  if (::socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) != 0)
    return fail_errno("cannot make a socket pair");
  Fd ours(pair[0]);
  const Fd theirs(pair[1]);
  if (::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) != 0)
    return fail_errno("cannot make a socket pair");
  const Fd their_start(pair[0]);
  Fd our_start(pair[1]);

  const bool rootless = owner != nullptr || ::geteuid() != 0;
  init::Start start{theirs.get(),
                    their_start.get(),
                    shared->spec(),
                    shared->init_pid(),
                    ::getpid(),
                    rootless,
                    ::geteuid(),
                    ::getegid(),
                    nullptr,
                    0,
                    {}};
  static constexpr gid_t kNone = 0;
  if (owner != nullptr) {
    start.uid = owner->uid;
    start.gid = owner->gid;
    start.groups = owner->groups.empty() ? &kNone : owner->groups.data();
    start.group_count = owner->groups.size();
  }
  // init must not run a handler of ours, nor die of a signal before it ignores them.
  sigset_t all;
  sigfillset(&all);
  ::sigprocmask(SIG_SETMASK, &all, &start.signal_mask);
  const auto pid = static_cast<pid_t>(
      ::syscall(SYS_clone, (rootless ? 0 : CLONE_NEWPID) | SIGCHLD, nullptr, nullptr, nullptr, 0));
  if (pid == 0) {
    // Else init would hold its own sockets open and never see us die.
    ::close(ours.get());
    ::close(our_start.get());
    init::run(start);
  }
  const int code = errno;
  ::sigprocmask(SIG_SETMASK, &start.signal_mask, nullptr);
  if (pid < 0) {
    const std::string hint = find_remedy(init::Step::namespaces, code, look_around());
    errno = code;
    return fail_errno("cannot make a pid namespace for the jail", hint);
  }
  shared->keep_private();
  Child child(rootless ? -1 : pid, rootless ? pid : -1, std::move(ours), std::move(our_start),
              std::move(shared));
  if (owner != nullptr) child.owner_ = *owner;
  return child;
}

Child::~Child() {
  if (!control_) return;  // moved from
  kill();
  reap();
}

void Child::dismiss_launcher() {
  if (launcher_ < 0) return;
  ::kill(launcher_, SIGKILL);
  while (::waitpid(launcher_, nullptr, 0) < 0 && errno == EINTR) {
  }
  launcher_ = -1;
}

void Child::kill() {
  dismiss_launcher();
  if (pid_ < 0) pid_ = *shared_->init_pid();
  if (pid_ <= 0) reaped_ = true;  // the launcher did not get that far
  if (!reaped_) ::kill(pid_, SIGKILL);
}

void Child::reap() {
  if (reaped_) return;
  while (::waitpid(pid_, nullptr, 0) < 0 && errno == EINTR) {
  }
  reaped_ = true;
}

// One id each: who is mapped is who he was.
Status Child::map_ids() const {
  if (!owner_) return fail("the jail's first process asks for a map that it should write itself");
  const std::string folder = "/proc/" + std::to_string(launcher_);
  const auto map = [](auto id) { return fmt::format("{} {} 1", id, id); };
  for (const auto& [file, text] : {std::pair{"/setgroups", std::string("deny")},
                                   {"/gid_map", map(owner_->gid)},
                                   {"/uid_map", map(owner_->uid)}}) {
    const Fd fd(::open((folder + file).c_str(), O_WRONLY | O_CLOEXEC));
    if (!fd) return fail_errno("cannot map the ids of the jail's user namespace");
    NJ_TRY(write_all(fd.get(), text));
  }
  if (::send(start_.get(), "m", 1, MSG_NOSIGNAL) < 0 && errno != EPIPE)
    return fail_errno("cannot answer the jail's first process");
  return {};
}

// How many came.
Result<std::size_t> Child::receive_sockets(std::span<Fd> received) {
  std::size_t count = 0;
  NJ_TRY_AS(Message message, receive_set_up(control_.get(), received, count));
  if (message.kind == init::kMapMessage) {
    NJ_TRY(map_ids());
    NJ_TRY_AS(message, receive_set_up(control_.get(), received, count));
  }
  if (const auto event = to_event(message)) return std::unexpected(describe_failure(*event));
  if (count != static_cast<std::size_t>(message.value))
    return fail("the jail's sockets did not arrive whole", "is RLIMIT_NOFILE very low? see ulimit -n");
  return count;
}

Result<RouterSockets> Child::receive_router() {
  std::array<Fd, init::kMostSockets> in;
  NJ_TRY_AS(const std::size_t count, receive_sockets(in));
  if (count != 4) return fail("the router's sockets are not all there");
  return RouterSockets{std::move(in[0]), std::move(in[1]), std::move(in[2]), std::move(in[3])};
}

Result<JailSockets> Child::receive_jail() {
  std::array<Fd, init::kMostSockets> in;
  NJ_TRY_AS(const std::size_t count, receive_sockets(in));
  if (count < 5) return fail("the jail's sockets are not all there");
  if (pid_ < 0) pid_ = *shared_->init_pid();
  return JailSockets{std::move(in[0]), std::move(in[1]), std::move(in[2]),
                     std::move(in[3]), std::move(in[4]), std::move(in[5])};
}

Status Child::prepare(const ChildSpec& spec) {
  mounts_ = spec.mounts;
  command_ = spec.command.front();
  cwd_ = spec.cwd;
  listens_ = spec.seccomp_listener;
  NJ_TRY(shared_->write(spec));
  const Message message{init::kSpecMessage, 0, 0, 0};
  // EPIPE: init has ended, and wait_ready() reads why.
  if (::send(control_.get(), &message, sizeof message, MSG_NOSIGNAL) < 0 && errno != EPIPE)
    return fail_errno("cannot instruct the jail's first process");
  return {};
}

Result<std::vector<std::size_t>> Child::wait_ready() {
  std::array<Fd, init::kMostSockets> received;
  std::size_t count = 0;
  std::vector<std::size_t> missed;
  NJ_TRY_AS(Message message, receive_set_up(control_.get(), received, count));
  while (message.kind == init::kMissedMessage) {
    missed.push_back(static_cast<std::size_t>(message.value));
    NJ_TRY_AS(message, receive_set_up(control_.get(), received, count));
  }
  const auto event = to_event(message);
  if (!event) return fail("the jail's first process died during set-up");
  if (event->kind != ChildEvent::Kind::ready) return std::unexpected(describe_failure(*event));
  listener_ = std::move(received[0]);
  if (listens_ && !listener_) return fail("the seccomp filter's listener did not arrive");
  shared_.reset();     // init has its own view
  dismiss_launcher();  // it has ended by now
  return missed;
}

Fd Child::take_listener() { return std::move(listener_); }

Status Child::go() {
  const Fd start = std::move(start_);
  // EPIPE: init has ended, and the next event says so.
  if (::send(start.get(), "g", 1, MSG_NOSIGNAL) < 0 && errno != EPIPE)
    return fail_errno("cannot start the program");
  return {};
}

void Child::send_signal(int signal) {
  const Message message{init::kSignalMessage, signal, 0, 0};
  ::send(control_.get(), &message, sizeof message, MSG_NOSIGNAL | MSG_DONTWAIT);
}

Result<std::optional<ChildEvent>> Child::read_event() {
  Message message{};
  ssize_t got = 0;
  do got = ::recv(control_.get(), &message, sizeof message, 0);
  while (got < 0 && (errno == EINTR || errno == ECONNRESET));  // as in receive_set_up()
  if (got < 0) return fail_errno("cannot read from the jail's first process");
  if (got != static_cast<ssize_t>(sizeof message)) return std::nullopt;
  return to_event(message);
}

Error Child::describe_failure(const ChildEvent& event) const {
  Error error;
  error.code = event.code;
  if (event.kind == ChildEvent::Kind::exec_failed) {
    const bool missing = command_.empty() || event.code == ENOENT || event.code == ENOTDIR;
    error.what = "cannot run " + (command_.empty() ? "''" : command_);
    if (command_.empty()) error.code = ENOENT;
    error.status = missing ? 127 : 126;
    struct stat info {};
    const bool is_path = command_.find('/') != std::string::npos;
    const bool there = is_path && ::stat(command_.c_str(), &info) == 0;
    if (there && S_ISDIR(info.st_mode))
      error.hint = "it is a directory";
    else if (there && missing)
      error.hint = "it is there: is the interpreter that its first line names?";
    else if (there && event.code == EACCES)
      error.hint = "is it executable for the user inside? chmod +x";
    else if (missing && !is_path)
      error.hint = "is it installed, and is it in the PATH of the user inside?";
    return error;
  }
  const auto step = static_cast<init::Step>(event.value);
  error.what = std::string("cannot ") + init::step_name(step);
  if (step == init::Step::mount && static_cast<std::size_t>(event.detail) < mounts_.size()) {
    // Of those kinds that have no target.
    static constexpr std::array kNames{"/proc", "/sys", "/dev",           "",
                                       "",      "",     "/sys/fs/cgroup", "the router's namespace"};
    const MountStep& mount = mounts_[static_cast<std::size_t>(event.detail)];
    error.what += " " + (mount.target.empty() ? kNames[static_cast<std::size_t>(mount.kind)] : mount.target) +
                  " in the jail";
  }
  error.hint = find_remedy(step, event.code, look_around());
  if (step == init::Step::sysctl) error.what += std::string(" ") + init::sysctl_name(event.detail);
  if (step == init::Step::cwd) {
    error.what += " " + cwd_;
    error.hint = "the program's user must be able to enter it: cd somewhere else first";
  }
  if (step == init::Step::core_limit)
    error.hint =
        "a core dump handler (kernel.core_pattern) would get the program's memory: raise the hard limit "
        "(ulimit -Hc 1)";
  return error;
}

}  // namespace netjail
