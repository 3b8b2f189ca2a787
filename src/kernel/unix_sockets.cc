#include "netjail/kernel/unix_sockets.h"

#include <linux/sock_diag.h>
#include <linux/unix_diag.h>
#include <sys/socket.h>

#include <cerrno>
#include <cstring>
#include <optional>

#include "attribute.h"
#include "netjail/kernel/netlink.h"

namespace netjail {
namespace {

constexpr std::uint8_t kEstablished = 1;  // TCP_ESTABLISHED, also of these
constexpr int kAttempts = 20;             // a socket that ends meanwhile can make a dump start again

// Whether the kernel would connect somebody to it. What listened once, and was connected, shares the file.
bool is_server(const unix_diag_msg& socket) {
  return socket.udiag_type == SOCK_DGRAM || socket.udiag_state != kEstablished;
}

template <class Value>
std::optional<Value> value_of(Octets attributes, std::uint16_t type) {
  const auto payload = find_attribute(attributes, type);
  Value value;
  if (!payload || payload->size() != sizeof value) return std::nullopt;
  std::memcpy(&value, payload->data(), sizeof value);
  return value;
}

// The kernel's own dev_t (linux/kdev_t.h), not that of stat(2).
std::string device_name(std::uint32_t device) {
  return std::to_string(device >> 20) + ":" + std::to_string(device & 0xfffff);
}

// Nothing: it is not bound to a file.
std::optional<BoundSocket> read_socket(const nlmsghdr* message) {
  unix_diag_msg header;
  if (message->nlmsg_len < NLMSG_LENGTH(sizeof header)) return std::nullopt;
  std::memcpy(&header, NLMSG_DATA(message), sizeof header);
  const Octets attributes = message_attributes(message, sizeof header);
  const auto file = value_of<unix_diag_vfs>(attributes, UNIX_DIAG_VFS);
  const auto name = find_attribute(attributes, UNIX_DIAG_NAME);
  if (!file || !name) return std::nullopt;
  const auto user = value_of<std::uint32_t>(attributes, UNIX_DIAG_UID);
  if (!is_server(header)) return std::nullopt;
  return BoundSocket{std::string(text_of(*name)), device_name(file->udiag_vfs_dev), file->udiag_vfs_ino,
                     user.value_or(0), header.udiag_ino};
}

}  // namespace

Result<std::vector<BoundSocket>> list_bound_sockets() {
  NJ_TRY_AS(Netlink netlink, Netlink::open(NETLINK_SOCK_DIAG));
  unix_diag_req request{};
  request.sdiag_family = AF_UNIX;
  request.udiag_states = ~0u;
  request.udiag_show = UDIAG_SHOW_NAME | UDIAG_SHOW_VFS | UDIAG_SHOW_UID;
  for (int attempt = 1;; ++attempt) {
    MessageBuffer messages;
    messages.begin(SOCK_DIAG_BY_FAMILY, NLM_F_REQUEST | NLM_F_DUMP, request);
    std::vector<BoundSocket> sockets;
    const Status done =
        netlink.request(messages, "cannot list unix sockets (unix_diag)", [&](const nlmsghdr* message) {
          if (auto socket = read_socket(message)) sockets.push_back(std::move(*socket));
        });
    if (done) return sockets;
    if (done.error().code != EINTR || attempt == kAttempts) return std::unexpected(done.error());
  }
}

}  // namespace netjail
