// NFLOG: packets that a `log group N` rule names, read from the namespace in which the socket was opened.
#pragma once

#include <cstddef>
#include <functional>
#include <span>
#include <string>

#include "netjail/base/result.h"
#include "netjail/kernel/netlink.h"

namespace netjail {

class LogReader {
 public:
  // Binds `socket` (NETLINK_NETFILTER) to the group: packets that were logged before are not seen.
  static Result<LogReader> create(Fd socket, std::uint16_t group, std::uint32_t snaplen);

  int fd() const { return netlink_.fd(); }
  // Reads at most `most` packets without waiting; `visit(prefix, octets from the network header on)`. Returns
  // how many. What the socket's buffer could not hold is lost here; the rules' counters have it.
  std::size_t read(std::size_t most,
                   const std::function<void(const std::string&, std::span<const std::byte>)>& visit);

 private:
  explicit LogReader(Netlink netlink) : netlink_(std::move(netlink)), buffer_(kBuffer) {}
  static constexpr std::size_t kBuffer = 4096;
  Netlink netlink_;
  std::vector<std::byte> buffer_;
};

}  // namespace netjail
