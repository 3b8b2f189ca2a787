#include "netjail/kernel/unix_sockets.h"

#include <doctest/doctest.h>

#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <filesystem>
#include <optional>
#include <string>

#include "netjail/os/fd.h"

using namespace netjail;

namespace {

sockaddr_un address_of(const std::string& path) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  REQUIRE(path.size() < sizeof address.sun_path);
  std::copy(path.begin(), path.end(), address.sun_path);
  return address;
}

Fd bound(int type, const std::string& path) {
  Fd socket(::socket(AF_UNIX, type | SOCK_CLOEXEC, 0));
  const sockaddr_un address = address_of(path);
  REQUIRE(::bind(socket.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0);
  return socket;
}

std::optional<BoundSocket> find(const std::string& path) {
  const auto sockets = list_bound_sockets();
  REQUIRE_MESSAGE(sockets, sockets.error().what);
  const auto found = std::ranges::find(*sockets, path, &BoundSocket::path);
  return found == sockets->end() ? std::nullopt : std::optional(*found);
}

}  // namespace

TEST_CASE(
    "the kernel says which file a socket is, wherever it has gone, for as long as it can be connected to") {
  const std::string folder =
      std::filesystem::temp_directory_path() / ("netjail-unix-" + std::to_string(::getpid()));
  std::filesystem::create_directory(folder);
  const std::string path = folder + "/with\nnewline";
  Fd server = bound(SOCK_STREAM, path);
  struct stat file {};
  REQUIRE(::stat(path.c_str(), &file) == 0);
  std::filesystem::rename(path, folder + "/elsewhere");
  const auto waiting = find(path);
  REQUIRE(waiting);
  CHECK(waiting->file == static_cast<std::uint32_t>(file.st_ino));
  CHECK(waiting->user == ::geteuid());
  struct stat socket {};
  REQUIRE(::fstat(server.get(), &socket) == 0);
  CHECK(waiting->socket == socket.st_ino);
  const auto mounts = read_file("/proc/self/mountinfo");
  REQUIRE(mounts);
  CHECK(mounts->find(" " + waiting->device + " ") != std::string::npos);

  REQUIRE(::listen(server.get(), 1) == 0);
  const Fd client(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
  const sockaddr_un address = address_of(folder + "/elsewhere");
  REQUIRE(::connect(client.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0);
  const Fd accepted(::accept4(server.get(), nullptr, nullptr, SOCK_CLOEXEC));
  REQUIRE(accepted);
  CHECK(find(path));
  server.reset();
  CHECK(!find(path));  // what was accepted has the file, but nobody is connected to it
  const Fd datagrams = bound(SOCK_DGRAM, folder + "/d");
  CHECK(find(folder + "/d"));
  std::filesystem::remove_all(folder);
}
