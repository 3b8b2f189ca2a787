// The services outside that an environment speaks of: where their unix sockets are, and which variables lead
// there. Pure.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

namespace netjail {

using Environment = std::map<std::string, std::string>;

// $XDG_RUNTIME_DIR (XDG Base Directory Specification), or where pam_systemd makes it.
std::string runtime_folder(const Environment& environment, std::uint32_t uid);

// Paths of the sockets of one of unix_preset_names(), and of the files that its clients read. Some may not be
// there: nobody has all of these services.
struct Preset {
  std::vector<std::string> sockets;
  std::vector<std::string> files;
};
Preset find_preset(std::string_view name, const Environment& environment, std::uint32_t uid);

// Whether the variable leads to a socket, or to another process, outside: one that is none of `presets` and
// none of `sockets`.
bool leads_outside(std::string_view variable, std::string_view value, const std::vector<std::string>& presets,
                   const std::vector<std::string>& sockets);

}  // namespace netjail
