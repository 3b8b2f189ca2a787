// What a NLMSG_ERROR or NLMSG_DONE says about a request.
#pragma once

#include <linux/netlink.h>

#include "netjail/base/result.h"

namespace netjail {

// `code` and `kernel` are filled; code 0: it went well. `request` is the message that is answered: the kernel
// points at its attributes.
Error parse_verdict(const nlmsghdr* answer, const nlmsghdr* request);

}  // namespace netjail
