// What run, plan and doctor share: arguments to Plan.
#pragma once

#include "arguments.h"
#include "netjail/jail/jail.h"
#include "netjail/plan/plan.h"

namespace netjail {

struct Planned {
  Plan plan;
  HostLock lock;  // held if the plan is to be applied and has a way out
};

// `for_real`: the plan is to be applied, so root is needed and the host lock is taken before the host is
// read.
Result<Planned> plan_run(const Arguments& arguments, bool for_real);

}  // namespace netjail
