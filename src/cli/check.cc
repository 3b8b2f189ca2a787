#include <algorithm>

#include "commands.h"
#include "explanation.h"
#include "netjail/base/format.h"
#include "policy_args.h"

namespace netjail {
namespace {

std::string render(const LoadFailure& failure) {
  return failure.error ? render_error(*failure.error) : render_diagnostics(failure.diagnostics);
}

Profile without_sets(Profile profile) {
  std::erase_if(profile.rules, [](const ProfileRule& rule) {
    return std::ranges::any_of(rule.to,
                               [](const Destination& to) { return to.kind == Destination::Kind::set; });
  });
  return profile;
}

}  // namespace

Result<int> check_command(const Arguments& arguments) {
  std::vector<std::string> names = arguments.words;
  if (names.empty())
    for (const ProfileEntry& entry : list_profiles(search_path(), services())) names.push_back(entry.file);
  if (names.empty()) return fail("no profile was found", "netjail profiles says where they are looked for");
  bool mistakes = false;
  std::string out;
  for (const std::string& name : names) {
    const auto loaded = load_profile(name, search_path(), services());
    if (!loaded) {
      mistakes = true;
      out += render(loaded.error());
      continue;
    }
    // What is configured on this machine is no property of the profile: a note, no mistake.
    const auto expanded = with_sets(loaded->profile, loaded->profile.user.value_or(""));
    if (!expanded) out += "note: this profile cannot be used here yet:\n" + render(expanded.error());
    const std::vector<std::string> warnings =
        lint(make_policy(expanded ? *expanded : without_sets(loaded->profile)));
    for (const std::string& warning : warnings) out += warning + "\n";
    mistakes = mistakes || (arguments.has("strict") && !warnings.empty());
    out += fmt::format("{}: {}\n", loaded->profile.name,
                       warnings.empty()
                           ? "fine"
                           : fmt::format("{} warning{}", warnings.size(), warnings.size() == 1 ? "" : "s"));
  }
  NJ_TRY(print(out));
  return mistakes ? 1 : 0;
}

}  // namespace netjail
