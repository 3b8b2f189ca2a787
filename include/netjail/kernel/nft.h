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

// The messages that make a table, encoded before there is a socket to send them through. Refers to the
// ruleset.
class EncodedRuleset {
 public:
  // An error when the kernel's formats cannot hold something of it.
  static Result<EncodedRuleset> encode(const nft::Ruleset& ruleset);

  // Makes the table, which must not exist yet (else EEXIST). Needs: CAP_NET_ADMIN over the socket's
  // namespace. An error names the object ("rule 3 of chain forward: ...") and carries the kernel's words;
  // nothing of the batch remains then.
  Status load(Netlink& netfilter) const;

  // Reads the table back and compares chains (hook, priority, policy), rules (every expression, comment) and
  // the elements of sets; of a set with more than 20,000 elements a sample, and the number if the kernel
  // tells it; of a set that learns its type and size. An error names the first difference.
  Status verify(Netlink& netfilter) const;

 private:
  enum class Kind : std::uint8_t { table, counter, set, elements, chain, rule };
  // What a message is about: the object's place in the ruleset, named only when something fails.
  struct Subject {
    Kind kind = Kind::table;
    std::size_t index = 0;
    std::size_t rule = 0;
  };
  explicit EncodedRuleset(const nft::Ruleset& ruleset);
  template <class Put>
  void add(Subject subject, const Put& put);
  Status send(Netlink& netfilter, bool& sent) const;
  Status failed(NetlinkFailure failure, std::size_t first, std::size_t count) const;
  std::string name_of(const Subject& subject) const;
  static std::string hint_for(int code, Kind kind);

  const nft::Ruleset* ruleset_;
  MessageBuffer messages_;
  std::vector<Subject> subjects_;
};
// Encoded and used at once.
Status load_ruleset(Netlink& netfilter, const nft::Ruleset& ruleset);
Status verify_ruleset(Netlink& netfilter, const nft::Ruleset& ruleset);

// Adds the elements of `more`'s sets to sets that exist, and puts its rules in front of those of their
// chains: all or nothing.
Status extend_ruleset(Netlink& netfilter, const nft::Ruleset& more);

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
