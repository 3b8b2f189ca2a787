// The filter as libseccomp compiles it, a third of a millisecond: what make_seccomp_filter does for a policy
// that has no ready table, and what the build runs once to make that table (seccomp_table/).
#pragma once

#include <vector>

#include "netjail/kernel/seccomp.h"

namespace netjail {

// Sorted numbers of the policy's families, each once. An unknown name is an error.
Result<std::vector<int>> family_numbers(const SeccompPolicy& policy);

Result<std::vector<sock_filter>> compile_seccomp_filter(const SeccompPolicy& policy,
                                                        Architecture architecture);

}  // namespace netjail
