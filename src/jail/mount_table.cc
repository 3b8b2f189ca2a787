#include "mount_table.h"

#include <algorithm>

#include "netjail/base/text.h"

namespace netjail {
namespace {

// mountinfo writes space, tab, newline and backslash as octal.
std::string unescape(std::string_view text) {
  std::string out;
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] == '\\' && i + 3 < text.size()) {
      out.push_back(
          static_cast<char>((text[i + 1] - '0') * 64 + (text[i + 2] - '0') * 8 + (text[i + 3] - '0')));
      i += 3;
    } else {
      out.push_back(text[i]);
    }
  }
  return out;
}

// "/a/b" without "/a"; "/" has no end of its own.
std::string_view rest_below(std::string_view path, std::string_view folder) {
  if (path == folder) return {};
  return folder == "/" ? path : path.substr(folder.size());
}

std::string joined(std::string_view folder, std::string_view rest) {
  return folder == "/" ? std::string(rest.empty() ? "/" : rest) : std::string(folder) + std::string(rest);
}

}  // namespace

bool is_at_or_below(std::string_view path, std::string_view folder) {
  return folder == "/" || path == folder ||
         (path.starts_with(folder) && path.size() > folder.size() && path[folder.size()] == '/');
}

// As the kernel walks: from a mount to the first one on it that lies on the way. Not the order of the lines:
// a mount that was moved, or came before the root (an initramfs's /run), is older than what it lies on.
const MountEntry* find_mount(const std::vector<MountEntry>& table, std::string_view path) {
  const auto is_on = [&](const MountEntry& entry, const MountEntry* below) {
    if (below != nullptr) return entry.parent == below->id && &entry != below;
    return std::ranges::none_of(
        table, [&](const MountEntry& other) { return other.id == entry.parent && &other != &entry; });
  };
  const MountEntry* at = nullptr;
  while (true) {
    const MountEntry* next = nullptr;
    for (const MountEntry& entry : table)
      if (is_at_or_below(path, entry.target) && is_on(entry, at) &&
          (next == nullptr || entry.target.size() < next->target.size()))
        next = &entry;
    if (next == nullptr) return at;
    at = next;
  }
}

std::optional<FilePlace> find_place(const std::vector<MountEntry>& table, std::string_view path) {
  const MountEntry* at = find_mount(table, path);
  if (at == nullptr) return std::nullopt;
  return FilePlace{at->device, joined(at->root, rest_below(path, at->target))};
}

std::vector<MountEntry> parse_mount_table(std::string_view text) {
  std::vector<MountEntry> table;
  for (const std::string_view line : split(text, '\n')) {
    // "36 35 98:0 /root /mount/point options ... - type source options"
    const auto words = split_words(line);
    const auto dash = std::ranges::find(words, "-");
    if (words.size() < 7 || words.end() - dash < 2) continue;
    const auto id = parse_number(words[0], INT32_MAX);
    const auto parent = parse_number(words[1], INT32_MAX);
    if (!id || !parent) continue;
    table.push_back({static_cast<int>(*id), static_cast<int>(*parent), std::string(words[2]),
                     unescape(words[3]), unescape(words[4]), std::string(dash[1])});
  }
  return table;
}

std::vector<std::string> find_paths(const std::vector<MountEntry>& table, const FilePlace& place) {
  std::vector<std::string> paths;
  for (const MountEntry& mount : table) {
    if (mount.device != place.device || !is_at_or_below(place.path, mount.root)) continue;
    std::string path = joined(mount.target, rest_below(place.path, mount.root));
    if (find_mount(table, path) == &mount) paths.push_back(std::move(path));
  }
  return paths;
}

std::vector<std::string> find_aliases(const std::vector<MountEntry>& table, const std::string& path) {
  std::vector<std::string> paths{path};
  if (const auto place = find_place(table, path))
    for (std::string& other : find_paths(table, *place))
      if (other != path) paths.push_back(std::move(other));
  return paths;
}

}  // namespace netjail
