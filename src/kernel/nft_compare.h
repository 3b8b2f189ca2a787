// Is a rule that the kernel dumps the rule that was sent?
#pragma once

#include <linux/netlink.h>

#include <string>

namespace netjail {

// Two NEWRULE messages: the same expressions in the same order with the same values, and the same comment.
// `sent` is ours, `read` the kernel's.
bool same_rule(const nlmsghdr* sent, const nlmsghdr* read);
// The expressions of a NEWRULE message in one line, as nft --debug=netlink has them.
std::string describe_rule(const nlmsghdr* message);

}  // namespace netjail
