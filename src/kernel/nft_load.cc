#include <linux/netfilter/nf_tables.h>
#include <linux/netfilter/nfnetlink.h>

#include <algorithm>
#include <cerrno>

#include "netjail/base/format.h"
#include "netjail/kernel/nft.h"
#include "nft_compare.h"
#include "nft_message.h"

namespace netjail {
namespace {

enum class Kind : std::uint8_t { table, counter, set, elements, chain, rule };
// What a message is about: the object's place in the ruleset, named only when something fails.
struct Subject {
  Kind kind = Kind::table;
  std::size_t index = 0;
  std::size_t rule = 0;
};

std::string name_of(const Subject& subject, const nft::Ruleset& ruleset) {
  switch (subject.kind) {
    case Kind::table: break;
    case Kind::counter:
      return fmt::format("counter {} of table {}", ruleset.counters[subject.index].name, ruleset.table);
    case Kind::set: return fmt::format("set {} of table {}", ruleset.sets[subject.index].name, ruleset.table);
    case Kind::elements:
      return fmt::format("the elements of set {} of table {}", ruleset.sets[subject.index].name,
                         ruleset.table);
    case Kind::chain:
      return fmt::format("chain {} of table {}", ruleset.chains[subject.index].name, ruleset.table);
    case Kind::rule: {
      const nft::Chain& chain = ruleset.chains[subject.index];
      const std::string& comment = chain.rules[subject.rule].comment;
      return fmt::format("rule {} of chain {} of table {}{}", subject.rule + 1, chain.name, ruleset.table,
                         comment.empty() ? "" : " (" + comment + ")");
    }
  }
  return fmt::format("table {}", ruleset.table);
}

std::string hint_for(int code, Kind kind) {
  switch (code) {
    case EPERM: return "this needs CAP_NET_ADMIN in the user namespace that owns the network namespace";
    case EOPNOTSUPP:
      return kind == Kind::table
                 ? "this kernel has no nf_tables, or its module is not loaded: modprobe nf_tables"
                 : "";
    case EEXIST: return kind == Kind::table ? "a table of this name exists: nft list tables" : "";
    case ENOENT:
      return kind == Kind::rule ? "the kernel module of one of its expressions may be missing: nft_fib_inet, "
                                  "nft_reject_inet, nft_masq, nft_log, nft_limit, nft_ct"
                                : "";
    default: return {};
  }
}

// The messages that make a ruleset, without the marks of a batch, and what each is about.
class Messages {
 public:
  explicit Messages(const nft::Ruleset& ruleset) : ruleset_(ruleset) {}

  void add_objects(bool exclusive) {
    add({Kind::table},
        [&] { put_table(buffer_, ruleset_.table, exclusive ? NLM_F_CREATE | NLM_F_EXCL : NLM_F_CREATE); });
    for (std::size_t i = 0; i < ruleset_.sets.size(); ++i) {
      add({Kind::set, i},
          [&] { put_set(buffer_, ruleset_.table, ruleset_.sets[i], static_cast<std::uint32_t>(i + 1)); });
      add({Kind::elements, i}, [&] { put_elements(buffer_, ruleset_.table, ruleset_.sets[i]); });
    }
    for (std::size_t i = 0; i < ruleset_.chains.size(); ++i)
      add({Kind::chain, i}, [&] { put_chain(buffer_, ruleset_.table, ruleset_.chains[i]); });
  }
  void add_counter(std::size_t i) {
    add({Kind::counter, i}, [&] { put_counter(buffer_, ruleset_.table, ruleset_.counters[i]); });
  }
  void add_rule(std::size_t chain, std::size_t i) {
    const nft::Chain& owner = ruleset_.chains[chain];
    add({Kind::rule, chain, i}, [&] { put_rule(buffer_, ruleset_.table, owner.name, owner.rules[i]); });
  }

  // Sends them as one batch. Where net.core.wmem_max binds us (rootless) and they do not fit, as several:
  // then `sent` says whether anything was done before a failure.
  Status send(Netlink& netfilter, std::uint32_t generation, bool& sent) {
    constexpr std::size_t kMarks = 2 * NLMSG_ALIGN(NLMSG_HDRLEN + sizeof(nfgenmsg)) + 2 * sizeof(nlattr);
    const auto all = buffer_.bytes();
    const std::size_t room = netfilter.sendable(all.size() + kMarks) - kMarks;
    std::size_t first = 0;
    for (std::size_t at = 0; at < all.size();) {
      MessageBuffer batch;
      begin_batch(batch, at == 0 ? generation : 0);
      std::size_t size = 0, count = 0;
      while (at < all.size()) {
        const auto* message = reinterpret_cast<const nlmsghdr*>(all.data() + at);
        if (count > 0 && size + message->nlmsg_len > room) break;
        batch.add(message);
        size += NLMSG_ALIGN(message->nlmsg_len);
        at += NLMSG_ALIGN(message->nlmsg_len);
        ++count;
      }
      end_batch(batch);
      if (auto done = netfilter.transact(batch); !done) return failed(std::move(done).error(), first, count);
      sent = true;
      first += count;
    }
    return {};
  }

 private:
  template <class Put>
  void add(Subject subject, const Put& put) {
    put();
    subjects_.resize(buffer_.messages(), subject);
  }

  // Message 0 of a batch is its begin, and what fails when the whole is committed is reported for it.
  Status failed(NetlinkFailure failure, std::size_t first, std::size_t count) const {
    Subject subject;
    if (failure.message > 0 && failure.message <= count) subject = subjects_[first + failure.message - 1];
    failure.error.what = "cannot load " + name_of(subject, ruleset_);
    failure.error.hint = hint_for(failure.error.code, subject.kind);
    return std::unexpected(std::move(failure.error));
  }

  const nft::Ruleset& ruleset_;
  MessageBuffer buffer_;
  std::vector<Subject> subjects_;
};

Status load_new(Netlink& netfilter, const nft::Ruleset& ruleset) {
  Messages messages(ruleset);
  messages.add_objects(true);
  for (std::size_t i = 0; i < ruleset.counters.size(); ++i) messages.add_counter(i);
  for (std::size_t chain = 0; chain < ruleset.chains.size(); ++chain)
    for (std::size_t i = 0; i < ruleset.chains[chain].rules.size(); ++i) messages.add_rule(chain, i);
  bool sent = false;
  Status status = messages.send(netfilter, 0, sent);
  if (!status && sent) (void)delete_table(netfilter, ruleset.table);  // the first failure is what matters
  return status;
}

Result<std::uint32_t> read_generation(Netlink& netfilter) {
  MessageBuffer request;
  begin_nft(request, NFT_MSG_GETGEN, 0);
  std::uint32_t generation = 0;
  NJ_TRY(
      netfilter.request(request, "cannot read the generation of the ruleset", [&](const nlmsghdr* message) {
        const auto id = find_attribute(message_attributes(message, sizeof(nfgenmsg)), NFTA_GEN_ID);
        if (id) generation = big_endian<std::uint32_t>(*id);
      }));
  return generation;
}

// One rule of the ruleset and whether the kernel has it.
struct Wanted {
  std::size_t chain = 0;
  std::size_t rule = 0;
  std::size_t offset = 0;  // of its message in the buffer of expected ones
  bool present = false;
};

Result<std::vector<Wanted>> find_rules(Netlink& netfilter, const nft::Ruleset& ruleset) {
  MessageBuffer expected;
  std::vector<Wanted> wanted;
  for (std::size_t chain = 0; chain < ruleset.chains.size(); ++chain)
    for (std::size_t i = 0; i < ruleset.chains[chain].rules.size(); ++i) {
      wanted.push_back({chain, i, expected.bytes().size()});
      put_rule(expected, ruleset.table, ruleset.chains[chain].name, ruleset.chains[chain].rules[i]);
    }
  MessageBuffer request;
  begin_nft(request, NFT_MSG_GETRULE, NLM_F_DUMP);
  request.put_string(NFTA_RULE_TABLE, ruleset.table);
  NJ_TRY(netfilter.request(
      request, "cannot read the rules of table " + ruleset.table, [&](const nlmsghdr* read) {
        const auto name = find_attribute(message_attributes(read, sizeof(nfgenmsg)), NFTA_RULE_CHAIN);
        const auto found = std::find_if(wanted.begin(), wanted.end(), [&](const Wanted& rule) {
          const auto* sent = reinterpret_cast<const nlmsghdr*>(expected.bytes().data() + rule.offset);
          return !rule.present && name && text_of(*name) == ruleset.chains[rule.chain].name &&
                 same_rule(sent, read);
        });
        if (found != wanted.end()) found->present = true;
      }));
  return wanted;
}

// Adds to a table that may exist. Made for the one shared table of the host: `generation` makes reading and
// adding atomic, so that two launches at once do not add a rule twice.
Status add_missing(Netlink& netfilter, const nft::Ruleset& ruleset, std::uint32_t generation) {
  Messages messages(ruleset);
  messages.add_objects(false);
  NJ_TRY_AS(const auto counters, read_counters(netfilter, ruleset.table));
  for (std::size_t i = 0; i < ruleset.counters.size(); ++i)
    if (!counters.contains(ruleset.counters[i].name)) messages.add_counter(i);
  NJ_TRY_AS(const auto rules, find_rules(netfilter, ruleset));
  for (const Wanted& rule : rules)
    if (!rule.present) messages.add_rule(rule.chain, rule.rule);
  bool sent = false;
  return messages.send(netfilter, generation, sent);
}

}  // namespace

Status load_ruleset(Netlink& netfilter, const nft::Ruleset& ruleset, bool exclusive) {
  NJ_TRY(check_limits(ruleset));
  if (exclusive) return load_new(netfilter, ruleset);
  Status status;
  for (int attempt = 0; attempt < 20; ++attempt) {
    NJ_TRY_AS(const std::uint32_t generation, read_generation(netfilter));
    // Reading takes no lock of the kernel's, and the shared table is complete at every launch but the first.
    if (verify_ruleset(netfilter, ruleset)) return {};
    status = add_missing(netfilter, ruleset, generation);
    if (status || (status.error().code != ERESTART && status.error().code != EINTR)) break;
  }
  return status;
}

Result<bool> table_exists(Netlink& netfilter, const std::string& table) {
  MessageBuffer request;
  begin_nft(request, NFT_MSG_GETTABLE, 0);
  request.put_string(NFTA_TABLE_NAME, table);
  const Status status = netfilter.request(request, "cannot look for table " + table);
  if (status) return true;
  if (status.error().code == ENOENT) return false;
  return std::unexpected(status.error());
}

Status delete_table(Netlink& netfilter, const std::string& table) {
  MessageBuffer batch;
  begin_batch(batch);
  begin_nft(batch, NFT_MSG_DELTABLE, 0);
  batch.put_string(NFTA_TABLE_NAME, table);
  end_batch(batch);
  return netfilter.request(batch, "cannot delete table " + table);
}

}  // namespace netjail
