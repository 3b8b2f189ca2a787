// Socket families by number, not by macro: a filter must know those that are newer than the headers it was
// built with.
#include <algorithm>
#include <array>
#include <string_view>

#include "netjail/base/text.h"
#include "netjail/kernel/seccomp.h"
#include "seccomp_compile.h"

namespace netjail {
namespace {

// address_families(7) and linux/socket.h of 6.18, from 1 (AF_UNIX) to 45 (AF_MCTP), no gap.
constexpr std::array<std::string_view, 45> kFamilyNames{
    "unix",   "inet",   "ax25",   "ipx",       "appletalk", "netrom",  "bridge",  "atmpvc", "x25",
    "inet6",  "rose",   "decnet", "netbeui",   "security",  "key",     "netlink", "packet", "ash",
    "econet", "atmsvc", "rds",    "sna",       "irda",      "pppox",   "wanpipe", "llc",    "ib",
    "mpls",   "can",    "tipc",   "bluetooth", "iucv",      "rxrpc",   "isdn",    "phonet", "ieee802154",
    "caif",   "alg",    "nfc",    "vsock",     "kcm",       "qipcrtr", "smc",     "xdp",    "mctp"};

}  // namespace

std::vector<std::string> family_names() { return {kFamilyNames.begin(), kFamilyNames.end()}; }

std::optional<int> family_number(const std::string& name) {
  const auto* const found = std::ranges::find(kFamilyNames, name);
  if (found == kFamilyNames.end()) return std::nullopt;
  return static_cast<int>(found - kFamilyNames.begin()) + 1;
}

Result<std::vector<int>> family_numbers(const SeccompPolicy& policy) {
  std::vector<int> numbers;
  for (const std::string& name : policy.families) {
    const std::optional<int> number = family_number(name);
    if (!number) {
      const auto meant = nearest(name, family_names());
      return fail(
          "no socket family is called '" + printable(name) + "'",
          meant ? "did you mean '" + *meant + "'?" : "address_families(7) has the names, here in lower case");
    }
    numbers.push_back(*number);
  }
  std::ranges::sort(numbers);
  const auto repeated = std::ranges::unique(numbers);
  numbers.erase(repeated.begin(), repeated.end());
  return numbers;
}

}  // namespace netjail
