#include "proof.h"

#include <netinet/in.h>
#include <sys/socket.h>

#include <chrono>
#include <cstring>

#include "netjail/net/packet.h"

namespace netjail {
namespace {

using Counters = std::map<std::string, CounterValue>;

Status send_packet(const JailSockets& jail, const Ip& source, const ProofPacket& packet) {
  const std::vector<std::byte> octets = make_packet(source, packet.flow, packet.ttl);
  sockaddr_storage address{};
  socklen_t size = 0;
  const Ip& to = packet.flow.destination;
  if (to.family == Family::ipv4) {
    auto* in = reinterpret_cast<sockaddr_in*>(&address);
    in->sin_family = AF_INET;
    std::memcpy(&in->sin_addr, to.bytes.data(), 4);
    size = sizeof *in;
  } else {
    auto* in6 = reinterpret_cast<sockaddr_in6*>(&address);
    in6->sin6_family = AF_INET6;
    std::memcpy(&in6->sin6_addr, to.bytes.data(), 16);
    size = sizeof *in6;
  }
  const int fd = (to.family == Family::ipv4 ? jail.raw : jail.raw_ipv6).get();
  if (::sendto(fd, octets.data(), octets.size(), 0, reinterpret_cast<sockaddr*>(&address), size) < 0)
    return fail_errno("cannot send the proof packet to " + to_string(packet.flow) + " inside the jail");
  return {};
}

std::uint64_t packets(const Counters& counters, const std::string& name) {
  const auto found = counters.find(name);
  return found == counters.end() ? 0 : found->second.packets;
}

// An allowed flow must not be counted by any other allow rule, a denied one by none at all.
Status check_exact(const Counters& counters, const std::map<std::string, std::uint64_t>& expected,
                   const Policy& policy) {
  for (const Rule& rule : policy.rules) {
    if (rule.action != Action::allow) continue;
    const std::string name = counter_name(rule.id);
    const auto wanted = expected.find(name);
    if (packets(counters, name) != (wanted == expected.end() ? 0 : wanted->second))
      return fail("the proof failed: rule " + rule.id + " let a packet through that it should not",
                  "the kernel does not judge as netjail decided; please report this with the output of "
                  "netjail plan --format nft");
  }
  return {};
}

}  // namespace

Result<Counters> prove(Router& router, const JailSockets& jail, const JailAddresses& addresses,
                       const Plan& plan) {
  std::map<std::string, std::uint64_t> expected;
  for (const ProofPacket& packet : plan.proof) {
    const auto& source = packet.flow.destination.family == Family::ipv4 ? addresses.ipv4 : addresses.ipv6;
    if (!source) continue;
    NJ_TRY(send_packet(jail, *source, packet));
    ++expected[packet.counter];
  }
  if (expected.empty()) return fail("the proof failed: the plan has no packet to prove it with");

  // A packet crosses a veth in the softirq of its sender; now and then ksoftirqd takes over, so look again.
  const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(2);
  while (true) {
    NJ_TRY_AS(Counters counters, read_counters(router.rules, plan.router.ruleset.table));
    const ProofPacket* missing = nullptr;
    for (const ProofPacket& packet : plan.proof)
      if (packets(counters, packet.counter) < expected[packet.counter]) missing = &packet;
    if (missing == nullptr) {
      NJ_TRY(check_exact(counters, expected, plan.policy));
      return counters;
    }
    if (std::chrono::steady_clock::now() > deadline)
      return fail("the proof failed: a packet to " + to_string(missing->flow) + " was not counted by " +
                      missing->counter,
                  "the kernel does not judge as netjail decided; is nf_tables complete? see netjail doctor");
    pause_briefly();
  }
}

}  // namespace netjail
