#include "set_reader.h"

#include <algorithm>
#include <array>
#include <utility>

#include "netjail/base/text.h"
#include "netjail/net/public_suffixes.h"

namespace netjail {
namespace {

constexpr std::array<std::pair<std::string_view, std::uint16_t>, 3> kPorts{
    {{"http", 80}, {"https", 443}, {"ftp", 21}}};
constexpr std::array<std::string_view, 3> kLocalSchemes{"file", "copy", "cdrom"};
constexpr std::string_view kNameInstead = "name the host in `to` instead of the set";

// What stands before the first ':', in small letters; empty: it is no scheme (RFC 3986 3.1).
std::string scheme_of(std::string_view url) {
  const auto colon = url.find(':');
  if (colon == url.npos) return {};
  std::string scheme = lower(url.substr(0, colon));
  const bool good =
      !scheme.empty() && scheme.front() >= 'a' && scheme.front() <= 'z' &&
      std::ranges::all_of(scheme, [](char c) {
        return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '+' || c == '-' || c == '.';
      });
  return good ? scheme : std::string();
}

Mistake explain_scheme(const std::string& scheme) {
  if (scheme.starts_with("mirror"))
    return {"what " + quote_word(scheme) + " leads to is known only when apt runs",
            "name the hosts of the mirrors in `to` instead of the set"};
  if (scheme.starts_with("tor"))
    return {quote_word(scheme) + " goes by a proxy on this machine, which no jail can reach"};
  return {"no rule can be made of the scheme " + quote_word(scheme), std::string(kNameInstead)};
}

struct Authority {
  std::string_view host;
  std::optional<std::uint16_t> port;
  bool brackets = false;
};

// Neither host nor port are shown: with a stray '/' in a password they are a part of it.
Word<Authority> read_authority(std::string_view rest) {
  rest = rest.substr(0, rest.find_first_of("/?#"));
  // Where programs differ about the host (WHATWG reads '\' as '/', and drops blanks) nobody may guess.
  if (std::ranges::any_of(rest, [](char c) { return static_cast<unsigned char>(c) <= 0x20 || c == '\\'; }))
    return mistake("the URL has a blank or a backslash in its host");
  if (const auto at = rest.rfind('@'); at != rest.npos) rest.remove_prefix(at + 1);
  Authority result;
  if (rest.starts_with('[')) {
    const auto close = rest.find(']');
    if (close == rest.npos) return mistake("the URL has a bracket that is not closed");
    result.host = rest.substr(1, close - 1);
    result.brackets = true;
    rest.remove_prefix(close + 1);
    if (!rest.empty() && rest.front() != ':')
      return mistake("the URL has something else than a port behind its bracket");
  } else {
    result.host = rest.substr(0, rest.find(':'));
    rest.remove_prefix(result.host.size());
  }
  if (result.host.empty()) return mistake("the URL has no host");
  if (rest.size() > 1) {
    const auto port = parse_number(rest.substr(1), 65535);
    if (!port || *port == 0) return mistake("the URL has a port that is no number from 1 to 65535");
    result.port = static_cast<std::uint16_t>(*port);
  }
  return result;
}

Word<Destination> read_host(const Authority& authority) {
  static const Prefix mapped = make_prefix(*parse_ip("::ffff:0:0"), 96);
  static const Prefix loopback = *parse_prefix("127.0.0.0/8");
  static const PublicSuffixes suffixes = PublicSuffixes::builtin();
  const Mistake own{"the URL names this machine's loopback, which no jail can reach"};
  Destination result;
  if (const auto ip = parse_ip(authority.host)) {
    if ((ip->family == Family::ipv6) != authority.brackets)
      return mistake("the URL has an address with brackets that are wrong or missing");
    if (contains(loopback, *ip) || to_string(*ip) == "::1") return std::unexpected(own);
    if (contains(mapped, *ip)) return mistake("the URL has an IPv4 address in IPv6 form");
    if (unroutable_addresses().contains(*ip))
      return mistake("the URL has an address to which no router forwards");
    result.kind = Destination::Kind::prefix;
    result.prefix = make_prefix(*ip, address_bits(ip->family));
    result.text = to_string(*ip);
    return result;
  }
  const std::string small = lower(authority.host);
  if (small == "localhost" || small.ends_with(".localhost")) return std::unexpected(own);
  auto pattern = parse_name_pattern(authority.host, suffixes);
  if (authority.brackets || !pattern || pattern->below)
    return mistake("the URL has a host that is neither a name of DNS nor an address",
                   std::string(kNameInstead));
  result.kind = Destination::Kind::name;
  result.text = to_string(*pattern);
  result.pattern = std::move(*pattern);
  return result;
}

}  // namespace

void SetReader::add_url(std::string_view url, const Position& where) {
  const std::string scheme = scheme_of(url);
  if (scheme.empty()) return complain(where, {"this is no URL", "such as https://mirror.example.org/"});
  if (std::ranges::find(kLocalSchemes, scheme) != kLocalSchemes.end()) {
    ++contents_.local;
    return;
  }
  const auto known = std::ranges::find(kPorts, scheme, &std::pair<std::string_view, std::uint16_t>::first);
  if (known == kPorts.end()) return complain(where, explain_scheme(scheme));
  std::string_view rest = url.substr(scheme.size() + 1);
  if (!rest.starts_with("//")) return complain(where, {"this is no URL: '//' is missing behind the scheme"});
  rest.remove_prefix(2);
  const auto authority = read_authority(rest);
  if (!authority) return complain(where, authority.error());
  auto to = read_host(*authority);
  if (!to) return complain(where, std::move(to).error());
  const std::uint16_t port = authority->port.value_or(known->second);
  contents_.hosts.push_back(
      {std::move(*to), {.protocol = kTcp, .ports = PortRange{port, port}, .icmp_type = {}}, where});
}

void SetReader::add_url_or_path(std::string_view text, const Position& where) {
  if (text.find("://") == text.npos)
    ++contents_.local;
  else
    add_url(text, where);
}

void SetReader::complain(const Position& where, Mistake mistake) {
  if (full()) return;
  Diagnostic diagnostic;
  diagnostic.where = where;
  diagnostic.message = std::move(mistake.message);
  diagnostic.suggestion = std::move(mistake.suggestion);
  mistakes_.push_back(std::move(diagnostic));
}

std::vector<SetLine> lines_of(const ConfigFile& file) {
  std::vector<SetLine> lines;
  if (!file.text) return lines;
  for (auto line : split(*file.text, '\n')) {
    if (line.ends_with('\r')) line.remove_suffix(1);
    lines.push_back({line, &file, static_cast<std::uint32_t>(lines.size() + 1)});
  }
  return lines;
}

}  // namespace netjail
