// One netlink conversation: requests out, every ack checked, dumps collected.
//
// libnl builds the socket and the messages; the reply loop is ours, so that errno, the kernel's extended ack
// and the sequence number (which request of the batch) survive. A netlink socket keeps the network namespace
// in which it was opened (network_namespaces(7)): open there, use here.
#pragma once

#include <linux/netlink.h>

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "netjail/base/result.h"
#include "netjail/os/fd.h"

struct nl_sock;

namespace netjail {

// Whole netlink messages one after the other, each padded to NLMSG_ALIGNTO. begin() starts a message; put*()
// add attributes to the last one. Sequence numbers are Netlink's business.
class MessageBuffer {
 public:
  // `header` is the family header (ifinfomsg, rtmsg, ...).
  void begin(std::uint16_t type, std::uint16_t flags, const void* header, std::size_t header_size);
  template <class Header>
  void begin(std::uint16_t type, std::uint16_t flags, const Header& header) {
    begin(type, flags, &header, sizeof header);
  }
  void put(std::uint16_t attribute, const void* data, std::size_t size);
  void put_u8(std::uint16_t attribute, std::uint8_t value) { put(attribute, &value, sizeof value); }
  void put_u16(std::uint16_t attribute, std::uint16_t value) { put(attribute, &value, sizeof value); }
  void put_u32(std::uint16_t attribute, std::uint32_t value) { put(attribute, &value, sizeof value); }
  void put_string(std::uint16_t attribute, const std::string& value);  // with its NUL
  std::size_t open_nest(std::uint16_t attribute);
  void close_nest(std::size_t nest);
  // Raw bytes inside the open nest or message, padded (struct ifinfomsg of a veth peer).
  void append(const void* data, std::size_t size);
  // A finished message made elsewhere (libnftnl).
  void add(const nlmsghdr* message);

  std::span<std::byte> bytes() { return bytes_; }
  std::span<const std::byte> bytes() const { return bytes_; }
  std::size_t messages() const { return starts_.size(); }
  void clear();

 private:
  nlmsghdr* last();
  std::vector<std::byte> bytes_;
  std::vector<std::size_t> starts_;
};

// Which message of the buffer failed (counted from 0) and how.
struct NetlinkFailure {
  std::size_t message = 0;
  Error error;  // code and kernel are filled; `what` is for the caller to say
};

class Netlink {
 public:
  // NETLINK_ROUTE, NETLINK_NETFILTER, ... in the network namespace of the calling thread.
  static Result<Netlink> open(int protocol);
  // A socket that was opened elsewhere (in another network namespace) and handed over.
  static Result<Netlink> adopt(Fd fd, int protocol);

  int fd() const;
  // Sends all messages in one sendmsg (what stands behind a dump: in a further one) and waits until each is
  // acked and each dump is done; NLM_F_ACK is set here. `on_message` gets every data message. Stops at the
  // first failure.
  std::expected<void, NetlinkFailure> transact(MessageBuffer& messages,
                                               const std::function<void(const nlmsghdr*)>& on_message = {});
  // The same with one phrase for any failure.
  Status request(MessageBuffer& messages, const std::string& what,
                 const std::function<void(const nlmsghdr*)>& on_message = {});
  // Octets that one sendmsg can carry, after an attempt to make it `wanted`.
  std::size_t sendable(std::size_t wanted);

 private:
  struct Free {
    void operator()(nl_sock* socket) const;
  };
  Netlink(nl_sock* socket, int protocol);
  void ask_acks(std::span<nlmsghdr* const> messages);
  std::unique_ptr<nl_sock, Free> socket_;
  int protocol_;
  std::size_t send_capacity_ = 0;
  std::size_t receive_capacity_ = 0;
  std::uint32_t sequence_ = 1;
  std::vector<std::byte> buffer_;
};

}  // namespace netjail
