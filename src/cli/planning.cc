#include "planning.h"

#include <unistd.h>

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

  HostLock lock;
  // Root inside: what other runs keep below /run/netjail is covered, so it must be there and stay there.
  const bool root = ::geteuid() == 0;
  const bool behind_pasta = policy.opens_anything() && (!root || policy.uplink == UplinkChoice::pasta);
  const bool behind_host = policy.opens_anything() && !behind_pasta;
  if (for_real && root && (behind_host || identity.uid == 0)) {
    NJ_TRY_AS(lock, HostLock::take());
  }
  std::optional<LocalWatch> watch;
  if (for_real && behind_pasta) {
    NJ_TRY_AS(watch, LocalWatch::open());
  }
  NJ_TRY_AS(const HostFacts host, probe_host(host_questions(policy, caller)));
  NJ_TRY_AS(Plan plan, make_plan(policy, host, caller));
  return Planned{std::move(plan), std::move(lock), std::move(watch)};
}

}  // namespace netjail
