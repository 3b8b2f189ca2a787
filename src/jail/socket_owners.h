// Which processes have a socket. Read-only; looks at every descriptor that the caller may see, milliseconds.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "netjail/kernel/unix_sockets.h"

namespace netjail {

struct SocketOwner {
  std::string pid;
  std::string program;
  // As the caller sees them; empty: he may not.
  std::string root;
  std::string cwd;
};
// By BoundSocket::socket, each with one of them.
std::map<std::uint32_t, SocketOwner> find_owners(const std::vector<BoundSocket>& sockets);

}  // namespace netjail
