#include <linux/netfilter/nf_tables.h>
#include <linux/netfilter/nfnetlink.h>

#include <cerrno>

#include "netjail/base/format.h"
#include "netjail/kernel/nft.h"
#include "nft_message.h"

namespace netjail {
namespace {

constexpr int kAttempts = 20;  // somebody else's change makes a dump start again

struct NamedCounter {
  std::string table;
  std::string name;
  CounterValue value;
};

NamedCounter parse_counter(const nlmsghdr* message) {
  const Octets attributes = message_attributes(message, sizeof(nfgenmsg));
  const auto part = [](Octets in, std::uint16_t type) { return find_attribute(in, type).value_or(Octets{}); };
  const Octets data = part(attributes, NFTA_OBJ_DATA);
  return {std::string(text_of(part(attributes, NFTA_OBJ_TABLE))),
          std::string(text_of(part(attributes, NFTA_OBJ_NAME))),
          {big_endian<std::uint64_t>(part(data, NFTA_COUNTER_PACKETS)),
           big_endian<std::uint64_t>(part(data, NFTA_COUNTER_BYTES))}};
}

}  // namespace

Result<std::map<std::string, CounterValue>> read_counters(Netlink& netfilter, const std::string& table) {
  Status status;
  for (int attempt = 0; attempt < kAttempts; ++attempt) {
    MessageBuffer request;
    begin_nft(request, NFT_MSG_GETOBJ, NLM_F_DUMP);
    request.put_string(NFTA_OBJ_TABLE, table);
    put_be32(request, NFTA_OBJ_TYPE, NFT_OBJECT_COUNTER);
    std::map<std::string, CounterValue> counters;
    status = netfilter.request(request, "cannot read the counters of table " + table,
                               [&](const nlmsghdr* message) {
                                 if (NamedCounter counter = parse_counter(message); counter.table == table)
                                   counters.emplace(std::move(counter.name), counter.value);
                               });
    if (status) return counters;
    if (status.error().code != EINTR) break;
  }
  return std::unexpected(status.error());
}

Result<CounterValue> read_counter(Netlink& netfilter, const std::string& table, const std::string& name) {
  MessageBuffer request;
  begin_nft(request, NFT_MSG_GETOBJ, 0);
  request.put_string(NFTA_OBJ_TABLE, table);
  request.put_string(NFTA_OBJ_NAME, name);
  put_be32(request, NFTA_OBJ_TYPE, NFT_OBJECT_COUNTER);
  CounterValue value;
  NJ_TRY(netfilter.request(request, fmt::format("cannot read counter {} of table {}", name, table),
                           [&](const nlmsghdr* message) { value = parse_counter(message).value; }));
  return value;
}

}  // namespace netjail
