// The key table: every key that a profile can have, in one list. It feeds the parser (what is known, what
// this version supports, which type is expected), netjail-profile(5) and --help, so that the three cannot
// tell different stories.
//
// A key that this version knows but does not support is an error that says so: a rule that is read and then
// not kept would be a promise broken silently.
#pragma once

#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace netjail {

struct KeyInfo {
  std::string_view table;     // "" for the top level, "network.resolver" for a table in a table
  std::string_view key;       // "NAME" where the user chooses the names ([services], [process.environment])
  std::string_view type;      // in words, as it follows "must be"
  std::string_view fallback;  // what holds when no file has the key, as it would be written; empty: nothing
  std::string_view description;  // one sentence for the manual
  bool supported = false;        // by this version
  bool operator==(const KeyInfo&) const = default;
};

// In the order of the manual: by table, the important keys first.
std::span<const KeyInfo> profile_keys();
// Null when there is no such key.
const KeyInfo* find_key(std::string_view table, std::string_view key);
// The keys of one table, in order; the tables of the list, in order, "" first.
std::vector<std::string> keys_of(std::string_view table);
std::vector<std::string> key_tables();
// True for [[table]]: a list of tables, one per rule or port.
bool is_table_list(std::string_view table);
// True when at least one key of the table is supported by this version.
bool is_supported_table(std::string_view table);

// Record types that [network.resolver] types accepts, and the default: all.
std::span<const std::string_view> record_type_names();

// Socket families that [seccomp] families accepts: address_families(7) without AF_, lower case. The module
// kernel has their numbers, and a test compares the two lists.
std::span<const std::string_view> socket_family_names();
// Of [unix] allow: the sockets of well-known services, where the caller's environment says they are.
std::span<const std::string_view> unix_preset_names();

}  // namespace netjail
