// Rulesets in the kernel: built with libnftnl, sent over libnl's socket in one atomic batch
// (NFNL_MSG_BATCH_BEGIN ... END), every message acked, then read back and compared.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "netjail/base/result.h"
#include "netjail/kernel/netlink.h"
#include "netjail/nft/ruleset.h"

namespace netjail {

// How a table is made.
struct TableOptions {
  bool persistent = false;  // own_table() can have it. Linux 6.9; EOPNOTSUPP before
  bool replace = false;     // the one of this name goes, in the same transaction
};

// The messages that make a table, encoded before there is a socket to send them through. Refers to the
// ruleset.
class EncodedRuleset {
 public:
  // An error when the kernel's formats cannot hold something of it.
  static Result<EncodedRuleset> encode(const nft::Ruleset& ruleset, TableOptions options = {});

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
  EncodedRuleset(const nft::Ruleset& ruleset, TableOptions options);
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
Status load_ruleset(Netlink& netfilter, const nft::Ruleset& ruleset, TableOptions options = {});
Status verify_ruleset(Netlink& netfilter, const nft::Ruleset& ruleset);

// Adds the elements of `more`'s sets to sets that exist, and puts its rules in front of those of their
// chains: all or nothing.
Status extend_ruleset(Netlink& netfilter, const nft::Ruleset& more);

struct TableInfo {
  std::uint64_t handle = 0;  // another one when it was deleted and made anew
  bool dormant = false;      // its chains are out of use: nft add table ... { flags dormant; }
  bool operator==(const TableInfo&) const = default;
};
// Nothing when there is none in the socket's namespace.
Result<std::optional<TableInfo>> find_table(Netlink& netfilter, const std::string& table);
// From now on nobody but this socket can change or delete the table, `nft flush ruleset` passes over it; when
// the socket is closed, it stays. Of a table that was made persistent and has no owner; else EOPNOTSUPP. One
// that is not there is made, without chains.
Status own_table(Netlink& netfilter, const std::string& table);
// A socket that can be read when any table of the namespace has changed, or (ENOBUFS) many have. The kernel
// then writes a message for each object that is loaded anywhere on the machine, in every namespace: measured
// 5 µs for each element of a set.
Result<Fd> watch_rulesets();
// Waits for RCU in the kernel (10-20 ms): only for the keeper.
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
