#include "socket_owners.h"

#include <dirent.h>
#include <limits.h>
#include <unistd.h>

#include <memory>

#include "netjail/base/text.h"
#include "netjail/os/fd.h"

namespace netjail {
namespace {

std::string link_at(const std::string& path) {
  char text[PATH_MAX];
  const ssize_t size = ::readlink(path.c_str(), text, sizeof text);
  return size <= 0 || size == sizeof text ? "" : std::string(text, static_cast<std::size_t>(size));
}

std::vector<std::string> list_names(const std::string& folder) {
  std::vector<std::string> names;
  const std::unique_ptr<DIR, int (*)(DIR*)> dir(::opendir(folder.c_str()), ::closedir);
  while (const dirent* entry = dir ? ::readdir(dir.get()) : nullptr) names.emplace_back(entry->d_name);
  return names;
}

}  // namespace

std::map<std::uint32_t, SocketOwner> find_owners(const std::vector<BoundSocket>& sockets) {
  std::map<std::string, std::uint32_t> wanted;
  for (const BoundSocket& socket : sockets)
    wanted.emplace("socket:[" + std::to_string(socket.socket) + "]", socket.socket);
  std::map<std::uint32_t, SocketOwner> owners;
  for (const std::string& pid : list_names("/proc")) {
    if (owners.size() == wanted.size()) break;
    if (!parse_number(pid, INT32_MAX)) continue;
    const std::string process = "/proc/" + pid;
    for (const std::string& fd : list_names(process + "/fd")) {
      const auto found = wanted.find(link_at(process + "/fd/" + fd));
      if (found == wanted.end() || owners.contains(found->second)) continue;
      const auto name = read_file(process + "/comm", 64);
      owners.emplace(found->second, SocketOwner{pid, name ? std::string(trim(*name)) : "?",
                                                link_at(process + "/root"), link_at(process + "/cwd")});
    }
  }
  return owners;
}

}  // namespace netjail
