#include "commands.h"
#include "explanation.h"
#include "netjail/base/format.h"
#include "policy_args.h"

namespace netjail {
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
      out += loaded.error().error ? render_error(*loaded.error().error)
                                  : render_diagnostics(loaded.error().diagnostics);
      continue;
    }
    const std::vector<std::string> warnings = lint(make_policy(loaded->profile));
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
