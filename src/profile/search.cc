#include "search.h"

#include <sys/stat.h>

#include <algorithm>
#include <cerrno>
#include <filesystem>
#include <set>
#include <system_error>

namespace netjail {
namespace {

namespace fs = std::filesystem;

std::string normal(const fs::path& path) {
  std::string text = path.lexically_normal().string();
  while (text.size() > 1 && text.ends_with('/')) text.pop_back();
  return text;
}

void add_folder(std::vector<std::string>& folders, const fs::path& folder) {
  auto text = normal(folder);
  if (std::ranges::find(folders, text) == folders.end()) folders.push_back(std::move(text));
}

}  // namespace

SearchPath make_search_path(const std::string& config_home, const std::string& executable) {
  SearchPath path;
  // A relative XDG_CONFIG_HOME is to be ignored (XDG Base Directory Specification): it would name a folder of
  // whoever made the working directory.
  if (config_home.starts_with('/')) add_folder(path.folders, fs::path(config_home) / "netjail/profiles");
  add_folder(path.folders, NETJAIL_SYSCONFDIR "/profiles");
  if (executable.starts_with('/')) {
    const fs::path folder = fs::path(executable).lexically_normal().parent_path();
    // Installed programs stand in .../bin, built ones in BUILD/src: "../../.." of /usr/bin is nobody's source
    // tree.
    if (folder.filename() == "bin" || folder.filename() == "sbin")
      add_folder(path.folders, folder / "../share/netjail/profiles");
    else
      add_folder(path.folders, folder / "../../../profiles");
  }
  add_folder(path.folders, NETJAIL_DATADIR "/profiles");
  return path;
}

bool is_profile_name(std::string_view name) {
  return !name.empty() && name.size() <= 240 && name != "." && name != ".." &&
         std::ranges::none_of(name, [](char c) { return c == '/' || static_cast<unsigned char>(c) < 0x20; });
}

bool exists(const std::string& path) {
  struct stat info {};
  if (::lstat(path.c_str(), &info) == 0) return true;
  return errno != ENOENT && errno != ENOTDIR && errno != ENAMETOOLONG;
}

std::optional<Found> find_by_name(std::string_view name, const SearchPath& path) {
  if (!is_profile_name(name)) return std::nullopt;
  std::string file(name);
  if (!name.ends_with(kProfileSuffix)) file += kProfileSuffix;
  for (std::size_t i = 0; i < path.folders.size(); ++i) {
    if (auto candidate = path.folders[i] + '/' + file; exists(candidate))
      return Found{std::move(candidate), i};
  }
  return std::nullopt;
}

std::vector<std::string> profile_names(const SearchPath& path) {
  std::set<std::string> names;
  for (const auto& folder : path.folders) {
    std::error_code error;  // a folder that is not there has no profiles
    for (fs::directory_iterator entry(folder, error), end; !error && entry != end; entry.increment(error)) {
      const std::string file = entry->path().filename().string();
      if (file.ends_with(kProfileSuffix) && !file.ends_with(kLocalSuffix) && !file.starts_with('.'))
        names.insert(profile_name_of(file));
    }
  }
  return {names.begin(), names.end()};
}

std::string profile_name_of(std::string_view file) {
  file = file.substr(file.rfind('/') + 1);
  if (file.ends_with(kProfileSuffix)) file.remove_suffix(kProfileSuffix.size());
  return std::string(file);
}

std::string folder_of(std::string_view file) {
  const auto slash = file.rfind('/');
  if (slash == file.npos) return ".";
  return std::string(file.substr(0, std::max<std::size_t>(slash, 1)));
}

}  // namespace netjail
