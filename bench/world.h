// The world of the bench: a network namespace that plays the host, a server behind it, and a folder of
// programs.
//
//     jails ── (what is measured) ── host 198.51.100.1 ─ up0 ── veth ── server 198.51.100.2
//
// Everything happens in namespaces of the bench's own: pid (when the bench ends or is killed, everything in
// it is killed), mount (a tmpfs on /run, a resolv.conf), network. The real machine's links, routes, rules,
// sysctls and /run/netjail are not touched.
#pragma once
#include <string>

#include "process.h"

namespace netjail::bench {

inline constexpr const char* kServer = "198.51.100.2";
inline constexpr int kSinkPort = 5201, kSourcePort = 5202, kEchoPort = 9000, kHolePort = 9001,
                     kFreshPort = 20000;
inline constexpr int kFreshFlows = 1024;

struct World {
  std::string netjail;  // empty: there is none (yet); only floor and peers are measured
  std::string folder;   // floor, stamp, hold, traffic, script-jail.sh, profiles: a tmpfs that every jail sees
  int host = -1;
  int server = -1;

  Command tool(const std::string& name, Command arguments = {}) const;
  Command jail(const std::string& profile,
               const Command& program) const;  // netjail run --profile … -- program
  Command floor(const Command& program) const;
  bool has_netjail() const { return !netjail.empty(); }
};

// Runs `work` as the first process of fresh pid, mount and network namespaces and returns its exit status.
int in_own_world(int (*work)(void*), void* argument);

// Needs: called inside in_own_world. `tools` is the folder with the built programs.
World make_world(const std::string& netjail, const std::string& tools);

// Profiles of the cases, written into the world's folder.
std::string write_profile(const World& world, const std::string& name, const std::string& text);

// Waits until the launches that ended are really gone: their links have left the host and the cleaning of
// their namespaces (a kernel worker, holding rtnl) does not weigh on the next measurement. `live_jails` keep
// theirs.
void settle(std::size_t live_jails = 0);

// Waits until what netjail switched on in the host is off again (its keeper is detached), and fails when it
// stays.
void wait_for_untouched_host(const World& world);

}  // namespace netjail::bench
