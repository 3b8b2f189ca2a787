// The jail's process: a first process that makes the jail's namespaces, gives up every privilege, starts the
// program and is its init (pid 1 of the pid namespace): reaps, passes signals on, reports how the program
// ends.
//
//   supervisor ── clone(CLONE_NEWPID) ──> init ── fork ──> the program
//        └────────── control socket ────────┘
//
// Between clone and exec only raw, async-signal-safe calls are made, from what Child::spawn prepared; a
// failure is reported as {step, errno} over the control socket. init makes its network namespace, hands the
// sockets that it opened there to the supervisor, mounts, drops everything, says "ready" and waits for go().
// The program starts only after go(); when the supervisor dies before or after, PR_SET_PDEATHSIG and the
// closed control socket end init and with it everything in the pid namespace.
#pragma once

#include <linux/filter.h>
#include <sys/types.h>

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "netjail/base/result.h"
#include "netjail/os/fd.h"

namespace netjail {

struct MountStep {
  enum class Kind : std::uint8_t { proc, sysfs, devices, file, empty, read_only, cgroup, pin };
  Kind kind = Kind::proc;
  std::string target;  // file, empty, read_only
  std::string text;    // file: its contents; devices: path of the caller's terminal, may be empty
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
  std::vector<MountStep> mounts;
  int pin = -1;  // namespace file that MountStep::Kind::pin mounts out of reach, so that it lives as long as
                 // the jail
  std::vector<sock_filter> seccomp;
  bool listen = false;       // open the resolver's sockets on 127.0.0.1:53
  bool new_session = false;  // no controlling terminal: setsid(2)
};

// Opened by init inside the jail's network namespace; they keep it.
struct JailSockets {
  Fd netns;     // the namespace itself
  Fd route;     // NETLINK_ROUTE
  Fd raw;       // IPPROTO_RAW, IPv4, header included
  Fd raw_ipv6;  // the same for IPv6; invalid on a host without IPv6
  Fd udp;       // 127.0.0.1:53, if asked for
  Fd tcp;       // listening there
};

struct ChildEvent {
  enum class Kind : std::uint8_t { ready, failed, exec_failed, stopped, exited, signalled };
  Kind kind = Kind::ready;
  int value = 0;   // failed: step; stopped: signal; exited: status; signalled: signal
  int code = 0;    // errno of failed and exec_failed
  int detail = 0;  // failed: index of the mount
};

class Child {
 public:
  // Needs: CAP_SYS_ADMIN. Should be called while the process is single-threaded and small: it is copied.
  static Result<Child> spawn(const ChildSpec& spec);
  Child(Child&&) = default;
  Child& operator=(Child&&) = delete;
  ~Child();  // kills init, and with it the pid namespace, and reaps it

  Result<JailSockets> receive_sockets();
  Status wait_ready();
  Status go();
  // The next event, or nothing when init is gone.
  Result<std::optional<ChildEvent>> read_event();
  Error describe_failure(const ChildEvent& event) const;
  void send_signal(int signal);  // to the program

  int control() const { return control_.get(); }
  pid_t pid() const { return pid_; }
  // Waits for init; true if it ended by itself.
  void reap();
  void kill();

 private:
  Child(pid_t pid, Fd control, const ChildSpec& spec);
  pid_t pid_;
  Fd control_;
  std::vector<MountStep> mounts_;
  std::string command_;
  std::string cwd_;
  bool reaped_ = false;
};

// Runs `open` in a new network namespace, in a helper that shares this process's memory and descriptors
// (vfork semantics), so that what it opens stays open here. No other code enters the router's namespace.
Status in_new_netns(void (*open)(void*), void* argument);

}  // namespace netjail
