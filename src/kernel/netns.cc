#include <sched.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <memory>

#include "netjail/kernel/child.h"

namespace netjail {
namespace {

struct Call {
  void (*open)(void*);
  void* argument;
  int error = 0;
};

int helper(void* argument) {
  auto* call = static_cast<Call*>(argument);
  call->open(call->argument);
  ::_exit(0);
}

}  // namespace

Status in_new_netns(void (*open)(void*), void* argument) {
  constexpr std::size_t kStack = 256 * 1024;
  const auto stack = std::make_unique_for_overwrite<std::byte[]>(kStack);
  Call call{open, argument};
  // CLONE_VM and CLONE_FILES: what it opens is ours. CLONE_VFORK: we wait, so that no two run in one memory.
  const int pid = ::clone(helper, stack.get() + kStack,
                          CLONE_VM | CLONE_VFORK | CLONE_FILES | CLONE_NEWNET | SIGCHLD, &call);
  if (pid < 0)
    return fail_errno("cannot make a network namespace for the router",
                      errno == EPERM ? "netjail needs root here: sudo netjail run ..."
                                     : "see user.max_net_namespaces in namespaces(7)");
  int status = 0;
  while (::waitpid(pid, &status, 0) < 0 && errno == EINTR) {
  }
  if (!WIFEXITED(status) || WEXITSTATUS(status) != 0)
    return fail("the helper that opens the router's sockets died");
  return {};
}

}  // namespace netjail
