#include <dirent.h>
#include <fcntl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstring>
#include <fstream>

#include "probe.h"

namespace probe {
namespace {

struct FamilyCase {
  const char* name;
  int family, type, protocol;
};

constexpr FamilyCase kFamilies[] = {{"unix", AF_UNIX, SOCK_STREAM, 0},
                                    {"unix-dgram", AF_UNIX, SOCK_DGRAM, 0},
                                    {"inet", AF_INET, SOCK_STREAM, 0},
                                    {"inet-udp", AF_INET, SOCK_DGRAM, 0},
                                    {"inet-raw", AF_INET, SOCK_RAW, 255},
                                    {"inet6", AF_INET6, SOCK_STREAM, 0},
                                    {"inet6-udp", AF_INET6, SOCK_DGRAM, 0},
                                    {"netlink-route", AF_NETLINK, SOCK_RAW, 0},
                                    {"netlink-netfilter", AF_NETLINK, SOCK_RAW, 12},
                                    {"netlink-uevent", AF_NETLINK, SOCK_RAW, 15},
                                    {"packet", AF_PACKET, SOCK_RAW, 0},
                                    {"vsock", AF_VSOCK, SOCK_STREAM, 0},
                                    {"alg", AF_ALG, SOCK_SEQPACKET, 0},
                                    {"bluetooth", AF_BLUETOOTH, SOCK_RAW, 1},
                                    {"can", AF_CAN, SOCK_RAW, 1},
                                    {"tipc", AF_TIPC, SOCK_STREAM, 0},
                                    {"key", AF_KEY, SOCK_RAW, 2},
                                    {"nfc", AF_NFC, SOCK_SEQPACKET, 0},
                                    {"rds", AF_RDS, SOCK_SEQPACKET, 0},
                                    {"rxrpc", AF_RXRPC, SOCK_DGRAM, AF_INET},
                                    {"kcm", AF_KCM, SOCK_DGRAM, 0},
                                    {"xdp", AF_XDP, SOCK_RAW, 0},
                                    {"qipcrtr", AF_QIPCRTR, SOCK_DGRAM, 0},
                                    {"smc", AF_SMC, SOCK_STREAM, 0},
                                    {"ax25", AF_AX25, SOCK_DGRAM, 0},
                                    {"pppox", AF_PPPOX, SOCK_DGRAM, 0},
                                    {"ieee802154", AF_IEEE802154, SOCK_DGRAM, 0},
                                    {"llc", AF_LLC, SOCK_DGRAM, 0},
                                    {"sctp", AF_INET, SOCK_STREAM, 132},
                                    {"mptcp", AF_INET, SOCK_STREAM, 262}};

std::string errno_name() {
  const char* name = ::strerrorname_np(errno);
  return name != nullptr ? name : std::to_string(errno);
}

}  // namespace

Result show_families(const Arguments&) {
  std::string text;
  for (const auto& family : kFamilies) {
    const int fd = ::socket(family.family, family.type | SOCK_CLOEXEC, family.protocol);
    text += std::string(text.empty() ? "" : " ") + family.name + "=" + (fd >= 0 ? "ok" : errno_name());
    if (fd >= 0) ::close(fd);
  }
  return good(text);
}

// By asking for each number, up to the hard limit of open files: /proc may be missing.
Result show_descriptors(const Arguments&) {
  rlimit limit{};
  ::getrlimit(RLIMIT_NOFILE, &limit);
  const int last = limit.rlim_max > 1u << 20 ? 1 << 20 : static_cast<int>(limit.rlim_max);
  std::string text;
  for (int fd = 0; fd < last; ++fd) {
    if (::fcntl(fd, F_GETFD) < 0) continue;
    char target[512]{};
    const std::string path = "/proc/self/fd/" + std::to_string(fd);
    if (::readlink(path.c_str(), target, sizeof target - 1) < 0) std::strcpy(target, "?");
    text += (text.empty() ? "" : " ") + std::to_string(fd) + "=" + target;
  }
  return good(text);
}

Result show_identity(const Arguments&) {
  std::string text = "pid=" + std::to_string(::getpid()) + " ppid=" + std::to_string(::getppid()) +
                     " session=" + std::to_string(::getsid(0)) + " group=" + std::to_string(::getpgrp());
  std::ifstream status("/proc/self/status");
  for (std::string line; std::getline(status, line);) {
    const auto colon = line.find(":\t");
    if (colon == std::string::npos) continue;
    const std::string key = line.substr(0, colon);
    for (const char* wanted : {"Uid", "Gid", "Groups", "CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb",
                               "NoNewPrivs", "Seccomp", "NSpid"}) {
      if (key != wanted) continue;
      std::string value = line.substr(colon + 2);
      while (!value.empty() && value.back() == ' ') value.pop_back();
      for (char& c : value) c = c == '\t' || c == ' ' ? ',' : c;
      text += " " + key + "=" + value;
    }
  }
  for (const char* kind : {"net", "pid", "user", "mnt", "ipc", "uts", "cgroup"}) {
    char target[64]{};
    if (::readlink((std::string("/proc/self/ns/") + kind).c_str(), target, sizeof target - 1) > 0)
      text += std::string(" ") + target;
  }
  return good(text);
}

Result read_stdin(const Arguments&) {
  std::string all;
  char chunk[65536];
  ssize_t got = 0;
  while ((got = ::read(0, chunk, sizeof chunk)) > 0) all.append(chunk, static_cast<std::size_t>(got));
  if (got < 0) return bad_errno();
  std::string head = all.substr(0, 60);
  for (char& c : head) c = c == '\n' ? ' ' : c;
  return good(std::to_string(all.size()) + " octets: " + head);
}

}  // namespace probe
