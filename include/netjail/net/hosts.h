// hosts(5): addresses that a machine gives names itself. Pure.
#pragma once

#include <string_view>
#include <vector>

#include "netjail/net/ip.h"
#include "netjail/net/name.h"

namespace netjail {

// One line: an address and its names, the canonical one first.
struct HostsEntry {
  Ip address;
  std::vector<Name> names;  // never empty
  bool operator==(const HostsEntry&) const = default;
};

// In the order of the file. Left out, as the C library leaves it out: what is no address (a zone behind it
// too) and what can be no name in a question.
std::vector<HostsEntry> parse_hosts(std::string_view text);

}  // namespace netjail
