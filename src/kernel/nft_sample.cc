#include "nft_sample.h"

#include <linux/netfilter/nf_tables.h>
#include <linux/netfilter/nfnetlink.h>

#include <algorithm>
#include <cerrno>

#include "netjail/base/format.h"
#include "nft_message.h"

namespace netjail {
namespace {

constexpr std::size_t kSample = 64;
// Each answer takes a page of the receive buffer.
constexpr std::size_t kAtOnce = 8;

using Wanted = std::pair<std::vector<std::byte>, bool>;  // key, end of an interval

Result<bool> has_elements(Netlink& netfilter, const std::string& table, const nft::Set& set,
                          std::span<const Wanted> wanted) {
  MessageBuffer request;
  begin_nft(request, NFT_MSG_GETSETELEM, 0);
  request.put_string(NFTA_SET_ELEM_LIST_TABLE, table);
  request.put_string(NFTA_SET_ELEM_LIST_SET, set.name);
  const std::size_t list = request.open_nest(NFTA_SET_ELEM_LIST_ELEMENTS);
  for (const auto& [key, end] : wanted) put_element(request, {key, end, false});
  request.close_nest(list);
  std::vector<Wanted> found;
  const std::string what = fmt::format("cannot read set {} of table {} back", set.name, table);
  const Status status = netfilter.request(request, what, [&](const nlmsghdr* message) {
    const auto part = [](Octets in, std::uint16_t type) {
      return find_attribute(in, type).value_or(Octets{});
    };
    Octets elements = part(message_attributes(message, sizeof(nfgenmsg)), NFTA_SET_ELEM_LIST_ELEMENTS);
    while (const auto element = take_attribute(elements)) {
      const Octets key = part(part(element->payload, NFTA_SET_ELEM_KEY), NFTA_DATA_VALUE);
      const auto flags = big_endian<std::uint32_t>(part(element->payload, NFTA_SET_ELEM_FLAGS));
      found.emplace_back(std::vector(key.begin(), key.end()), (flags & NFT_SET_ELEM_INTERVAL_END) != 0);
    }
  });
  if (!status && status.error().code != ENOENT) return std::unexpected(status.error());
  // For a key that it has not the kernel answers with the interval around it, if there is one.
  return status && std::ranges::equal(found, wanted);
}

}  // namespace

Result<bool> has_sample(Netlink& netfilter, const std::string& table, const nft::Set& set,
                        std::size_t count) {
  std::vector<Wanted> wanted;
  std::size_t at = 0;
  for_each_element(set, [&](const Element& element) {
    // The mark that what is below the first interval is outside: the kernel has it, but does not find it by
    // its key.
    if (at == 0 && element.end) {
      ++at;
      return;
    }
    // Evenly spread, the first interval's and the last element among them.
    if (at++ >= wanted.size() * (count - 1) / (kSample - 1))
      wanted.emplace_back(std::vector(element.key.begin(), element.key.end()), element.end);
  });
  for (std::size_t first = 0; first < wanted.size(); first += kAtOnce) {
    const auto part = std::span(wanted).subspan(first, std::min(kAtOnce, wanted.size() - first));
    NJ_TRY_AS(const bool there, has_elements(netfilter, table, set, part));
    if (!there) return false;
  }
  return true;
}

}  // namespace netjail
