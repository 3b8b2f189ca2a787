// Who called, and as whom the program runs.
#pragma once

#include <sys/types.h>

#include <optional>
#include <string>
#include <vector>

#include "netjail/plan/plan.h"

namespace netjail {

struct Identity {
  uid_t uid = 0;
  gid_t gid = 0;
  std::vector<std::uint32_t> groups;
  // Set when it is another user than the one netjail runs as: the environment must fit.
  std::optional<std::string> name;
  std::string home;
  std::string shell;
};

// `wanted` (--user, else process.user): a name or a number. Empty: SUDO_UID and SUDO_GID when root was
// reached by sudo, else the user netjail runs as. `groups`: names or numbers instead of the user's own.
Result<Identity> find_identity(const std::string& wanted,
                               const std::optional<std::vector<std::string>>& groups);

// The caller's $XDG_CONFIG_HOME/netjail's parent: under sudo that of the one who called it.
std::string config_home();

// $HOME as the program will find it.
std::string home_of(const Identity& identity);

// Working directory, environment and command, as they will be inside.
Result<Caller> make_caller(const Identity& identity, const std::vector<std::string>& command,
                           const std::vector<int>& keep_fds);

// --keep-fd N: open, and a file, pipe or terminal; a socket, folder, namespace or pidfd would be a way out.
Result<int> parse_keep_fd(const std::string& text);
// 0-2 that are a folder, a namespace or a device would be a way out, too (SECURITY.md P5). Sockets: Streams.
Status check_standard_streams();

}  // namespace netjail
