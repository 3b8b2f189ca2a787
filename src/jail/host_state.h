// What jails share in the host: the constant table, the guards, the sysctls that were switched on.
//
// Every supervisor holds a shared flock on /run/netjail/<netns cookie>/lock for as long as it lives. The
// first one starts the keeper (keeper.h), who puts everything back when the last jail is gone. A record is
// written before the sysctl is changed, so no crash loses an old value. The netns cookie (SO_NETNS_COOKIE) is
// never used again while the machine is up, so that hosts of different namespaces do not mix.
#pragma once

#include "netjail/base/result.h"
#include "netjail/jail/jail.h"
#include "netjail/plan/plan.h"

namespace netjail {

inline constexpr const char* kRunFolder = "/run/netjail";

// Makes the host as the plan wants it. `folder`: the lock's, which is held.
Status make_host(const std::string& folder, const UplinkPlan& plan);

// Sets a sysctl below /proc/sys that nobody has to restore (of a link that dies with the jail).
Status set_sysctl(const SysctlSetting& setting);

}  // namespace netjail
