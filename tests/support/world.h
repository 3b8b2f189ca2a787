// The fake world: a machine ("host") with an uplink to an Internet and a second link to a local network, made
// of network namespaces, so that the real netjail can be run in it and sends real packets without any of them
// leaving the machine.
//
//   internet                       host                              lan
//   198.51.100.1, .10, .11, .53    eth0 198.51.100.2                 192.168.77.1, .10, .53
//   203.0.113.10, .11         ◄──► eth0 2001:db8:1::2      eth1 ◄──► 10.77.0.10   172.16.77.10  100.64.77.10
//   2001:db8:1::1, ::10, ::11, ::53     eth1 192.168.77.2 10.77.0.2  169.254.169.254
//   2001:db8:2::10, ::11                     fd77::2                 fd77::1, ::10
//
// Every address of `internet` and `lan` serves what kPublicListeners lists. The host has services of its own
// on all of its addresses and on its loopback only: to prove that they are out of reach. Neither `internet`
// nor `lan` has a route to anywhere but the host's own addresses: a packet that is not masqueraded arrives
// (and is recorded) but is never answered. The host's mount namespace has a private /run, /sys, and an
// /etc/resolv.conf that names the world's DNS server, and the probe at kProbe.
#pragma once

#include <string>
#include <vector>

#include "leaks.h"
#include "namespaces.h"
#include "netjail/base/result.h"
#include "run.h"
#include "servers.h"

namespace netjail::test {

// Where the probe stands in the host's mount namespace: outside /tmp, which a jail may have for itself.
inline constexpr const char* kProbe = "/srv/netjail-probe";

// The binary under test, where every user can reach it.
inline constexpr const char* kNetjail = "/srv/netjail";
inline constexpr uid_t kOrdinaryUser = 61999;  // nobody of this machine

// NETJAIL_TEST_ROOTLESS: what FakeWorld::netjail() and start() run belongs to the ordinary user, so that a
// table of cases is run a second time without root.
bool rootless();

struct WorldOptions {
  bool ipv4 = true;
  bool ipv6 = true;
  bool default_route = true;
  bool private_routes =
      false;          // routes to 10.0.0.0/8 and 172.16.0.0/12 by way of the lan, as a VPN makes them
  bool watch = true;  // record every packet; off for measurements
  std::vector<std::string> nameservers;  // empty: 198.51.100.53, or 2001:db8:1::53 without IPv4
  std::string ruleset;  // nft script loaded into the host: firewalls that netjail must live with
};

class FakeWorld {
 public:
  static Result<FakeWorld> create(const WorldOptions& options = {});
  FakeWorld(FakeWorld&&) noexcept = default;
  ~FakeWorld();  // ends every process in its namespaces

  Place host() const { return {.network = host_.fd(), .mount = mount_.get()}; }
  const NetworkNamespace& internet() const { return internet_; }
  const NetworkNamespace& lan() const { return lan_; }
  Servers& servers() { return servers_; }
  // The host before anything ran in it. Taken later, a snapshot may show what netjail's keeper is about to
  // remove.
  const Snapshot& untouched() const { return untouched_; }
  const std::string& directory() const {
    return directory_;
  }  // a folder for the test's files, removed at the end

  // In the host; they fail the test when it cannot be started. run() and start() are what the caller of
  // netjail does, who is the ordinary user where rootless(); call() and probe() are root's in both modes.
  Outcome run(const Command& command) const;
  Process start(const Command& command) const;
  Outcome call(std::vector<std::string> argv) const;
  // The probe itself in the host: proves that a path works that a jail shall not have.
  Outcome probe(std::vector<std::string> arguments) const;
  // "netjail run ARGUMENTS" with the binary under test.
  Outcome netjail(std::vector<std::string> arguments) const;
  // Path of the file made, which is the caller's.
  std::string write(const std::string& name, const std::string& text) const;

 private:
  FakeWorld(NetworkNamespace host, NetworkNamespace internet, NetworkNamespace lan, Servers servers);
  Command here(Command command) const;
  Status build(const WorldOptions& options);
  Status add_links(const WorldOptions& options);
  Status mount_host(const WorldOptions& options);
  Status serve(const WorldOptions& options);

  NetworkNamespace host_, internet_, lan_;
  Fd mount_;
  std::string directory_;
  Snapshot untouched_;
  Servers servers_;
};

// netjail's own command line: {NETJAIL_BINARY, arguments...}.
std::vector<std::string> netjail_command(std::vector<std::string> arguments);

}  // namespace netjail::test
