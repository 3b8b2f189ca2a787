// Proof before exec: packets sent from inside the jail must be counted by the rules that decide() names.
// Peers have fallen silently from "block" to "audit" for lack of it.
#pragma once

#include <map>

#include "netjail/kernel/child.h"
#include "netjail/kernel/nft.h"
#include "router.h"

namespace netjail {

// Sends the plan's proof packets and waits until their counters show them. Returns all counters as they are
// then: the baseline of the report.
Result<std::map<std::string, CounterValue>> prove(Router& router, const JailSockets& jail,
                                                  const JailAddresses& addresses, const Plan& plan);

}  // namespace netjail
