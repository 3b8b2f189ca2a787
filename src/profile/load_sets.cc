#include <fcntl.h>
#include <sys/stat.h>

#include <algorithm>
#include <cerrno>
#include <filesystem>
#include <system_error>

#include "netjail/base/text.h"
#include "netjail/os/fd.h"
#include "netjail/profile/load.h"

namespace netjail {
namespace {

namespace fs = std::filesystem;

constexpr std::size_t kMaxText = 1u << 20;
constexpr std::size_t kMaxFiles = 1000;  // in one folder

struct Reading {
  const ConfigUser& user;
  const std::string& root;

  // Of the user's home when `own`. ENOTDIR is ~/.config that is a file.
  Result<ConfigFile> read(const std::string& path, bool own) const {
    ConfigFile file{path, {}};
    const Fd fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK));
    if (!fd && (errno == ENOENT || errno == ENOTDIR)) return file;
    if (!fd) return fail_errno("cannot open " + path);
    struct stat info {};
    if (::fstat(fd.get(), &info) != 0) return fail_errno("cannot read " + path);
    // Root's, too, only where everybody may read it: ~/.npmrc can be a link to anything.
    const bool readable = info.st_uid == user.uid || (info.st_uid == 0 && (info.st_mode & S_IROTH) != 0);
    if (own && !readable)
      return fail("cannot use " + path + ": it belongs to another user",
                  "chown it, or name the hosts in `to` instead of the set");
    NJ_TRY_AS(file.text, read_file(fd, path, kMaxText));
    return file;
  }

  Result<std::vector<ConfigFile>> read_all(const std::vector<std::string>& own,
                                           const std::vector<std::string>& system) const {
    std::vector<ConfigFile> files;
    for (const auto& path : own) {
      if (!user.home.starts_with('/')) continue;
      NJ_TRY_AS(ConfigFile file, read(user.home + path, true));
      files.push_back(std::move(file));
    }
    for (const auto& path : system) {
      NJ_TRY_AS(ConfigFile file, read(root + path, false));
      files.push_back(std::move(file));
    }
    return files;
  }

  // Those that apt would read, in its order.
  Result<std::vector<ConfigFile>> read_apt() const {
    const std::string folder = root + "/etc/apt/sources.list.d";
    std::vector<std::string> paths{"/etc/apt/sources.list"};
    std::error_code error;
    for (fs::directory_iterator entry(folder, error), end; !error && entry != end; entry.increment(error)) {
      const std::string name = entry->path().filename().string();
      if (!is_apt_name(name)) continue;
      paths.push_back("/etc/apt/sources.list.d/" + name);
      if (paths.size() > kMaxFiles)
        return fail("cannot use @apt-sources: more than " + std::to_string(kMaxFiles) + " files in " +
                    folder);
    }
    if (error && error != std::errc::no_such_file_or_directory)
      return fail("cannot read " + folder + ": " + error.message());
    std::ranges::sort(paths.begin() + 1, paths.end());
    NJ_TRY_AS(auto files, read_all({}, paths));
    // For the error when there is nothing: where a source could be added.
    if (files.size() == 1) files.push_back({folder, {}});
    return files;
  }

  // sources.list(5): letters, digits, '-', '_' and '.'; other files are passed over.
  static bool is_apt_name(std::string_view name) {
    return (name.ends_with(".list") || name.ends_with(".sources")) && !name.starts_with('.') &&
           std::ranges::all_of(name, [](char c) {
             return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' ||
                    c == '_' || c == '.';
           });
  }
};

}  // namespace

Result<SetFiles> read_set_files(const std::vector<std::string>& sets, const ConfigUser& user,
                                const std::string& root) {
  const Reading reading{user, root};
  SetFiles files;
  for (const auto& set : sets) {
    auto read = set == "@apt-sources" ? reading.read_apt()
                : set == "@npm-registry"
                    ? reading.read_all({"/.npmrc"}, {"/etc/npmrc", "/usr/local/etc/npmrc", "/usr/etc/npmrc"})
                    : reading.read_all({"/.config/pip/pip.conf", "/.pip/pip.conf"},
                                       {"/etc/pip.conf", "/etc/xdg/pip/pip.conf"});
    if (!read) return std::unexpected(std::move(read).error());
    files[set] = std::move(*read);
  }
  return files;
}

}  // namespace netjail
