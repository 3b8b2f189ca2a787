// Policies written as people say them.
#pragma once

#include <string>
#include <vector>

#include "netjail/policy/policy.h"

namespace netjail::test {

// "allow example.com", "allow *.example.net 25/tcp 587/tcp", "deny 203.0.113.0/24", "allow internet";
// "local" at the end is local = true.
Policy policy_of(const std::vector<std::string>& rules);

}  // namespace netjail::test
