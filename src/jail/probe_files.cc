#include "probe_files.h"

#include <dirent.h>
#include <fcntl.h>
#include <limits.h>
#include <sys/fsuid.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

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

// The rights of the user inside, for as long as it lives: root must not find for him what he could not.
// Without root nothing changes. Groups stay ours: who is in one of his own alone is not found (fail closed).
class RightsOf {
 public:
  explicit RightsOf(const std::optional<std::pair<std::uint32_t, std::uint32_t>>& user) {
    if (!user || ::geteuid() != 0) return;
    changed_ = true;
    ::setfsgid(user->second);
    ::setfsuid(user->first);
  }
  RightsOf(const RightsOf&) = delete;
  RightsOf& operator=(const RightsOf&) = delete;
  ~RightsOf() {
    if (!changed_) return;
    ::setfsuid(::geteuid());
    ::setfsgid(::getegid());
  }

 private:
  bool changed_ = false;
};

HostPath::Kind kind_of(mode_t mode) {
  using Kind = HostPath::Kind;
  return S_ISDIR(mode)    ? Kind::folder
         : S_ISSOCK(mode) ? Kind::socket
         : S_ISREG(mode)  ? Kind::file
                          : Kind::other;
}

// As realpath(3), but by links of root's alone: one of anybody else's may have been turned by an earlier
// program in a jail, which has not the rights of the one who calls.
std::optional<HostPath> find_path(const std::string& path) {
  constexpr int kMostLinks = 40;
  std::vector<std::string> rest;
  const auto push = [&rest](std::string_view text) {
    const auto parts = split(text, '/');
    for (auto part = parts.rbegin(); part != parts.rend(); ++part) rest.emplace_back(*part);
  };
  push(path);
  std::string target;
  struct stat info {};
  if (::lstat("/", &info) != 0) return std::nullopt;
  for (int links = 0; !rest.empty();) {
    const std::string part = std::move(rest.back());
    rest.pop_back();
    if (part.empty() || part == ".") continue;
    if (part == "..") {
      target.erase(std::min(target.rfind('/'), target.size()));
      continue;
    }
    const std::string next = target + "/" + part;
    if (::lstat(next.c_str(), &info) != 0) return std::nullopt;
    if (!S_ISLNK(info.st_mode)) {
      target = next;
      continue;
    }
    if (info.st_uid != 0) return HostPath{HostPath::Kind::link, next};
    char text[PATH_MAX];
    const ssize_t size = ::readlink(next.c_str(), text, sizeof text);
    if (size < 0 || size == sizeof text || ++links > kMostLinks) return std::nullopt;
    if (text[0] == '/') target.clear();
    push({text, static_cast<std::size_t>(size)});
  }
  if (target.empty()) target = "/";
  if (::lstat(target.c_str(), &info) != 0) return std::nullopt;
  return HostPath{kind_of(info.st_mode), target};
}

std::string parent_of(std::string_view path) {
  const auto slash = path.rfind('/');
  return slash == 0 ? "/" : std::string(path.substr(0, slash));
}

// "Num RefCount Protocol Flags Type St Inode Path". A path that is not absolute was bound in a folder that
// nobody knows.
std::set<std::string> paths_of(std::string_view text) {
  std::set<std::string> paths;
  for (const std::string_view line : split(text, '\n'))
    if (const auto path = line.find(" /"); path != line.npos) paths.emplace(line.substr(path + 1));
  return paths;
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
  const RightsOf user(questions.user);
  for (const std::string_view place : kMeetingPlaces)
    if (const auto there = find_path(std::string(place)); there && there->kind == HostPath::Kind::folder)
      if (std::ranges::find(facts.meeting_places, there->target) == facts.meeting_places.end())
        facts.meeting_places.push_back(there->target);
  for (const std::string& path : questions.paths)
    if (const auto there = find_path(path)) facts.paths[path] = *there;

  NJ_TRY_AS(const std::string bound, read_file("/proc/net/unix"));
  NJ_TRY_AS(const Listener listener, Listener::create());
  std::set<std::string> folders;
  const auto add_folder = [&](const std::string& folder) {
    char target[PATH_MAX];
    struct stat info {};
    if (::realpath(folder.c_str(), target) != nullptr && ::stat(target, &info) == 0 && S_ISDIR(info.st_mode))
      folders.insert(target);
  };
  const auto add_socket = [&](const std::string& socket) {
    for (std::string& path : find_aliases(mounts, socket)) facts.sockets.push_back(std::move(path));
  };
  for (const std::string& path : paths_of(bound)) {
    add_folder(parent_of(path));
    // Its folder can perhaps be passed through, and not be listed.
    struct stat info {};
    char target[PATH_MAX];
    if (::lstat(path.c_str(), &info) == 0 && S_ISSOCK(info.st_mode) && listener.is_there(path) &&
        ::realpath(path.c_str(), target) != nullptr)
      add_socket(target);
  }
  for (const std::string& folder : questions.folders) add_folder(folder);
  for (const std::string& folder : folders) {
    const Found found = list_sockets(folder, listener);
    for (const std::string& socket : found.sockets) add_socket(socket);
    if (found.only && !found.sockets.empty())
      for (std::string& path : find_aliases(mounts, folder)) facts.socket_folders.push_back(std::move(path));
  }
  for (const std::string& path : find_aliases(mounts, "/run/netjail"))
    if (const auto there = find_path(path); there && there->kind == HostPath::Kind::folder)
      facts.records.push_back(path);
  sort_each_once(facts.sockets);
  sort_each_once(facts.socket_folders);
  return {};
}

}  // namespace netjail
