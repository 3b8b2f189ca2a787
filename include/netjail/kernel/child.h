// The jail's process: a first process that makes the jail's namespaces, gives up every privilege, starts the
// program and is its init (pid 1 of the pid namespace): reaps, passes signals on, reports how the program
// ends.
//
//   supervisor ── clone(CLONE_NEWPID) ──> init ── fork ──> the program
//        └────────── control socket ────────┘
//
// Without root a launcher comes between: it makes a user namespace with the router in it, and in that clones
// init, in a user namespace below, as a child of the supervisor. So nothing in the jail has any capability
// over the router, while the supervisor, whose user owns the upper namespace, has all of them. Then
// it ends.
//
// init is forked first thing, while the supervisor is small: a fork copies page tables, and each page that is
// written afterwards is copied too. While the supervisor reads the profile and the host, init makes the two
// network namespaces and hands the sockets that it opened there over; a netlink socket keeps the namespace it
// was opened in (network_namespaces(7)). Then it is told the rest through memory that both share
// (child_shared.h), mounts, drops everything, installs the seccomp filter, forks the program and says
// "ready". The program executes after go(). Only async-signal-safe calls are made; a failure is
// reported as {step, errno} over the control socket. When the supervisor dies before or after, the parent
// death signal and the closed sockets end init and with it everything in the pid namespace.
#pragma once

#include <linux/filter.h>
#include <sys/types.h>

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "netjail/base/result.h"
#include "netjail/os/fd.h"

namespace netjail {

struct MountStep {
  enum class Kind : std::uint8_t {
    proc,
    sysfs,
    devices,
    file,
    empty,
    read_only,
    cgroup,
    pin,
    null,
    own,
    make_folder,
    make_file,
    shared
  };
  Kind kind = Kind::proc;
  std::string target;  // of all but proc, sysfs, devices, cgroup, pin
  // file: its contents; devices: path of the caller's terminal, may be empty; own: its mode, octal
  std::string text;
  // null, empty: of what is to be covered, as stat(2) has it; inode 0: whatever is there. Another file is not
  // covered, but told (wait_ready), nor one with another number of names than `links`, if that is not 0.
  // shared: the same, but an error.
  std::uint64_t device = 0;
  std::uint64_t inode = 0;
  std::uint64_t links = 0;
};

struct ChildSpec {
  std::vector<std::string> command;      // argv
  std::vector<std::string> candidates;   // paths tried in order, as execvp(3) would
  std::vector<std::string> environment;  // NAME=value
  std::string cwd;
  uid_t uid = 0;
  gid_t gid = 0;
  std::vector<gid_t> groups;
  std::vector<int> keep_fds;
  std::vector<MountStep> mounts;  // pin: the router's namespace, out of reach, for as long as the jail lives
  std::vector<std::string> sockets;  // unix sockets outside that may be reached, by path
  bool scope_sockets = false;        // where the kernel can, no other one (Landlock, Linux 7.1)
  bool no_socket_names = false;      // make, link or rename no socket's file (Landlock, Linux 5.19)
  std::vector<sock_filter> seccomp;
  bool seccomp_listener = false;  // the filter hands calls over: take_listener()
  bool new_session = false;       // no controlling terminal: setsid(2)
};

// Opened inside the router's namespace. It forwards IPv6 and sends no redirects; lo is down.
struct RouterSockets {
  Fd netns;  // the namespace itself
  Fd route;  // NETLINK_ROUTE
  Fd rules;  // NETLINK_NETFILTER
  Fd log;    // NETLINK_NETFILTER, for NFLOG
};

// Opened inside the jail's. lo is up; links accept no redirects and no router advertisements.
struct JailSockets {
  Fd netns;
  Fd route;
  Fd raw;       // IPPROTO_RAW, IPv4, header included
  Fd udp;       // the resolver's, 127.0.0.1:53
  Fd tcp;       // listening there
  Fd raw_ipv6;  // as raw; invalid on a host without IPv6
};

struct ChildEvent {
  enum class Kind : std::uint8_t { ready, failed, exec_failed, stopped, exited, signalled };
  Kind kind = Kind::ready;
  int value = 0;   // failed: step; stopped: signal; exited: status; signalled: signal
  int code = 0;    // errno of failed and exec_failed
  int detail = 0;  // failed: index of the mount or sysctl
};

// Whether Landlock keeps the program from every unix socket that was bound outside the jail, whenever that
// was (Linux 7.1).
bool can_scope_sockets();

class SharedSpec;

// A user for whom root acts.
struct Owner {
  uid_t uid = 0;
  gid_t gid = 0;
  std::vector<gid_t> groups;
};

class Child {
 public:
  // Forks init and returns at once; without root in user namespaces. To be called while the process is
  // single-threaded, small, and has no descriptors of its own that must not be inherited unseen.
  static Result<Child> spawn();
  // As if he had called. Needs: root, who stays root: the launcher becomes him, and is never dumpable, so
  // that none of his processes gets at what it inherits.
  static Result<Child> spawn_as(const Owner& owner);
  Child(Child&&) noexcept;
  Child& operator=(Child&&) = delete;
  ~Child();  // kills init, and with it the pid namespace, and reaps it

  // In this order, each once. Those that wait give up after 20 seconds.
  Status prepare(const ChildSpec& spec);
  Result<RouterSockets> receive_router();
  Result<JailSockets> receive_jail();
  // The indexes of the mounts that were to cover what was not there any more.
  Result<std::vector<std::size_t>> wait_ready();
  Fd take_listener();  // of the seccomp filter; invalid if it has none
  Status go();
  // The next event, or nothing when init is gone.
  Result<std::optional<ChildEvent>> read_event();
  Error describe_failure(const ChildEvent& event) const;
  void send_signal(int signal);  // to the program

  int control() const { return control_.get(); }
  // Waits for init; true if it ended by itself.
  void reap();
  void kill();

 private:
  Child(pid_t pid, pid_t launcher, Fd control, Fd start, std::unique_ptr<SharedSpec> shared);
  static Result<Child> spawn(const Owner* owner);
  Status map_ids() const;
  Result<std::size_t> receive_sockets(std::span<Fd> received);
  void dismiss_launcher();
  pid_t pid_;       // of init; -1: the launcher has not made it yet
  pid_t launcher_;  // -1: none, or reaped
  Fd control_;
  Fd listener_;
  Fd start_;  // the program executes when a byte comes, and ends when it is closed without
  std::unique_ptr<SharedSpec> shared_;
  std::vector<MountStep> mounts_;
  std::string command_;
  std::string cwd_;
  std::optional<Owner> owner_;  // whose ids we map
  bool listens_ = false;
  bool reaped_ = false;
};

}  // namespace netjail
