// What netjail takes for granted about namespaces, their owners, processes and sockets of the kernel. Each
// test has the contrast too: what happens without the mechanism. Links and packets: assumptions.cc.
#include <doctest/doctest.h>
#include <fcntl.h>
#include <grp.h>
#include <netinet/in.h>
#include <poll.h>
#include <sched.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>

#include "netjail/kernel/link.h"
#include "nft_fixture.h"
#include "support/run.h"

using namespace netjail;
using namespace netjail::test;

namespace {

constexpr uid_t kUser = 61999;  // nobody of this machine

void must(const Status& status) { REQUIRE_MESSAGE(status.has_value(), render_error(status.error())); }

int code_of(long result) { return result < 0 ? errno : 0; }

// A child that has run `body` and then waits for its end, which comes with the test's at the latest.
class Held {
 public:
  int result = -1;  // of body: mostly 0 or errno

  template <class Body>
  explicit Held(const Body& body) {
    int ends[2];
    REQUIRE(::pipe2(ends, O_CLOEXEC) == 0);
    const Fd from_child(ends[0]), to_test(ends[1]);
    pid_ = ::fork();
    REQUIRE(pid_ >= 0);
    if (pid_ == 0) {
      ::prctl(PR_SET_PDEATHSIG, SIGKILL);
      const int value = body();
      ::prctl(PR_SET_PDEATHSIG, SIGKILL);  // a change of identity clears it
      if (::write(to_test.get(), &value, sizeof value) != sizeof value) ::_exit(1);
      while (true) ::pause();
    }
    pollfd wait{from_child.get(), POLLIN, 0};
    if (::poll(&wait, 1, 10000) != 1) kill();
    REQUIRE(pid_ > 0);
    REQUIRE(::read(from_child.get(), &result, sizeof result) == sizeof result);
  }
  Held(const Held&) = delete;
  Held& operator=(const Held&) = delete;
  ~Held() { kill(); }

  void kill() {
    if (pid_ > 0 && ::kill(pid_, SIGKILL) == 0) ::waitpid(pid_, nullptr, 0);
    pid_ = -1;
  }
  Fd open_namespace(const std::string& name) const {
    return Fd(::open(("/proc/" + std::to_string(pid_) + "/ns/" + name).c_str(), O_RDONLY | O_CLOEXEC));
  }
  // The child's descriptor `result` as ours.
  Fd take() const {
    const Fd pidfd(static_cast<int>(::syscall(SYS_pidfd_open, pid_, 0)));
    return Fd(static_cast<int>(::syscall(SYS_pidfd_getfd, pidfd.get(), result, 0)));
  }

 private:
  pid_t pid_ = -1;
};

// An ordinary user without any capability. In a child only.
void become(uid_t uid) {
  if (::setgroups(0, nullptr) != 0 || ::setresgid(uid, uid, uid) != 0 || ::setresuid(uid, uid, uid) != 0)
    ::_exit(1);
  ::prctl(PR_SET_DUMPABLE, 1);  // else /proc/self is root's
}

// A user namespace in which kUser has all capabilities.
bool unshare_user() {
  const std::string map = std::to_string(kUser) + " " + std::to_string(kUser) + " 1";
  return ::unshare(CLONE_NEWUSER) == 0 && write_file("/proc/self/setgroups", "deny") &&
         write_file("/proc/self/gid_map", map) && write_file("/proc/self/uid_map", map);
}

int open_route() { return ::socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE); }

// As netjail's launcher: a netlink socket in a network namespace below a user namespace of its own.
int launch() {
  become(kUser);
  return unshare_user() && ::unshare(CLONE_NEWNET) == 0 ? open_route() : -1;
}

// Changes the network namespace of the socket. 0 or errno.
int set_mtu(int route, std::uint32_t mtu) {
  auto netlink = Netlink::adopt(Fd(::dup(route)), NETLINK_ROUTE);
  if (!netlink) return EBADF;
  MessageBuffer messages;
  append_link_settings(messages, 1, mtu);
  const auto done = netlink->transact(messages);
  return done ? 0 : done.error().error.code;
}

// Some numbers that children share, for as long as the test runs.
volatile pid_t* map_shared() {
  void* memory = ::mmap(nullptr, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  REQUIRE(memory != MAP_FAILED);
  return static_cast<pid_t*>(memory);
}

std::string sysctl(Place place, const std::string& name) {
  return run(place, {.argv = {"cat", "/proc/sys/net/" + name}}).value().out;
}

void set_sysctl(const NetworkNamespace& network, const std::string& name, const std::string& value) {
  must(in_place(network.place(), [&] { return write_file("/proc/sys/net/" + name, value); }));
}

}  // namespace

TEST_CASE("a mount keeps a network namespace and its rules when nothing else does") {
  if (!needs_root()) return;
  const auto watcher = NetworkNamespace::create().value();
  Fd mounts;
  {
    const auto loose = NetworkNamespace::create().value(), pinned = NetworkNamespace::create().value();
    must(ip_batch(watcher.place(), "link add loose type veth peer name v netns " + loose.path() +
                                       "\nlink add pinned type veth peer name v netns " + pinned.path()));
    REQUIRE(nft_command(pinned, {"add", "table", "inet", "kept"}).status == 0);
    const auto pin = [&]() -> Status {  // as child_mount.cc
      if (::mount("tmpfs", "/mnt", "tmpfs", 0, nullptr) != 0) return fail_errno("mount");
      const Fd file(::open("/mnt/pin", O_WRONLY | O_CREAT | O_CLOEXEC, 0600));
      const Fd tree(::open_tree(pinned.fd(), "", OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | AT_EMPTY_PATH));
      const int moved = ::move_mount(tree.get(), "", AT_FDCWD, "/mnt/pin", MOVE_MOUNT_F_EMPTY_PATH);
      return moved == 0 ? Status{} : fail_errno("pin");
    };
    mounts = create_mount_namespace(-1, pin).value();
  }  // `pinned` is closed first: when `loose` is gone it would be gone, too
  // Either end of a veth pair goes with the other one's namespace.
  const auto lives = [&](const char* link) {
    return run(watcher.place(), {.argv = {"ip", "link", "show", link}}).value().ok();
  };
  CHECK(eventually([&] { return !lives("loose"); }));
  CHECK(lives("pinned"));
  const auto rules =
      run({.mount = mounts.get()}, {.argv = {"nsenter", "--net=/mnt/pin", "nft", "list", "tables"}}).value();
  CHECK_MESSAGE(rules.out == "table inet kept\n", rules.describe());
  mounts.reset();
  CHECK(eventually([&] { return !lives("pinned"); }));
}

TEST_CASE("the owner of a user namespace, and no other user, changes a network namespace below it") {
  if (!needs_root()) return;
  const Held launcher(launch);
  const Fd inside = launcher.take();
  const Held root([] { return ::unshare(CLONE_NEWNET) == 0 ? open_route() : -1; });
  const Fd outside = root.take();
  const auto change = [](uid_t uid, const Fd& route) {
    return Held([&] { return become(uid), set_mtu(route.get(), 1111); }).result;
  };
  CHECK(change(kUser, inside) == 0);
  CHECK(change(kUser - 1, inside) == EPERM);
  CHECK(change(kUser, outside) == EPERM);
}

TEST_CASE("all capabilities in a user namespace give nothing over the network namespace of the one above") {
  if (!needs_root()) return;
  const Held launcher(launch);
  const Fd inside = launcher.take();
  const Fd user = launcher.open_namespace("user"), network = launcher.open_namespace("net");
  const auto attempt = [&](bool below, const auto& action) {
    const auto act = [&]() -> int {
      become(kUser);
      if (::setns(user.get(), CLONE_NEWUSER) != 0 || ::setns(network.get(), CLONE_NEWNET) != 0) return -1;
      return below && !unshare_user() ? -2 : action();
    };
    return Held(act).result;
  };
  const auto enter = [&] { return code_of(::setns(network.get(), CLONE_NEWNET)); };
  const auto own_socket = [] { return set_mtu(open_route(), 1111); };
  const auto upper_socket = [&] { return set_mtu(inside.get(), 1111); };
  CHECK(attempt(false, enter) == 0);
  CHECK(attempt(false, own_socket) == 0);
  CHECK(attempt(false, upper_socket) == 0);
  CHECK(attempt(true, enter) == EPERM);
  CHECK(attempt(true, [&] { return code_of(::setns(user.get(), CLONE_NEWUSER)); }) == EPERM);
  CHECK(attempt(true, own_socket) == EPERM);
  CHECK(attempt(true, upper_socket) == EPERM);
  // It has them all in what is its own.
  CHECK(attempt(true, [&] { return ::unshare(CLONE_NEWNET) == 0 ? own_socket() : errno; }) == 0);
}

TEST_CASE("the parent-death signal stays when a user enters a user namespace of his own") {
  if (!needs_root()) return;
  const Held launcher(launch);
  const Fd user = launcher.open_namespace("user");
  const auto signal_after = [&](uid_t uid) {
    const auto act = [&] {
      if (uid != 0) become(uid);
      int signal = -1;
      if (::prctl(PR_SET_PDEATHSIG, SIGTERM) != 0 || ::setns(user.get(), CLONE_NEWUSER) != 0) return -errno;
      return ::prctl(PR_GET_PDEATHSIG, &signal) == 0 ? signal : -errno;
    };
    return Held(act).result;
  };
  CHECK(signal_after(kUser) == SIGTERM);
  CHECK(signal_after(0) == 0);  // root may enter, but owns it not: other credentials, no signal
}

TEST_CASE("CLONE_PARENT: a first process is the caller's parent's child, its pid in shared memory") {
  if (!needs_root()) return;
  volatile pid_t* const seen = map_shared();  // by the first process: its pid, and what is in `shared`
  volatile pid_t* const shared = map_shared();
  const auto start = [=](unsigned long flags) {
    seen[0] = 0;
    return [=] {
      const unsigned long all = CLONE_NEWPID | CLONE_PARENT_SETTID | SIGCHLD | flags;
      const auto pid = ::syscall(SYS_clone, all, nullptr, shared, nullptr, 0);
      if (pid != 0) return code_of(pid);
      ::prctl(PR_SET_PDEATHSIG, SIGKILL);
      seen[1] = shared[0];
      seen[0] = ::getpid();
      while (true) ::pause();
    };
  };
  const auto started = [seen] { return seen[0] == 1; };
  {
    const Held launcher(start(0));
    REQUIRE(eventually(started));
    CHECK(shared[0] > 1);
    CHECK(::waitpid(shared[0], nullptr, WNOHANG) == -1);  // the launcher's child, not ours
  }
  shared[0] = 0;
  Held launcher(start(CLONE_PARENT));
  REQUIRE(eventually(started));
  const pid_t init = shared[0];
  REQUIRE(init > 1);
  CHECK(seen[1] == init);  // before it ran
  launcher.kill();         // not its parent, so it does not die, and stops when told to
  int status = 0;
  CHECK(::kill(init, SIGSTOP) == 0);
  CHECK(eventually(
      [&] { return ::waitpid(init, &status, WUNTRACED | WNOHANG) == init && WIFSTOPPED(status); }));
  CHECK(::kill(init, SIGKILL) == 0);
  CHECK(eventually([&] { return ::waitpid(init, &status, WNOHANG) != 0; }));
}

TEST_CASE("when waitpid returns for pid 1 of a pid namespace everything in it is dead") {
  if (!needs_root()) return;
  // A pipe that twenty processes hold open, after the first of them was killed: 0 at its end, else errno.
  const auto read_after_kill = [](unsigned long flags) {
    int ends[4];
    REQUIRE((::pipe2(ends, O_CLOEXEC) == 0 && ::pipe2(ends + 2, O_CLOEXEC) == 0));
    const Fd held(ends[0]), until(ends[2]), stop(ends[3]);  // those who were not killed end with `stop`
    Fd hold(ends[1]);
    char byte = 'r';
    const auto first =
        static_cast<pid_t>(::syscall(SYS_clone, flags | SIGCHLD, nullptr, nullptr, nullptr, 0));
    REQUIRE(first >= 0);
    if (first == 0) {
      ::close(stop.get());
      for (int i = 0; i < 19 && ::fork() != 0; ++i) continue;
      ::_exit(::write(hold.get(), &byte, 1) == 1 && ::read(until.get(), &byte, 1) == 0 ? 0 : 1);
    }
    hold.reset();
    for (int i = 0; i < 20; ++i) {
      pollfd wait{held.get(), POLLIN, 0};
      REQUIRE(::poll(&wait, 1, 10000) == 1);
      REQUIRE(::read(held.get(), &byte, 1) == 1);
    }
    ::fcntl(held.get(), F_SETFL, O_NONBLOCK);
    ::kill(first, SIGKILL);
    REQUIRE(::waitpid(first, nullptr, 0) == first);
    return code_of(::read(held.get(), &byte, 1));
  };
  for (int i = 0; i < 10; ++i) CHECK(read_after_kill(CLONE_NEWPID) == 0);
  CHECK(read_after_kill(0) == EAGAIN);
  CHECK(eventually([] { return descendants().empty(); }));
}

TEST_CASE("a SEQPACKET socket's last message can be read after ECONNRESET") {
  const auto read_all = [](bool leave_unread) {
    int pair[2];
    REQUIRE(::socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) == 0);
    const Fd ours(pair[0]);
    Fd theirs(pair[1]);
    if (leave_unread) CHECK(::send(ours.get(), "ours", 4, 0) == 4);
    CHECK(::send(theirs.get(), "last", 4, 0) == 4);
    theirs.reset();
    std::string seen;
    char text[16];
    for (int i = 0; i < 3; ++i) {
      const ssize_t got = ::recv(ours.get(), text, sizeof text, MSG_DONTWAIT);
      seen += "," + (got < 0 ? std::to_string(errno) : std::string(text, static_cast<std::size_t>(got)));
    }
    return seen;
  };
  CHECK(read_all(true) == "," + std::to_string(ECONNRESET) + ",last,");
  CHECK(read_all(false) == ",last,,");
}

TEST_CASE("a new network namespace has sysctls of its own, and its links inherit them") {
  if (!needs_root()) return;
  const auto one = NetworkNamespace::create().value(), other = NetworkNamespace::create().value();
  const std::string conf = "ipv6/conf/";
  for (const std::string name : {"/accept_redirects", "/accept_ra"}) {
    const std::string host = sysctl({}, conf + "default" + name);
    set_sysctl(one, conf + "default" + name, "0");
    set_sysctl(other, conf + "default" + name, "1");
    CHECK(sysctl({}, conf + "default" + name) == host);
  }
  must(ip_batch(one.place(), "link add v type veth peer name v netns " + other.path() + "\n"));
  for (const std::string name : {"/accept_redirects", "/accept_ra"}) {
    CHECK(sysctl(one.place(), conf + "v" + name) == "0\n");
    CHECK(sysctl(other.place(), conf + "v" + name) == "1\n");
  }
}

TEST_CASE("ping_group_range is the namespace's own and opens ICMP sockets to whoever has no capability") {
  if (!needs_root()) return;
  const auto one = NetworkNamespace::create().value(), other = NetworkNamespace::create().value();
  const std::string path = "ipv4/ping_group_range";
  const std::string host = sysctl({}, path);
  const auto expect = [](const NetworkNamespace& network, int code) {
    for (const auto& [family, protocol] :
         {std::pair<int, int>{AF_INET, IPPROTO_ICMP}, {AF_INET6, IPPROTO_ICMPV6}}) {
      const Held child([&, family = family, protocol = protocol] {
        if (::setns(network.fd(), CLONE_NEWNET) != 0) return -1;
        become(kUser);
        return code_of(::socket(family, SOCK_DGRAM, protocol));
      });
      CHECK(child.result == code);
    }
  };
  expect(one, EACCES);
  set_sysctl(one, path, "0 2147483647");
  expect(one, 0);
  expect(other, EACCES);
  set_sysctl(other, path, std::to_string(kUser) + " " + std::to_string(kUser));  // as without root
  expect(other, 0);
  CHECK(sysctl({}, path) == host);
}
