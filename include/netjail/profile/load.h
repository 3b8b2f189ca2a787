// Finding profiles on disk and merging them with what they extend, and the configuration files of named sets.
// The only part of the module that reads files.
#pragma once

#include <sys/types.h>

#include <string>
#include <vector>

#include "netjail/profile/named_sets.h"
#include "netjail/profile/profile.h"

namespace netjail {

// Folders searched for NAME or NAME.toml, nearest first:
// $XDG_CONFIG_HOME/netjail/profiles (or ~/.config), /etc/netjail/profiles, <prefix>/share/netjail/profiles.
struct SearchPath {
  std::vector<std::string> folders;
};
// `config_home` is $XDG_CONFIG_HOME or $HOME/.config of the caller; empty or relative: left out.
// The shipped folder is $NETJAIL_DATADIR-at-build; before it, relative to `executable`,
// `../share/netjail/profiles` of a program in bin or sbin, else `../../../profiles` (a build tree), so that
// an uninstalled binary finds its own profiles.
SearchPath make_search_path(const std::string& config_home, const std::string& executable);

// What a load can fail with: mistakes in the text (all of them) or a file that cannot be found or read.
struct LoadFailure {
  Diagnostics diagnostics;     // either these
  std::optional<Error> error;  // or this
};
struct LoadedProfile {
  Profile profile;
  std::vector<std::string> files;  // every file read, in order, for `profiles` and `plan`
};

// `argument` as DESIGN.md section 4: with a '/' or ending in .toml and existing here: a path; else a name in
// the search path. Merged over each file that is read: NAME.local.toml beside it, and, for one found by name,
// in the nearer folders of the search path, the nearest last, so that a user adds to a shipped profile
// without a copy. `extends` looks beside the file first; a file reached twice counts once. What stands there
// and cannot be read is a failure, never passed over.
std::expected<LoadedProfile, LoadFailure> load_profile(const std::string& argument, const SearchPath& path,
                                                       const ServiceTable& services);
// The profile named like the program (basename of argv[0]), else "default".
std::expected<LoadedProfile, LoadFailure> load_profile_for(const std::string& program, const SearchPath& path,
                                                           const ServiceTable& services);

struct ProfileEntry {
  std::string name;
  std::string file;
  std::string description;  // or why it does not parse
  bool valid = true;
};
// Every profile in the search path, sorted by name; one that is hidden by a nearer one of that name is left
// out.
std::vector<ProfileEntry> list_profiles(const SearchPath& path, const ServiceTable& services);

// Whose configuration is meant: the user who runs inside.
struct ConfigUser {
  uid_t uid = 0;
  std::string home;  // absolute, else nothing of the user's own is read
};
// The files of these sets. One that is not there is no error; one that is there and cannot be read, or has
// more than 1 MiB, is, and so is one in the home that belongs to somebody else than the user or root: root,
// who runs netjail for the user, must not read for him what he could not. `root`: what stands for / (tests).
Result<SetFiles> read_set_files(const std::vector<std::string>& sets, const ConfigUser& user,
                                const std::string& root = {});

}  // namespace netjail
