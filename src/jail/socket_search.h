// Looks through whole file systems for the files of unix sockets, and through processes for who has them.
// Read-only; costs seconds where there are millions of files, so it is for what no folder at hand shows.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "mount_table.h"
#include "netjail/kernel/unix_sockets.h"

namespace netjail {

// Device as mountinfo writes it, and the low 32 bits of the inode.
using FileKey = std::pair<std::string, std::uint32_t>;

struct SocketOwner {
  std::string pid;
  std::string program;
  std::string cwd;
};
// By BoundSocket::socket; of processes that the caller may look into.
std::map<std::uint32_t, SocketOwner> find_owners(const std::vector<BoundSocket>& sockets);

class SocketSearch {
 public:
  static constexpr std::size_t kMostEntries = 2'000'000;

  // On file systems of these devices. Folders that `is_left_out` names are not entered. What belongs to
  // `user` and cannot be listed is a place that he can hide something in: it is not seen.
  SocketSearch(const std::vector<MountEntry>& mounts, std::set<std::string> devices, std::uint32_t user,
               std::function<bool(std::string_view)> is_left_out);

  // `found` gets the folder of each socket file, and says whether to go on. What an earlier look has seen is
  // not looked at again.
  void look(const std::string& place, const std::function<bool(const FileKey&, const std::string&)>& found);
  // Why not all has been seen; empty when it has.
  const std::string& unseen() const { return unseen_; }

 private:
  const MountEntry* mount_of(const std::string& path, const MountEntry* above) const;
  int open_folder(const std::string& path);

  const std::vector<MountEntry>& mounts_;
  std::set<std::string> devices_;
  std::uint32_t user_;
  std::function<bool(std::string_view)> is_left_out_;
  std::set<std::string_view> targets_;
  std::set<std::pair<std::uint64_t, std::uint64_t>> visited_;
  std::size_t entries_ = 0;
  std::string unseen_;
};

}  // namespace netjail
