// init: what runs between clone and exec, and in pid 1 afterwards.
#pragma once

#include <csignal>
#include <cstdint>

#include "child_shared.h"

namespace netjail::init {

enum class Step : int {
  none,
  parent_death,
  user_namespace,
  namespaces,
  proc,
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
  sockets_scope,
};
const char* step_name(Step step);

// What init knows from the fork on.
struct Start {
  int control;       // to the supervisor
  int start;         // the program waits here
  const Spec* spec;  // valid once kSpecMessage has come
  pid_t* init_pid;   // the kernel writes it when the launcher clones init
  pid_t supervisor;
  bool rootless;  // with uid and gid, those of the caller or of the owner
  uid_t uid;
  gid_t gid;
  const gid_t* groups;  // of the owner, for whom root acts; null: the caller acts for himself
  std::size_t group_count;
  sigset_t signal_mask;  // of the caller, restored for the program
};

struct Message {
  std::int32_t kind, value, code, detail;
};
// Carries descriptors; value: how many.
inline constexpr std::int32_t kSocketsMessage = 100;
inline constexpr std::int32_t kSpecMessage = 101;
inline constexpr std::int32_t kSignalMessage = 102;  // value: the signal
// From the launcher in its new user namespace: map its ids. The answer is a byte in `start`.
inline constexpr std::int32_t kMapMessage = 103;
// value: the index of a mount whose file was not there.
inline constexpr std::int32_t kMissedMessage = 104;
inline constexpr std::size_t kMostSockets = 6;  // of one message
inline constexpr std::size_t kMostTrees = 128;  // MountStep::Kind::shared

[[noreturn]] void run(const Start& start);

// To the supervisor; the last with at most kMostSockets descriptors.
[[noreturn]] void die(const Start& s, Step step, int detail = 0);
void send(int control, const Message& message);
bool send_with(int control, Message message, const int* fds, std::size_t count);
// By the parent-death signal. A change of ids, and a new user namespace, clear it.
void tie_to_supervisor(const Start& s);

// child_namespaces.cc: what needs no profile. For the mounts: a procfs, the router's network namespace.
struct Made {
  int proc, router;
};
Made make_namespaces(const Start& s);

// child_network.cc: where it failed; `none` if it did not.
struct Failure {
  Step step = Step::none;
  int detail = 0;
};
struct Sockets {
  // The router's: namespace, route, rules, log. The jail's: namespace, route, raw, udp, tcp, raw_ipv6.
  int fds[kMostSockets];
  std::size_t count = 0;
};
// Each leaves us in the network namespace that it made. `proc`: a procfs.
Failure make_router(int proc, Sockets& sockets);
// `ping_groups`: all groups that exist in the user namespace, for net.ipv4.ping_group_range.
Failure make_jail(int proc, const char* ping_groups, Sockets& sockets);
const char* sysctl_name(int index);

// child_landlock.cc: for the process that is to be the program.
void enter_landlock(const Start& s);

// child_mount.cc: false with errno set.
// A procfs of the pid namespace, not yet attached: -1 with errno.
int make_proc();
// Files of MountStep::Kind::file wait in a tmpfs on /proc until `proc` is attached over it.
bool prepare_mounts();
// `tree`: of Kind::shared, taken before the first step.
bool mount_step(const Mount& step, const Made& made, int tree, const Spec& spec);
// For steps with an inode; `over`: what is at the path, -1 if nothing is. False with errno 0: it is not that
// file.
bool cover(const Mount& step, int over);

// child_files.cc: the same.
bool mount_own(const char* target, const char* mode);
bool make_folder(const char* target, uid_t uid, gid_t gid);
bool make_empty_file(const char* target);
// What is at a path now, as a detached mount, and where it is to be found later.
int take_tree(const char* source);
bool mount_tree(int tree, const char* target);

}  // namespace netjail::init
