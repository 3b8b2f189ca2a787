#include "netjail/kernel/nflog.h"

#include <netinet/in.h>

#include <linux/netfilter.h>
#include <linux/netfilter/nfnetlink_log.h>
#include <netlink/msg.h>
#include <netlink/netfilter/log.h>
#include <netlink/netfilter/log_msg.h>
#include <sys/socket.h>

#include <cerrno>
#include <memory>

namespace netjail {

Result<LogReader> LogReader::create(Fd socket, std::uint16_t group, std::uint32_t snaplen) {
  NJ_TRY_AS(Netlink netlink, Netlink::adopt(std::move(socket), NETLINK_NETFILTER));
  const std::unique_ptr<nfnl_log, void (*)(nfnl_log*)> log(nfnl_log_alloc(), nfnl_log_put);
  if (!log) return fail("out of memory");
  nfnl_log_set_group(log.get(), group);
  nfnl_log_set_copy_mode(log.get(), NFNL_LOG_COPY_PACKET);
  nfnl_log_set_copy_range(log.get(), snaplen);
  nfnl_log_set_queue_threshold(log.get(), 1);  // told at once, not after 100 packets or a second
  nl_msg* message = nullptr;
  if (nfnl_log_build_create_request(log.get(), &message) < 0) return fail("out of memory");
  // Only nl_send_auto would set it; without it the kernel acks and does nothing.
  nlmsg_hdr(message)->nlmsg_flags |= NLM_F_REQUEST;
  MessageBuffer messages;
  messages.add(nlmsg_hdr(message));
  nlmsg_free(message);
  NJ_TRY(netlink.request(messages, "cannot watch for refused packets (NFLOG)"));
  return LogReader(std::move(netlink));
}

std::size_t LogReader::read(
    std::size_t most, const std::function<void(const std::string&, std::span<const std::byte>)>& visit) {
  std::size_t count = 0;
  while (count < most) {
    const ssize_t got = ::recv(netlink_.fd(), buffer_.data(), buffer_.size(), MSG_DONTWAIT);
    if (got < 0 && (errno == EINTR || errno == ENOBUFS)) continue;
    if (got <= 0) return count;
    auto left = static_cast<int>(got);
    for (auto* at = reinterpret_cast<nlmsghdr*>(buffer_.data()); nlmsg_ok(at, left);
         at = nlmsg_next(at, &left)) {
      if (at->nlmsg_type != (NFNL_SUBSYS_ULOG << 8 | NFULNL_MSG_PACKET)) continue;
      nfnl_log_msg* parsed = nullptr;
      if (nfnlmsg_log_msg_parse(at, &parsed) < 0) continue;
      const std::unique_ptr<nfnl_log_msg, void (*)(nfnl_log_msg*)> packet(parsed, nfnl_log_msg_put);
      int size = 0;
      const void* payload = nfnl_log_msg_get_payload(packet.get(), &size);
      const char* prefix = nfnl_log_msg_get_prefix(packet.get());
      ++count;
      if (payload == nullptr || prefix == nullptr || size < 0) continue;
      visit(prefix, {static_cast<const std::byte*>(payload), static_cast<std::size_t>(size)});
    }
  }
  return count;
}

}  // namespace netjail
