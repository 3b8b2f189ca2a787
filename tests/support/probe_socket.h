// What the probe's network commands share: addresses, and sockets with a time-out. Failures leave their cause
// in errno.
#pragma once

#include <sys/socket.h>

#include <string>

namespace probe {

struct Address {
  sockaddr_storage storage{};
  socklen_t size = 0;
  const sockaddr* get() const { return reinterpret_cast<const sockaddr*>(&storage); }
  int family() const { return storage.ss_family; }
};
// "fe80::1%eth0" too: inet_pton knows no zones.
bool parse(const std::string& text, const std::string& port, Address& address);

// True when `fd` is ready; errno is ETIMEDOUT otherwise.
bool wait_for(int fd, short events);
// A connected socket or -1.
int open_connected(const Address& address, int type, int protocol = 0);
bool send_all(int fd, std::string text);
// Until `size` octets or end of file.
bool read_some(int fd, std::string& text, std::size_t size);

}  // namespace probe
