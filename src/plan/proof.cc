// Which packets prove, before the program exists, that the kernel judges as decide() does.
#include <algorithm>

#include "netjail/plan/plan.h"

namespace netjail {
namespace {

constexpr std::uint8_t kDiesInHost =
    2;  // the router takes one, the host finds one left and ends it before its forward hook
constexpr std::uint8_t kOrdinary = 64;

// A transport that `service` selects; nothing when it selects none that can be sent bare in this family.
std::optional<Flow> flow_of(const Ip& destination, const Service& service) {
  Flow flow;
  flow.destination = destination;
  flow.protocol = service.protocol.value_or(kUdp);
  if (has_ports(flow.protocol)) flow.port = service.ports ? service.ports->first : 9;
  const bool icmp = flow.protocol == kIcmp || flow.protocol == kIcmp6;
  if (icmp && (flow.protocol == kIcmp) != (destination.family == Family::ipv4)) return std::nullopt;
  if (icmp) flow.icmp_type = service.icmp_type.value_or(flow.protocol == kIcmp ? 8 : 128);
  return flow;
}

std::vector<Flow> candidates(const Rule& rule, Family family) {
  constexpr std::size_t kMost = 16;
  std::vector<Flow> flows;
  static const std::vector<Service> kAny{Service{}};
  const std::vector<Service>& services = rule.services.empty() ? kAny : rule.services;
  std::vector<AddressRange> ranges = rule.addresses.ranges(family);
  if (ranges.size() > kMost) ranges.resize(kMost);
  for (const AddressRange& range : ranges)
    for (const Service& service : services) {
      if (const auto flow = flow_of(range.first, service)) flows.push_back(*flow);
      if (const auto flow = flow_of(range.last, service)) flows.push_back(*flow);
    }
  return flows;
}

}  // namespace

std::vector<ProofPacket> make_proof(const Policy& policy, bool ipv6) {
  std::vector<ProofPacket> proof;
  for (const Family family : kFamilies) {
    if (family == Family::ipv6 && !ipv6) continue;
    std::optional<ProofPacket> allowed;
    std::optional<ProofPacket> denied;
    const auto consider = [&](const Flow& flow) {
      const Verdict verdict = decide(policy, flow);
      const bool pass = verdict.action == Action::allow;
      // Unroutable ones are refused in another chain; a proof wants the forward chain.
      if (!pass && verdict.rule == kUnroutableRule) return;
      auto& slot = pass ? allowed : denied;
      if (!slot) slot = ProofPacket{flow, pass, counter_name(verdict.rule), pass ? kDiesInHost : kOrdinary};
    };
    for (const Rule& rule : policy.rules)
      for (const Flow& flow : candidates(rule, family)) consider(flow);
    // Something is always refused: a documentation address, the cloud metadata address, a ULA.
    for (const std::string_view text : {"192.0.2.1", "169.254.169.254", "2001:db8::1", "fd00::1"}) {
      const Ip ip = *parse_ip(text);
      if (ip.family == family) consider(Flow{ip, kUdp, 9, 0});
    }
    if (!denied && !policy.host.ranges(family).empty())
      consider(Flow{policy.host.ranges(family).front().first, kUdp, 9, 0});
    if (denied) proof.push_back(*denied);
    if (allowed) proof.push_back(*allowed);
  }
  return proof;
}

}  // namespace netjail
