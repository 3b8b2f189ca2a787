// Any octets as a configuration file of a named set: only single hosts come out, and no message shows a line.
#include <cstdint>
#include <string>
#include <string_view>

#include "netjail/profile/named_sets.h"
#include "require.h"

using namespace netjail;

namespace {

void check_host(const SetHost& host) {
  const bool name =
      host.to.kind == Destination::Kind::name && !host.to.pattern.below && !host.to.pattern.name.text.empty();
  const bool address = host.to.kind == Destination::Kind::prefix &&
                       host.to.prefix.length == address_bits(host.to.prefix.base.family) &&
                       !unroutable_addresses().contains(host.to.prefix.base);
  require(name || address, "a URL is one host");
  require(host.service.protocol == kTcp && host.service.ports && host.service.ports->first != 0 &&
              host.service.ports->first == host.service.ports->last,
          "a URL is one port");
  require(host.where.line >= 1, "a host has a place");
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string text(reinterpret_cast<const char*>(data), size);
  for (const auto set : set_names()) {
    for (const auto* path : {"x.list", "x.sources"}) {
      const std::vector<ConfigFile> files{{path, text}, {"none", {}}, {path, text}};
      const auto contents = read_set(set, files);
      if (contents) {
        for (const auto& host : contents->hosts) check_host(host);
      } else {
        require(!contents.error().empty(), "a failure has a mistake");
        for (const auto& mistake : contents.error())
          require(mistake.source_line.empty() && !mistake.message.empty() && mistake.where.line >= 1,
                  "a mistake has a place and words, and no line");
      }
      ProfileRule rule;
      rule.to = {{.kind = Destination::Kind::set, .text = std::string(set)}};
      Profile profile;
      profile.rules = {rule};
      const auto expanded = expand_sets(profile, {{std::string(set), files}});
      require(expanded.has_value() == (contents && !contents->hosts.empty()), "nothing is passed over");
      if (!expanded) continue;
      for (const auto& made : expanded->rules) {
        require(!made.to.empty() && !made.services.empty(), "a set opens hosts and ports, never everything");
        for (const auto& to : made.to) require(to.kind != Destination::Kind::set, "no set is left");
      }
    }
  }
  return 0;
}
