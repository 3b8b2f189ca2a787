// The two network namespaces and the sockets that are opened in them. Runs in init: no allocation.
#include <arpa/inet.h>
#include <fcntl.h>
#include <linux/netlink.h>
#include <net/if.h>
#include <sched.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstring>

#include "child_init.h"

namespace netjail::init {
namespace {

struct Sysctl {
  const char* path;
  const char* value;
};
// Before any link exists: links inherit "default". No redirects either way; ping works in the jail without a
// capability (what it may reach is the router's business). IPv4 forwarding and the like come with the links:
// the sysctls among them take the lock of all namespaces (rtnl), and spin while it is taken.
constexpr std::size_t kRouterSysctls = 3;
constexpr std::array<Sysctl, 5> kSysctls{{{"net/ipv4/conf/all/send_redirects", "0"},
                                          {"net/ipv4/conf/default/send_redirects", "0"},
                                          {"net/ipv6/conf/all/forwarding", "1"},
                                          {"net/ipv6/conf/default/accept_redirects", "0"},
                                          {"net/ipv6/conf/default/accept_ra", "0"}}};
constexpr const char* kPingGroups = "net/ipv4/ping_group_range";

// A sysctl that is missing on this kernel (no IPv6) is no failure; one that refuses the value is.
bool set_sysctl(int proc, const Sysctl& sysctl) {
  char path[64] = "sys/";
  std::strcat(path, sysctl.path);
  const int fd = ::openat(proc, path, O_WRONLY | O_CLOEXEC);
  if (fd < 0) return errno == ENOENT;
  const auto size = static_cast<ssize_t>(std::strlen(sysctl.value));
  const bool done = ::write(fd, sysctl.value, std::strlen(sysctl.value)) == size;
  const int code = errno;
  ::close(fd);
  errno = code;
  return done;
}

Failure set_sysctls(int proc, std::size_t from, std::size_t to) {
  for (std::size_t i = from; i < to; ++i)
    if (!set_sysctl(proc, kSysctls[i])) return {Step::sysctl, static_cast<int>(i)};
  return {};
}

bool keep(Sockets& sockets, int fd) {
  if (fd >= 0) sockets.fds[sockets.count++] = fd;
  return fd >= 0;
}

bool keep_netns(Sockets& sockets, int proc) {
  return keep(sockets, ::openat(proc, "self/ns/net", O_RDONLY | O_CLOEXEC));
}

bool keep_netlink(Sockets& sockets, int protocol) {
  return keep(sockets, ::socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, protocol));
}

bool loopback_up(int socket) {
  ifreq request{};
  std::memcpy(request.ifr_name, "lo", 3);
  request.ifr_flags = IFF_UP;
  return ::ioctl(socket, SIOCSIFFLAGS, &request) == 0;
}

bool keep_resolver_socket(Sockets& sockets, int type) {
  const int fd = ::socket(AF_INET, type | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  if (!keep(sockets, fd)) return false;
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(53);
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  return ::bind(fd, reinterpret_cast<sockaddr*>(&address), sizeof address) == 0 &&
         (type != SOCK_STREAM || ::listen(fd, 64) == 0);
}

}  // namespace

Failure make_router(int proc, Sockets& sockets) {
  if (::unshare(CLONE_NEWNET) != 0) return {Step::router};
  if (!keep_netns(sockets, proc) || !keep_netlink(sockets, NETLINK_ROUTE) ||
      !keep_netlink(sockets, NETLINK_NETFILTER) || !keep_netlink(sockets, NETLINK_NETFILTER))
    return {Step::sockets};
  return set_sysctls(proc, 0, kRouterSysctls);
}

Failure make_jail(int proc, const char* ping_groups, Sockets& sockets) {
  if (::unshare(CLONE_NEWNET) != 0) return {Step::jail};
  const int raw = ::socket(AF_INET, SOCK_RAW | SOCK_CLOEXEC, IPPROTO_RAW);
  if (!keep_netns(sockets, proc) || !keep_netlink(sockets, NETLINK_ROUTE) || !keep(sockets, raw) ||
      !loopback_up(raw) || !keep_resolver_socket(sockets, SOCK_DGRAM) ||
      !keep_resolver_socket(sockets, SOCK_STREAM))
    return {Step::sockets};
  if (!keep(sockets, ::socket(AF_INET6, SOCK_RAW | SOCK_CLOEXEC, IPPROTO_RAW)) && errno != EAFNOSUPPORT)
    return {Step::sockets};
  if (!set_sysctl(proc, {kPingGroups, ping_groups})) return {Step::sysctl, static_cast<int>(kSysctls.size())};
  return set_sysctls(proc, kRouterSysctls, kSysctls.size());
}

const char* sysctl_name(int index) {
  const auto i = static_cast<std::size_t>(index);
  return i < kSysctls.size() ? kSysctls[i].path : kPingGroups;
}

}  // namespace netjail::init
