// The addresses in a DNS message, found without netjail's reading of it: ldns parses, every section is looked
// at, every owner counts. The oracle of what may not be passed on; for the fuzzer too.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "netjail/net/ip.h"

namespace netjail::test {

// Of A and AAAA records and of the hints of HTTPS and SVCB records. Nothing when ldns cannot read it.
std::optional<std::vector<Ip>> scan_addresses(std::span<const std::uint8_t> message);

}  // namespace netjail::test
