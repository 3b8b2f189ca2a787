// The profile: what the user wrote, typed, with positions. Reading is pure: text in, profile or diagnostics
// out.
//
//   text    = read_file(path)
//   profile = parse_profile(text, path, services)   all mistakes of the file at once
//
// A profile is one file merged with those it extends, its NAME.local.toml and the command line's --allow and
// --deny: lists add up, single values of the nearer file win. Merging is order-free because deny beats allow.
// The key table (keys.h) is the one list of keys: it feeds the parser, netjail-profile(5) and --help.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "netjail/base/result.h"
#include "netjail/net/flow.h"
#include "netjail/net/ip.h"
#include "netjail/net/name.h"

namespace netjail {

// Where something was written. `file` is a path, or "--allow" for the command line; line and column count
// from 1.
struct Position {
  std::string file;
  std::uint32_t line = 0;
  std::uint32_t column = 0;
  bool operator==(const Position&) const = default;
};

// One mistake: what is wrong, where, the line itself, how many columns the caret underlines, and what was
// perhaps meant.
struct Diagnostic {
  Position where;
  std::string message;
  std::string source_line;  // printable, cut to about 200 columns
  std::uint32_t width = 1;
  std::string suggestion;
  std::uint32_t caret =
      0;  // columns of source_line before the caret: escapes and the cut make it differ from `where`
  bool operator==(const Diagnostic&) const = default;
};
// file:line:col: error: message, the line, a caret line, "help: suggestion".
std::string render_diagnostics(const std::vector<Diagnostic>& diagnostics);

struct Destination {
  enum class Kind : std::uint8_t { any, internet, prefix, name, set };
  Kind kind = Kind::any;
  Prefix prefix = {};        // Kind::prefix only
  std::string text = {};     // as written; Kind::set: the name of the set, with the '@'
  NamePattern pattern = {};  // Kind::name only
  bool operator==(const Destination&) const = default;
};

enum class Action : std::uint8_t { allow, deny };

// One [[allow]] or [[deny]].
struct ProfileRule {
  Action action = Action::allow;
  std::vector<Destination> to;             // never empty
  std::vector<Service> services;           // empty: every protocol and port; of names see make_policy
  std::vector<std::string> service_texts;  // as written
  bool local = false;                      // local = true: the rule opens local addresses too
  std::string purpose;
  std::string set = {};  // the named set of which `to` are hosts; empty: none
  Position where;
  bool operator==(const ProfileRule&) const = default;
};

enum class Refuse : std::uint8_t { reject, drop };
enum class UplinkChoice : std::uint8_t { automatic, host, pasta, none };
enum class DnsChoice : std::uint8_t { policy, none };

// A DNS server that the resolver asks, from the host: its loopback is the host's own.
struct NameServer {
  Ip address;
  std::uint16_t port = 53;
  bool operator==(const NameServer&) const = default;
};

// Single values are optional: what no file says gets its default in make_policy.
struct Profile {
  std::string name;  // file name without .toml
  std::optional<std::string> description;
  std::vector<std::string> extends;
  std::vector<ProfileRule> rules;
  std::optional<Refuse> refuse;
  std::optional<bool> ipv6;
  std::optional<UplinkChoice> uplink;
  std::optional<DnsChoice> dns;
  std::optional<std::vector<NameServer>> resolver_upstream;  // one value, as are the types: nothing adds up
  std::optional<std::vector<std::string>> resolver_types;    // of record_type_names()
  std::optional<std::vector<std::string>> seccomp_families;
  std::optional<std::string> user;
  std::optional<std::vector<std::string>> groups;
  std::optional<std::map<std::string, std::string>> environment;
  std::optional<bool> user_namespaces;
  std::optional<bool> mount_namespaces;
  std::optional<std::vector<std::string>> shared;        // paths that stay the host's
  std::optional<std::vector<std::string>> devices;       // paths below /dev
  std::optional<std::vector<std::string>> unix_sockets;  // unix_preset_names() and paths
  std::optional<bool> log_denied;
  bool operator==(const Profile&) const = default;
};

// services(5): name -> ports per protocol. Pure; made from the text of /etc/services plus a built-in list of
// the common ones, for machines without that file.
class ServiceTable {
 public:
  explicit ServiceTable(std::string_view services_file = {});
  std::vector<Service> find(std::string_view name) const;  // empty: unknown
  std::vector<std::string> names() const;

 private:
  std::string text_;  // of the file, in lower case
};

// Mistakes in a profile or SPEC: never empty.
using Diagnostics = std::vector<Diagnostic>;
template <class T>
using Parsed = std::expected<T, Diagnostics>;

// One file, not yet merged with what it extends. `file` is used in positions only.
Parsed<Profile> parse_profile(std::string_view text, const std::string& file, const ServiceTable& services);

// SPEC of --allow and --deny: DEST[:SERVICE[,SERVICE...]] or SERVICE alone (then DEST is "internet"):
//   example.org   *.example.org:443/tcp   198.51.100.7:443   [2001:db8::1]:53/udp   10.0.0.0/8:ssh
//   internet:https   443/tcp   198.51.100.7   any:ping   @apt-sources   @npm-registry:https
// A word without ':' and '.' is a SERVICE: a host of one label is "db:5432" or "db.".
// `option` ("--allow") stands in the diagnostics for the file.
Parsed<ProfileRule> parse_spec(std::string_view spec, Action action, const ServiceTable& services);

// One element of a `service` list.
Parsed<std::vector<Service>> parse_service(std::string_view text, const ServiceTable& services);

// One element of [unix] allow, of [process] share: what --unix and --share take.
Parsed<std::string> parse_unix_socket(std::string_view text);
Parsed<std::string> parse_shared_path(std::string_view text);

// `nearer` over `base`: rules add up, single values of `nearer` win.
Profile merge(const Profile& base, const Profile& nearer);

}  // namespace netjail
