// Named sets: `to = ["@apt-sources"]` stands for the hosts of the user's own configuration, so that no
// profile names a host that another user does not talk to. Pure: from the texts of configuration files to
// rules; read_set_files (load.h) reads them.
//
//   @apt-sources    sources.list(5) and sources.list.d, one-line and deb822
//   @npm-registry   `registry` and `@scope:registry` of npmrc, the nearest file's
//   @pip-index      index-url, extra-index-url and find-links of pip.conf, the nearest file's
//
// What the programs themselves would read beyond these files is left out on purpose: the working tree, which
// may be what is being confined, and the environment, which a program that is not trusted may have set. A
// host that is not found is refused, nothing more. A source that is not understood is a mistake, never passed
// over. No message shows a line of these files: they hold passwords.
#pragma once

#include <map>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "netjail/profile/profile.h"

namespace netjail {

// With the '@', in the order of the manual.
std::span<const std::string_view> set_names();

struct ConfigFile {
  std::string path;
  std::optional<std::string> text;  // nothing: it is not there
};
// By set: every file that was looked for, the nearest to the user first.
using SetFiles = std::map<std::string, std::vector<ConfigFile>, std::less<>>;

// What one URL of a configuration stands for.
struct SetHost {
  Destination to;   // Kind::name, never with a '*'; or Kind::prefix, one address
  Service service;  // TCP and one port: the URL's, or that of its scheme
  Position where;
  bool operator==(const SetHost&) const = default;
};
struct SetContents {
  std::vector<SetHost> hosts;  // doubles included
  std::size_t local = 0;       // sources that need no network: folders, discs
};
Parsed<SetContents> read_set(std::string_view set, std::span<const ConfigFile> files);

// The sets that the rules of a profile name, each once.
std::vector<std::string> sets_of(const Profile& profile);

// A rule with sets becomes several: one with its other destinations, if it has any, and for each set one for
// the hosts with the same ports. The rule's own `service` beats the ports of the URLs; a denial without one
// is of every service. The result has no Kind::set any more. A set with nothing in it is a mistake.
Parsed<Profile> expand_sets(const Profile& profile, const SetFiles& files);

}  // namespace netjail
