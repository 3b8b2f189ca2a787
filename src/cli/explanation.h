// What `netjail explain` and `netjail check` say of a policy. Pure.
#pragma once

#include <string>
#include <vector>

#include "netjail/base/result.h"
#include "netjail/policy/policy.h"

namespace netjail {

struct Explanation {
  std::string text;      // a line for each flow, and what would change it
  bool allowed = false;  // every flow of the SPEC; of a name without a service, some flow
};
// `spec`: one address with services, or one name with or without. Fails for everything else.
Result<Explanation> explain(const Policy& policy, const ProfileRule& spec);

// Doubtful rules: "profile.toml:7: warning: ...".
std::vector<std::string> lint(const Policy& policy);

}  // namespace netjail
