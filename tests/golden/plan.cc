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

// Two rules that share their sets, one of them with an address beside; one with services of its own; a denial
// of everything and one of a service.
Policy names_policy() {
  using Kind = Destination::Kind;
  const auto name = [](const char* text) {
    return Destination{Kind::name, {}, text, *parse_name_pattern(text, PublicSuffixes::builtin())};
  };
  const Service ssh{kTcp, PortRange{22, 22}, {}}, http{kTcp, PortRange{80, 80}, {}};
  const auto where = [](std::uint32_t line) { return Position{"names.toml", line, 1}; };
  Profile profile{.name = "names", .description = "names for the golden test"};
  profile.rules = {
      {.to = {name("example.org")}, .where = where(1)},
      {.to = {name("git.example.net")}, .services = {ssh}, .local = true, .where = where(3)},
      {.to = {name("*.bücher.example"), {Kind::prefix, *parse_prefix("203.0.113.7")}}, .where = where(6)},
      {.action = Action::deny, .to = {name("ads.example.org")}, .where = where(8)},
      {.action = Action::deny, .to = {name("example.org")}, .services = {http}, .where = where(10)}};
  return make_policy(profile);
}

Plan plan(bool privileged, const Policy& of = policy(), std::vector<nft::ForeignChain> firewalls = {}) {
  HostFacts host;
  host.firewalls = std::move(firewalls);
  host.privileged = privileged;
  host.addresses = AddressSet({{*parse_ip("198.51.100.2"), *parse_ip("198.51.100.2")},
                               {*parse_ip("2001:db8:1::2"), *parse_ip("2001:db8:1::2")}});
  host.uplinks = {{Family::ipv4, "eth0", false, 0}, {Family::ipv6, "eth0", false, 1}};
  host.ipv6_force_forwarding = true;
  host.search = {"example.org"};
  host.has_resolver = true;
  host.hosts = parse_hosts("127.0.0.1 localhost\n192.168.77.5 git.example.net git\n");
  host.resolv_conf_target = "/etc/resolv.conf";
  host.nsswitch = "passwd: files\nhosts: files mdns4_minimal dns\n";
  host.cgroup_mount = true;
  host.meeting_places = {"/run", "/tmp", "/var/tmp"};
  host.sockets = {{.path = "/home/user/.ssh/master"}, {.path = "/run/dbus/system_bus_socket"}};
  Caller caller;
  caller.command = {"curl", "https://example.org/"};
  caller.cwd = "/home/user";
  caller.uid = caller.gid = 1000;
  caller.groups = {1000, 27};
  caller.environment = {
      {"PATH", "/usr/bin:/bin"}, {"HOME", "/home/user"}, {"TMUX", "/tmp/tmux-1000/default,1,0"}};
  auto made = make_plan(of, host, caller);
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

TEST_CASE("the plan as root beside a firewall that shuts the host's forwarding") {
  const nft::ForeignDrop all{nft::ForeignDrop::Kind::policy, true, "", ""};
  const Plan past = plan(true, policy(),
                         {{"ip", "filter", "FORWARD", nft::Hook::forward, {all}},
                          {"ip", "filter", "OUTPUT", nft::Hook::output, {all}}});
  compare("firewall.txt", render_plan_text(past));
  compare("firewall.json", render_plan_json(past));
}

TEST_CASE("the plan of rules by name") {
  compare("names-root.txt", render_plan_text(plan(true, names_policy())));
  compare("names-root.nft", render_plan_nft(plan(true, names_policy())));
  compare("names-root.json", render_plan_json(plan(true, names_policy())));
  compare("names-rootless.txt", render_plan_text(plan(false, names_policy())));
  compare("names-rootless.nft", render_plan_nft(plan(false, names_policy())));
  compare("names-rootless.json", render_plan_json(plan(false, names_policy())));
}

TEST_CASE("without root only the uplink differs, and what stands before pasta in the router") {
  const Plan root = plan(true);
  Plan rootless = plan(false);
  CHECK(rootless.uplink != root.uplink);
  rootless.uplink = root.uplink;
  CHECK(std::erase_if(rootless.router.ruleset.chains, [](const nft::Chain& chain) {
          return chain.name == "plain-packets" || chain.name == "postrouting";
        }) == 2);
  CHECK(rootless == root);
}
