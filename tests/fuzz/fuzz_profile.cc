// Any octets as a profile: no crash, and what comes out is what the faces promise.
#include <algorithm>
#include <cstdint>
#include <string>
#include <string_view>

#include "netjail/profile/named_sets.h"
#include "netjail/profile/profile.h"
#include "require.h"

using namespace netjail;

namespace {

void check_rule(const ProfileRule& rule) {
  require(!rule.to.empty(), "a rule has a destination");
  // A bad field is never a wildcard: no services only when none were written.
  require(rule.services.empty() == rule.service_texts.empty(), "written services are kept");
  for (const auto& destination : rule.to) {
    if (destination.kind == Destination::Kind::name) {
      require(parse_name_pattern(to_string(destination.pattern), PublicSuffixes::builtin()) ==
                  destination.pattern,
              "a name is what it prints as");
      continue;
    }
    if (destination.kind == Destination::Kind::set) {
      require(std::ranges::find(set_names(), destination.text) != set_names().end(), "a set is known");
      continue;
    }
    if (destination.kind != Destination::Kind::prefix) {
      require(destination.text == "any" || destination.text == "internet", "only two words are wide");
      continue;
    }
    require(parse_prefix(destination.text) == destination.prefix, "a destination is what was written");
    require(rule.action == Action::deny || !unroutable_addresses().contains(destination.prefix.base) ||
                destination.prefix.length < 8,
            "an allow names what can be reached");
  }
  for (const auto& service : rule.services) {
    require(service.protocol.has_value(), "a written service has a protocol");
    if (service.ports)
      require(has_ports(*service.protocol) && service.ports->first != 0 &&
                  service.ports->first <= service.ports->last,
              "ports are in order");
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  static const ServiceTable services;
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  const auto profile = parse_profile(text, "fuzz.toml", services);
  if (profile) {
    for (const auto& rule : profile->rules) check_rule(rule);
    require(merge(*profile, Profile{}) == *profile, "merging with nothing changes nothing");
    require(!profile->seccomp_families || !profile->seccomp_families->empty(), "no list is empty");
    require(!profile->resolver_types || !profile->resolver_types->empty(), "no list is empty");
    require(!profile->resolver_upstream || !profile->resolver_upstream->empty(), "no list is empty");
    for (const auto& server : profile->resolver_upstream.value_or(std::vector<NameServer>{}))
      require(server.port != 0 && server.address != Ip{server.address.family, {}}, "a server can be asked");
    return 0;
  }
  require(!profile.error().empty(), "a failure has a mistake");
  for (const auto& mistake : profile.error()) {
    require(mistake.where.line >= 1 && mistake.where.column >= 1 && mistake.width >= 1,
            "a mistake has a place");
    require(!mistake.message.empty(), "a mistake has words");
    require(mistake.caret <= mistake.source_line.size() && mistake.source_line.size() <= 210,
            "the caret is below the line");
  }
  for (const char c : render_diagnostics(profile.error()))
    require(c == '\n' || (c >= 0x20 && c < 0x7f), "output is printable");
  return 0;
}
