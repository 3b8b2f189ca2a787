// Beside other firewalls: the jail works as the profile says, and their rules stay byte for byte what they
// were. Each runs for real in the namespace that plays the host; Docker's rules are those that dockerd made.
#include <doctest/doctest.h>

#include <algorithm>

#include "e2e/fixture.h"

using namespace netjail;
using namespace netjail::test;

namespace {

const std::string kFiles = NETJAIL_SOURCE_DIR "/tests/e2e/firewalls/";

std::string sh(const FakeWorld& place, const std::string& commands) {
  const Outcome outcome = place.call({"sh", "-ec", commands});
  REQUIRE_MESSAGE(outcome.ok(), commands << "\n" << outcome.describe());
  return outcome.out;
}

// Everything that is not netjail's own, but for counters of packets. With handles: a rule made anew is
// another one. Lists no table of iptables-legacy that is not there, which would make it.
std::string rules(const FakeWorld& place) {
  return sh(place,
            "nft -s -a list ruleset | awk '/^table inet netjail/ { own = 1 } !own; /^}/ { own = 0 }'\n"
            "for v in '' 6; do\nip${v}tables-nft-save 2>/dev/null\n"
            "for t in $(cat /proc/net/ip${v}_tables_names); do ip${v}tables-legacy-save -t $t; done\ndone |\n"
            "grep -v '^#' | sed 's/ \\[[0-9]*:[0-9]*\\]$//'");
}

Outcome jail(const FakeWorld& place, const Words& options, const std::string& address,
             const std::string& seconds = "5") {
  Words words = options;
  words.insert(words.end(), {"--", "timeout", seconds, kProbe, "echo", address, "443"});
  return place.netjail(words);
}

void check_promises(FakeWorld& place) {
  for (const char* address : {"198.51.100.10", "2001:db8:1::10"}) {
    const Outcome open = jail(place, {"--profile", "internet"}, address);
    CHECK_MESSAGE(open.ok(), address << "\n" << open.describe());
    CHECK_MESSAGE(!has(open.err, "may drop"), open.describe());
  }
  for (const char* address : {"192.168.77.10", "198.51.100.2", "fd77::10"}) {
    place.servers().forget();
    const Outcome shut = jail(place, {"--profile", "internet"}, address);
    CHECK_MESSAGE(shut.status == 1, address << "\n" << shut.describe());  // refused at once
    CHECK_MESSAGE(place.servers().count() == 0, address);
  }
}

void check_as_root(const FakeWorld& place, const std::string& by_host, const std::string& told) {
  // Their drop wins over our accept; and it is said.
  const Outcome forwarded = jail(place, {"--profile", by_host}, "198.51.100.10", told.empty() ? "5" : "0.5");
  CHECK_MESSAGE(forwarded.ok() == told.empty(), forwarded.describe());
  const Outcome doctor = place.run({.argv = netjail_command({"doctor"})});
  CHECK_MESSAGE(doctor.ok(), doctor.describe());
  const Outcome verbose = jail(place, {"--profile", "internet", "--verbose"}, "198.51.100.10");
  if (told.empty()) {
    CHECK_MESSAGE(!has(verbose.err, "pasta"), verbose.describe());
    CHECK_MESSAGE(!has(forwarded.err, "may drop"), forwarded.describe());
    return;
  }
  CHECK_MESSAGE(has(forwarded.err, "netjail: " + told), forwarded.describe());
  CHECK_MESSAGE(has(forwarded.err, "may drop what the host forwards for the jail"), forwarded.describe());
  CHECK_MESSAGE(has(verbose.err, "through pasta: the host's forwarding is shut by " + told),
                verbose.describe());
  CHECK_MESSAGE(has(doctor.out, "note     the host's forwarding is shut by " + told), doctor.describe());
  for (const char* inside : {"0", "61999"}) {
    const Outcome outcome = jail(place, {"--profile", "internet", "--user", inside}, "198.51.100.10");
    CHECK_MESSAGE(outcome.ok(), outcome.describe());
  }
}

// `set_up` starts the firewall. `told`: the chain in which it drops what the host forwards, if it does.
// `opening`: what netjail(1) tells who wants that way all the same.
template <class SetUp>
void check(const SetUp& set_up, const std::string& told, const std::string& opening = "") {
  FakeWorld place = make_world();
  // The paths are there without the firewall, by the host's forwarding too.
  for (const char* address : {"198.51.100.10", "192.168.77.10", "198.51.100.2", "2001:db8:1::10", "fd77::10"})
    REQUIRE(place.probe({"echo", address, "443"}).ok());
  const std::string by_host =
      place.write("by-host.toml", "extends = [\"internet\"]\n[network]\nuplink = \"host\"\n");
  if (!rootless()) REQUIRE(jail(place, {"--profile", by_host}, "198.51.100.10").ok());

  auto process = set_up(place);
  const std::string before = rules(place);
  REQUIRE(place.probe({"echo", "198.51.100.10", "443"}).ok());
  if (!rootless()) check_as_root(place, by_host, told);
  check_promises(place);
  CHECK(rules(place) == before);
  CHECK(eventually([&] { return !has(sh(place, "nft list tables"), "netjail"); }, 10s));
  CHECK(rules(place) == before);
  if (rootless() || opening.empty()) return;
  sh(place, opening);
  const Outcome opened = jail(place, {"--profile", by_host}, "198.51.100.10");
  CHECK_MESSAGE(opened.ok(), opened.describe());
}

void check_rules(const std::string& commands, const std::string& told, const std::string& opening = "") {
  check([&](const FakeWorld& place) { return sh(place, commands); }, told, opening);
}

}  // namespace

TEST_CASE("iptables-nft: policy DROP, and a chain that rejects all") {
  if (!needs_root()) return;
  check_rules("iptables-nft -P FORWARD DROP; ip6tables-nft -P FORWARD DROP",
              "table ip filter chain FORWARD (policy drop), table ip6 filter chain FORWARD (policy drop)");
  check_rules(
      "for v in '' 6; do ip${v}tables-nft -N all; ip${v}tables-nft -A FORWARD -j all\n"
      "ip${v}tables-nft -A all -j REJECT; done",
      "table ip filter chain FORWARD (a rule rejects)");
}

TEST_CASE("iptables-legacy: policy DROP, and a chain that rejects all") {
  if (!needs_root()) return;
  check_rules("iptables-legacy -P FORWARD DROP", "iptables-legacy table filter chain FORWARD (policy drop)");
  check_rules("iptables-legacy -N all; iptables-legacy -A FORWARD -j all; iptables-legacy -A all -j REJECT",
              "iptables-legacy table filter chain FORWARD (a rule rejects)");
}

TEST_CASE("nftables with a forward chain of its own") {
  if (!needs_root()) return;
  check_rules(
      "nft 'table inet mine { chain forward { type filter hook forward priority 0; policy drop\n"
      "ct state established,related accept; }; }'",
      "table inet mine chain forward (policy drop)");
  check_rules(
      "nft 'table ip mine { chain forward { type filter hook forward priority -300\n"
      "ct state established,related accept; tcp dport 443 reject; }; }'",
      "table ip mine chain forward (a rule rejects)");
}

TEST_CASE("ufw enabled") {
  if (!needs_root()) return;
  check_rules("cp -a /etc/ufw /srv/ufw; mount --bind /srv/ufw /etc/ufw; ufw --force enable",
              "table ip filter chain FORWARD (policy drop)", "ufw route allow in on nj+");
}

TEST_CASE("firewalld running") {
  if (!needs_root()) return;
  check(
      [](const FakeWorld& place) {
        sh(place,
           "mkdir /run/dbus /run/lock; cp -a /etc/firewalld /srv/firewalld\n"
           "mount --bind /srv/firewalld /etc/firewalld");
        std::vector<Process> running;
        running.push_back(place.start({.argv = {"dbus-daemon", "--config-file", kFiles + "bus.conf",
                                                "--nofork", "--nopidfile", "--print-address"},
                                       .identity = Identity{},
                                       .deadline = 120s}));
        REQUIRE_MESSAGE(running.back().wait_for("unix:"), running.back().err());
        running.push_back(place.start(
            {.argv = {"firewalld", "--nofork", "--nopid"}, .identity = Identity{}, .deadline = 120s}));
        const Words state{"dbus-send",
                          "--system",
                          "--print-reply",
                          "--dest=org.fedoraproject.FirewallD1",
                          "/org/fedoraproject/FirewallD1",
                          "org.freedesktop.DBus.Properties.Get",
                          "string:org.fedoraproject.FirewallD1",
                          "string:state"};
        REQUIRE_MESSAGE(eventually([&] { return has(place.call(state).out, "RUNNING"); }, 60s),
                        running.back().err());
        return running;
      },
      "table inet firewalld chain filter_FORWARD (a rule", "firewall-cmd --zone=trusted --add-interface=nj+");
}

TEST_CASE("Docker's rules") {
  if (!needs_root()) return;
  check_rules(
      "ip link add docker0 type bridge; ip address add 172.17.0.1/16 dev docker0; ip link set docker0 up\n"
      "echo 1 >/proc/sys/net/ipv4/ip_forward; iptables-restore " +
          kFiles + "docker.rules",
      "table ip filter chain FORWARD (policy drop)",
      "iptables -I DOCKER-USER -i nj+ -j ACCEPT\n"
      "iptables -I DOCKER-USER -o nj+ -m conntrack --ctstate ESTABLISHED -j ACCEPT");
}

TEST_CASE("Podman's rules drop nothing of ours: root keeps the host's way") {
  if (!needs_root()) return;
  check(
      [](const FakeWorld& place) {
        return sh(place, "mkdir /run/netns; ip netns add c1; /usr/lib/podman/netavark setup /run/netns/c1 <" +
                             kFiles + "podman.json");
      },
      "");
}

TEST_CASE("rules about interfaces and states that are no jail's do not matter") {
  if (!needs_root()) return;
  check_rules(
      "iptables -P INPUT DROP; iptables -A INPUT -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT\n"
      "iptables -A INPUT -j REJECT; iptables -A FORWARD -o virbr0 -j REJECT\n"
      "iptables -A FORWARD -m conntrack --ctstate INVALID -j DROP\n"
      "iptables-legacy -A FORWARD -i virbr0 -j DROP\n"
      "nft 'table inet mine { chain forward { type filter hook forward priority 0\n"
      "ct state invalid drop; iifname \"br-*\" drop; }; }'",
      "");
}

TEST_CASE("shut, and no pasta to go past it: the host's way, and it is said" *
          only_root("without root there is no other way")) {
  if (!needs_root()) return;
  FakeWorld place = make_world();
  sh(place, "iptables -P FORWARD DROP");
  const Words run{kNetjail, "run",  "--quiet", "--profile",      "internet",
                  "--",     kProbe, "echo",    "2001:db8:1::10", "443"};
  for (const auto& [gone, told] : std::vector<std::pair<std::string, std::string>>{
           {"mkdir -p /srv/bin; mount --bind /usr/bin /srv/bin; mount -t tmpfs none /usr/bin\n"
            "/srv/bin/ln -s /srv/bin/* /usr/bin; /srv/bin/rm /usr/bin/pasta",
            "apt install passt"},
           {"mount -t tmpfs none /dev/net", "modprobe tun"},
           {"echo 0 >/srv/none; mount --bind /srv/none /proc/sys/user/max_user_namespaces",
            "but: user.max_user_namespaces is 0"}}) {
    const Outcome outcome = place.run(after(gone, run));
    CHECK_MESSAGE(outcome.ok(), outcome.describe());  // IPv6 is not shut
    CHECK_MESSAGE(has(outcome.err,
                      "netjail: table ip filter chain FORWARD (policy drop) may drop what the host "
                      "forwards for the jail"),
                  outcome.describe());
    CHECK_MESSAGE(has(outcome.err, told), outcome.describe());
    CHECK_MESSAGE(std::ranges::count(outcome.err, '\n') == 1, outcome.describe());
  }
}

TEST_CASE("a firewall that shuts the host itself stays in force, and it is said" *
          only_root("the rules are root's alone to read")) {
  if (!needs_root()) return;
  FakeWorld place = make_world();
  sh(place,
     "nft 'table inet mine { chain forward { type filter hook forward priority 0; policy drop; }\n"
     "chain output { type filter hook output priority 0; policy drop; oif lo accept\n"
     "ct state established accept; ip daddr 198.51.100.10 accept; }; }'");
  const std::string told =
      "table inet mine chain output (policy drop) may drop what pasta sends for the jail";
  const Outcome open = jail(place, {"--profile", "internet"}, "198.51.100.10");
  CHECK_MESSAGE(open.ok(), open.describe());
  CHECK_MESSAGE(has(open.err, told), open.describe());
  const Outcome shut = jail(place, {"--profile", "internet"}, "198.51.100.11", "0.5");
  CHECK_MESSAGE(!shut.ok(), shut.describe());
  CHECK_MESSAGE(has(shut.err, told), shut.describe());
  const Outcome doctor = place.run({.argv = netjail_command({"doctor"})});
  CHECK_MESSAGE(has(doctor.out, told), doctor.describe());
}
