#include "netjail/net/flow.h"

#include <algorithm>
#include <array>
#include <utility>

#include "netjail/base/text.h"

namespace netjail {
namespace {

// Also the names that nft and /etc/protocols use, so text goes both ways.
constexpr std::array<std::pair<std::string_view, std::uint8_t>, 17> kProtocols{{
    {"icmp", kIcmp},
    {"igmp", 2},
    {"ipip", 4},
    {"tcp", kTcp},
    {"udp", kUdp},
    {"dccp", kDccp},
    {"ipv6", 41},
    {"gre", 47},
    {"esp", 50},
    {"ah", 51},
    {"icmpv6", kIcmp6},
    {"ospf", 89},
    {"pim", 103},
    {"vrrp", 112},
    {"l2tp", 115},
    {"sctp", kSctp},
    {"udplite", kUdpLite},
}};

constexpr std::uint8_t kEchoRequest = 8, kEchoRequest6 = 128;

bool is_icmp(std::uint8_t protocol) { return protocol == kIcmp || protocol == kIcmp6; }

}  // namespace

bool has_ports(std::uint8_t protocol) {
  return protocol == kTcp || protocol == kUdp || protocol == kDccp || protocol == kSctp ||
         protocol == kUdpLite;
}

std::string protocol_name(std::uint8_t protocol) {
  const auto known = std::ranges::find(kProtocols, protocol, [](const auto& entry) { return entry.second; });
  return known != kProtocols.end() ? std::string(known->first) : std::to_string(protocol);
}

std::optional<std::uint8_t> parse_protocol(std::string_view name_or_number) {
  const auto known =
      std::ranges::find(kProtocols, name_or_number, [](const auto& entry) { return entry.first; });
  if (known != kProtocols.end()) return known->second;
  const auto number = parse_number(name_or_number, 255);
  if (!number) return std::nullopt;
  return static_cast<std::uint8_t>(*number);
}

std::string to_string(const Service& service) {
  if (!service.protocol) return "any";
  const std::uint8_t protocol = *service.protocol;
  if (is_icmp(protocol)) {
    const std::string name = protocol_name(protocol);
    if (!service.icmp_type) return name;
    if (*service.icmp_type == (protocol == kIcmp ? kEchoRequest : kEchoRequest6)) return "ping";
    return name + " type " + std::to_string(*service.icmp_type);
  }
  if (!has_ports(protocol)) return std::to_string(protocol) + "/ip";
  if (!service.ports) return protocol_name(protocol);
  std::string text = std::to_string(service.ports->first);
  if (service.ports->last != service.ports->first) text += '-' + std::to_string(service.ports->last);
  return text + '/' + protocol_name(protocol);
}

std::string to_string(const Flow& flow) {
  const std::string address = to_string(flow.destination);
  if (has_ports(flow.protocol)) {
    const bool brackets = flow.destination.family == Family::ipv6;
    return (brackets ? '[' + address + ']' : address) + ':' + std::to_string(flow.port) + '/' +
           protocol_name(flow.protocol);
  }
  if (is_icmp(flow.protocol)) {
    return address + ' ' + protocol_name(flow.protocol) + " type " + std::to_string(flow.icmp_type);
  }
  return address + " protocol " + std::to_string(flow.protocol);
}

bool matches(const Service& service, const Flow& flow) {
  if (service.protocol && *service.protocol != flow.protocol) return false;
  if (service.ports) {
    if (!has_ports(flow.protocol)) return false;
    if (flow.port < service.ports->first || flow.port > service.ports->last) return false;
  }
  if (service.icmp_type) {
    if (!is_icmp(flow.protocol) || *service.icmp_type != flow.icmp_type) return false;
  }
  return true;
}

}  // namespace netjail
