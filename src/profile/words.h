// The small languages inside the strings of a profile and of --allow: destinations, services, name servers.
// Pure; the caller knows where the word stands and turns a Mistake into a Diagnostic.
#pragma once

#include <expected>
#include <string_view>
#include <vector>

#include "netjail/profile/profile.h"
#include "source.h"

namespace netjail {

template <class T>
using Word = std::expected<T, Mistake>;

// "internet", "any", an address, a CIDR, a name or every name below one. Refused: in an allow what no router
// can forward to; in both what is rather meant as something else, unless a dot at its end says that it is a
// name.
Word<Destination> read_destination(std::string_view text, Action action, const ServiceTable& services);
// Never empty on success.
Word<std::vector<Service>> read_service(std::string_view text, const ServiceTable& services);
Word<std::uint16_t> read_port(std::string_view text);
// The elements of [network.resolver] upstream and types.
Word<NameServer> read_name_server(std::string_view text);
Word<std::string> read_record_type(std::string_view text);
// The elements of [unix] allow (a preset or a path), of [process] share and devices (paths).
Word<std::string> read_unix_socket(std::string_view text);
Word<std::string> read_shared_path(std::string_view text);
Word<std::string> read_device(std::string_view text);

// A word that everybody takes for a service. Not all of the machine's services(5): there "printer" is one.
bool is_service_word(std::string_view text);
// A word of digits, dots and perhaps a length: meant as an IPv4 address, whether it is one or not.
bool looks_like_ipv4(std::string_view text);
Mistake explain_ipv4(std::string_view text);

// What a URL or scp's user@host:path says of a destination.
struct Remote {
  std::string what;     // what is wrong
  std::string host;     // without brackets
  std::string service;  // empty: none is said
};
std::optional<Remote> find_remote(std::string_view text, const ServiceTable& services);

inline std::unexpected<Mistake> mistake(std::string message, std::string suggestion = {}) {
  return std::unexpected(Mistake{std::move(message), std::move(suggestion)});
}

}  // namespace netjail
