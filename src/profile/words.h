// The small languages inside the strings of a profile and of --allow: destinations and services. Pure; the
// caller knows where the word stands and turns a Mistake into a Diagnostic.
#pragma once

#include <expected>
#include <string_view>
#include <vector>

#include "netjail/profile/profile.h"
#include "source.h"

namespace netjail {

template <class T>
using Word = std::expected<T, Mistake>;

// "internet", "any", an address or a CIDR. What no router can forward to is refused in an allow.
Word<Destination> read_destination(std::string_view text, Action action, const ServiceTable& services);
// Never empty on success.
Word<std::vector<Service>> read_service(std::string_view text, const ServiceTable& services);

// A word of digits, dots and perhaps a length: meant as an IPv4 address, whether it is one or not.
bool looks_like_ipv4(std::string_view text);

inline std::unexpected<Mistake> mistake(std::string message, std::string suggestion = {}) {
  return std::unexpected(Mistake{std::move(message), std::move(suggestion)});
}

}  // namespace netjail
