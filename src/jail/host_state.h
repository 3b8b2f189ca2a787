// What jails share in the host: the constant table, the guards, the sysctls that were switched on, and who
// puts them back.
//
// Every supervisor holds a shared flock on /run/netjail/<netns cookie>/lock for as long as it lives. The
// first one starts the cleaner, a detached process that waits for the exclusive lock: it gets it when the
// last jail is gone, however it went (SIGKILL too), waits a moment for the next run, then restores every
// recorded sysctl, deletes the tables and ends. A record is written before the sysctl is changed, so no crash
// loses an old value. The netns cookie (SO_NETNS_COOKIE) is never used again while the machine is up, so that
// hosts of different namespaces do not mix.
#pragma once

#include "netjail/base/result.h"
#include "netjail/jail/jail.h"
#include "netjail/plan/plan.h"

namespace netjail {

// Makes the host as the plan wants it; `lock` is held.
Status make_host(const HostLock& lock, const UplinkPlan& plan);

// Sets a sysctl below /proc/sys that nobody has to restore (of a link that dies with the jail).
Status set_sysctl(const SysctlSetting& setting);

}  // namespace netjail
