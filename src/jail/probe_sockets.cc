#include "probe_sockets.h"

#include <dirent.h>
#include <fcntl.h>
#include <limits.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <map>
#include <memory>
#include <set>

#include "listener.h"
#include "netjail/base/text.h"
#include "netjail/kernel/child.h"
#include "netjail/kernel/unix_sockets.h"
#include "netjail/os/fd.h"
#include "socket_owners.h"

namespace netjail {
namespace {

std::string parent_of(std::string_view path) {
  const auto slash = path.rfind('/');
  return slash == 0 ? "/" : std::string(path.substr(0, slash));
}

bool is_folder(const std::string& path) {
  struct stat info {};
  return ::stat(path.c_str(), &info) == 0 && S_ISDIR(info.st_mode);
}

std::optional<std::string> real_folder(const std::string& folder) {
  char target[PATH_MAX];
  if (::realpath(folder.c_str(), target) == nullptr || !is_folder(target)) return std::nullopt;
  return target;
}

template <class Value>
void sort_each_once(std::vector<Value>& values) {
  std::ranges::sort(values);
  const auto again = std::ranges::unique(values);
  values.erase(again.begin(), again.end());
}

using FileKey = std::pair<std::string, std::uint32_t>;  // as BoundSocket has it

class SocketProbe {
 public:
  SocketProbe(const HostQuestions& questions, const std::vector<MountEntry>& mounts, HostFacts& facts,
              Listener listener)
      : questions_(questions),
        mounts_(mounts),
        facts_(facts),
        user_(questions.user ? questions.user->uid : ::geteuid()),
        listener_(std::move(listener)) {}

  // A path that the kernel tells. Its folder can perhaps be passed through, and not be listed; or be closed
  // to the user, while another mount shows the file.
  void add_bound(const std::string& path) {
    add_folder(parent_of(path));
    char target[PATH_MAX];
    if (::realpath(path.c_str(), target) != nullptr)
      add_socket(target);
    else
      for (const std::string& alias : find_aliases(mounts_, path)) add_socket(alias);
  }
  void add_folder(const std::string& folder) {
    if (auto target = real_folder(folder)) folders_.insert(std::move(*target));
  }
  void list_folders() {
    for (const std::string& folder : folders_) list(folder);
  }
  // A container's socket can be mounted alone.
  void add_file_mounts() {
    for (const MountEntry& mount : mounts_)
      if (mount.root != "/") add_socket(mount.target);
  }
  // Of all that are bound, those that nothing of this has shown.
  void find_lost(std::vector<BoundSocket> bound);

 private:
  struct Seen {
    std::set<std::string> names;  // from the root of its file system
    nlink_t links = 0;
    bool shut = false;  // where a cover cannot be put, and the user can get
  };

  static FileKey key_of(const BoundSocket& socket) { return {socket.device, socket.file}; }
  bool is_found(const BoundSocket& socket) const {
    const auto seen = seen_.find(key_of(socket));
    return seen != seen_.end() && !seen->second.shut && seen->second.names.size() >= seen->second.links;
  }
  // False: there is no socket, or nobody who listens.
  bool add_socket(const std::string& path) {
    struct stat info {};
    if (::lstat(path.c_str(), &info) != 0 || !S_ISSOCK(info.st_mode)) return false;
    const Listener::Answer answer = listener_.ask(path);
    const auto place = find_place(mounts_, path);
    if (answer == Listener::Answer::no || !place) return false;
    Seen& seen = seen_[{place->device, static_cast<std::uint32_t>(info.st_ino)}];
    seen.links = std::max(seen.links, info.st_nlink);
    // Nothing can be mounted on what has been removed, and is still there by a mount of its own.
    seen.shut = seen.shut || info.st_nlink == 0;
    if (info.st_nlink == 0) return true;
    bool covered = false;
    for (std::string& alias : find_paths(mounts_, *place)) {
      struct stat there {};
      const int failed = ::lstat(alias.c_str(), &there) == 0 ? 0 : errno;
      if (failed == 0 && there.st_dev == info.st_dev && there.st_ino == info.st_ino) {
        facts_.sockets.push_back({std::move(alias), info.st_dev, info.st_ino, place->device, info.st_nlink});
        covered = true;
      } else {
        // Where he cannot come, and never will, it is out of reach; else it is on the move.
        seen.shut = seen.shut || failed != EACCES || can_change(alias);
      }
    }
    // Whoever owns a file can forbid the question, and let a dead socket pass for one that is looked for.
    seen.shut = seen.shut || (answer == Listener::Answer::unknown && info.st_uid == user_) ||
                can_come_below_another_mount(*place, info.st_dev);
    if (covered) seen.names.insert(place->path);
    return true;
  }
  // Every socket in the folder, for a server may have renamed or linked its own after it was bound (ssh
  // does), and that of another network namespace the kernel does not list.
  void list(const std::string& folder) {
    const std::unique_ptr<DIR, int (*)(DIR*)> dir(::opendir(folder.c_str()), ::closedir);
    struct stat info {};
    if (!dir || ::fstat(::dirfd(dir.get()), &info) != 0) return;
    bool any = false;
    bool only = true;  // there is nothing else in the folder
    while (const dirent* entry = ::readdir(dir.get())) {
      const std::string_view name = entry->d_name;
      if (name == "." || name == "..") continue;
      const bool can_be = entry->d_type == DT_SOCK || entry->d_type == DT_UNKNOWN;
      if (can_be && add_socket((folder == "/" ? "" : folder) + "/" + std::string(name)))
        any = true;
      else
        only = false;
    }
    if (!any || !only) return;
    for (std::string& alias : find_aliases(mounts_, folder))
      facts_.socket_folders.push_back({std::move(alias), info.st_dev, info.st_ino, "", 0});
  }

  void follow(const BoundSocket& socket, const SocketOwner& owner);
  void look_under(const BoundSocket& socket);
  bool is_shown(const std::string& device) const;
  bool can_be_moved(const BoundSocket& socket) const;
  bool can_change(const std::string& path, int links = 0) const;
  bool is_shown_below(const std::string& folder) const;
  bool can_come_below_another_mount(const FilePlace& place, dev_t device) const;
  // Whether the jail has it anew: what of the host's lies there it does not see.
  bool is_own(std::string_view path) const {
    return is_at_or_below(path, "/dev") ||
           std::ranges::any_of(facts_.meeting_places,
                               [&](const std::string& own) { return is_at_or_below(path, own); });
  }

  const HostQuestions& questions_;
  const std::vector<MountEntry>& mounts_;
  HostFacts& facts_;
  std::uint32_t user_;
  Listener listener_;
  std::set<std::string> folders_;
  std::map<FileKey, Seen> seen_;
};

void SocketProbe::find_lost(std::vector<BoundSocket> bound) {
  const auto drop_found = [&] {
    std::erase_if(bound, [this](const BoundSocket& one) { return is_found(one); });
  };
  drop_found();
  std::erase_if(bound, [this](const BoundSocket& one) {
    return !is_shown(one.device) || (!can_be_moved(one) && !seen_.contains(key_of(one)));
  });
  if (bound.empty()) return;
  const auto owners = find_owners(bound);
  for (const BoundSocket& socket : bound) {
    if (const auto owner = owners.find(socket.socket); owner != owners.end()) follow(socket, owner->second);
    look_under(socket);
  }
  drop_found();
  for (const BoundSocket& socket : bound) {
    const auto owner = owners.find(socket.socket);
    if (owner == owners.end())
      facts_.lost_sockets.push_back({socket.path, "", ""});
    else
      facts_.lost_sockets.push_back({socket.path, owner->second.program, owner->second.pid});
  }
}

// To where its process sees it: by its working directory, its root (chroot), its mount namespace.
void SocketProbe::follow(const BoundSocket& socket, const SocketOwner& owner) {
  constexpr std::string_view kSelf = "/proc/self/";
  if (socket.path.starts_with(kSelf)) {
    add_bound("/proc/" + owner.pid + socket.path.substr(kSelf.size() - 1));
  } else if (!socket.path.starts_with('/')) {
    add_bound(owner.cwd + "/" + socket.path);
  } else if (owner.root != "/") {
    add_bound(owner.root + socket.path);
  } else if (const auto table = read_file("/proc/" + owner.pid + "/mountinfo")) {
    if (const auto place = find_place(parse_mount_table(*table), socket.path))
      for (const std::string& path : find_paths(mounts_, *place)) add_bound(path);
  }
  list_folders();
}

// A mount over its folder hides it, from the jail too. Only root can see what is below one.
void SocketProbe::look_under(const BoundSocket& socket) {
  for (const MountEntry& mount : mounts_) {
    if (mount.device != socket.device || !is_at_or_below(socket.path, mount.target) ||
        find_mount(mounts_, mount.target) != &mount)
      continue;
    const std::string rest = socket.path.substr(mount.target == "/" ? 1 : mount.target.size() + 1);
    const FilePlace place{mount.device, (mount.root == "/" ? "/" : mount.root + "/") + rest};
    // What the user can turn meanwhile proves nothing; root inside can turn everything.
    if (!find_paths(mounts_, place).empty() || (user_ != 0 && can_change(socket.path))) continue;
    const Fd alone(::open_tree(AT_FDCWD, mount.target.c_str(), OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC));
    struct stat info {};
    if (!alone || ::fstatat(alone.get(), rest.c_str(), &info, AT_SYMLINK_NOFOLLOW) != 0 ||
        !S_ISSOCK(info.st_mode) || static_cast<std::uint32_t>(info.st_ino) != socket.file)
      continue;
    Seen& seen = seen_[key_of(socket)];
    seen.links = info.st_nlink;
    seen.names.insert(place.path);
  }
}

// Whether the jail sees anything of the file system.
bool SocketProbe::is_shown(const std::string& device) const {
  const auto is_shared = [&](const MountEntry& mount) {
    return std::ranges::any_of(facts_.paths, [&](const auto& asked) {
      const HostPath& there = asked.second;
      return there.kind == HostPath::Kind::folder &&
             (is_at_or_below(mount.target, there.target) || is_at_or_below(there.target, mount.target));
    });
  };
  return std::ranges::any_of(mounts_, [&](const MountEntry& mount) {
    return mount.device == device && is_folder(mount.target) && (!is_own(mount.target) || is_shared(mount));
  });
}

// Another user's only by a folder above it.
bool SocketProbe::can_be_moved(const BoundSocket& socket) const {
  return socket.user == user_ || (socket.path.starts_with('/') && can_change(socket.path));
}

// Whether the user inside can rename a folder above the path, or turn a link, or shut one and open it again.
bool SocketProbe::can_change(const std::string& path, int links) const {
  constexpr int kMostLinks = 40;
  if (user_ == 0 || links > kMostLinks) return true;
  bool writable = false;  // the last one that is there, for who may make and rename his own in it (sticky)
  for (auto slash = path.find('/', 1); slash != std::string::npos; slash = path.find('/', slash + 1)) {
    const std::string folder = path.substr(0, slash);
    struct stat info {};
    if (::lstat(folder.c_str(), &info) != 0) return errno == EACCES ? is_shown_below(folder) : writable;
    if (info.st_uid == user_) return true;
    if (S_ISLNK(info.st_mode)) {
      char text[PATH_MAX];
      const ssize_t size = ::readlink(folder.c_str(), text, sizeof text);
      if (size <= 0 || size == sizeof text) return true;
      const std::string target(text, static_cast<std::size_t>(size));
      return can_change((target.front() == '/' ? "" : parent_of(folder) + "/") + target + path.substr(slash),
                        links + 1);
    }
    writable = ::faccessat(AT_FDCWD, folder.c_str(), W_OK | X_OK, AT_EACCESS) == 0;
    if (writable && (info.st_mode & S_ISVTX) == 0) return true;
  }
  return false;
}

// Whether another mount shows what lies below the folder.
bool SocketProbe::is_shown_below(const std::string& folder) const {
  const auto place = find_place(mounts_, folder);
  return !place || std::ranges::any_of(mounts_, [&](const MountEntry& mount) {
    return mount.device == place->device && is_at_or_below(mount.root, place->path) &&
           mount.target != folder && !is_own(mount.target);
  });
}

// A cover is one mount's: by another one that shows a part of the file system, without the socket, what is
// moved there is found without it.
bool SocketProbe::can_come_below_another_mount(const FilePlace& place, dev_t device) const {
  // Root inside can write everywhere; it would hardly ever have a unix socket.
  return user_ != 0 && std::ranges::any_of(mounts_, [&](const MountEntry& mount) {
           struct stat root {};
           return mount.device == place.device && !is_at_or_below(place.path, mount.root) &&
                  !is_own(mount.target) && ::stat(mount.target.c_str(), &root) == 0 &&
                  S_ISDIR(root.st_mode) && root.st_dev == device &&
                  (root.st_uid == user_ ||
                   ::faccessat(AT_FDCWD, mount.target.c_str(), W_OK | X_OK, AT_EACCESS) == 0);
         });
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
  probe.add_file_mounts();
  const bool scoped = can_scope_sockets() && !questions.can_mount;
  if (bound && questions.every_socket && !scoped) probe.find_lost(*bound);
  sort_each_once(facts.sockets);
  sort_each_once(facts.socket_folders);
  return {};
}

}  // namespace netjail
