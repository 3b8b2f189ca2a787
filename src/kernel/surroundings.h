// What of the machine keeps netjail from making a jail, and who can change it. Mostly the kernel says EPERM
// to all of it; the hint of the failure says the rest.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "child_init.h"

namespace netjail {

struct Surroundings {
  bool root = false;                             // the caller's effective user is 0
  std::optional<std::uint64_t> clone;            // kernel.unprivileged_userns_clone, of Debian's kernels
  std::optional<std::uint64_t> user_namespaces;  // user.max_user_namespaces
  std::optional<std::uint64_t> net_namespaces;   // user.max_net_namespaces
  bool filter = false;                           // a system call filter refuses user namespaces
  bool apparmor = false;                         // kernel.apparmor_restrict_unprivileged_userns
  bool apparmor_profile = false;                 // netjail's own is installed
  std::string profile;                           // AppArmor's that confines us: of a container
  bool container = false;                        // by the marks that Docker, Podman and systemd leave
  bool covered = false;                          // something is mounted over a part of /proc or /sys
};
// Reads /proc, changes nothing.
Surroundings look_around();

// What to do about `step` that failed with `code`; empty when nothing more is known. Pure.
std::string find_remedy(init::Step step, int code, const Surroundings& around);

}  // namespace netjail
