#include <array>

#include "explanation.h"
#include "netjail/base/format.h"
#include "netjail/base/text.h"

namespace netjail {
namespace {

struct Plaintext {
  std::uint16_t port;
  std::string_view what;
};
// What passes unencrypted and asks for passwords; 80/tcp is too common to be worth a word.
constexpr std::array<Plaintext, 5> kPlaintext{
    {{21, "ftp"}, {23, "telnet"}, {110, "pop3"}, {143, "imap"}, {389, "ldap"}}};

bool names_port(const Rule& rule, std::uint16_t port) {
  for (const auto* services : {&rule.services, &rule.name_services})
    for (const Service& service : *services)
      if (service.protocol == kTcp && service.ports && service.ports->first == port &&
          service.ports->last == port)
        return true;
  return false;
}

struct Socket {
  std::string_view part;  // of what [unix] allow says
  std::string_view what;
};
constexpr std::array<Socket, 8> kPowerfulSockets{{
    {"session-bus", "the session bus starts any program outside the jail"},
    {"x11", "X11 lets a program read every key and type into every window"},
    {"docker", "a container engine does whatever it is told, as root"},
    {"podman", "a container engine does whatever it is told"},
    {"containerd", "a container engine does whatever it is told, as root"},
    {"libvirt", "libvirt starts machines with any network"},
    {"systemd/private", "systemd starts any program outside the jail"},
    {"tmux", "a terminal multiplexer runs any command outside the jail"},
}};

// Names that a rule allows and another denies for every service.
std::vector<std::string> denied_names(const Policy& policy, const Rule& rule) {
  std::vector<std::string> denied;
  for (const NamePattern& pattern : rule.names)
    if (find_denial(policy, pattern) != nullptr) denied.push_back(to_unicode(pattern));
  return denied;
}

// What `deny` leaves of what `rule` opens: empty when it is something.
std::string_view refused_by(const Policy& policy, const Rule& deny, const Rule& rule) {
  if (deny.action != Action::deny || !deny.services.empty()) return {};
  const bool addresses = rule.addresses.without(deny.addresses).empty();
  const bool names =
      rule.names.empty() || openable_addresses(policy, rule.local).without(deny.addresses).empty();
  if (addresses && names) return "everything";
  return addresses && !rule.addresses.empty() ? "every address" : "";
}

}  // namespace

std::vector<std::string> lint(const Policy& policy) {
  std::vector<std::string> warnings;
  const auto warn = [&](const Rule& rule, const std::string& text) {
    warnings.push_back(fmt::format("{}:{}: warning: {}", rule.where.file, rule.where.line, text));
  };
  for (const std::string& socket : policy.unix_sockets)
    for (const Socket& known : kPowerfulSockets)
      if (socket.find(known.part) != std::string::npos)
        warnings.push_back(fmt::format("[unix] allow: warning: {}: {}", printable(socket), known.what));
  if (policy.mount_namespaces)
    warnings.emplace_back(
        "[process] mount-namespaces: warning: the program can lift what covers unix sockets of its user's in "
        "the home");
  for (const Rule& rule : policy.rules) {
    if (rule.action != Action::allow) continue;
    if (rule.addresses.empty() && rule.names.empty()) {
      warn(rule,
           "this rule opens nothing: every address in it is one that no router can forward to, or of IPv6 "
           "while ipv6 = false");
      continue;
    }
    if (rule.addresses.contains(*parse_ip("10.0.0.1")) && rule.addresses.contains(*parse_ip("198.51.100.1")))
      warn(rule,
           "this rule opens the internet and the local network; two rules would say which services each "
           "needs");
    if (!rule.names.empty() && policy.dns == DnsChoice::none)
      warn(rule, "no name of this rule is looked up, since dns = \"none\"");
    for (const Plaintext& plain : kPlaintext)
      if (names_port(rule, plain.port))
        warn(rule, fmt::format("{} passes passwords in plain text", plain.what));
    for (const Rule& deny : policy.rules)
      if (const auto what = refused_by(policy, deny, rule); !what.empty())
        warn(rule, fmt::format("{} ({}:{}) refuses {} that this rule opens", deny.id, deny.where.file,
                               deny.where.line, what));
    if (const auto denied = denied_names(policy, rule); !denied.empty())
      warn(rule, fmt::format("denied by another rule, so not even looked up: {}", join_some(denied, 8)));
  }
  return warnings;
}

}  // namespace netjail
