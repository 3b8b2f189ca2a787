#include "commands.h"
#include "explanation.h"
#include "netjail/base/text.h"
#include "netjail/jail/jail.h"
#include "policy_args.h"

namespace netjail {
namespace {

Result<ProfileRule> read_destination(const std::string& dest) {
  auto spec = parse_spec(dest, Action::deny, services());
  if (spec) return std::move(*spec);
  const Diagnostic& first = spec.error().front();
  return fail("explain cannot read " + printable(dest) + ": " + first.message,
              first.suggestion.empty() ? "netjail explain --help has examples" : first.suggestion);
}

}  // namespace

Result<int> explain_command(const Arguments& arguments) {
  const std::string usage = "netjail explain internet 198.51.100.7:443/tcp";
  if (arguments.words.empty()) return fail("netjail explain: give a destination", usage);
  if (arguments.words.size() > 2) return fail("netjail explain: one profile and one destination", usage);
  if (arguments.words.size() == 1 && load_profile(arguments.words.front(), search_path(), services()))
    return fail(
        "netjail explain: " + printable(arguments.words.front()) + " is a profile; give a destination, too",
        usage);
  Arguments chosen_by = arguments;
  if (arguments.words.size() == 2) {
    if (arguments.has("profile")) return fail("netjail explain: the profile is given twice");
    chosen_by.values["profile"] = {arguments.words.front()};
  }
  NJ_TRY_AS(ChosenPolicy chosen, choose_policy(chosen_by, ""));
  NJ_TRY_AS(const ProfileRule spec, read_destination(arguments.words.back()));
  NJ_TRY_AS(const HostFacts host, probe_host({}));
  chosen.policy.host = host.addresses;
  NJ_TRY_AS(const Explanation explanation, explain(chosen.policy, spec));
  NJ_TRY(print(explanation.text));
  return explanation.allowed ? 0 : 1;
}

}  // namespace netjail
