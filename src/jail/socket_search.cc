#include "socket_search.h"

#include <dirent.h>
#include <fcntl.h>
#include <limits.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <memory>

#include "netjail/base/text.h"
#include "netjail/os/fd.h"

namespace netjail {
namespace {

using Directory = std::unique_ptr<DIR, int (*)(DIR*)>;

std::string link_at(const std::string& path) {
  char text[PATH_MAX];
  const ssize_t size = ::readlink(path.c_str(), text, sizeof text);
  return size <= 0 || size == sizeof text ? "" : std::string(text, static_cast<std::size_t>(size));
}

std::string joined(const std::string& folder, std::string_view name) {
  return (folder == "/" ? "" : folder) + "/" + std::string(name);
}

template <class Visit>
void each_entry(DIR* dir, const Visit& visit) {
  while (const dirent* entry = ::readdir(dir)) {
    const std::string_view name = entry->d_name;
    if (name != "." && name != ".." && !visit(*entry, name)) return;
  }
}

// DT_UNKNOWN where the file system does not say.
unsigned char type_of(const dirent& entry, DIR* dir) {
  struct stat info {};
  if (entry.d_type != DT_UNKNOWN ||
      ::fstatat(::dirfd(dir), entry.d_name, &info, AT_SYMLINK_NOFOLLOW | AT_NO_AUTOMOUNT) != 0)
    return entry.d_type;
  return static_cast<unsigned char>(IFTODT(info.st_mode));
}

}  // namespace

std::map<std::uint32_t, SocketOwner> find_owners(const std::vector<BoundSocket>& sockets) {
  std::map<std::string, std::uint32_t> wanted;
  for (const BoundSocket& socket : sockets)
    wanted.emplace("socket:[" + std::to_string(socket.socket) + "]", socket.socket);
  std::map<std::uint32_t, SocketOwner> owners;
  const Directory processes(::opendir("/proc"), ::closedir);
  if (!processes) return owners;
  each_entry(processes.get(), [&](const dirent&, std::string_view pid) {
    if (!parse_number(pid, INT32_MAX)) return true;
    const std::string process = "/proc/" + std::string(pid);
    const Directory descriptors(::opendir((process + "/fd").c_str()), ::closedir);
    if (!descriptors) return true;
    each_entry(descriptors.get(), [&](const dirent&, std::string_view fd) {
      const auto found = wanted.find(link_at(joined(process + "/fd", fd)));
      if (found == wanted.end() || owners.contains(found->second)) return true;
      const auto name = read_file(process + "/comm", 64);
      owners.emplace(found->second, SocketOwner{std::string(pid), name ? std::string(trim(*name)) : "?",
                                                link_at(process + "/cwd")});
      return true;
    });
    return owners.size() < wanted.size();
  });
  return owners;
}

SocketSearch::SocketSearch(const std::vector<MountEntry>& mounts, std::set<std::string> devices,
                           std::uint32_t user, std::function<bool(std::string_view)> is_left_out)
    : mounts_(mounts), devices_(std::move(devices)), user_(user), is_left_out_(std::move(is_left_out)) {
  for (const MountEntry& mount : mounts) targets_.insert(mount.target);
}

const MountEntry* SocketSearch::mount_of(const std::string& path, const MountEntry* above) const {
  return above != nullptr && !targets_.contains(path) ? above : find_mount(mounts_, path);
}

// -1: there is nothing to see in it, or it is noted that it was not seen.
int SocketSearch::open_folder(const std::string& path) {
  const int fd = ::open(path.c_str(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
  if (fd >= 0) return fd;
  const int why = errno;
  if (why == ENOENT || why == ENOTDIR || why == ELOOP) return -1;
  struct stat info {};
  const bool can_be_passed = ::faccessat(AT_FDCWD, path.c_str(), X_OK, AT_EACCESS) == 0;
  const bool is_own = ::lstat(path.c_str(), &info) == 0 && info.st_uid == user_;
  const bool can_hide =
      is_own || (can_be_passed && ::faccessat(AT_FDCWD, path.c_str(), W_OK, AT_EACCESS) == 0);
  if (why != EACCES || can_hide) unseen_ = "the folder " + printable(path) + " cannot be listed";
  return -1;
}

void SocketSearch::look(const std::string& place,
                        const std::function<bool(const FileKey&, const std::string&)>& found) {
  struct Folder {
    std::string path;
    const MountEntry* mount;
  };
  std::vector<Folder> rest{{place, mount_of(place, nullptr)}};
  bool go_on = true;
  while (go_on && !rest.empty()) {
    const Folder folder = std::move(rest.back());
    rest.pop_back();
    if (folder.mount == nullptr || !devices_.contains(folder.mount->device)) continue;
    const int fd = open_folder(folder.path);
    struct stat info {};
    if (fd < 0) continue;
    const Directory dir(::fdopendir(fd), ::closedir);
    if (!dir || ::fstat(fd, &info) != 0 || !visited_.emplace(info.st_dev, info.st_ino).second) continue;
    each_entry(dir.get(), [&](const dirent& entry, std::string_view name) {
      if (++entries_ > kMostEntries) {
        unseen_ = "there are more than " + std::to_string(kMostEntries) + " files";
        go_on = false;
        return false;
      }
      const unsigned char type = type_of(entry, dir.get());
      if (type == DT_DIR) {
        std::string path = joined(folder.path, name);
        if (is_left_out_(path)) return true;
        const MountEntry* mount = mount_of(path, folder.mount);
        rest.push_back({std::move(path), mount});
      } else if (type == DT_SOCK && ::fstatat(fd, entry.d_name, &info, AT_SYMLINK_NOFOLLOW) == 0) {
        go_on = found({folder.mount->device, static_cast<std::uint32_t>(info.st_ino)}, folder.path);
      }
      return go_on;
    });
  }
}

}  // namespace netjail
