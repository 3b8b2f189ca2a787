#include <sched.h>
#include <seccomp.h>

#include <cerrno>
#include <memory>

#include "netjail/base/text.h"
#include "netjail/kernel/seccomp.h"
#include "netjail/os/fd.h"

namespace netjail {

std::optional<SeccompAttempt> refuse_attempt(int listener) {
  // Made anew each time: their sizes are the kernel's, which wants to find the first one empty.
  seccomp_notif* notice = nullptr;
  seccomp_notif_resp* answer = nullptr;
  if (seccomp_notify_alloc(&notice, &answer) != 0) return std::nullopt;
  const auto free = [answer](seccomp_notif* taken) { seccomp_notify_free(taken, answer); };
  const std::unique_ptr<seccomp_notif, decltype(free)> owned(notice, free);
  if (seccomp_notify_receive(listener, notice) != 0) return std::nullopt;
  SeccompAttempt attempt;
  attempt.user_namespace = (notice->data.args[0] & CLONE_NEWUSER) != 0;
  // The kernel holds him, so the pid is his.
  if (const auto name = read_file("/proc/" + std::to_string(notice->pid) + "/comm", 64))
    attempt.program = trim(*name);
  answer->id = notice->id;
  answer->error = -EPERM;
  answer->flags = 0;  // never SECCOMP_USER_NOTIF_FLAG_CONTINUE: the call is not what it was when it was read
  if (seccomp_notify_respond(listener, answer) != 0) return std::nullopt;
  return attempt;
}

}  // namespace netjail
