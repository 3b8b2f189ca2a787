// The records in the host's folder below /run/netjail: what was changed, how it was before, and how it is put
// back.
#pragma once

#include <string>
#include <vector>

#include "netjail/base/result.h"
#include "netjail/kernel/netlink.h"
#include "netjail/plan/plan.h"

namespace netjail {

// Each writes its record before the change. A table that is there already must be what netjail makes.
Status switch_on(const std::string& folder, const SysctlSetting& setting);
Status ensure_table(Netlink& netfilter, const std::string& folder, const nft::Ruleset& table);
// Makes it so that the keeper can own it, where the kernel can; the kernel's error otherwise.
Status load_host_table(Netlink& netfilter, const nft::Ruleset& table, bool replace);

// The tables that were made here, by name.
std::vector<std::string> recorded_tables(const std::string& folder);

// Forwarding as it was. The tables stay.
void restore_sysctls(const std::string& folder);
// When all is as it was.
void remove_records(const std::string& folder);

}  // namespace netjail
