// init: what runs between clone and exec, and in pid 1 afterwards.
#pragma once

#include <csignal>
#include <cstdint>

#include "child_shared.h"

namespace netjail::init {

enum class Step : int {
  none,
  parent_death,
  namespaces,
  router,
  jail,
  sysctl,
  sockets,
  session,
  mount,
  cwd,
  core_limit,
  keyring,
  bounding_set,
  groups,
  gid,
  uid,
  capabilities,
  no_new_privileges,
  descriptors,
  seccomp,
  fork,
  signals,
};
const char* step_name(Step step);

// What init knows from the fork on.
struct Start {
  int control;           // to the supervisor
  int start;             // the program waits here
  const Spec* spec;      // valid once kSpecMessage has come
  sigset_t signal_mask;  // of the caller, restored for the program
};

struct Message {
  std::int32_t kind, value, code, detail;
};
inline constexpr std::int32_t kSocketsMessage = 100;  // carries descriptors
inline constexpr std::int32_t kSpecMessage = 101;
inline constexpr std::int32_t kSignalMessage = 102;  // value: the signal
inline constexpr std::size_t kMostSockets = 10;

[[noreturn]] void run(const Start& start);

// child_network.cc: where it failed; `none` if it did not.
struct Failure {
  Step step = Step::none;
  int detail = 0;
};
struct Sockets {
  int fds[kMostSockets];  // in the order of RouterSockets and JailSockets
  std::size_t count = 0;
  int router_netns() const { return fds[0]; }
};
// Ends in the jail's network namespace. `proc`: a procfs.
Failure make_networks(int proc, Sockets& sockets);
const char* sysctl_name(int index);

// child_mount.cc: false with errno set.
// A procfs of the pid namespace, not yet attached: -1 with errno.
int make_proc();
// Files of MountStep::Kind::file wait in a tmpfs on /proc until `proc` is attached over it.
bool prepare_mounts();
bool mount_step(const Mount& step, int proc, int router_netns);

}  // namespace netjail::init
