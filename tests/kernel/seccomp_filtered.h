// A process with the filter, as the jail has it: no_new_privs, then seccomp(2).
#pragma once

#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <vector>

#include "netjail/kernel/seccomp.h"

namespace netjail::test {

// The default policy's program for this machine; empty when it cannot be made.
inline std::vector<sock_filter> default_filter() {
  return make_seccomp_filter(SeccompPolicy{kDefaultFamilies}, native_architecture())
      .value_or(std::vector<sock_filter>{});
}

// For the calling thread and what it starts.
inline bool install(const std::vector<sock_filter>& filter) {
  const sock_fprog program{static_cast<unsigned short>(filter.size()),
                           const_cast<sock_filter*>(filter.data())};
  return prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0 &&
         syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, &program) == 0;
}

}  // namespace netjail::test
