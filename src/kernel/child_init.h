// What init needs, prepared before clone: plain pointers and sizes, nothing that allocates.
#pragma once

#include <sys/types.h>

#include <csignal>
#include <cstddef>
#include <cstdint>

#include "netjail/kernel/child.h"

namespace netjail::init {

enum class Step : int {
  none,
  parent_death,
  session,
  network_namespace,
  loopback,
  sysctl,
  sockets,
  send_sockets,
  mount_namespace,
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

struct Prepared {
  char* const* argv;
  char* const* shell_argv;  // /bin/sh PATH ARGS..., for a script without an interpreter line
  char* const* envp;
  const char* const* candidates;  // NULL-terminated
  const char* cwd;
  uid_t uid;
  gid_t gid;
  const gid_t* groups;
  std::size_t group_count;
  const int* keep_fds;
  std::size_t keep_fd_count;
  const MountStep* mounts;
  std::size_t mount_count;
  int pin;
  const sock_filter* seccomp;
  std::size_t seccomp_length;
  bool listen;
  bool new_session;
  sigset_t signal_mask;  // of the caller, restored for the program
  int control;
};

struct Message {
  std::int32_t kind, value, code, detail;
};
inline constexpr std::int32_t kSocketsMessage = 100;  // carries descriptors
inline constexpr std::int32_t kGoMessage = 101;
inline constexpr std::int32_t kSignalMessage = 102;  // value: the signal

[[noreturn]] void run(const Prepared& prepared);
// Mounts one step; false with errno set.
bool mount_step(const MountStep& step, int pin);
// Files of MountStep::Kind::file wait in a tmpfs on /proc until proc is mounted over it.
bool prepare_mounts();

const char* step_name(Step step);

}  // namespace netjail::init
