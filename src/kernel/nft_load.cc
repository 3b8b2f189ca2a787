#include <linux/netfilter/nf_tables.h>
#include <linux/netfilter/nfnetlink.h>
#include <sys/socket.h>

#include <algorithm>
#include <cerrno>

#include "netjail/base/format.h"
#include "netjail/kernel/nft.h"
#include "nft_compare.h"
#include "nft_message.h"

namespace netjail {
namespace {

constexpr std::uint32_t kPersistent = 4;  // NFT_TABLE_F_PERSIST; not in Debian 12's headers

void put_table_deletion(MessageBuffer& out, const std::string& table) {
  begin_nft(out, NFT_MSG_DELTABLE, 0);
  out.put_string(NFTA_TABLE_NAME, table);
}

}  // namespace

std::string EncodedRuleset::name_of(const Subject& subject) const {
  const nft::Ruleset& ruleset = *ruleset_;
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

std::string EncodedRuleset::hint_for(int code, Kind kind) {
  switch (code) {
    case EPERM: return "this needs CAP_NET_ADMIN in the user namespace that owns the network namespace";
    case EOPNOTSUPP:
      return kind == Kind::table
                 ? "this kernel has no nf_tables, or its module is not loaded: modprobe nf_tables"
                 : "";
    case EEXIST: return kind == Kind::table ? "a table of this name exists: nft list tables" : "";
    case ENOENT:
      return kind == Kind::rule ? "the kernel module of one of its expressions may be missing: nft_fib_inet, "
                                  "nft_reject_inet, nft_masq, nft_log, nft_limit, nft_ct, nft_connlimit"
                                : "";
    default: return {};
  }
}

template <class Put>
void EncodedRuleset::add(Subject subject, const Put& put) {
  put();
  subjects_.resize(messages_.messages(), subject);
}

EncodedRuleset::EncodedRuleset(const nft::Ruleset& ruleset, TableOptions options) : ruleset_(&ruleset) {
  const std::string& table = ruleset.table;
  if (options.replace) add({Kind::table}, [&] { put_table_deletion(messages_, table); });
  add({Kind::table},
      [&] { put_table(messages_, table, NLM_F_CREATE | NLM_F_EXCL, options.persistent ? kPersistent : 0); });
  for (std::size_t i = 0; i < ruleset.sets.size(); ++i) {
    add({Kind::set, i},
        [&] { put_set(messages_, table, ruleset.sets[i], static_cast<std::uint32_t>(i + 1)); });
    add({Kind::elements, i}, [&] { put_elements(messages_, table, ruleset.sets[i]); });
  }
  for (std::size_t i = 0; i < ruleset.chains.size(); ++i)
    add({Kind::chain, i}, [&] { put_chain(messages_, table, ruleset.chains[i]); });
  for (std::size_t i = 0; i < ruleset.counters.size(); ++i)
    add({Kind::counter, i}, [&] { put_counter(messages_, table, ruleset.counters[i]); });
  for (std::size_t i = 0; i < ruleset.chains.size(); ++i) {
    const nft::Chain& chain = ruleset.chains[i];
    for (std::size_t rule = 0; rule < chain.rules.size(); ++rule)
      add({Kind::rule, i, rule}, [&] { put_rule(messages_, table, chain.name, chain.rules[rule]); });
  }
}

Result<EncodedRuleset> EncodedRuleset::encode(const nft::Ruleset& ruleset, TableOptions options) {
  NJ_TRY(check_limits(ruleset));
  return EncodedRuleset(ruleset, options);
}

// Sends them as one batch. Where net.core.wmem_max binds us (rootless) and they do not fit, as several:
// then `sent` says whether anything was done before a failure.
Status EncodedRuleset::send(Netlink& netfilter, bool& sent) const {
  constexpr std::size_t kMarks = 2 * NLMSG_ALIGN(NLMSG_HDRLEN + sizeof(nfgenmsg)) + 2 * sizeof(nlattr);
  const auto all = messages_.bytes();
  const std::size_t room = netfilter.sendable(all.size() + kMarks) - kMarks;
  std::size_t first = 0;
  for (std::size_t at = 0; at < all.size();) {
    MessageBuffer batch;
    begin_batch(batch);
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

// Message 0 of a batch is its begin, and what fails when the whole is committed is reported for it.
Status EncodedRuleset::failed(NetlinkFailure failure, std::size_t first, std::size_t count) const {
  Subject subject;
  if (failure.message > 0 && failure.message <= count) subject = subjects_[first + failure.message - 1];
  failure.error.what = "cannot load " + name_of(subject);
  failure.error.hint = hint_for(failure.error.code, subject.kind);
  return std::unexpected(std::move(failure.error));
}

Status EncodedRuleset::load(Netlink& netfilter) const {
  bool sent = false;
  Status status = send(netfilter, sent);
  if (!status && sent) (void)delete_table(netfilter, ruleset_->table);  // the first failure is what matters
  return status;
}

Status load_ruleset(Netlink& netfilter, const nft::Ruleset& ruleset, TableOptions options) {
  NJ_TRY_AS(const EncodedRuleset encoded, EncodedRuleset::encode(ruleset, options));
  return encoded.load(netfilter);
}

Status extend_ruleset(Netlink& netfilter, const nft::Ruleset& more) {
  NJ_TRY(check_limits(more));
  MessageBuffer batch;
  begin_batch(batch);
  for (const nft::Set& set : more.sets) put_elements(batch, more.table, set);
  for (const nft::Chain& chain : more.chains)
    for (const nft::Rule& rule : chain.rules) put_rule(batch, more.table, chain.name, rule, 0);
  end_batch(batch);
  return netfilter.request(batch, "cannot add to table " + more.table);
}

Result<std::optional<TableInfo>> find_table(Netlink& netfilter, const std::string& table) {
  MessageBuffer request;
  begin_nft(request, NFT_MSG_GETTABLE, 0);
  request.put_string(NFTA_TABLE_NAME, table);
  TableInfo info;
  const Status status =
      netfilter.request(request, "cannot look for table " + table, [&info](const nlmsghdr* message) {
        const Octets attributes = message_attributes(message, sizeof(nfgenmsg));
        if (const auto handle = find_attribute(attributes, NFTA_TABLE_HANDLE))
          info.handle = big_endian<std::uint64_t>(*handle);
        if (const auto flags = find_attribute(attributes, NFTA_TABLE_FLAGS))
          info.dormant = (big_endian<std::uint32_t>(*flags) & NFT_TABLE_F_DORMANT) != 0;
      });
  if (status) return info;
  if (status.error().code == ENOENT) return std::nullopt;
  return std::unexpected(status.error());
}

Status own_table(Netlink& netfilter, const std::string& table) {
  MessageBuffer batch;
  begin_batch(batch);
  put_table(batch, table, 0, NFT_TABLE_F_OWNER | kPersistent);
  end_batch(batch);
  return netfilter.request(batch, "cannot own table " + table);
}

Status delete_table(Netlink& netfilter, const std::string& table) {
  MessageBuffer batch;
  begin_batch(batch);
  put_table_deletion(batch, table);
  end_batch(batch);
  return netfilter.request(batch, "cannot delete table " + table);
}

Result<Fd> watch_rulesets() {
  Fd socket(::socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, NETLINK_NETFILTER));
  sockaddr_nl address{};
  address.nl_family = AF_NETLINK;
  address.nl_groups = 1u << (NFNLGRP_NFTABLES - 1);
  if (!socket || ::bind(socket.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0)
    return fail_errno("cannot watch the packet filter");
  return socket;
}

}  // namespace netjail
