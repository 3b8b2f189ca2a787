// Any octets as a SPEC of --allow and --deny, as a service and as a line of services(5).
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "netjail/profile/profile.h"
#include "require.h"

using namespace netjail;

namespace {

void check_failure(const Diagnostics& diagnostics) {
  require(!diagnostics.empty(), "a failure has a mistake");
  for (const auto& mistake : diagnostics)
    require(mistake.where.line >= 1 && mistake.where.column >= 1 && mistake.width >= 1 &&
                !mistake.message.empty(),
            "a mistake has a place and words");
  for (const char c : render_diagnostics(diagnostics))
    require(c == '\n' || (c >= 0x20 && c < 0x7f), "output is printable");
}

std::optional<NamePattern> read_name(std::string_view text) {
  static const PublicSuffixes suffixes = PublicSuffixes::builtin();
  auto pattern = parse_name_pattern(text, suffixes);
  return pattern ? std::optional(std::move(*pattern)) : std::nullopt;
}

// The rule again, from its parts as the program prints them.
std::string write_spec(const ProfileRule& rule) {
  std::string out = rule.to[0].text;
  if (out.find(':') != out.npos) out = '[' + out + ']';
  for (std::size_t i = 0; i < rule.service_texts.size(); ++i)
    out += (i == 0 ? ':' : ',') + rule.service_texts[i];
  return out;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  static const ServiceTable services;
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  for (const auto action : {Action::allow, Action::deny}) {
    const auto rule = parse_spec(text, action, services);
    if (!rule) {
      check_failure(rule.error());
      continue;
    }
    require(rule->to.size() == 1, "a SPEC has one destination");
    require(rule->services.empty() == rule->service_texts.empty(), "written services are kept");
    if (rule->to[0].kind == Destination::Kind::name) {
      // Of what a name comes to, nothing is wider than what was written.
      const auto printed = read_name(to_string(rule->to[0].pattern));
      require(printed && *printed == rule->to[0].pattern, "a name is what it prints as");
      require(!rule->to[0].pattern.below || text.starts_with("*."), "a '*' was written");
    }
    const auto again = parse_spec(write_spec(*rule), action, services);
    require(again && *again == *rule, "a rule is what it is written as");
  }
  const auto service = parse_service(text, services);
  if (!service) check_failure(service.error());
  if (service) {
    for (const auto& one : *service)
      if (one.ports)
        require(one.ports->first != 0 && one.ports->first <= one.ports->last, "ports are in order");
  }
  if (size < 4096) {
    const ServiceTable own(text);
    for (const auto& name : own.names()) {
      for (const auto& one : own.find(name))
        require(one.ports && one.ports->first != 0, "a named service has a port");
    }
  }
  return 0;
}
