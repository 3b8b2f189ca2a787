// The filter on packets of flows that are there already, and on packets that are odd in themselves.
#include <doctest/doctest.h>

#include "netjail/plan/plan.h"

using namespace netjail;

TEST_CASE("only replies come in") {
  Profile profile;
  profile.name = "any";
  ProfileRule rule;
  rule.to.push_back({Destination::Kind::any, {}, "any"});
  rule.local = true;
  profile.rules.push_back(rule);
  const nft::Ruleset ruleset = make_filter(make_policy(profile));
  nft::Packet packet;
  packet.iif = kUplinkInterface;
  packet.oif = kJailInterface;
  packet.flow = {*parse_ip("10.192.0.1"), kTcp, 4000, 0};
  const std::vector<nft::Hook> hooks{nft::Hook::prerouting, nft::Hook::forward};
  CHECK(nft::evaluate(ruleset, packet, hooks).fate == nft::Fate::dropped);
  packet.ct_state = nft::kEstablished;
  CHECK(nft::evaluate(ruleset, packet, hooks).fate == nft::Fate::dropped);
  packet.ct_reply = true;
  CHECK(nft::evaluate(ruleset, packet, hooks).fate == nft::Fate::accepted);
  packet.ct_state = nft::kRelated;
  CHECK(nft::evaluate(ruleset, packet, hooks).fate == nft::Fate::dropped);
  packet.flow = {*parse_ip("10.192.0.1"), kIcmp, 0, 3};
  CHECK(nft::evaluate(ruleset, packet, hooks).fate == nft::Fate::accepted);
}

TEST_CASE(
    "an admitted flow passes by its mark, a spoofed source, an invalid or related packet of the jail does "
    "not") {
  const nft::Ruleset ruleset = make_filter(make_policy(Profile{}));
  nft::Packet packet;
  packet.iif = kJailInterface;
  packet.oif = kUplinkInterface;
  packet.flow = {*parse_ip("198.51.100.7"), kTcp, 443, 0};
  const std::vector<nft::Hook> hooks{nft::Hook::prerouting, nft::Hook::forward};
  CHECK(nft::evaluate(ruleset, packet, hooks).fate == nft::Fate::rejected);
  packet.ct_mark = kGenerationMark;
  packet.ct_state = nft::kEstablished;
  CHECK(nft::evaluate(ruleset, packet, hooks).fate == nft::Fate::accepted);
  packet.ct_mark = kGenerationMark + 1;  // another generation of the policy
  CHECK(nft::evaluate(ruleset, packet, hooks).fate == nft::Fate::rejected);
  packet.ct_mark = 0;
  packet.spoofed = true;
  CHECK(nft::evaluate(ruleset, packet, hooks).counters == std::vector<std::string>{"spoofed"});
  packet.spoofed = false;
  packet.ct_state = nft::kInvalid;
  CHECK(nft::evaluate(ruleset, packet, hooks).counters == std::vector<std::string>{"invalid"});
  packet.ct_state = nft::kRelated;
  packet.ct_mark = kGenerationMark;
  packet.flow.protocol = kIcmp;
  CHECK(nft::evaluate(ruleset, packet, {nft::Hook::forward}).fate == nft::Fate::dropped);
}

TEST_CASE("a source route is dropped, of an admitted flow too") {
  for (const auto uplink : {UplinkPlan::Kind::host, UplinkPlan::Kind::pasta})
    for (const char* address : {"198.51.100.7", "2001:db8::7"}) {
      Profile profile;
      profile.rules = {{.to = {{Destination::Kind::any}}}};
      const nft::Ruleset ruleset = make_filter(make_policy(profile), uplink);
      nft::Packet packet{.iif = std::string(kJailInterface),
                         .oif = std::string(kUplinkInterface),
                         .flow = {*parse_ip(address), kUdp, 7, 0}};
      const std::vector<nft::Hook> hooks{nft::Hook::prerouting, nft::Hook::forward};
      for (const std::uint32_t mark : {0U, kGenerationMark}) {
        packet.ct_mark = mark;
        packet.extended = packet.routed = false;
        CHECK(nft::evaluate(ruleset, packet, hooks).fate == nft::Fate::accepted);
        packet.extended = packet.routed = true;
        CHECK(nft::evaluate(ruleset, packet, hooks).fate == nft::Fate::dropped);
        CHECK(nft::evaluate(ruleset, packet, hooks).counters == std::vector<std::string>{"extended"});
      }
    }
}
