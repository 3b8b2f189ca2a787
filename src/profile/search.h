// Where a profile of some name is. Private to the module.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "netjail/profile/load.h"

namespace netjail {

inline constexpr std::string_view kProfileSuffix = ".toml", kLocalSuffix = ".local.toml";

// True for a word that can be looked for in folders: not empty, no '/', no control character, not "." or
// "..".
bool is_profile_name(std::string_view name);
// True when something stands there, readable or not: what cannot be read must fail, not give way to a farther
// file.
bool exists(const std::string& path);

struct Found {
  std::string file;
  std::size_t folder = 0;  // index in the search path
};
// NAME or NAME.toml in the nearest folder that has it.
std::optional<Found> find_by_name(std::string_view name, const SearchPath& path);
// Names of all profiles in the search path, sorted, each once; NAME.local.toml is none.
std::vector<std::string> profile_names(const SearchPath& path);
// "ci" from "/etc/netjail/profiles/ci.toml".
std::string profile_name_of(std::string_view file);
std::string folder_of(std::string_view file);

}  // namespace netjail
