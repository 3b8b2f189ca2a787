#include "probe_socket.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>

#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <fstream>

#include "probe.h"

namespace probe {

bool parse(const std::string& text, const std::string& port, Address& address) {
  const auto number = htons(static_cast<std::uint16_t>(std::atoi(port.c_str())));
  sockaddr_in in{};
  sockaddr_in6 in6{};
  const auto zone = text.find('%');
  if (::inet_pton(AF_INET, text.c_str(), &in.sin_addr) == 1) {
    in.sin_family = AF_INET;
    in.sin_port = number;
    std::memcpy(&address.storage, &in, sizeof in);
    address.size = sizeof in;
    return true;
  }
  if (::inet_pton(AF_INET6, text.substr(0, zone).c_str(), &in6.sin6_addr) != 1) return false;
  in6.sin6_family = AF_INET6;
  in6.sin6_port = number;
  if (zone != std::string::npos) {
    std::ifstream index("/sys/class/net/" + text.substr(zone + 1) + "/ifindex");
    index >> in6.sin6_scope_id;
  }
  std::memcpy(&address.storage, &in6, sizeof in6);
  address.size = sizeof in6;
  return true;
}

bool wait_for(int fd, short events) {
  pollfd watched{fd, events, 0};
  const int ready = ::poll(&watched, 1, kTimeoutMs);
  if (ready == 0) errno = ETIMEDOUT;
  return ready > 0;
}

int open_connected(const Address& address, int type, int protocol) {
  const int fd = ::socket(address.family(), type | SOCK_NONBLOCK | SOCK_CLOEXEC, protocol);
  if (fd < 0) return -1;
  if (::connect(fd, address.get(), address.size) == 0) return fd;
  if (errno != EINPROGRESS || !wait_for(fd, POLLOUT)) return -1;
  int failure = 0;
  socklen_t size = sizeof failure;
  ::getsockopt(fd, SOL_SOCKET, SO_ERROR, &failure, &size);
  errno = failure;
  return failure == 0 ? fd : -1;
}

bool send_all(int fd, std::string text) {
  while (!text.empty()) {
    const ssize_t put = ::send(fd, text.data(), text.size(), MSG_NOSIGNAL);
    if (put < 0 && errno == EAGAIN && wait_for(fd, POLLOUT)) continue;
    if (put < 0) return false;
    text.erase(0, static_cast<std::size_t>(put));
  }
  return true;
}

bool read_some(int fd, std::string& text, std::size_t size) {
  char chunk[65536];
  while (text.size() < size) {
    if (!wait_for(fd, POLLIN)) return false;
    const ssize_t got = ::recv(fd, chunk, std::min(sizeof chunk, size - text.size()), 0);
    if (got < 0 && errno == EAGAIN) continue;
    if (got < 0) return false;
    if (got == 0) return true;
    text.append(chunk, static_cast<std::size_t>(got));
  }
  return true;
}

}  // namespace probe
