// Addresses that the rules learn while they are in force: elements, each with a time-out, of the sets that
// learn (nft::Set::learns). The kernel takes an element away by itself when its time is over: nobody needs to
// come back for it, and what nobody renews is closed again.
//
// Adding an address that a set has starts its time anew, longer or shorter: who wants the longer of two says
// the longer. Since Linux 6.12 the kernel does that in place (commit 4201f3938914); before, it ignores the
// second time-out without a word, so there the element is replaced, which takes twice as long.
#pragma once

#include <chrono>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "netjail/base/result.h"
#include "netjail/kernel/netlink.h"
#include "netjail/net/ip.h"

namespace netjail {

struct LearnedAddress {
  Ip address;
  std::chrono::milliseconds timeout{};  // from now on
  auto operator<=>(const LearnedAddress&) const = default;
};

// What one set is to learn. Of an address that stands there twice the longer time-out holds.
struct Lesson {
  std::string set;
  std::span<const LearnedAddress> addresses;  // of the set's family
};

// How the time of an element that exists starts anew.
enum class Renewal : std::uint8_t { in_place, replaced };
// What the running kernel can do, by its version: one that hides its version gets `replaced`, which all can.
Renewal native_renewal();

class LearnedSets {
 public:
  // The sets of this table of family inet. Nothing is read or changed.
  explicit LearnedSets(std::string table, Renewal renewal = native_renewal());

  // Adds and renews, in one transaction: when it returns, every packet finds all of them; after an error none
  // was added or renewed (after ENOBUFS and ETIMEDOUT, an answer that was lost, perhaps all: say it again).
  // An element that is renewed is there for every packet meanwhile. Two exceptions, each microseconds wide:
  // in place, an element whose time ends in the middle of the call may be swept although it was renewed;
  // replaced, a look-up that begins before the change and ends after it may miss (commit b2f742c846ca of 6.17
  // made that rarer).
  //
  // Time-outs are taken to be between 10 ms, which is a jiffy on every kernel (before 6.12 less than one was
  // for ever), and 2^31 - 1 s, the most that DNS knows (RFC 2181, section 8); the kernel rounds them down to
  // whole jiffies.
  //
  // Needs: CAP_NET_ADMIN over the socket's namespace. Errors name the set: ENFILE, it is full (see below);
  // ENOENT, there is no such set; EINVAL, an address of the other family; EMSGSIZE, more than an unprivileged
  // socket takes (with the usual net.core.wmem_max about 4,000 addresses in place, 2,000 replaced).
  //
  // An element whose time is over opens nothing, but has its place until the kernel has swept the set. It
  // does so once a second, and in vain when any transaction of the namespace ends in the 20 ms after, also
  // one that fails (nft_trans_gc_work, gc_seq). So when a set is full, leave the rules alone for a second and
  // a half: who asks again and again finds it full for ever.
  Status add(Netlink& netfilter, std::span<const Lesson> lessons);

 private:
  void put(int message, const std::string& set, std::span<const LearnedAddress> part);
  Status failed(NetlinkFailure failure) const;

  std::string table_;
  Renewal renewal_;
  // Of one call; they keep their memory for the next one.
  MessageBuffer batch_;
  std::vector<const std::string*> sets_;  // of each message of the batch, its begin aside
  std::vector<LearnedAddress> sorted_;
};

// What a set has learned and not forgotten: by address, with the time that is left. 1.5 ms for 1,000,
// 75 ms for 50,000.
Result<std::vector<LearnedAddress>> read_learned(Netlink& netfilter, const std::string& table,
                                                 const std::string& set);

}  // namespace netjail
