// The seccomp filter of the jail: which socket families exist, and the system calls that lead around a packet
// filter. Compiled by libseccomp into classic BPF, a value; installed with seccomp(2) as the last step before
// exec.
#pragma once

#include <linux/filter.h>

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "netjail/base/result.h"

namespace netjail {

enum class Architecture : std::uint8_t { x86_64, aarch64 };
Architecture native_architecture();

struct SeccompPolicy {
  std::vector<std::string> families;  // names of address_families(7), lower case, without AF_
  bool user_namespaces = false;       // new namespaces can be made, in a user namespace of one's own
  bool mount_namespaces = false;      // these, too, and mounts in them; only with the others
  bool operator==(const SeccompPolicy&) const = default;
};

// Names that `families` accepts, and the number of one. Unknown name: nothing.
std::vector<std::string> family_names();
std::optional<int> family_number(const std::string& name);
inline const std::vector<std::string> kDefaultFamilies{"unix", "inet", "inet6", "netlink"};

// The program for one architecture. Pure: the same policy gives the same program on every machine.
Result<std::vector<sock_filter>> make_seccomp_filter(const SeccompPolicy& policy, Architecture architecture);
// Who expects a user namespace (a browser, bubblewrap) needs to be told why there is none: without
// `mount_namespaces` the filter hands each attempt at a new namespace that it refuses to whoever holds its
// listener (seccomp_unotify(2)). When nobody does the call answers ENOSYS.
struct SeccompAttempt {
  std::string program;  // its name as the kernel has it: 15 octets of the program's choice; may be empty
  bool user_namespace = false;
};
// Refuses the one who waits, with EPERM; nothing when he has ended meanwhile. `listener`: readable.
std::optional<SeccompAttempt> refuse_attempt(int listener);

// One line per instruction, for the golden test and `plan`.
std::string render_seccomp(const std::vector<sock_filter>& program);

}  // namespace netjail
