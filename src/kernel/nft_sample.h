// A look into a set that is too big to be read back whole.
#pragma once

#include <cstddef>
#include <string>

#include "netjail/kernel/netlink.h"
#include "netjail/nft/ruleset.h"

namespace netjail {

// Whether elements of `set` (which has `count`), spread over all of it, are in the kernel's. Each is found by
// its key.
Result<bool> has_sample(Netlink& netfilter, const std::string& table, const nft::Set& set, std::size_t count);

}  // namespace netjail
