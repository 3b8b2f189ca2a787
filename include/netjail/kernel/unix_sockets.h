// The unix sockets of a network namespace that are bound to a file, as the kernel lists them (sock_diag(7)).
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "netjail/base/result.h"

namespace netjail {

struct BoundSocket {
  std::string path;          // as it was bound: relative to a folder that nobody knows, or renamed since
  std::string device;        // of the file system that the file is in, as mountinfo writes it: "98:0"
  std::uint32_t file = 0;    // its inode there: the low 32 bits, the kernel tells no more
  std::uint32_t user = 0;    // who made the socket
  std::uint32_t socket = 0;  // the descriptor's inode: /proc/PID/fd/N leads to "socket:[this]"
  bool operator==(const BoundSocket&) const = default;
};

// Of the calling thread's network namespace. Error (ENOENT): a kernel without unix_diag (CONFIG_UNIX_DIAG).
Result<std::vector<BoundSocket>> list_bound_sockets();

}  // namespace netjail
