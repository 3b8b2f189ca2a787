#include <algorithm>

#include "commands.h"
#include "netjail/base/format.h"
#include "netjail/os/fd.h"
#include "policy_args.h"

namespace netjail {

Result<int> profiles_command(const Arguments& arguments) {
  if (arguments.words.size() > 1) return fail("netjail profiles: give one profile, or none for the list");
  if (arguments.words.size() == 1) {
    const auto loaded = load_profile(arguments.words.front(), search_path(), services());
    if (!loaded) return std::unexpected(to_error(loaded.error()));
    for (const std::string& file : loaded->files) {
      NJ_TRY_AS(const std::string text, read_file(file));
      NJ_TRY(print(fmt::format("# {}\n{}", file, text)));
    }
    return 0;
  }
  const std::vector<ProfileEntry> entries = list_profiles(search_path(), services());
  std::size_t width = 0;
  for (const ProfileEntry& entry : entries) width = std::max(width, entry.name.size());
  std::string out;
  for (const ProfileEntry& entry : entries)
    out += fmt::format("{:<{}}  {}{}\n", entry.name, width, entry.valid ? "" : "BROKEN: ", entry.description);
  if (entries.empty()) {
    out = "no profile was found in:\n";
    for (const std::string& folder : search_path().folders) out += "  " + folder + "\n";
  }
  NJ_TRY(print(out));
  return 0;
}

}  // namespace netjail
