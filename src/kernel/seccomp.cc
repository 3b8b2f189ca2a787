#include "netjail/kernel/seccomp.h"

#include <span>

#include "seccomp_compile.h"

// The build writes it (seccomp_table/): the default policy's program for the machine that netjail is built
// for.
#ifdef NETJAIL_SECCOMP_TABLE
#include "seccomp_table.h"
#else
namespace netjail {
inline constexpr std::span<const sock_filter> kDefaultSeccompTable{};
}  // namespace netjail
#endif

namespace netjail {

Architecture native_architecture() {
#if defined(__x86_64__) && !defined(__ILP32__)
  return Architecture::x86_64;
#elif defined(__aarch64__) && !defined(__ILP32__)
  return Architecture::aarch64;
#else
#error "the seccomp filter knows x86_64 and aarch64"
#endif
}

Result<std::vector<sock_filter>> make_seccomp_filter(const SeccompPolicy& policy, Architecture architecture) {
  // Not compiling saves a tenth of a launch. tests/golden/seccomp.cc: the table is what the compiler would
  // say.
  const std::span<const sock_filter> table = kDefaultSeccompTable;
  if (!table.empty() && architecture == native_architecture()) {
    NJ_TRY_AS(const std::vector<int> wanted, family_numbers(policy));
    NJ_TRY_AS(const std::vector<int> usual, family_numbers(SeccompPolicy{kDefaultFamilies}));
    if (wanted == usual && !policy.user_namespaces && !policy.mount_namespaces)
      return std::vector<sock_filter>(table.begin(), table.end());
  }
  return compile_seccomp_filter(policy, architecture);
}

}  // namespace netjail
