#include <algorithm>

#include "netjail/base/text.h"
#include "netjail/policy/policy.h"

namespace netjail {
namespace {

AddressRange whole_family(Family family) { return range_of(make_prefix(Ip{family, {}}, 0)); }

// Lies wholly inside the local addresses: whoever writes 10.0.0.0/8 means the local ones. 0.0.0.0/1, which
// merely covers some, does not name them.
bool names_local(const Prefix& prefix) {
  return AddressSet({range_of(prefix)}).without(local_addresses()).empty();
}

// A deny rule means what it says, local addresses included; only "internet" is, here too, what is not local.
AddressSet denied_addresses(const ProfileRule& rule) {
  std::vector<AddressRange> ranges;
  bool internet = false;
  for (const auto& destination : rule.to) {
    switch (destination.kind) {
      case Destination::Kind::any: return AddressSet::everything();
      case Destination::Kind::internet: internet = true; break;
      case Destination::Kind::prefix: ranges.push_back(range_of(destination.prefix)); break;
      case Destination::Kind::name: break;
      case Destination::Kind::set: break;  // expand_sets has taken them out
    }
  }
  const AddressSet written(std::move(ranges));
  if (!internet) return written;
  if (rule.local) return AddressSet::everything();
  return written.united(AddressSet::everything().without(local_addresses()));
}

AddressSet allowed_addresses(const ProfileRule& rule, bool ipv6) {
  std::vector<AddressRange> whole, trimmed;  // as written; without the local ones
  for (const auto& destination : rule.to) {
    if (destination.kind == Destination::Kind::name || destination.kind == Destination::Kind::set) continue;
    if (destination.kind != Destination::Kind::prefix) {
      for (const Family family : kFamilies) trimmed.push_back(whole_family(family));
    } else if (names_local(destination.prefix)) {
      whole.push_back(range_of(destination.prefix));
    } else {
      trimmed.push_back(range_of(destination.prefix));
    }
  }
  AddressSet addresses(std::move(trimmed));
  if (!rule.local) addresses = addresses.without(local_addresses());
  addresses = addresses.united(AddressSet(std::move(whole))).without(unroutable_addresses());
  return ipv6 ? addresses : addresses.without(AddressSet({whole_family(Family::ipv6)}));
}

std::vector<NamePattern> names_of(const ProfileRule& rule) {
  std::vector<NamePattern> names;
  for (const auto& destination : rule.to)
    if (destination.kind == Destination::Kind::name) names.push_back(destination.pattern);
  return names;
}

// Whoever opens a whole family may look up where everybody is.
bool opens_any_name(const ProfileRule& rule) {
  return rule.action == Action::allow && std::ranges::any_of(rule.to, [](const Destination& destination) {
           return destination.kind == Destination::Kind::any ||
                  destination.kind == Destination::Kind::internet ||
                  (destination.kind == Destination::Kind::prefix && destination.prefix.length == 0);
         });
}

std::vector<Service> name_services_of(const ProfileRule& rule) {
  const bool names = std::ranges::any_of(
      rule.to, [](const Destination& destination) { return destination.kind == Destination::Kind::name; });
  if (!names) return {};
  if (!rule.services.empty() || rule.action == Action::deny) return rule.services;
  const auto web = default_name_services();
  return {web.begin(), web.end()};
}

// "allow internet https", "deny 203.0.113.0/24 25/tcp, ping", "allow @apt-sources (example.org) 80/tcp".
std::string rule_text(const ProfileRule& rule) {
  constexpr std::size_t kMostWords = 12;  // a rule may have ten thousand names; this is for one line
  std::vector<std::string> destinations;
  for (const auto& destination : rule.to) {
    if (!destination.text.empty()) {
      destinations.push_back(destination.text);
    } else if (destination.kind == Destination::Kind::prefix) {
      destinations.push_back(to_string(destination.prefix));
    } else if (destination.kind == Destination::Kind::name) {
      destinations.push_back(to_unicode(destination.pattern));
    } else {
      destinations.push_back(destination.kind == Destination::Kind::any ? "any" : "internet");
    }
  }
  std::vector<std::string> services = rule.service_texts;
  if (services.empty()) {
    for (const auto& service : rule.services) services.push_back(to_string(service));
  }
  std::string text = rule.action == Action::allow ? "allow " : "deny ";
  const std::string to = join_some(destinations, kMostWords);
  text += rule.set.empty() ? to : rule.set + " (" + to + ')';
  if (rule.local) text += " (local too)";
  if (!services.empty()) text += ' ' + join_some(services, kMostWords);
  return text;
}

}  // namespace

Policy make_policy(const Profile& profile) {
  Policy policy;
  policy.name = profile.name;
  policy.description = profile.description.value_or("");
  policy.refuse = profile.refuse.value_or(Refuse::reject);
  policy.ipv6 = profile.ipv6.value_or(true);
  policy.uplink = profile.uplink.value_or(UplinkChoice::automatic);
  policy.dns = profile.dns.value_or(DnsChoice::policy);
  policy.upstreams = profile.resolver_upstream.value_or(std::vector<NameServer>{});
  policy.record_types = profile.resolver_types.value_or(std::vector<std::string>{});
  policy.seccomp_families =
      profile.seccomp_families.value_or(std::vector<std::string>{"unix", "inet", "inet6", "netlink"});
  policy.user = profile.user;
  policy.groups = profile.groups;
  policy.environment = profile.environment.value_or(std::map<std::string, std::string>{});
  // Whoever asks for the second asks for the first, which it is made in; whoever refuses the first, refuses
  // both.
  policy.user_namespaces = profile.user_namespaces.value_or(profile.mount_namespaces.value_or(false));
  policy.mount_namespaces = policy.user_namespaces && profile.mount_namespaces.value_or(false);
  policy.shared = profile.shared.value_or(std::vector<std::string>{});
  policy.devices = profile.devices.value_or(std::vector<std::string>{});
  policy.unix_sockets = profile.unix_sockets.value_or(std::vector<std::string>{});
  policy.log_denied = profile.log_denied.value_or(true);

  std::size_t allows = 0, denies = 0;
  for (const auto& written : profile.rules) {
    const bool allow = written.action == Action::allow;
    policy.rules.push_back({
        .id = allow ? "allow-" + std::to_string(++allows) : "deny-" + std::to_string(++denies),
        .action = written.action,
        .addresses = allow ? allowed_addresses(written, policy.ipv6) : denied_addresses(written),
        .services = written.services,
        .names = names_of(written),
        .name_services = name_services_of(written),
        .any_name = opens_any_name(written),
        .local = allow && written.local,
        .text = rule_text(written),
        .where = written.where,
    });
  }
  return policy;
}

AddressSet openable_addresses(const Policy& policy, bool local) {
  const AddressSet all = AddressSet::everything().without(local ? unroutable_addresses() : local_addresses());
  return policy.ipv6 ? all : all.without(AddressSet({whole_family(Family::ipv6)}));
}

bool Policy::allows_names() const {
  return std::ranges::any_of(rules, [](const Rule& rule) {
    return rule.action == Action::allow && (rule.any_name || !rule.names.empty());
  });
}

bool Policy::opens(Family family) const {
  AddressSet closed = host;
  for (const auto& rule : rules) {
    if (rule.action == Action::deny && rule.services.empty()) closed = closed.united(rule.addresses);
  }
  const auto any_open = [&](const AddressSet& addresses) {
    return !addresses.without(closed).ranges(family).empty();
  };
  const auto undenied = [&](const NamePattern& pattern) { return find_denial(*this, pattern) == nullptr; };
  return std::ranges::any_of(rules, [&](const Rule& rule) {
    if (rule.action != Action::allow) return false;
    if (any_open(rule.addresses)) return true;
    return std::ranges::any_of(rule.names, undenied) && any_open(openable_addresses(*this, rule.local));
  });
}

}  // namespace netjail
