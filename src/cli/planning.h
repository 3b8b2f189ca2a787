// What run, plan and doctor share: arguments to Plan.
#pragma once

#include "arguments.h"
#include "netjail/jail/jail.h"
#include "netjail/plan/plan.h"

namespace netjail {

struct Planned {
  Plan plan;
  HostLock lock;                    // held if the plan is to be applied and has a way out
  std::optional<LocalWatch> watch;  // there if that way is without root
};

// What --keep-fd names, checked: to be asked before netjail opens descriptors of its own.
Result<std::vector<int>> kept_descriptors(const Arguments& arguments);

// `for_real`: the plan is to be applied, so the host lock is taken, where one is needed, before the host is
// read.
Result<Planned> plan_run(const Arguments& arguments, const std::vector<int>& keep_fds, bool for_real);

}  // namespace netjail
