// The other firewalls of the network namespace that the calling thread is in: which of their base chains can
// end a packet that the host forwards or sends. A foreign chain's drop beats our accept, whatever the
// priorities, so they have to be known; they are read and never changed.
//
// Rules are judged without their conditions, but for three that are common and say that they are not about a
// jail's packets: an interface, "ct state invalid" (a jail's router lets none out), and that no jump leads to
// them from the base chain. So "can drop" may be said of what does not; never the other way round.
#pragma once

#include <vector>

#include "netjail/base/result.h"
#include "netjail/nft/foreign.h"

namespace netjail {

// Of nf_tables (iptables-nft, ufw, firewalld and Docker among it) in the families ip, ip6 and inet, and of
// iptables-legacy, which nf_tables does not show; at the hooks prerouting, forward, output and postrouting.
// Chains that drop nothing, and netjail's own, are left out. Needs: CAP_NET_ADMIN over the namespace.
// `enough`: of a forward chain no more than what says that it can drop, and of others only what drops the
// rest (ForeignDrop::rest), which costs 50 us where there is none, also beside Docker (four times that in a
// cold process), and 7 ms for each thousand rules of a forward chain that has no policy drop; 0.8 ms with
// iptables-legacy.
enum class Detail { enough, all };
Result<std::vector<nft::ForeignChain>> list_dropping_chains(Detail detail);

}  // namespace netjail
