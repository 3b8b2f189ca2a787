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

// The last one above it, for a later one hides what was below its target.
const MountEntry* find_mount(const std::vector<MountEntry>& table, std::string_view path) {
  const MountEntry* seen = nullptr;
  for (const MountEntry& entry : table)
    if (is_at_or_below(path, entry.target)) seen = &entry;
  return seen;
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
    table.push_back({std::string(words[2]), unescape(words[3]), unescape(words[4]), std::string(dash[1])});
  }
  return table;
}

std::vector<std::string> find_aliases(const std::vector<MountEntry>& table, const std::string& path) {
  std::vector<std::string> paths{path};
  const MountEntry* at = find_mount(table, path);
  if (at == nullptr) return paths;
  const std::string inside = joined(at->root, rest_below(path, at->target));
  for (const MountEntry& other : table) {
    if (&other == at || other.device != at->device || !is_at_or_below(inside, other.root)) continue;
    const std::string alias = joined(other.target, rest_below(inside, other.root));
    if (find_mount(table, alias) == &other && alias != path) paths.push_back(alias);
  }
  return paths;
}

}  // namespace netjail
