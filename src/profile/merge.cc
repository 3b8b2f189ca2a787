#include <algorithm>

#include "netjail/profile/profile.h"

namespace netjail {
namespace {

template <class T>
void take_nearer(std::optional<T>& value, const std::optional<T>& nearer) {
  if (nearer) value = nearer;
}

// Each element once, in the order of its first appearance.
void add_up(std::vector<std::string>& list, const std::vector<std::string>& more) {
  for (const auto& element : more) {
    if (std::ranges::find(list, element) == list.end()) list.push_back(element);
  }
}

void add_up(std::optional<std::vector<std::string>>& list,
            const std::optional<std::vector<std::string>>& more) {
  if (!more) return;
  if (!list) list.emplace();
  add_up(*list, *more);
}

}  // namespace

Profile merge(const Profile& base, const Profile& nearer) {
  Profile result = base;
  if (!nearer.name.empty()) result.name = nearer.name;
  take_nearer(result.description, nearer.description);
  add_up(result.extends, nearer.extends);
  result.rules.insert(result.rules.end(), nearer.rules.begin(), nearer.rules.end());
  take_nearer(result.refuse, nearer.refuse);
  take_nearer(result.ipv6, nearer.ipv6);
  take_nearer(result.uplink, nearer.uplink);
  take_nearer(result.dns, nearer.dns);
  take_nearer(result.resolver_upstream, nearer.resolver_upstream);
  take_nearer(result.resolver_types, nearer.resolver_types);
  add_up(result.seccomp_families, nearer.seccomp_families);
  take_nearer(result.user, nearer.user);
  add_up(result.groups, nearer.groups);
  if (nearer.environment) {
    if (!result.environment) result.environment.emplace();
    for (const auto& [name, value] : *nearer.environment) (*result.environment)[name] = value;
  }
  take_nearer(result.user_namespaces, nearer.user_namespaces);
  take_nearer(result.mount_namespaces, nearer.mount_namespaces);
  add_up(result.shared, nearer.shared);
  add_up(result.devices, nearer.devices);
  add_up(result.unix_sockets, nearer.unix_sockets);
  take_nearer(result.log_denied, nearer.log_denied);
  return result;
}

}  // namespace netjail
