// One service of a rule: a name of services(5), a port or range, a protocol.
#include <algorithm>
#include <array>
#include <string>
#include <utility>

#include "netjail/base/text.h"
#include "words.h"

namespace netjail {
namespace {

constexpr std::uint8_t kEchoRequest = 8, kEchoRequest6 = 128;
constexpr std::array<std::pair<std::string_view, std::uint8_t>, 5> kPortProtocols{
    {{"tcp", kTcp}, {"udp", kUdp}, {"sctp", kSctp}, {"dccp", kDccp}, {"udplite", kUdpLite}}};
const std::string kPortProtocolNames = "tcp, udp, sctp, dccp or udplite";
const std::string kLeaveOut = "leave `service` out: the rule then covers every protocol and port";

// Names that people use for those of services(5).
constexpr std::array<std::pair<std::string_view, std::string_view>, 8> kMisnomers{{{"dns", "domain"},
                                                                                   {"postgres", "postgresql"},
                                                                                   {"mail", "smtp"},
                                                                                   {"web", "http"},
                                                                                   {"ssl", "https"},
                                                                                   {"tls", "https"},
                                                                                   {"quic", "443/udp"},
                                                                                   {"http3", "443/udp"}}};

std::optional<std::uint8_t> port_protocol(std::string_view name) {
  const auto* found = std::ranges::find(kPortProtocols, name, [](const auto& entry) { return entry.first; });
  if (found == kPortProtocols.end()) return std::nullopt;
  return found->second;
}

bool begins_with_digit(std::string_view text) { return !text.empty() && text[0] >= '0' && text[0] <= '9'; }

Word<PortRange> read_ports(std::string_view text) {
  const auto dash = text.find('-');
  const auto first = read_port(text.substr(0, dash));
  if (!first) return std::unexpected(first.error());
  if (dash == text.npos) return PortRange{*first, *first};
  const auto last = read_port(text.substr(dash + 1));
  if (!last) return std::unexpected(last.error());
  if (*last < *first)
    return mistake("this range is reversed: " + std::to_string(*first) + " is above " + std::to_string(*last),
                   std::to_string(*last) + '-' + std::to_string(*first));
  return PortRange{*first, *last};
}

Word<std::vector<Service>> read_ip_protocol(std::string_view name) {
  const auto protocol = parse_protocol(name);
  if (protocol) return std::vector{Service{*protocol, {}, {}}};
  if (begins_with_digit(name))
    return mistake(quote_word(name) + " is no IP protocol: it is a number from 0 to 255");
  return mistake(quote_word(name) + " is no IP protocol that is known here",
                 "give its number, such as \"47/ip\"");
}

std::string join_names(const std::vector<Service>& services) {
  std::string out;
  for (const auto& service : services) out += (out.empty() ? "" : ", ") + to_string(service);
  return out;
}

Mistake explain_name(std::string_view name, const ServiceTable& services) {
  const std::string small = lower(name);
  if (name == "*" || small == "any" || small == "all")
    return {quote_word(name) + " is no service", kLeaveOut};
  if (small == "internet") return {"'internet' is a destination, not a service"};
  const auto* misnomer = std::ranges::find(kMisnomers, small, [](const auto& entry) { return entry.first; });
  if (misnomer != kMisnomers.end())
    return {"no service is named " + quote_word(name), std::string(misnomer->second)};
  // /etc/protocols is not services(5).
  if (const auto protocol = parse_protocol(small); protocol && !begins_with_digit(small))
    return {quote_word(name) + " is a protocol without ports", small + "/ip"};
  // Of several that are as near the first is taken: "htps" is rather https than ftps.
  std::vector<std::string> names{"https", "http", "ssh",  "domain", "smtp",
                                 "ntp",   "icmp", "ping", "tcp",    "udp"};
  for (auto& known : services.names()) names.push_back(std::move(known));
  return {"no service is named " + quote_word(name),
          nearest(name, names).value_or("give its port and protocol, such as \"443/tcp\"")};
}

Mistake explain_protocol(std::string_view left, std::string_view protocol) {
  // "tcp/443": the other way round.
  if (port_protocol(lower(left)) && begins_with_digit(protocol))
    return {"the port stands before the protocol", std::string(protocol) + '/' + lower(left)};
  std::vector<std::string> names{"ip"};
  for (const auto& entry : kPortProtocols) names.emplace_back(entry.first);
  Mistake result{(protocol.empty() ? "the protocol is missing" : quote_word(protocol) + " has no ports") +
                 ": a port is of " + kPortProtocolNames};
  if (const auto meant = nearest(protocol, names))
    result.suggestion = std::string(left) + '/' + *meant;
  else if (begins_with_digit(left))
    result.suggestion = std::string(left) + "/tcp or " + std::string(left) + "/udp";
  return result;
}

// Mistakes that concern the whole word.
std::optional<Mistake> explain_shape(std::string_view text) {
  if (text.empty()) return Mistake{"a service is empty", kLeaveOut};
  if (text.find_first_of(" \t\r\n") != text.npos)
    return Mistake{"a service has blanks in it",
                   trim(text).find(' ') == text.npos ? std::string(trim(text)) : ""};
  if (text.find(',') != text.npos)
    return Mistake{quote_word(text) + " is more than one service",
                   "write each in quotes of its own: [\"80\", \"443\"]"};
  if (const auto colon = text.find(':'); colon != text.npos) {
    const std::string_view left = text.substr(0, colon), right = text.substr(colon + 1);
    if (begins_with_digit(left) && begins_with_digit(right))
      return Mistake{"a range of ports is written with '-'", std::string(left) + '-' + std::string(right)};
    if (port_protocol(lower(left)) && begins_with_digit(right))
      return Mistake{"the port stands before the protocol", std::string(right) + '/' + lower(left)};
    return Mistake{quote_word(text) + " is no service", "write the port or name alone, such as \"443/tcp\""};
  }
  return std::nullopt;
}

}  // namespace

Word<std::uint16_t> read_port(std::string_view text) {
  constexpr std::uint64_t kMaxPort = 65535;
  const auto number = parse_number(text, kMaxPort);
  if (number && *number != 0) return static_cast<std::uint16_t>(*number);
  if (number) return mistake("port 0 is none: ports go from 1 to 65535");
  const bool digits = !text.empty() && std::ranges::all_of(text, [](char c) { return c >= '0' && c <= '9'; });
  if (!digits) return mistake(quote_word(text) + " is no port: a port is a number from 1 to 65535");
  if (text.front() == '0') {
    const auto first = text.find_first_not_of('0');
    return mistake("port " + quote_word(text) + " begins with 0",
                   first == text.npos ? std::string() : std::string(text.substr(first)));
  }
  return mistake("port " + std::string(text.substr(0, 20)) + " is above 65535");
}

bool is_service_word(std::string_view text) {
  static const ServiceTable common;
  const std::string small = lower(text);
  if (port_protocol(small) || small == "icmp" || small == "icmpv6" || small == "ping") return true;
  if (begins_with_digit(text) || text.find('/') != text.npos) return read_service(text, common).has_value();
  return !common.find(text).empty();
}

Word<std::vector<Service>> read_service(std::string_view text, const ServiceTable& services) {
  if (auto wrong = explain_shape(text)) return std::unexpected(std::move(*wrong));
  const auto slash = text.find('/');
  const std::string_view left = text.substr(0, slash);

  if (slash == text.npos) {
    if (text == "icmp") return std::vector{Service{kIcmp, {}, {}}, Service{kIcmp6, {}, {}}};
    if (text == "icmpv6") return std::vector{Service{kIcmp6, {}, {}}};
    if (text == "ping")
      return std::vector{Service{kIcmp, {}, kEchoRequest}, Service{kIcmp6, {}, kEchoRequest6}};
    if (const auto protocol = port_protocol(text)) return std::vector{Service{*protocol, {}, {}}};
    if (begins_with_digit(text)) {
      // A name can begin with a digit ("3com-tsmux"), a number cannot be one.
      if (auto found = services.find(text); !found.empty()) return found;
      const auto ports = read_ports(text);
      if (!ports) return std::unexpected(ports.error());
      return std::vector{Service{kTcp, *ports, {}}, Service{kUdp, *ports, {}}};
    }
    if (auto found = services.find(text); !found.empty()) return found;
    return std::unexpected(explain_name(text, services));
  }

  const std::string_view right = text.substr(slash + 1);
  if (right == "ip") return read_ip_protocol(left);
  const auto protocol = port_protocol(right);
  if (!protocol) return std::unexpected(explain_protocol(left, right));
  auto found = services.find(left);
  if (found.empty()) {
    if (!begins_with_digit(left)) return std::unexpected(explain_name(left, services));
    const auto ports = read_ports(left);
    if (!ports) return std::unexpected(ports.error());
    return std::vector{Service{*protocol, *ports, {}}};
  }
  const std::string listed = join_names(found);
  std::erase_if(found, [&](const Service& service) { return service.protocol != *protocol; });
  if (found.empty())
    return mistake(quote_word(left) + " is not listed for " + std::string(right) + ", only as " + listed);
  return found;
}

Parsed<std::vector<Service>> parse_service(std::string_view text, const ServiceTable& services) {
  auto result = read_service(text, services);
  if (result) return std::move(*result);
  Source source(text, "service");
  source.complain({1, 1, std::max(1u, count_columns(text))}, std::move(result).error());
  return std::unexpected(source.take());
}

}  // namespace netjail
