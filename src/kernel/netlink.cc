#include "netjail/kernel/netlink.h"

#include <linux/netfilter/nfnetlink.h>
#include <netlink/errno.h>
#include <netlink/netlink.h>
#include <netlink/socket.h>
#include <poll.h>
#include <sys/socket.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cstring>
#include <optional>

#include "netjail/base/format.h"
#include "netlink_verdict.h"

namespace netjail {
namespace {

using Clock = std::chrono::steady_clock;

// The kernel answers while it is in our sendmsg; this only keeps a bug (ours or its) from hanging the launch.
constexpr std::chrono::seconds kDeadline{10};
// A dump's answers are at most 32 KiB (netlink_recvmsg caps max_recvmsg_len); other answers are smaller.
constexpr std::size_t kReceiveBuffer = 32768;
// What one queued ack is charged against SO_RCVBUF: an skb with a small head, at most 256 + 704 octets on
// Linux 6.x, and the room that its text may need.
constexpr std::size_t kAckCharge = 1280;

bool is_dump(const nlmsghdr& message) { return (message.nlmsg_flags & NLM_F_DUMP) == NLM_F_DUMP; }

std::size_t socket_buffer(int fd, int option) {
  int size = 0;
  socklen_t length = sizeof size;
  if (getsockopt(fd, SOL_SOCKET, option, &size, &length) != 0 || size < 0) return 0;
  return static_cast<std::size_t>(size);
}

// Raises a socket buffer to `wanted` octets if it is smaller; what it holds then. Without CAP_NET_ADMIN in
// the initial user namespace the kernel caps it at net.core.{w,r}mem_max. (The kernel doubles what it is
// told.)
std::size_t grow_buffer(int fd, int option, int force_option, std::size_t have, std::size_t wanted) {
  if (have >= wanted) return have;
  const int size = static_cast<int>(std::min<std::size_t>(wanted / 2 + 1, 1U << 30));
  if (setsockopt(fd, SOL_SOCKET, force_option, &size, sizeof size) != 0)
    setsockopt(fd, SOL_SOCKET, option, &size, sizeof size);
  return socket_buffer(fd, option);
}

Error socket_error(int code, std::string kernel = {}) {
  Error error;
  error.code = code;
  error.kernel = std::move(kernel);
  return error;
}

// Messages sent together and what is still owed for them.
class Conversation {
 public:
  Conversation(int fd, std::span<std::byte> buffer, std::span<nlmsghdr* const> sent, std::size_t first_index)
      : fd_(fd), buffer_(buffer), sent_(sent), first_index_(first_index), owed_(sent.size()) {
    for (std::size_t i = 0; i < sent.size(); ++i) {
      owed_[i] = is_dump(*sent[i]) || (sent[i]->nlmsg_flags & NLM_F_ACK);
      open_ += owed_[i];
    }
  }

  std::expected<void, NetlinkFailure> send() {
    const auto* begin = reinterpret_cast<std::byte*>(sent_.front());
    const auto* end = reinterpret_cast<std::byte*>(sent_.back()) + NLMSG_ALIGN(sent_.back()->nlmsg_len);
    sockaddr_nl kernel{.nl_family = AF_NETLINK, .nl_pad = 0, .nl_pid = 0, .nl_groups = 0};
    iovec piece{const_cast<std::byte*>(begin), static_cast<std::size_t>(end - begin)};
    msghdr packet{};
    packet.msg_name = &kernel;
    packet.msg_namelen = sizeof kernel;
    packet.msg_iov = &piece;
    packet.msg_iovlen = 1;
    ssize_t done = 0;
    do done = sendmsg(fd_, &packet, MSG_NOSIGNAL);
    while (done < 0 && errno == EINTR);
    if (done < 0) return failure(0, socket_error(errno));
    return {};
  }

  std::expected<void, NetlinkFailure> receive(const std::function<void(const nlmsghdr*)>& on_message) {
    auto deadline = Clock::now() + kDeadline;
    while (open_ > 0) {
      auto packet = next(deadline);
      if (!packet) return std::unexpected(packet.error());
      if (packet->empty()) {  // strangers do not extend the deadline
        if (Clock::now() >= deadline) return failure(first_open(), socket_error(ETIMEDOUT, "no answer"));
        continue;
      }
      for (const auto* answer = reinterpret_cast<const nlmsghdr*>(packet->data());
           nlmsg_fits(answer, *packet); answer = advance(*packet)) {
        if (auto status = take(answer, on_message); !status) return status;
      }
      deadline = Clock::now() + kDeadline;
    }
    return {};
  }

  // After a failure: what else was answered is of no interest, and must not fill the socket for the next
  // request.
  void drain() {
    while (recv(fd_, buffer_.data(), buffer_.size(), MSG_DONTWAIT) >= 0 || errno == EINTR ||
           errno == ENOBUFS) {
    }
  }

 private:
  std::unexpected<NetlinkFailure> failure(std::size_t index, Error error) const {
    return std::unexpected(NetlinkFailure{first_index_ + index, std::move(error)});
  }

  static bool nlmsg_fits(const nlmsghdr* answer, std::span<std::byte> rest) {
    return rest.size() >= sizeof(nlmsghdr) && answer->nlmsg_len >= sizeof(nlmsghdr) &&
           answer->nlmsg_len <= rest.size();
  }

  static const nlmsghdr* advance(std::span<std::byte>& rest) {
    const auto* answer = reinterpret_cast<const nlmsghdr*>(rest.data());
    rest = rest.subspan(std::min<std::size_t>(NLMSG_ALIGN(answer->nlmsg_len), rest.size()));
    return reinterpret_cast<const nlmsghdr*>(rest.data());
  }

  // The first message that still waits: what a failure without a sequence number is about.
  std::size_t first_open() const {
    return static_cast<std::size_t>(std::find(owed_.begin(), owed_.end(), true) - owed_.begin());
  }

  // One datagram of the kernel; empty when it was somebody else's.
  std::expected<std::span<std::byte>, NetlinkFailure> next(Clock::time_point deadline) {
    while (true) {
      sockaddr_nl sender{};
      iovec piece{buffer_.data(), buffer_.size()};
      msghdr packet{};
      packet.msg_name = &sender;
      packet.msg_namelen = sizeof sender;
      packet.msg_iov = &piece;
      packet.msg_iovlen = 1;
      const ssize_t size = recvmsg(fd_, &packet, MSG_DONTWAIT | MSG_TRUNC);
      if (size >= 0) {
        // Any process with the right capability can send to our port; only the kernel has port 0.
        if (sender.nl_pid != 0) return std::span<std::byte>{};
        if (static_cast<std::size_t>(size) > buffer_.size())
          return failure(first_open(),
                         socket_error(EMSGSIZE, fmt::format("an answer of {} octets was cut", size)));
        return buffer_.first(static_cast<std::size_t>(size));
      }
      if (errno == EINTR) continue;
      if (errno == ENOBUFS) {  // told once, before the messages that did fit: an error among them says more
        overrun_ = true;
        continue;
      }
      if (errno != EAGAIN) return failure(first_open(), socket_error(errno));
      if (overrun_) return failure(first_open(), socket_error(ENOBUFS, "answers were lost"));
      if (auto status = wait(deadline); !status) return std::unexpected(status.error());
    }
  }

  std::expected<void, NetlinkFailure> wait(Clock::time_point deadline) const {
    const auto left = std::chrono::ceil<std::chrono::milliseconds>(deadline - Clock::now()).count();
    if (left <= 0) return failure(first_open(), socket_error(ETIMEDOUT, "no answer"));
    pollfd poller{fd_, POLLIN, 0};
    if (poll(&poller, 1, static_cast<int>(left)) < 0 && errno != EINTR)
      return failure(first_open(), socket_error(errno));
    return {};
  }

  std::expected<void, NetlinkFailure> take(const nlmsghdr* answer,
                                           const std::function<void(const nlmsghdr*)>& on_message) {
    // Unsigned on purpose: sequence numbers wrap, and an answer to an earlier conversation is far out of
    // range.
    const std::uint32_t index = answer->nlmsg_seq - sent_.front()->nlmsg_seq;
    if (index >= sent_.size()) return {};
    if (answer->nlmsg_flags & NLM_F_DUMP_INTR)
      return failure(index, socket_error(EINTR, "it changed while it was read"));
    switch (answer->nlmsg_type) {
      case NLMSG_NOOP: return {};
      case NLMSG_OVERRUN: return failure(index, socket_error(ENOBUFS));
      case NLMSG_ERROR:
      case NLMSG_DONE: {
        if (Error error = parse_verdict(answer, sent_[index]); error.code != 0)
          return failure(index, std::move(error));
        open_ -= owed_[index];
        owed_[index] = false;
        return {};
      }
      default:
        if (on_message) on_message(answer);
        return {};
    }
  }

  int fd_;
  std::span<std::byte> buffer_;
  std::span<nlmsghdr* const> sent_;
  std::size_t first_index_;
  std::vector<bool> owed_;
  std::size_t open_ = 0;
  bool overrun_ = false;
};

}  // namespace

void Netlink::Free::operator()(nl_sock* socket) const { nl_socket_free(socket); }

Netlink::Netlink(nl_sock* socket, int protocol) : socket_(socket), protocol_(protocol) {}

Result<Netlink> Netlink::open(int protocol) {
  Fd fd(::socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, protocol));
  if (!fd) return fail_errno(fmt::format("cannot open a netlink socket (protocol {})", protocol));
  return adopt(std::move(fd), protocol);
}

Result<Netlink> Netlink::adopt(Fd fd, int protocol) {
  const std::string what = fmt::format("cannot use a netlink socket (protocol {})", protocol);
  nl_sock* socket = nl_socket_alloc();
  if (!socket) {
    errno = ENOMEM;
    return fail_errno(what);
  }
  Netlink netlink(socket, protocol);
  if (const int error = nl_socket_set_fd(socket, protocol, fd.get()); error < 0) {
    Error result = make_error(what);
    result.kernel = nl_geterror(error);
    return std::unexpected(std::move(result));
  }
  fd.release();  // the nl_sock closes it
  const auto set = [&](int option) {
    const int on = 1;
    return setsockopt(netlink.fd(), SOL_NETLINK, option, &on, sizeof on) == 0;
  };
  if (!set(NETLINK_EXT_ACK) || !set(NETLINK_CAP_ACK)) return fail_errno(what);
  if (protocol == NETLINK_ROUTE && !set(NETLINK_GET_STRICT_CHK)) return fail_errno(what);
  netlink.send_capacity_ = socket_buffer(netlink.fd(), SO_SNDBUF);
  netlink.receive_capacity_ = socket_buffer(netlink.fd(), SO_RCVBUF);
  netlink.buffer_.resize(kReceiveBuffer);
  return netlink;
}

int Netlink::fd() const { return nl_socket_get_fd(socket_.get()); }

std::size_t Netlink::sendable(std::size_t wanted) {
  constexpr std::size_t kOverhead = 32;  // netlink_sendmsg: EMSGSIZE when len > sk_sndbuf - 32
  send_capacity_ = grow_buffer(fd(), SO_SNDBUF, SO_SNDBUFFORCE, send_capacity_, wanted + kOverhead);
  return send_capacity_ > kOverhead ? send_capacity_ - kOverhead : 0;
}

void Netlink::ask_acks(std::span<nlmsghdr* const> messages) {
  const auto is_batch_mark = [&](const nlmsghdr& message) {
    return protocol_ == NETLINK_NETFILTER &&
           (message.nlmsg_type == NFNL_MSG_BATCH_BEGIN || message.nlmsg_type == NFNL_MSG_BATCH_END);
  };
  std::vector<nlmsghdr*> acked;
  acked.reserve(messages.size());
  for (nlmsghdr* message : messages)
    if (!is_dump(*message) && !is_batch_mark(*message)) acked.push_back(message);
  receive_capacity_ =
      grow_buffer(fd(), SO_RCVBUF, SO_RCVBUFFORCE, receive_capacity_, (acked.size() + 1) * kAckCharge);
  // The kernel works through the messages in order and reports every failure, asked or not. So where not all
  // acks fit the receive buffer, those of the last messages stand for the ones before.
  const std::size_t room = std::max<std::size_t>(receive_capacity_ / kAckCharge, 2) - 1;
  const std::size_t skip = acked.size() > room ? acked.size() - room : 0;
  for (std::size_t i = 0; i < acked.size(); ++i) {
    if (i < skip)
      acked[i]->nlmsg_flags = static_cast<std::uint16_t>(acked[i]->nlmsg_flags & ~NLM_F_ACK);
    else
      acked[i]->nlmsg_flags = static_cast<std::uint16_t>(acked[i]->nlmsg_flags | NLM_F_ACK);
  }
}

std::expected<void, NetlinkFailure> Netlink::transact(
    MessageBuffer& messages, const std::function<void(const nlmsghdr*)>& on_message) {
  const auto bytes = messages.bytes();
  std::vector<nlmsghdr*> all;
  all.reserve(messages.messages());
  for (std::size_t at = 0; at < bytes.size();) {
    auto* message = reinterpret_cast<nlmsghdr*>(bytes.data() + at);
    message->nlmsg_seq = sequence_++;
    all.push_back(message);
    at += NLMSG_ALIGN(message->nlmsg_len);
  }
  ask_acks(all);
  // A socket runs one dump at a time (EBUSY else), so what stands behind a dump is sent when it is done.
  for (std::size_t first = 0; first < all.size();) {
    std::size_t end = first;
    while (end < all.size() && !is_dump(*all[end])) ++end;
    if (end < all.size()) ++end;
    const auto part = std::span<nlmsghdr* const>(all).subspan(first, end - first);
    const auto size = static_cast<std::size_t>(reinterpret_cast<std::byte*>(part.back()) -
                                               reinterpret_cast<std::byte*>(part.front())) +
                      NLMSG_ALIGN(part.back()->nlmsg_len);
    if (sendable(size) < size)
      return std::unexpected(NetlinkFailure{
          first,
          socket_error(EMSGSIZE,
                       fmt::format("{} octets at once are more than net.core.wmem_max allows", size))});
    Conversation conversation(fd(), buffer_, part, first);
    if (auto sent = conversation.send(); !sent) return sent;
    if (auto received = conversation.receive(on_message); !received) {
      conversation.drain();
      return received;
    }
    first = end;
  }
  return {};
}

Status Netlink::request(MessageBuffer& messages, const std::string& what,
                        const std::function<void(const nlmsghdr*)>& on_message) {
  auto done = transact(messages, on_message);
  if (done) return {};
  Error error = std::move(done).error().error;
  error.what = what;
  return std::unexpected(std::move(error));
}

}  // namespace netjail
