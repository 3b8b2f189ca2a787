#include <linux/netfilter/nf_tables.h>
#include <linux/netfilter/nfnetlink.h>
#include <netinet/in.h>
// After netinet/in.h:
#include <linux/netfilter.h>

#include <cerrno>
#include <cstdlib>

#include "netjail/base/format.h"
#include "netjail/kernel/nft.h"
#include "nft_compare.h"
#include "nft_message.h"
#include "nft_sample.h"

namespace netjail {
namespace {

constexpr int kAttempts = 20;  // somebody else's change makes a dump start again

// Of bigger sets a sample is read. The kernel walks such a set from its start for every datagram of a dump:
// measured 3 ms for 20,000 elements, 1 s for 200,000.
constexpr std::size_t kMostElements = 20000;
// NFTA_SET_COUNT of newer kernels (6.18 has it, 6.1 and its headers do not).
constexpr std::uint16_t kSetCount = 20;

// The elements of a set, whatever their order, in constant space.
struct Digest {
  std::size_t count = 0;
  std::uint64_t sum = 0;

  void add(Octets key, bool end) {
    std::uint64_t hash = end ? 0x9e3779b97f4a7c15U : 0xcbf29ce484222325U;
    for (const std::byte octet : key) hash = (hash ^ std::to_integer<std::uint64_t>(octet)) * 0x100000001b3U;
    hash = (hash ^ (hash >> 31)) * 0x94d049bb133111ebU;
    sum += hash ^ (hash >> 29);
    ++count;
  }
  bool operator==(const Digest&) const = default;
};

Octets part(Octets attributes, std::uint16_t type) {
  return find_attribute(attributes, type).value_or(Octets{});
}

// The state of one object of the ruleset while the dumps come in.
struct SeenChain {
  bool found = false;
  std::size_t rules = 0;
  std::vector<std::size_t> expected;  // offsets of the messages that make its rules
};
struct SeenSet {
  bool found = false;
  bool sampled = false;  // too big to be read
  Digest expected;
  Digest elements;
};

class Verification {
 public:
  // `messages`: those that made the table.
  Verification(const nft::Ruleset& ruleset, Octets messages)
      : ruleset_(ruleset), messages_(messages), chains_(ruleset.chains.size()), sets_(ruleset.sets.size()) {
    std::size_t chain = 0;
    for (std::size_t at = 0; at < messages.size();) {
      const auto* message = reinterpret_cast<const nlmsghdr*>(messages.data() + at);
      if (message->nlmsg_type == nft_type(NFT_MSG_NEWRULE)) {
        while (chains_[chain].expected.size() == ruleset.chains[chain].rules.size()) ++chain;
        chains_[chain].expected.push_back(at);
      }
      at += NLMSG_ALIGN(message->nlmsg_len);
    }
    for (std::size_t i = 0; i < ruleset.sets.size(); ++i) {
      for_each_element(ruleset.sets[i],
                       [&](const Element& element) { sets_[i].expected.add(element.key, element.end); });
      sets_[i].sampled = sets_[i].expected.count > kMostElements;
    }
  }

  Status run(Netlink& netfilter) {
    MessageBuffer requests;
    begin_nft(requests, NFT_MSG_GETCHAIN, NLM_F_DUMP);
    requests.put_string(NFTA_CHAIN_TABLE, ruleset_.table);
    begin_nft(requests, NFT_MSG_GETRULE, NLM_F_DUMP);
    requests.put_string(NFTA_RULE_TABLE, ruleset_.table);
    begin_nft(requests, NFT_MSG_GETSET, NLM_F_DUMP);
    requests.put_string(NFTA_SET_TABLE, ruleset_.table);
    for (std::size_t i = 0; i < sets_.size(); ++i) {
      if (sets_[i].sampled || ruleset_.sets[i].learns != 0 || ruleset_.sets[i].counts != 0) continue;
      begin_nft(requests, NFT_MSG_GETSETELEM, NLM_F_DUMP);
      requests.put_string(NFTA_SET_ELEM_LIST_TABLE, ruleset_.table);
      requests.put_string(NFTA_SET_ELEM_LIST_SET, ruleset_.sets[i].name);
    }
    const Status status =
        netfilter.request(requests, fmt::format("cannot read table {} back", ruleset_.table),
                          [this](const nlmsghdr* message) { take(message); });
    // A set that is gone is a difference; its name says more than the errno.
    if (!status && status.error().code != ENOENT) return status;
    find_missing();
    for (std::size_t i = 0; i < sets_.size() && difference_.empty(); ++i) {
      if (!sets_[i].sampled) continue;
      NJ_TRY_AS(const bool there,
                has_sample(netfilter, ruleset_.table, ruleset_.sets[i], sets_[i].expected.count));
      if (!there) differs(fmt::format("set {} has other elements", ruleset_.sets[i].name));
    }
    if (!difference_.empty())
      return fail(fmt::format("table {} is not as it was loaded: {}", ruleset_.table, difference_));
    return status;
  }

 private:
  void differs(std::string what) {
    if (difference_.empty()) difference_ = std::move(what);
  }

  void take(const nlmsghdr* message) {
    nfgenmsg family;
    if (message->nlmsg_len < NLMSG_HDRLEN + sizeof family) return;
    std::memcpy(&family, reinterpret_cast<const std::byte*>(message) + NLMSG_HDRLEN, sizeof family);
    const Octets attributes = message_attributes(message, sizeof family);
    // In each of the four families of messages attribute 1 is the table.
    if (family.nfgen_family != NFPROTO_INET || text_of(part(attributes, NFTA_CHAIN_TABLE)) != ruleset_.table)
      return;
    switch (message->nlmsg_type & 0xff) {
      case NFT_MSG_NEWCHAIN: return take_chain(attributes);
      case NFT_MSG_NEWRULE: return take_rule(attributes, message);
      case NFT_MSG_NEWSET: return take_set(attributes);
      case NFT_MSG_NEWSETELEM: return take_elements(attributes);
      default: return;
    }
  }

  template <class Objects>
  static std::size_t index_of(const Objects& objects, std::string_view name) {
    std::size_t i = 0;
    while (i < objects.size() && objects[i].name != name) ++i;
    return i;
  }

  void take_chain(Octets attributes) {
    const std::string_view name = text_of(part(attributes, NFTA_CHAIN_NAME));
    const std::size_t i = index_of(ruleset_.chains, name);
    if (i == chains_.size()) return differs(fmt::format("it has a chain {} more", name));
    chains_[i].found = true;
    const auto hook = find_attribute(attributes, NFTA_CHAIN_HOOK);
    const std::optional<nft::BaseChain>& base = ruleset_.chains[i].base;
    if (hook.has_value() != base.has_value())
      return differs(fmt::format("chain {} is {}a base chain", name, hook ? "" : "not "));
    if (!base) return;
    const auto number = big_endian<std::uint32_t>(part(*hook, NFTA_HOOK_HOOKNUM));
    const auto priority =
        static_cast<std::int32_t>(big_endian<std::uint32_t>(part(*hook, NFTA_HOOK_PRIORITY)));
    const auto policy = big_endian<std::uint32_t>(part(attributes, NFTA_CHAIN_POLICY));
    if (number != static_cast<std::uint32_t>(base->hook))
      differs(fmt::format("chain {} is at hook {}", name, number));
    if (priority != base->priority) differs(fmt::format("chain {} has priority {}", name, priority));
    if (policy != (base->drop ? NF_DROP : NF_ACCEPT))
      differs(fmt::format("chain {} has policy {}", name, policy));
    if (const auto type = text_of(part(attributes, NFTA_CHAIN_TYPE)); type != (base->nat ? "nat" : "filter"))
      differs(fmt::format("chain {} has type {}", name, type));
  }

  void take_rule(Octets attributes, const nlmsghdr* message) {
    const std::string_view name = text_of(part(attributes, NFTA_RULE_CHAIN));
    const std::size_t i = index_of(ruleset_.chains, name);
    if (i == chains_.size()) return differs(fmt::format("it has a chain {} more", name));
    SeenChain& chain = chains_[i];
    const std::size_t rule = chain.rules++;
    if (rule >= chain.expected.size())
      return differs(
          fmt::format("chain {} has {} rules and one more: {}", name, rule, describe_rule(message)));
    const auto* sent = reinterpret_cast<const nlmsghdr*>(messages_.data() + chain.expected[rule]);
    if (!same_rule(sent, message) && difference_.empty())
      differs(fmt::format("rule {} of chain {} is {} instead of {}", rule + 1, name, describe_rule(message),
                          describe_rule(sent)));
  }

  void take_set(Octets attributes) {
    const std::string_view name = text_of(part(attributes, NFTA_SET_NAME));
    const std::size_t i = index_of(ruleset_.sets, name);
    if (i == sets_.size()) return differs(fmt::format("it has a set {} more", name));
    sets_[i].found = true;
    const nft::Set& set = ruleset_.sets[i];
    const auto number = [attributes](std::uint16_t type) {
      return big_endian<std::uint32_t>(part(attributes, type));
    };
    if (number(NFTA_SET_KEY_LEN) != key_size(set.key) || number(NFTA_SET_KEY_TYPE) != data_type(set.key) ||
        number(NFTA_SET_FLAGS) != set_flags(set))
      differs(fmt::format("set {} has another type", name));
    // What it has learned comes and goes; how it does so stays.
    const auto size = big_endian<std::uint32_t>(part(part(attributes, NFTA_SET_DESC), NFTA_SET_DESC_SIZE));
    if (size != set.learns + set.counts)
      differs(fmt::format("set {} takes {} elements instead of {}", name, size, set.learns + set.counts));
    if (find_attribute(attributes, NFTA_SET_TIMEOUT))
      differs(fmt::format("set {} has a time-out for all its elements", name));
    // In intervals: the kernel halves the number of its elements, the marks at both ends of the key space
    // included.
    if (const auto count = find_attribute(attributes, kSetCount); count && sets_[i].sampled) {
      const std::int64_t read = big_endian<std::uint32_t>(*count);
      const auto wanted = static_cast<std::int64_t>(sets_[i].expected.count / 2);
      if (std::abs(read - wanted) > 1)
        differs(fmt::format("set {} has {} intervals instead of {}", name, read, wanted));
    }
  }

  void take_elements(Octets attributes) {
    const std::size_t i = index_of(ruleset_.sets, text_of(part(attributes, NFTA_SET_ELEM_LIST_SET)));
    if (i == sets_.size()) return;
    Octets list = part(attributes, NFTA_SET_ELEM_LIST_ELEMENTS);
    while (const auto element = take_attribute(list)) {
      const Octets key = part(part(element->payload, NFTA_SET_ELEM_KEY), NFTA_DATA_VALUE);
      const auto flags = big_endian<std::uint32_t>(part(element->payload, NFTA_SET_ELEM_FLAGS));
      sets_[i].elements.add(key, (flags & NFT_SET_ELEM_INTERVAL_END) != 0);
    }
  }

  void find_missing() {
    for (std::size_t i = 0; i < chains_.size(); ++i) {
      const std::string& name = ruleset_.chains[i].name;
      if (!chains_[i].found) differs(fmt::format("chain {} is missing", name));
      if (chains_[i].rules < chains_[i].expected.size())
        differs(fmt::format("chain {} has {} rules instead of {}", name, chains_[i].rules,
                            chains_[i].expected.size()));
    }
    for (std::size_t i = 0; i < sets_.size(); ++i) {
      const std::string& name = ruleset_.sets[i].name;
      if (!sets_[i].found) differs(fmt::format("set {} is missing", name));
      if (sets_[i].sampled) continue;
      const Digest& expected = sets_[i].expected;
      if (sets_[i].elements.count != expected.count)
        differs(fmt::format("set {} has {} elements instead of {}", name, sets_[i].elements.count,
                            expected.count));
      if (sets_[i].elements != expected) differs(fmt::format("set {} has other elements", name));
    }
  }

  const nft::Ruleset& ruleset_;
  Octets messages_;
  std::vector<SeenChain> chains_;
  std::vector<SeenSet> sets_;
  std::string difference_;
};

}  // namespace

Status EncodedRuleset::verify(Netlink& netfilter) const {
  Status status;
  for (int attempt = 0; attempt < kAttempts; ++attempt) {
    status = Verification(*ruleset_, messages_.bytes()).run(netfilter);
    if (status || status.error().code != EINTR) break;
  }
  return status;
}

Status verify_ruleset(Netlink& netfilter, const nft::Ruleset& ruleset) {
  NJ_TRY_AS(const EncodedRuleset encoded, EncodedRuleset::encode(ruleset));
  return encoded.verify(netfilter);
}

}  // namespace netjail
