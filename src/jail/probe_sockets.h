// Where the host's unix sockets are, by every path at which the jail would find them. Read-only.
//
// The kernel lists them with the path that each was bound at, which need not be where it is: it can be
// relative, or of another mount namespace, or the file or a folder above it has been renamed, or the file has
// a second name. So each that is found is ticked off, by device and inode. What is left over and can have
// been moved by the user inside could be anywhere: HostFacts::lost_sockets. Nobody searches for it: a search
// that overlooks one folder would be the way in, and one that does not takes seconds.
#pragma once

#include <vector>

#include "mount_table.h"
#include "netjail/plan/plan.h"

namespace netjail {

// Fills sockets, socket_folders and lost_sockets. Needs: the rights of the user inside, meeting_places,
// paths.
Status probe_sockets(const HostQuestions& questions, const std::vector<MountEntry>& mounts, HostFacts& facts);

}  // namespace netjail
