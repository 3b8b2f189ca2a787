#include "planning.h"

#include <unistd.h>

#include <algorithm>

#include "caller.h"
#include "policy_args.h"

namespace netjail {

Result<std::vector<int>> kept_descriptors(const Arguments& arguments) {
  std::vector<int> fds;
  for (const std::string& text : arguments.all("keep-fd")) {
    NJ_TRY_AS(const int fd, parse_keep_fd(text));
    fds.push_back(fd);
  }
  return fds;
}

Result<Planned> plan_run(const Arguments& arguments, const std::vector<int>& keep_fds, bool for_real) {
  const std::string program = arguments.words.empty() ? std::string() : arguments.words.front();
  NJ_TRY_AS(ChosenPolicy chosen, choose_policy(arguments, program));
  const Policy& policy = chosen.policy;
  if (policy.uplink == UplinkChoice::none && policy.opens_anything())
    return fail(
        "profile " + policy.name + " opens destinations, but says uplink = \"none\"",
        "use another profile with --allow, such as --profile default; or remove the uplink key of this one");

  const std::string user = arguments.has("user") ? arguments.value("user") : policy.user.value_or("");
  NJ_TRY_AS(const Identity identity, find_identity(user, policy.groups));
  NJ_TRY_AS(const Caller caller, make_caller(identity, arguments.words, keep_fds));

  const bool root = ::geteuid() == 0;
  const bool up = policy.opens_anything();
  HostFacts walls;
  if (root && up) {
    Status read = probe_firewalls(walls, identity.uid);
    if (!read && for_real) return std::unexpected(std::move(read).error());
  }
  // What a run by its way out needs is there before the host is read. Which way that is, is certain only
  // then: the firewalls may be about interfaces that are no jail's.
  using Way = UplinkPlan::Kind;
  const std::string any_jail = std::string(kHostInterfacePrefix) + '*';
  walls.uplinks = {{.family = Family::ipv4, .interface = any_jail},
                   {.family = Family::ipv6, .interface = any_jail}};
  const bool shut = walls.no_pasta.empty() && !find_walls(walls, Way::host).empty();
  const bool past =
      !root || policy.uplink == UplinkChoice::pasta || (policy.uplink == UplinkChoice::automatic && shut);
  Way way = !up ? Way::none : past ? Way::pasta : Way::host;
  for (int attempt = 0; attempt < 3; ++attempt) {
    HostLock lock;
    // What other runs keep below /run/netjail is covered for root inside, so it must be there and stay there.
    const bool sees_run =
        identity.uid == 0 && std::ranges::find(policy.shared, "/run") != policy.shared.end();
    if (for_real && root && (way == Way::host || sees_run)) {
      NJ_TRY_AS(lock, HostLock::take());
    }
    std::optional<LocalWatch> watch;
    if (for_real && way == Way::pasta) {
      NJ_TRY_AS(watch, LocalWatch::open());
    }
    NJ_TRY_AS(HostFacts host, probe_host(host_questions(policy, caller)));
    host.firewalls = walls.firewalls;
    host.no_pasta = walls.no_pasta;
    NJ_TRY_AS(Plan plan, make_plan(policy, host, caller));
    if (!for_real || plan.uplink.kind == way)
      return Planned{std::move(plan), std::move(lock), std::move(watch)};
    way = plan.uplink.kind;
  }
  return fail("the host's interfaces and firewalls keep changing", "try again");
}

}  // namespace netjail
