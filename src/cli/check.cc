#include <array>

#include "commands.h"
#include "netjail/base/format.h"
#include "policy_args.h"

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
  for (const Service& service : rule.services)
    if (service.protocol == kTcp && service.ports && service.ports->first == port &&
        service.ports->last == port)
      return true;
  return false;
}

std::vector<std::string> lint(const Policy& policy) {
  std::vector<std::string> warnings;
  const auto warn = [&](const Rule& rule, const std::string& text) {
    warnings.push_back(fmt::format("{}:{}: warning: {}", rule.where.file, rule.where.line, text));
  };
  for (const Rule& rule : policy.rules) {
    if (rule.action != Action::allow) continue;
    if (rule.addresses.empty())
      warn(rule,
           "this rule opens nothing: every address in it is one that no router can forward to, or of IPv6 "
           "while ipv6 = false");
    else if (rule.addresses.contains(*parse_ip("10.0.0.1")) &&
             rule.addresses.contains(*parse_ip("198.51.100.1")))
      warn(rule,
           "this rule opens the internet and the local network; two rules would say which services each "
           "needs");
    for (const Plaintext& plain : kPlaintext)
      if (names_port(rule, plain.port))
        warn(rule, fmt::format("{} passes passwords in plain text", plain.what));
    for (const Rule& deny : policy.rules)
      if (deny.action == Action::deny && deny.services.empty() && !rule.addresses.empty() &&
          rule.addresses.without(deny.addresses).empty())
        warn(rule, fmt::format("{} ({}:{}) refuses everything that this rule opens", deny.id, deny.where.file,
                               deny.where.line));
  }
  return warnings;
}

}  // namespace

Result<int> check_command(const Arguments& arguments) {
  std::vector<std::string> names = arguments.words;
  if (names.empty())
    for (const ProfileEntry& entry : list_profiles(search_path(), services())) names.push_back(entry.file);
  if (names.empty()) return fail("no profile was found", "netjail profiles says where they are looked for");
  bool mistakes = false;
  std::string out;
  for (const std::string& name : names) {
    const auto loaded = load_profile(name, search_path(), services());
    if (!loaded) {
      mistakes = true;
      out += loaded.error().error ? render_error(*loaded.error().error)
                                  : render_diagnostics(loaded.error().diagnostics);
      continue;
    }
    const std::vector<std::string> warnings = lint(make_policy(loaded->profile));
    for (const std::string& warning : warnings) out += warning + "\n";
    mistakes = mistakes || (arguments.has("strict") && !warnings.empty());
    out += fmt::format("{}: {}\n", loaded->profile.name,
                       warnings.empty()
                           ? "fine"
                           : fmt::format("{} warning{}", warnings.size(), warnings.size() == 1 ? "" : "s"));
  }
  NJ_TRY(print(out));
  return mistakes ? 1 : 0;
}

}  // namespace netjail
