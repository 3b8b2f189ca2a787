// Where the host's unix sockets are, by every path at which the jail would find them. Read-only.
//
// The kernel lists them with the path that each was bound at, which need not be where it is: it can be
// relative, or the file or a folder above it has been renamed, or the file has a second name. So each that a
// folder shows is ticked off, by device and inode, and what is left over is looked for until it is found.
#pragma once

#include <vector>

#include "mount_table.h"
#include "netjail/plan/plan.h"

namespace netjail {

// Fills sockets and socket_folders. Error: one of the user's own sockets may be where nobody has looked.
Status probe_sockets(const HostQuestions& questions, const std::vector<MountEntry>& mounts, HostFacts& facts);

}  // namespace netjail
