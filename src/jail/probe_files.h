// What the plan needs to know of the host's files. Read-only.
#pragma once

#include "mount_table.h"
#include "netjail/plan/plan.h"

namespace netjail {

// Fills meeting_places, paths and sockets.
Status probe_files(const HostQuestions& questions, const std::vector<MountEntry>& mounts, HostFacts& facts);

}  // namespace netjail
