// The words of [network.resolver]: name servers and record types.
#include <algorithm>
#include <string>

#include "netjail/base/text.h"
#include "netjail/profile/keys.h"
#include "words.h"

namespace netjail {
namespace {

const std::string kServers = "give addresses, such as \"203.0.113.53\" or \"[2001:db8::53]:5353\"";

bool within(std::string_view network, const Ip& ip) {
  return contains(*parse_prefix(network), make_prefix(ip, address_bits(ip.family)));
}

// Why nobody can be asked at this address. The host's loopback is a good one.
std::optional<Mistake> explain_unusable(const Ip& ip) {
  const std::string text = to_string(ip);
  if (within("0.0.0.0/8", ip) || within("::", ip))
    return Mistake{text + " is no address of a server", "127.0.0.1 for one on the host itself"};
  if (within("224.0.0.0/4", ip) || within("ff00::/8", ip))
    return Mistake{text + " is multicast: a name server is one"};
  if (within("255.255.255.255", ip)) return Mistake{text + " is broadcast: a name server is one"};
  if (within("::ffff:0:0/96", ip))
    return Mistake{text + " is an IPv4 address in IPv6 form",
                   to_string(make_ip(Family::ipv4, ip.octets().subspan(12)))};
  if (within("fe80::/10", ip))
    return Mistake{text + " is link-local: it needs a zone, which is not supported",
                   "give the server's global or unique local address"};
  return std::nullopt;
}

Mistake explain_server(std::string_view text) {
  if (text.empty()) return {"a name server is empty", kServers};
  if (trim(text) != text) return {"a name server has blanks around it", std::string(trim(text))};
  if (text.find("://") != text.npos)
    return {"a URL is no name server: servers are asked by UDP and TCP", kServers};
  if (text.find(',') != text.npos)
    return {quote_word(text) + " is more than one name server",
            "write each in quotes of its own: [\"a\", \"b\"]"};
  const std::string_view host = text.substr(0, text.find_first_of("/%#"));
  if (parse_ip(host)) {
    if (text[host.size()] == '/')
      return {quote_word(text) + " is a network, not one server", std::string(host)};
    if (text[host.size()] == '%')
      return {quote_word(text) + " has a zone, which is not supported",
              "give the server's global or unique local address"};
    return {"a port stands behind a ':'",
            (host.find(':') == host.npos ? std::string(host) : '[' + std::string(host) + ']') + ':' +
                std::string(text.substr(host.size() + 1))};
  }
  const std::string_view address = text.substr(0, text.find(':'));
  if (looks_like_ipv4(address)) return explain_ipv4(address);
  if (text.starts_with('[') || text.find(':') != text.rfind(':'))
    return {quote_word(text) + " is no IPv6 address, nor one in brackets with a port", kServers};
  return {quote_word(text) + " is no address: a name server cannot be found by its name", kServers};
}

}  // namespace

Word<NameServer> read_name_server(std::string_view text) {
  // 203.0.113.53, 2001:db8::53, 203.0.113.53:5353, [2001:db8::53], [2001:db8::53]:5353
  std::string_view address = text, port;
  bool has_port = false;
  const auto close = text.starts_with('[') ? text.find(']') : text.npos;
  if (const auto colon = text.find(':', close == text.npos ? 0 : close);
      colon != text.npos && !parse_ip(text) && (close == text.npos || colon == close + 1)) {
    has_port = true;
    address = text.substr(0, colon);
    port = text.substr(colon + 1);
  }
  if (address.starts_with('[') && address.ends_with(']') && address.find(':') != address.npos)
    address = address.substr(1, address.size() - 2);
  const auto ip = parse_ip(address);
  if (!ip) return std::unexpected(explain_server(text));
  if (auto unusable = explain_unusable(*ip)) return std::unexpected(std::move(*unusable));
  NameServer server{*ip};
  if (has_port) {
    const auto number = read_port(port);
    if (!number) return std::unexpected(number.error());
    server.port = *number;
  }
  return server;
}

Word<std::string> read_record_type(std::string_view text) {
  const auto known = record_type_names();
  const auto found = std::ranges::find(known, lower(text), lower);
  if (found != known.end()) return std::string(*found);
  const std::vector<std::string> names(known.begin(), known.end());
  return mistake(quote_word(text) + " is no record type that can be answered",
                 nearest(text, names).value_or("known here: " + join(names, ", ")));
}

}  // namespace netjail
