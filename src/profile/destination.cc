// One destination of a rule. A word that is none is explained: an error here must never become "everything".
#include <algorithm>
#include <array>
#include <string>

#include "netjail/base/text.h"
#include "words.h"

namespace netjail {
namespace {

const std::string kNamesLater = "rules by name are not supported yet";
const std::string kGiveAddresses = "give addresses, such as \"203.0.113.0/24\", or \"internet\"";

bool is_letter(char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z'); }
bool is_digit(char c) { return c >= '0' && c <= '9'; }

bool looks_like_name(std::string_view text) {
  return std::ranges::any_of(text, is_letter) && std::ranges::all_of(text, [](char c) {
           return is_letter(c) || is_digit(c) || c == '.' || c == '-' || c == '_' || c == '*' ||
                  (c & 0x80) != 0;
         });
}

// The parts of scheme://user@host:port/path, for the advice what to write instead.
Mistake explain_url(std::string_view text) {
  const std::string scheme = lower(text.substr(0, text.find("://")));
  std::string_view host = text.substr(text.find("://") + 3);
  host = host.substr(0, host.find_first_of("/?#"));
  if (const auto at = host.rfind('@'); at != host.npos) host.remove_prefix(at + 1);
  std::string_view port;
  if (host.starts_with('[')) {
    const auto close = std::min(host.find(']'), host.size());
    if (host.substr(close).starts_with("]:")) port = host.substr(close + 2);
    host = host.substr(1, close - 1);
  } else if (const auto colon = host.find(':'); colon != host.npos) {
    port = host.substr(colon + 1);
    host = host.substr(0, colon);
  }
  Mistake result{"a URL is no destination"};
  if (parse_ip(host))
    result.suggestion = "write the address in `to` and the service apart: to = [\"" + std::string(host) +
                        "\"], service = [\"" + (port.empty() ? scheme : std::string(port) + "/tcp") + "\"]";
  else
    result.suggestion = "only the host is a destination, here " + quote_word(host) + "; " + kNamesLater +
                        ", " + kGiveAddresses;
  return result;
}

// What is wrong with digits and dots.
Mistake explain_ipv4(std::string_view text) {
  const std::string_view address = text.substr(0, text.find('/'));
  Mistake result{quote_word(text) + " is no IPv4 address"};
  const auto pieces = split(address, '.');
  for (const auto piece : pieces) {
    if (piece.empty()) {
      result.message += ": a number is missing";
      return result;
    }
    if (piece.size() > 1 && piece.front() == '0') {
      result.message += ": " + quote_word(piece) + " begins with 0, which some programs read as octal";
      return result;
    }
    if (!parse_number(piece, 255)) {
      result.message += ": " + quote_word(piece) + " is above 255";
      return result;
    }
  }
  if (pieces.size() != 4) {
    result.message += ": it has " + std::to_string(pieces.size()) + " numbers, not 4";
    if (pieces.size() < 4) {
      std::string full(address);
      for (std::size_t i = pieces.size(); i < 4; ++i) full += ".0";
      result.suggestion = full + (address.size() < text.size() ? std::string(text.substr(address.size()))
                                                               : '/' + std::to_string(8 * pieces.size()));
    }
  }
  return result;
}

// An address with a length that is no prefix.
Mistake explain_prefix(std::string_view text, const Ip& ip) {
  const std::string_view length = text.substr(text.find('/') + 1);
  const auto bits = static_cast<std::uint64_t>(address_bits(ip.family));
  const auto number = parse_number(length, bits);
  if (!number) {
    Mistake result{quote_word(length) + " is no prefix length: it is a number from 0 to " +
                   std::to_string(bits)};
    if (parse_ip(length)) result.suggestion = "write a netmask as its number of bits, such as /24";
    return result;
  }
  const std::string network = to_string(make_prefix(ip, static_cast<int>(*number)));
  return {quote_word(text) + " has bits set behind its prefix length",
          network + " for the network, or " + to_string(ip) + " for the one address"};
}

// Why no packet of the jail goes there, or nothing. Called for every destination of a list of 100,000: the
// usual one leaves after two binary searches.
std::optional<Mistake> explain_unroutable(const Prefix& prefix) {
  static const Prefix mapped = make_prefix(*parse_ip("::ffff:0:0"), 96);
  const std::string what = to_string(prefix);
  if (contains(mapped, prefix)) {
    const Ip inner = make_ip(Family::ipv4, prefix.base.octets().subspan(12));
    return Mistake{what + " is an IPv4 address in IPv6 form: packets carry the IPv4 address",
                   to_string(make_prefix(inner, prefix.length - 96))};
  }
  // Contiguous blocks: both ends inside one means all of it is.
  const AddressRange range = range_of(prefix);
  if (!unroutable_addresses().contains(range.first) || !unroutable_addresses().contains(range.last))
    return std::nullopt;
  const auto within = [&](std::string_view net) { return contains(*parse_prefix(net), prefix); };
  if (within("127.0.0.0/8") || within("::1"))
    return Mistake{
        what + " is loopback: in the jail it is the jail's own, and always open",
        "a service on the host's loopback will be reached by [[host]], which is not supported yet"};
  if (within("224.0.0.0/4") || within("ff00::/8"))
    return Mistake{what + " is multicast: it cannot leave the jail"};
  if (within("255.255.255.255")) return Mistake{what + " is broadcast: it cannot leave the jail"};
  if (within("fe80::/10"))
    return Mistake{what + " is link-local: it ends at the jail's own link",
                   "give the host's global or unique local address"};
  // 0.0.0.0/0 and ::/0 begin and end in such a block too.
  if (AddressSet({range}).without(unroutable_addresses()).empty())
    return Mistake{what + " is no address that packets go to"};
  return std::nullopt;
}

Mistake explain_word(std::string_view text, const ServiceTable& services) {
  const std::string small = lower(text);
  if (text == "*" || small == "all" || small == "0" || small == "everywhere")
    return {quote_word(text) + " is no destination", "\"internet\" (all but local addresses) or \"any\""};
  if (small == "localhost")
    return {"the host's loopback cannot be reached from the jail, and the jail's own is always open",
            "a service on the host's loopback will be reached by [[host]], which is not supported yet"};
  if (small == "lan" || small == "local" || small == "private")
    return {quote_word(text) + " is no destination", "name the network, such as \"192.168.1.0/24\""};
  const std::array<std::string, 2> words{"internet", "any"};
  if (text.find('.') == text.npos) {
    if (small == words[0] || small == words[1]) return {"destinations are in small letters", small};
    if (!services.find(text).empty())
      return {quote_word(text) + " is a service, not a destination",
              "to = [\"internet\"], service = [\"" + std::string(text) + "\"]"};
    if (const auto meant = nearest(text, words)) return {quote_word(text) + " is no destination", *meant};
  }
  return {quote_word(text) + " is a name: " + kNamesLater, kGiveAddresses};
}

Mistake explain_destination(std::string_view text, const ServiceTable& services) {
  if (text.empty()) return {"a destination is empty", kGiveAddresses};
  if (trim(text) != text) return {"a destination has blanks around it", std::string(trim(text))};
  if (text.starts_with('@'))
    return {"sets such as " + quote_word(text) + " are not supported yet", kGiveAddresses};
  if (text.find("://") != text.npos) return explain_url(text);
  if (text.find(',') != text.npos)
    return {quote_word(text) + " is more than one destination",
            "write each in quotes of its own: [\"a\", \"b\"]"};

  const auto slash = text.find('/');
  if (const auto ip = parse_ip(text.substr(0, slash)); ip && slash != text.npos)
    return explain_prefix(text, *ip);
  if (looks_like_ipv4(text)) return explain_ipv4(text);
  if (text.starts_with('[')) {
    const auto close = text.find(']');
    const std::string_view inner = text.substr(1, std::min(close, text.size()) - 1);
    if (close != text.npos && parse_prefix(inner))
      return {"brackets and ports do not belong here",
              "\"" + std::string(inner) + "\"; ports stand in `service`"};
  }
  if (const auto percent = text.find('%'); percent != text.npos && parse_ip(text.substr(0, percent)))
    return {quote_word(text) + " has a zone: the jail has its own interfaces",
            std::string(text.substr(0, percent))};
  if (const auto dash = text.find('-'); dash != text.npos && parse_ip(text.substr(0, dash)))
    return {"ranges of addresses are not supported", "write them as CIDR, such as \"203.0.113.0/28\""};

  const auto colon = text.rfind(':');
  if (colon != text.npos) {
    const std::string_view host = text.substr(0, colon);
    const std::string port(text.substr(colon + 1));
    const bool one_colon = text.find(':') == colon;
    if (text.find(":::") == text.npos && (parse_prefix(host) || host == "internet" || host == "any"))
      return {"a port does not belong here",
              "to = [\"" + std::string(host) + "\"], service = [\"" + port + "\"]"};
    if (one_colon && looks_like_name(host))
      return {quote_word(host) + " is a name: " + kNamesLater, kGiveAddresses + "; ports stand in `service`"};
    return {quote_word(text) + " is no IPv6 address"};
  }
  if (looks_like_name(text) || text == "*") return explain_word(text, services);
  if (slash != text.npos && looks_like_name(text.substr(0, slash)))
    return {"a path is no destination, only the host is: " + kNamesLater, kGiveAddresses};
  return {quote_word(text) + " is no destination", kGiveAddresses};
}

}  // namespace

bool looks_like_ipv4(std::string_view text) {
  const auto slash = std::min(text.find('/'), text.size());
  return text.substr(0, slash).find('.') != text.npos && is_digit(text.front()) &&
         std::ranges::all_of(text, [](char c) { return is_digit(c) || c == '.' || c == '/'; });
}

Word<Destination> read_destination(std::string_view text, Action action, const ServiceTable& services) {
  Destination result;
  result.text = text;
  if (text == "any" || text == "internet") {
    result.kind = text == "any" ? Destination::Kind::any : Destination::Kind::internet;
    return result;
  }
  const auto prefix = parse_prefix(text);
  if (!prefix) return std::unexpected(explain_destination(text, services));
  if (action == Action::allow) {
    if (auto unroutable = explain_unroutable(*prefix)) return std::unexpected(std::move(*unroutable));
  }
  result.kind = Destination::Kind::prefix;
  result.prefix = *prefix;
  return result;
}

}  // namespace netjail
