#include "probe_sockets.h"

#include <dirent.h>
#include <fcntl.h>
#include <limits.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <map>
#include <memory>
#include <set>

#include "netjail/base/text.h"
#include "netjail/kernel/child.h"
#include "netjail/kernel/unix_sockets.h"
#include "netjail/os/fd.h"
#include "socket_search.h"

namespace netjail {
namespace {

std::string parent_of(std::string_view path) {
  const auto slash = path.rfind('/');
  return slash == 0 ? "/" : std::string(path.substr(0, slash));
}

std::optional<std::string> real_folder(const std::string& folder) {
  char target[PATH_MAX];
  struct stat info {};
  if (::realpath(folder.c_str(), target) == nullptr || ::stat(target, &info) != 0 || !S_ISDIR(info.st_mode))
    return std::nullopt;
  return target;
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

void sort_each_once(std::vector<std::string>& paths) {
  std::ranges::sort(paths);
  const auto again = std::ranges::unique(paths);
  paths.erase(again.begin(), again.end());
}

class SocketProbe {
 public:
  SocketProbe(const HostQuestions& questions, const std::vector<MountEntry>& mounts, HostFacts& facts,
              Listener listener)
      : questions_(questions),
        mounts_(mounts),
        facts_(facts),
        user_(questions.user ? questions.user->first : ::geteuid()),
        listener_(std::move(listener)) {}

  // A path that the kernel tells. Its folder can perhaps be passed through, and not be listed.
  void add_bound(const std::string& path) {
    add_folder(parent_of(path));
    char target[PATH_MAX];
    if (listener_.is_there(path) && ::realpath(path.c_str(), target) != nullptr) add_socket(target);
  }
  void add_folder(const std::string& folder) {
    if (auto target = real_folder(folder)) folders_.insert(std::move(*target));
  }
  void list_folders() {
    for (const std::string& folder : folders_) list(folder);
  }
  // Of all that are bound those that no folder has shown yet.
  Status find_others(std::vector<BoundSocket> wanted);

 private:
  struct Seen {
    std::set<std::string> names;  // from the root of its file system
    nlink_t links = 0;
  };

  static FileKey key_of(const BoundSocket& socket) { return {socket.device, socket.file}; }
  // Another user's is where he put it: who is inside can neither move it nor give it a second name
  // (fs.protected_hardlinks).
  bool is_wanted(const BoundSocket& socket) const {
    const auto seen = seen_.find(key_of(socket));
    return seen == seen_.end() ? socket.user == user_ : seen->second.names.size() < seen->second.links;
  }
  // Whether the jail has it anew: what of the host's lies there it does not see.
  bool is_own(std::string_view path) const {
    return is_at_or_below(path, "/dev") ||
           std::ranges::any_of(facts_.meeting_places,
                               [&](const std::string& own) { return is_at_or_below(path, own); });
  }
  std::vector<std::string> list_places(const std::vector<BoundSocket>& sockets,
                                       const std::map<std::uint32_t, SocketOwner>& owners) const;
  void add_socket(const std::string& path) {
    const auto place = find_place(mounts_, path);
    struct stat info {};
    if (!place || ::lstat(path.c_str(), &info) != 0 || !S_ISSOCK(info.st_mode)) return;
    Seen& seen = seen_[{place->device, static_cast<std::uint32_t>(info.st_ino)}];
    seen.links = info.st_nlink;
    if (!seen.names.insert(place->path).second) return;
    for (std::string& alias : find_aliases(mounts_, path)) facts_.sockets.push_back(std::move(alias));
  }
  // Every socket in the folder, for a server may have renamed or linked its own after it was bound (ssh
  // does), and that of another network namespace the kernel does not list.
  void list(const std::string& folder) {
    const std::unique_ptr<DIR, int (*)(DIR*)> dir(::opendir(folder.c_str()), ::closedir);
    if (!dir) return;
    bool any = false;
    bool only = true;  // there is nothing else in the folder
    while (const dirent* entry = ::readdir(dir.get())) {
      const std::string_view name = entry->d_name;
      if (name == "." || name == "..") continue;
      const std::string path = (folder == "/" ? "" : folder) + "/" + std::string(name);
      struct stat info {};
      const bool socket =
          entry->d_type == DT_SOCK ||
          (entry->d_type == DT_UNKNOWN && ::lstat(path.c_str(), &info) == 0 && S_ISSOCK(info.st_mode));
      if (socket && listener_.is_there(path)) {
        add_socket(path);
        any = true;
      } else {
        only = false;
      }
    }
    if (any && only)
      for (std::string& path : find_aliases(mounts_, folder))
        facts_.socket_folders.push_back(std::move(path));
  }

  const HostQuestions& questions_;
  const std::vector<MountEntry>& mounts_;
  HostFacts& facts_;
  std::uint32_t user_;
  Listener listener_;
  std::set<std::string> folders_;
  std::map<FileKey, Seen> seen_;
};

Status SocketProbe::find_others(std::vector<BoundSocket> wanted) {
  const auto keep_wanted = [&] { std::erase_if(wanted, [&](const auto& one) { return !is_wanted(one); }); };
  keep_wanted();
  if (wanted.empty()) return {};

  const auto owners = find_owners(wanted);
  const std::vector<std::string> places = list_places(wanted, owners);
  std::set<std::string> devices;
  for (const std::string& place : places)
    if (const MountEntry* mount = find_mount(mounts_, place)) devices.insert(mount->device);
  // The rest is where the jail sees nothing: in a container's file system, or in a folder that it has anew.
  std::erase_if(wanted, [&](const BoundSocket& one) { return !devices.contains(one.device); });
  devices.clear();
  for (const BoundSocket& one : wanted) devices.insert(one.device);

  const auto is_root_of_own = [this](std::string_view path) {
    return path == "/dev" || std::ranges::find(facts_.meeting_places, path) != facts_.meeting_places.end();
  };
  SocketSearch search(mounts_, devices, user_, is_root_of_own);
  for (const std::string& place : places) {
    if (wanted.empty()) return {};
    search.look(place, [&](const FileKey& file, const std::string& folder) {
      if (std::ranges::any_of(wanted, [&](const BoundSocket& one) { return key_of(one) == file; })) {
        list(folder);
        keep_wanted();
      }
      return !wanted.empty();
    });
  }
  if (wanted.empty() || search.unseen().empty()) return {};  // it has no name any more
  const BoundSocket& lost = wanted.front();
  const auto owner = owners.find(lost.socket);
  const std::string who = owner == owners.end()
                              ? ""
                              : " by " + printable(owner->second.program) + ", process " + owner->second.pid;
  return fail("cannot find the unix socket that was bound as " + printable(lost.path) + who +
                  ": it was moved, or has a second name, and " + search.unseen(),
              "end that program, or give this one no unix sockets: [seccomp] families without \"unix\"");
}

// The likely ones first, at last every file system.
std::vector<std::string> SocketProbe::list_places(const std::vector<BoundSocket>& sockets,
                                                  const std::map<std::uint32_t, SocketOwner>& owners) const {
  std::vector<std::string> places;
  const auto add = [&places](const std::string& folder) {
    if (auto target = real_folder(folder)) places.push_back(std::move(*target));
  };
  for (const BoundSocket& socket : sockets) {
    std::string path = socket.path;
    if (const auto owner = owners.find(socket.socket); owner != owners.end() && !path.starts_with('/'))
      path = owner->second.cwd + "/" + path;
    if (path.starts_with('/')) add(parent_of(path));
  }
  for (const std::string& folder : questions_.folders) add(folder);
  for (const MountEntry& mount : mounts_) places.push_back(mount.target);
  std::erase_if(places, [this](const std::string& place) { return is_own(place); });
  // What the jail shares of such a folder.
  for (const auto& [path, there] : facts_.paths)
    if (there.kind == HostPath::Kind::folder) places.push_back(there.target);
  return places;
}

// "Num RefCount Protocol Flags Type St Inode Path". A path that is not absolute was bound in a folder that
// nobody knows.
Result<std::vector<std::string>> read_paths() {
  NJ_TRY_AS(const std::string text, read_file("/proc/net/unix"));
  std::vector<std::string> paths;
  for (const std::string_view line : split(text, '\n'))
    if (const auto path = line.find(" /"); path != line.npos) paths.emplace_back(line.substr(path + 1));
  return paths;
}

Result<std::vector<std::string>> paths_of(const std::vector<BoundSocket>& bound) {
  std::vector<std::string> paths;
  for (const BoundSocket& socket : bound)
    if (socket.path.starts_with('/')) paths.push_back(socket.path);
  sort_each_once(paths);
  return paths;
}

}  // namespace

Status probe_sockets(const HostQuestions& questions, const std::vector<MountEntry>& mounts,
                     HostFacts& facts) {
  NJ_TRY_AS(Listener listener, Listener::create());
  SocketProbe probe(questions, mounts, facts, std::move(listener));
  const auto bound = list_bound_sockets();
  if (!bound && bound.error().code != ENOENT) return std::unexpected(bound.error());
  NJ_TRY_AS(const std::vector<std::string> paths, bound ? paths_of(*bound) : read_paths());
  for (const std::string& path : paths) probe.add_bound(path);
  for (const std::string& folder : questions.folders) probe.add_folder(folder);
  probe.list_folders();
  const bool scoped = can_scope_sockets() && !questions.can_mount;
  if (bound && questions.every_socket && !scoped) NJ_TRY(probe.find_others(*bound));
  sort_each_once(facts.sockets);
  sort_each_once(facts.socket_folders);
  return {};
}

}  // namespace netjail
