// /proc/self/mountinfo (proc_pid_mountinfo(5)) as values, and at which other paths a file is found. Pure.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace netjail {

struct MountEntry {
  int id = 0;
  int parent = 0;      // on which it is mounted
  std::string device;  // "98:0"
  std::string root;    // of the file system, that is mounted
  std::string target;
  std::string type;
  bool operator==(const MountEntry&) const = default;
};
std::vector<MountEntry> parse_mount_table(std::string_view text);

// The mount that is seen at the path, which has no symbolic links: null where no line tells it.
const MountEntry* find_mount(const std::vector<MountEntry>& table, std::string_view path);
// The path from the root of its file system: the same for each path at which a mount shows the file.
struct FilePlace {
  std::string device;
  std::string path;
  bool operator==(const FilePlace&) const = default;
};
std::optional<FilePlace> find_place(const std::vector<MountEntry>& table, std::string_view path);

// The paths at which the mounts show the file.
std::vector<std::string> find_paths(const std::vector<MountEntry>& table, const FilePlace& place);
// `path`, without symbolic links, and the paths at which other mounts of its file system show the same file.
std::vector<std::string> find_aliases(const std::vector<MountEntry>& table, const std::string& path);

bool is_at_or_below(std::string_view path, std::string_view folder);

}  // namespace netjail
