// The tables of iptables-legacy, which nf_tables does not show.
#pragma once

#include <vector>

#include "netjail/base/result.h"
#include "netjail/nft/foreign.h"

namespace netjail {

// Adds their chains that can drop a packet; see kernel/firewalls.h. Asks only for tables that are in use
// here, for to ask for another makes it. Needs: CAP_NET_ADMIN over the namespace.
Status list_legacy_chains(std::vector<nft::ForeignChain>& out);

}  // namespace netjail
