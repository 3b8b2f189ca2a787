// Rulesets in the kernel: built with libnftnl, sent over libnl's socket in one atomic batch
// (NFNL_MSG_BATCH_BEGIN ... END), every message acked, then read back and compared.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "netjail/base/result.h"
#include "netjail/kernel/netlink.h"
#include "netjail/nft/ruleset.h"

namespace netjail {

// Loads the table. With `exclusive` it must not exist yet (EEXIST is an error), else what is there stays and
// what is missing is added. Needs: CAP_NET_ADMIN over the socket's namespace. An error names the object
// ("rule 3 of chain forward: ...") and carries the kernel's words; nothing of the batch remains then.
Status load_ruleset(Netlink& netfilter, const nft::Ruleset& ruleset, bool exclusive);

// Reads the table back and compares chains (hook, priority, policy), rules (every expression, comment) and
// the elements of sets with `ruleset`; of a set with more than 20,000 elements a sample, and the number if
// the kernel tells it. An error names the first difference.
Status verify_ruleset(Netlink& netfilter, const nft::Ruleset& ruleset);

// True if the table exists in the socket's namespace.
Result<bool> table_exists(Netlink& netfilter, const std::string& table);
// Waits for RCU in the kernel (10-20 ms): only for the cleaner.
Status delete_table(Netlink& netfilter, const std::string& table);

struct CounterValue {
  std::uint64_t packets = 0;
  std::uint64_t bytes = 0;
};
// All named counters of the table.
Result<std::map<std::string, CounterValue>> read_counters(Netlink& netfilter, const std::string& table);
// One named counter.
Result<CounterValue> read_counter(Netlink& netfilter, const std::string& table, const std::string& name);

// The bytecode of every rule, in order, one text per rule in the form of `nft --debug=netlink`
// (nftnl_rule_snprintf): for the encoding test. Registers and expressions must equal what nft(8) makes of
// render_nft().
std::vector<std::string> describe_bytecode(const nft::Ruleset& ruleset);

}  // namespace netjail
