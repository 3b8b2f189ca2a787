#include "netjail/jail/streams.h"

#include <fcntl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <string>

namespace netjail {
namespace {

constexpr const char* kNames[] = {"standard input", "standard output", "standard error"};

bool is_socket(int fd) {
  struct stat info {};
  return ::fstat(fd, &info) == 0 && S_ISSOCK(info.st_mode);
}

int option_of(int fd, int option) {
  int value = -1;
  socklen_t size = sizeof value;
  return ::getsockopt(fd, SOL_SOCKET, option, &value, &size) == 0 ? value : -1;
}

// Octets in order, to one peer: what a pipe can stand for.
bool is_connected_stream(int fd) {
  sockaddr_storage peer{};
  socklen_t size = sizeof peer;
  return option_of(fd, SO_TYPE) == SOCK_STREAM && option_of(fd, SO_ACCEPTCONN) == 0 &&
         ::getpeername(fd, reinterpret_cast<sockaddr*>(&peer), &size) == 0;
}

}  // namespace

Streams& Streams::operator=(Streams&& other) noexcept {
  if (this == &other) return *this;
  restore();
  wrapped_ = std::exchange(other.wrapped_, false);
  relays_ = std::move(other.relays_);
  return *this;
}

Result<Streams> Streams::wrap() {
  Streams streams;
  for (int fd = 0; fd <= 2; ++fd) {
    if (!is_socket(fd)) continue;
    const std::string name = kNames[fd];
    if (!is_connected_stream(fd))
      return fail(name + " is a socket, and none that a pipe can stand for: it would lead around the profile",
                  "give a stream socket whose peer is there, a pipe, a file or a terminal");
    Fd socket(::fcntl(fd, F_DUPFD_CLOEXEC, 3));
    int ends[2];
    if (!socket || ::pipe2(ends, O_CLOEXEC) != 0)
      return fail_errno("cannot put a pipe between " + name + " and its socket");
    const Fd inside(ends[fd == 0 ? 0 : 1]);
    Fd ours(ends[fd == 0 ? 1 : 0]);
    streams.wrapped_ = true;
    if (::fcntl(ours.get(), F_SETFL, O_NONBLOCK) != 0 || ::dup2(inside.get(), fd) < 0)
      return fail_errno("cannot put a pipe between " + name + " and its socket");
    streams.relays_.push_back({fd, std::move(socket), std::move(ours)});
  }
  return streams;
}

void Streams::restore() {
  if (!std::exchange(wrapped_, false)) return;
  for (const StreamRelay& relay : relays_) ::dup2(relay.socket.get(), relay.number);
}

}  // namespace netjail
