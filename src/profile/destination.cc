// One destination of a rule. A word that is none is explained: an error here must never become "everything".
#include <algorithm>
#include <array>
#include <string>

#include "netjail/base/text.h"
#include "set_reader.h"
#include "words.h"

namespace netjail {
namespace {

const std::string kGiveOne = "give a name, such as \"example.org\", addresses, or \"internet\"";

bool is_digit(char c) { return c >= '0' && c <= '9'; }

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

// In the words of a profile.
std::string write_keys(std::string_view host, std::string_view service) {
  std::string out = "to = [\"" + std::string(host) + "\"]";
  if (!service.empty()) out += ", service = [\"" + std::string(service) + "\"]";
  return out;
}

std::string say_host(std::string_view name) {
  return "; a host of this name is \"" + std::string(name) + ".\"";
}

// Why a word that would be a good name is hardly meant as one. A denial of "everything" that is one of a host
// of this name would be a hole.
std::optional<Mistake> explain_word(std::string_view text) {
  const std::string small = lower(text);
  const auto is_one_of = [&](std::initializer_list<std::string_view> words) {
    return std::ranges::find(words, small) != words.end();
  };
  if (is_one_of({"*", "all", "0", "everywhere", "everything", "anywhere", "world", "public", "wan"}))
    return Mistake{quote_word(text) + " is no destination",
                   "\"internet\" (all but local addresses) or \"any\""};
  if (is_one_of({"none", "nothing"}))
    return Mistake{quote_word(text) + " is no destination",
                   "leave the rule out: what none allows is refused"};
  if (is_one_of({"localhost", "loopback"}))
    return Mistake{
        "the host's loopback cannot be reached from the jail, and the jail's own is always open",
        "a service on the host's loopback will be reached by [[host]], which is not supported yet"};
  if (is_one_of({"lan", "local", "private"}))
    return Mistake{quote_word(text) + " is no destination", "name the network, such as \"192.168.1.0/24\""};
  if (is_one_of({"ipv4", "ipv6"}))
    return Mistake{quote_word(text) + " is no destination", small == "ipv4" ? "0.0.0.0/0" : "::/0"};
  static const std::array<std::string, 2> words{"internet", "any"};
  if (is_one_of({"internet", "any"})) return Mistake{"destinations are in small letters", small};
  if (is_service_word(text)) {
    const bool name = !is_digit(text.front()) && text.find('/') == text.npos;
    return Mistake{quote_word(text) + " is a service, not a destination",
                   write_keys("internet", text) + (name ? say_host(text) : "")};
  }
  if (const auto meant = nearest(text, words))
    return Mistake{quote_word(text) + " is no destination", *meant + say_host(text)};
  return std::nullopt;
}

// host:port, or more colons.
Mistake explain_colon(std::string_view text, Action action, const ServiceTable& services) {
  const auto colon = text.rfind(':');
  const std::string_view host = text.substr(0, colon), port = text.substr(colon + 1);
  if (text.find(':') == colon ? host.empty() : text.find(":::") != text.npos || !parse_prefix(host))
    return {quote_word(text) + (host.empty() ? " is no destination" : " is no IPv6 address"),
            host.empty() ? kGiveOne : ""};
  auto destination = read_destination(host, action, services);
  if (!destination) return std::move(destination).error();
  const bool known = read_service(port, services).has_value();
  return {"a port does not belong here", write_keys(host, known ? port : "")};
}

// What is no name, and what is rather meant as something else. Nothing for 100,000 good names: cheap.
std::optional<Mistake> explain_other(std::string_view text, Action action, const ServiceTable& services) {
  if (text.empty()) return Mistake{"a destination is empty", kGiveOne};
  if (trim(text) != text) return Mistake{"a destination has blanks around it", std::string(trim(text))};
  if (const auto remote = find_remote(text, services)) {
    const bool good = read_destination(remote->host, action, services).has_value();
    return Mistake{remote->what, good ? write_keys(remote->host, remote->service)
                                      : "only the host is a destination, here " + quote_word(remote->host)};
  }
  if (text.find(',') != text.npos)
    return Mistake{quote_word(text) + " is more than one destination",
                   "write each in quotes of its own: [\"a\", \"b\"]"};

  const auto slash = text.find('/');
  if (slash != text.npos) {
    if (const auto ip = parse_ip(text.substr(0, slash))) return explain_prefix(text, *ip);
  }
  if (looks_like_ipv4(text)) return explain_ipv4(text);
  if (text.starts_with('[')) {
    const auto close = text.find(']');
    const std::string_view inner = text.substr(1, std::min(close, text.size()) - 1);
    if (close != text.npos && parse_prefix(inner))
      return Mistake{"brackets and ports do not belong here",
                     "\"" + std::string(inner) + "\"; ports stand in `service`"};
  }
  if (const auto percent = text.find('%'); percent != text.npos && parse_ip(text.substr(0, percent)))
    return Mistake{quote_word(text) + " has a zone: the jail has its own interfaces",
                   std::string(text.substr(0, percent))};
  if (const auto dash = text.find('-'); dash != text.npos && parse_ip(text.substr(0, dash)))
    return Mistake{"ranges of addresses are not supported", "write them as CIDR, such as \"203.0.113.0/28\""};
  if (slash != text.npos && slash != 0 && !is_service_word(text)) {
    auto host = read_destination(text.substr(0, slash), action, services);
    if (!host) return std::move(host).error();
    return Mistake{"a path is no destination, only the host is", std::string(text.substr(0, slash))};
  }
  if (text.find(':') != text.npos) return explain_colon(text, action, services);
  return text.find('.') == text.npos ? explain_word(text) : std::nullopt;
}

}  // namespace

bool looks_like_ipv4(std::string_view text) {
  const auto slash = std::min(text.find('/'), text.size());
  return text.substr(0, slash).find('.') != text.npos && is_digit(text.front()) &&
         std::ranges::all_of(text, [](char c) { return is_digit(c) || c == '.' || c == '/'; });
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

std::optional<Remote> find_remote(std::string_view text, const ServiceTable& services) {
  const auto scheme_end = text.find("://");
  const bool url = scheme_end != text.npos;
  Remote result{url ? "a URL is no destination" : "a user is no part of a destination", {}, {}};
  std::string_view host = url ? text.substr(scheme_end + 3) : text;
  host = host.substr(0, host.find_first_of("/?#"));
  const auto at = host.rfind('@');
  if (!url && (at == host.npos || at == 0)) return std::nullopt;
  if (at != host.npos) host.remove_prefix(at + 1);

  std::string_view port;
  const auto close = host.starts_with('[') ? host.find(']') : host.npos;
  if (const auto colon = host.find(':', close == host.npos ? 0 : close); colon != host.npos) {
    port = host.substr(colon + 1);
    host = host.substr(0, colon);
  }
  if (close != host.npos && host.ends_with(']')) host = host.substr(1, host.size() - 2);
  result.host = host;
  if (url) {
    const std::string scheme = lower(text.substr(0, scheme_end));
    if (!port.empty())
      result.service = std::string(port) + "/tcp";
    else if (scheme == "ws" || scheme == "wss")
      result.service = scheme == "ws" ? "http" : "https";
    else
      result.service = scheme;
    if (!read_service(result.service, services)) result.service.clear();
  } else if (!port.empty()) {
    // scp's and git's user@host:path.
    result.service = read_service(port, services) ? port : "ssh";
  }
  return result;
}

Word<Destination> read_destination(std::string_view text, Action action, const ServiceTable& services) {
  if (text.starts_with('@')) return read_set_name(text);
  Destination result;
  result.text = text;
  if (text == "any" || text == "internet") {
    result.kind = text == "any" ? Destination::Kind::any : Destination::Kind::internet;
    return result;
  }
  const auto prefix = parse_prefix(text);
  if (!prefix) {
    if (auto other = explain_other(text, action, services)) return std::unexpected(std::move(*other));
    // Not before there is a name: a launch without one does not pay for the list.
    static const PublicSuffixes suffixes = PublicSuffixes::builtin();
    auto pattern = parse_name_pattern(text, suffixes);
    if (!pattern) {
      NameError& error = pattern.error();
      return std::unexpected(Mistake{std::move(error.what), std::move(error.suggestion),
                                     Mistake::Part{error.offset, error.length}});
    }
    result.kind = Destination::Kind::name;
    result.pattern = std::move(*pattern);
    return result;
  }
  if (action == Action::allow) {
    if (auto unroutable = explain_unroutable(*prefix)) return std::unexpected(std::move(*unroutable));
  }
  result.kind = Destination::Kind::prefix;
  result.prefix = *prefix;
  return result;
}

}  // namespace netjail
