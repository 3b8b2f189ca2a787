// The plan of one profile on one host, as people, nft and programs read it: with root and without.
// NETJAIL_UPDATE_GOLDEN=1 writes the texts anew; their diff shows what a change does to the kernel, and what
// differs without root: the uplink alone.
#include "netjail/plan/plan.h"

#include <doctest/doctest.h>

#include <cstdlib>
#include <fstream>
#include <sstream>

using namespace netjail;

namespace {

Policy policy() {
  const auto profile = parse_profile(R"(description = "for the golden test"
[[allow]]
to = ["internet"]
service = ["https", "53/udp", "ping"]
[[allow]]
to = ["192.168.77.10", "2001:db8:7::/48"]
service = ["8000-8010/tcp"]
[[deny]]
to = ["203.0.113.0/24"]
)",
                                     "golden.toml", ServiceTable());
  REQUIRE(profile.has_value());
  Profile named = *profile;
  named.name = "golden";
  return make_policy(named);
}

Plan plan(bool privileged) {
  HostFacts host;
  host.privileged = privileged;
  host.addresses = AddressSet({{*parse_ip("198.51.100.2"), *parse_ip("198.51.100.2")},
                               {*parse_ip("2001:db8:1::2"), *parse_ip("2001:db8:1::2")}});
  host.uplinks = {{Family::ipv4, "eth0", false, 0}, {Family::ipv6, "eth0", false, 1}};
  host.ipv6_force_forwarding = true;
  host.search = {"example.org"};
  host.has_resolver = true;
  host.resolv_conf_target = "/etc/resolv.conf";
  host.nsswitch = "passwd: files\nhosts: files mdns4_minimal dns\n";
  host.cgroup_mount = true;
  host.fuse_device = true;
  Caller caller;
  caller.command = {"curl", "https://example.org/"};
  caller.cwd = "/home/user";
  caller.uid = caller.gid = 1000;
  caller.groups = {1000, 27};
  caller.environment = {{"PATH", "/usr/bin:/bin"}, {"HOME", "/home/user"}};
  auto made = make_plan(policy(), host, caller);
  REQUIRE(made.has_value());
  return *made;
}

void compare(const std::string& name, const std::string& text) {
  const std::string path = std::string(NETJAIL_SOURCE_DIR "/tests/golden/plan-") + name;
  if (std::getenv("NETJAIL_UPDATE_GOLDEN") != nullptr) std::ofstream(path) << text;
  std::ostringstream golden;
  golden << std::ifstream(path).rdbuf();
  CHECK_MESSAGE(text == golden.str(),
                path << " is not what the planner says; NETJAIL_UPDATE_GOLDEN=1 writes it anew");
}

}  // namespace

TEST_CASE("the plan as root") {
  compare("root.txt", render_plan_text(plan(true)));
  compare("root.nft", render_plan_nft(plan(true)));
  compare("root.json", render_plan_json(plan(true)));
}

TEST_CASE("the plan without root") {
  compare("rootless.txt", render_plan_text(plan(false)));
  compare("rootless.nft", render_plan_nft(plan(false)));
  compare("rootless.json", render_plan_json(plan(false)));
}

TEST_CASE("without root only the uplink differs, and what stands before pasta in the router") {
  const Plan root = plan(true);
  Plan rootless = plan(false);
  CHECK(rootless.uplink != root.uplink);
  rootless.uplink = root.uplink;
  auto& router = rootless.router.ruleset;
  CHECK(std::erase_if(router.chains, [](const nft::Chain& chain) {
          return chain.name == "plain-packets" || chain.name == "postrouting";
        }) == 2);
  CHECK(std::erase(router.counters, nft::CounterObject{"extended"}) == 1);
  CHECK(rootless == root);
}
