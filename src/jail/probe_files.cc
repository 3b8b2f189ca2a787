#include "probe_files.h"

#include <dirent.h>
#include <fcntl.h>
#include <limits.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <memory>
#include <set>

#include "netjail/base/text.h"
#include "netjail/os/fd.h"

namespace netjail {
namespace {

constexpr std::size_t kMostSockets = 4096;  // to be covered; each is a mount

std::optional<HostPath> find_path(const std::string& path) {
  char target[PATH_MAX];
  struct stat info {};
  if (::realpath(path.c_str(), target) == nullptr || ::stat(target, &info) != 0) return std::nullopt;
  return HostPath{S_ISDIR(info.st_mode)    ? HostPath::Kind::folder
                  : S_ISSOCK(info.st_mode) ? HostPath::Kind::socket
                                           : HostPath::Kind::other,
                  target};
}

std::string parent_of(std::string_view path) {
  const auto slash = path.rfind('/');
  return slash == 0 ? "/" : std::string(path.substr(0, slash));
}

// "Num RefCount Protocol Flags Type St Inode Path": the folders of the paths. A path that is not absolute was
// bound in a folder that nobody knows.
std::set<std::string> folders_of(std::string_view text) {
  std::set<std::string> folders;
  for (const std::string_view line : split(text, '\n'))
    if (const auto path = line.find(" /"); path != line.npos)
      folders.insert(parent_of(line.substr(path + 1)));
  return folders;
}

// Asks whether a server has the path, without its notice: a socket of another type is told so (EPROTOTYPE). A
// server that has ended left a file that is in nobody's way but that of the next one, which removes it.
class Listener {
 public:
  static Result<Listener> create() {
    Fd socket(::socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0));
    if (!socket) return fail_errno("cannot look for unix sockets");
    return Listener(std::move(socket));
  }
  bool is_there(const std::string& path) const {
    // sun_path takes 107 octets; this is the same file, however long its path.
    const Fd file(::open(path.c_str(), O_PATH | O_NOFOLLOW | O_CLOEXEC));
    if (!file) return errno != ENOENT;
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    std::snprintf(address.sun_path, sizeof address.sun_path, "/proc/self/fd/%d", file.get());
    if (::connect(socket_.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0)
      return true;
    return errno != ECONNREFUSED && errno != ENOENT;
  }

 private:
  explicit Listener(Fd socket) : socket_(std::move(socket)) {}
  Fd socket_;
};

struct Found {
  std::vector<std::string> sockets;
  bool only = true;  // there is nothing else in the folder
};

// Every socket in the folder, for a server may have renamed or linked its own after it was bound (ssh does),
// and that of another network namespace is not listed.
Found list_sockets(const std::string& folder, const Listener& listener) {
  Found found;
  const std::unique_ptr<DIR, int (*)(DIR*)> dir(::opendir(folder.c_str()), ::closedir);
  if (!dir) return found;
  while (const dirent* entry = ::readdir(dir.get())) {
    const std::string_view name = entry->d_name;
    if (name == "." || name == "..") continue;
    const std::string path = (folder == "/" ? "" : folder) + "/" + std::string(name);
    struct stat info {};
    const bool socket =
        entry->d_type == DT_SOCK ||
        (entry->d_type == DT_UNKNOWN && ::lstat(path.c_str(), &info) == 0 && S_ISSOCK(info.st_mode));
    if (socket && listener.is_there(path))
      found.sockets.push_back(path);
    else
      found.only = false;
  }
  return found;
}

void sort_each_once(std::vector<std::string>& paths) {
  std::ranges::sort(paths);
  const auto again = std::ranges::unique(paths);
  paths.erase(again.begin(), again.end());
}

}  // namespace

Status probe_files(const HostQuestions& questions, const std::vector<MountEntry>& mounts, HostFacts& facts) {
  for (const std::string_view place : kMeetingPlaces)
    if (const auto there = find_path(std::string(place)); there && there->kind == HostPath::Kind::folder)
      if (std::ranges::find(facts.meeting_places, there->target) == facts.meeting_places.end())
        facts.meeting_places.push_back(there->target);
  for (const std::string& path : questions.paths)
    if (const auto there = find_path(path)) facts.paths[path] = *there;

  NJ_TRY_AS(const std::string bound, read_file("/proc/net/unix"));
  std::set<std::string> folders;
  const auto add = [&](const std::string& folder) {
    if (const auto there = find_path(folder); there && there->kind == HostPath::Kind::folder)
      folders.insert(there->target);
  };
  for (const std::string& folder : folders_of(bound)) add(folder);
  for (const std::string& folder : questions.folders) add(folder);
  NJ_TRY_AS(const Listener listener, Listener::create());
  for (const std::string& folder : folders) {
    const Found found = list_sockets(folder, listener);
    for (const std::string& socket : found.sockets)
      for (std::string& path : find_aliases(mounts, socket)) facts.sockets.push_back(std::move(path));
    if (found.only && !found.sockets.empty())
      for (std::string& path : find_aliases(mounts, folder)) facts.socket_folders.push_back(std::move(path));
  }
  sort_each_once(facts.sockets);
  sort_each_once(facts.socket_folders);
  if (facts.sockets.size() > kMostSockets)
    return fail("the host has more unix sockets than netjail can cover",
                "remove the stale ones, or share less of its files");
  return {};
}

}  // namespace netjail
