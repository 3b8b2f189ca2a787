// Whether somebody listens to a unix socket.
#pragma once

#include <fcntl.h>
#include <sys/socket.h>
#include <sys/un.h>

#include <cerrno>
#include <cstdio>
#include <string>

#include "netjail/base/result.h"
#include "netjail/os/fd.h"

namespace netjail {

// Asks whether a server has the path, without its notice: a socket of another type is told so (EPROTOTYPE). A
// server that has ended left a file that is in nobody's way but that of the next one, which removes it.
class Listener {
 public:
  static Result<Listener> create() {
    Fd socket(::socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0));
    if (!socket) return fail_errno("cannot look for unix sockets");
    return Listener(std::move(socket));
  }
  enum class Answer : std::uint8_t { no, yes, unknown };  // unknown: we may not connect
  Answer ask(const std::string& path) const {
    // sun_path takes 107 octets; this is the same file, however long its path.
    const Fd file(::open(path.c_str(), O_PATH | O_NOFOLLOW | O_CLOEXEC));
    if (!file) return errno == ENOENT ? Answer::no : Answer::unknown;
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    std::snprintf(address.sun_path, sizeof address.sun_path, "/proc/self/fd/%d", file.get());
    if (::connect(socket_.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0)
      return Answer::yes;
    if (errno == EACCES) return Answer::unknown;
    return errno == ECONNREFUSED || errno == ENOENT ? Answer::no : Answer::yes;
  }

 private:
  explicit Listener(Fd socket) : socket_(std::move(socket)) {}
  Fd socket_;
};

}  // namespace netjail
