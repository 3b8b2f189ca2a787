#include <linux/netfilter/nf_tables.h>
#include <linux/netfilter/nfnetlink.h>
#include <sys/utsname.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdlib>
#include <functional>

#include "netjail/base/format.h"
#include "netjail/kernel/learned.h"
#include "nft_message.h"

namespace netjail {
namespace {

using namespace std::chrono_literals;
using std::chrono::milliseconds;

constexpr milliseconds kShortest = 10ms;
constexpr milliseconds kLongest = std::chrono::seconds(0x7fffffff);
// The list of elements is one attribute of at most 65,535 octets, and an element has up to 52.
constexpr std::size_t kPerMessage = 1000;
constexpr int kAttempts = 20;  // somebody else's change makes a dump start again

void put_be64(MessageBuffer& out, std::uint16_t attribute, std::uint64_t value) {
  std::array<std::uint8_t, sizeof value> octets;
  for (std::size_t i = 0; i < octets.size(); ++i)
    octets[i] = static_cast<std::uint8_t>(value >> (56 - 8 * i));
  out.put(attribute, octets.data(), octets.size());
}

LearnedAddress parse_element(Octets element) {
  const auto part = [](Octets in, std::uint16_t type) { return find_attribute(in, type).value_or(Octets{}); };
  const Octets key = part(part(element, NFTA_SET_ELEM_KEY), NFTA_DATA_VALUE);
  LearnedAddress learned{{key.size() == 4 ? Family::ipv4 : Family::ipv6, {}},
                         milliseconds(big_endian<std::uint64_t>(part(element, NFTA_SET_ELEM_EXPIRATION)))};
  std::memcpy(learned.address.bytes.data(), key.data(), std::min(key.size(), learned.address.bytes.size()));
  return learned;
}

}  // namespace

Renewal native_renewal() {
  utsname name{};
  ::uname(&name);
  char* rest = nullptr;
  const long major = std::strtol(name.release, &rest, 10);
  const long minor = *rest == '.' ? std::strtol(rest + 1, nullptr, 10) : 0;
  return major > 6 || (major == 6 && minor >= 12) ? Renewal::in_place : Renewal::replaced;
}

LearnedSets::LearnedSets(std::string table, Renewal renewal) : table_(std::move(table)), renewal_(renewal) {}

void LearnedSets::put(int message, const std::string& set, std::span<const LearnedAddress> part) {
  const bool added = message == NFT_MSG_NEWSETELEM;
  sets_.push_back(&set);
  begin_nft(batch_, message, added ? NLM_F_CREATE : 0);
  batch_.put_string(NFTA_SET_ELEM_LIST_TABLE, table_);
  batch_.put_string(NFTA_SET_ELEM_LIST_SET, set);
  const std::size_t list = batch_.open_nest(NFTA_SET_ELEM_LIST_ELEMENTS);
  for (const LearnedAddress& learned : part) {
    const std::size_t element = batch_.open_nest(NFTA_LIST_ELEM);
    const std::size_t key = batch_.open_nest(NFTA_SET_ELEM_KEY);
    const auto octets = learned.address.octets();
    batch_.put(NFTA_DATA_VALUE, octets.data(), octets.size());
    batch_.close_nest(key);
    if (added) {
      const auto time = static_cast<std::uint64_t>(std::clamp(learned.timeout, kShortest, kLongest).count());
      put_be64(batch_, NFTA_SET_ELEM_TIMEOUT, time);
      // Without it the kernel starts the time anew only where the time-out is another one.
      if (renewal_ == Renewal::in_place) put_be64(batch_, NFTA_SET_ELEM_EXPIRATION, time);
    }
    batch_.close_nest(element);
  }
  batch_.close_nest(list);
}

Status LearnedSets::add(Netlink& netfilter, std::span<const Lesson> lessons) {
  batch_.clear();
  sets_.clear();
  begin_batch(batch_);
  for (const Lesson& lesson : lessons) {
    sorted_.assign(lesson.addresses.begin(), lesson.addresses.end());
    std::ranges::sort(sorted_, std::greater{});
    const auto doubled = std::ranges::unique(sorted_, {}, &LearnedAddress::address);
    sorted_.erase(doubled.begin(), doubled.end());
    for (std::size_t at = 0; at < sorted_.size(); at += kPerMessage) {
      const auto part = std::span(sorted_).subspan(at, std::min(kPerMessage, sorted_.size() - at));
      // To delete what is not there is an error (NFT_MSG_DESTROYSETELEM came with Linux 6.3): so first it is
      // made to be there. A second deletion of one address would be one too: hence no address twice.
      if (renewal_ == Renewal::replaced) {
        put(NFT_MSG_NEWSETELEM, lesson.set, part);
        put(NFT_MSG_DELSETELEM, lesson.set, part);
      }
      put(NFT_MSG_NEWSETELEM, lesson.set, part);
    }
  }
  if (sets_.empty()) return {};
  end_batch(batch_);
  if (auto done = netfilter.transact(batch_); !done) return failed(std::move(done).error());
  return {};
}

// Message 0 is the begin of the batch, and what fails when the whole is committed or sent is reported for it.
Status LearnedSets::failed(NetlinkFailure failure) const {
  const bool known = failure.message > 0 && failure.message <= sets_.size();
  const std::string& set = *sets_[known ? failure.message - 1 : 0];
  failure.error.what = fmt::format("cannot add addresses to set {} of table {}", set, table_);
  if (failure.error.code == ENFILE) failure.error.hint = "the set is full until addresses in it expire";
  return std::unexpected(std::move(failure.error));
}

Result<std::vector<LearnedAddress>> read_learned(Netlink& netfilter, const std::string& table,
                                                 const std::string& set) {
  Status status;
  for (int attempt = 0; attempt < kAttempts; ++attempt) {
    MessageBuffer request;
    begin_nft(request, NFT_MSG_GETSETELEM, NLM_F_DUMP);
    request.put_string(NFTA_SET_ELEM_LIST_TABLE, table);
    request.put_string(NFTA_SET_ELEM_LIST_SET, set);
    std::vector<LearnedAddress> all;
    status = netfilter.request(
        request, fmt::format("cannot read set {} of table {}", set, table), [&](const nlmsghdr* message) {
          Octets list =
              find_attribute(message_attributes(message, sizeof(nfgenmsg)), NFTA_SET_ELEM_LIST_ELEMENTS)
                  .value_or(Octets{});
          while (const auto element = take_attribute(list)) all.push_back(parse_element(element->payload));
        });
    if (status) {
      std::ranges::sort(all);
      return all;
    }
    if (status.error().code != EINTR) break;
  }
  return std::unexpected(status.error());
}

}  // namespace netjail
