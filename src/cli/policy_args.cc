#include "policy_args.h"

#include <limits.h>
#include <unistd.h>

#include <algorithm>

#include "caller.h"
#include "netjail/base/format.h"
#include "netjail/os/fd.h"

namespace netjail {
namespace {

Error diagnostics_error(const Diagnostics& diagnostics) {
  const std::size_t count = diagnostics.size();
  Error error = make_error(fmt::format("{}, nothing was started\n{}",
                                       count == 1 ? "1 mistake" : fmt::format("{} mistakes", count),
                                       render_diagnostics(diagnostics)));
  while (error.what.ends_with('\n')) error.what.pop_back();
  return error;
}

Status add_specs(const Arguments& arguments, const std::string& option, Action action, Profile& extra,
                 Diagnostics& diagnostics) {
  for (const std::string& spec : arguments.all(option)) {
    auto rule = parse_spec(spec, action, services());
    if (rule)
      extra.rules.push_back(std::move(*rule));
    else
      diagnostics.insert(diagnostics.end(), rule.error().begin(), rule.error().end());
  }
  return {};
}

void add_words(const Arguments& arguments, const std::string& option,
               Parsed<std::string> (*parse)(std::string_view), std::optional<std::vector<std::string>>& words,
               Diagnostics& diagnostics) {
  for (const std::string& text : arguments.all(option)) {
    auto word = parse(text);
    if (word)
      (words ? *words : words.emplace()).push_back(std::move(*word));
    else
      diagnostics.insert(diagnostics.end(), word.error().begin(), word.error().end());
  }
}

}  // namespace

const ServiceTable& services() {
  static const ServiceTable table(read_file("/etc/services", 4u << 20).value_or(""));
  return table;
}

SearchPath search_path() {
  char path[PATH_MAX];
  const ssize_t size = ::readlink("/proc/self/exe", path, sizeof path);
  return make_search_path(config_home(),
                          size > 0 ? std::string(path, static_cast<std::size_t>(size)) : std::string());
}

Error to_error(const LoadFailure& failure) {
  return failure.error ? *failure.error : diagnostics_error(failure.diagnostics);
}

std::expected<Profile, LoadFailure> with_sets(const Profile& profile, const std::string& user) {
  const std::vector<std::string> sets = sets_of(profile);
  if (sets.empty()) return profile;
  const auto read = [&]() -> Result<SetFiles> {
    NJ_TRY_AS(const Identity identity, find_identity(user, {}));
    return read_set_files(sets, {.uid = identity.uid, .home = home_of(identity)});
  };
  const Result<SetFiles> files = read();
  if (!files) return std::unexpected(LoadFailure{{}, files.error()});
  auto expanded = expand_sets(profile, *files);
  if (!expanded) return std::unexpected(LoadFailure{std::move(expanded).error(), {}});
  return std::move(*expanded);
}

Result<ChosenPolicy> choose_policy(const Arguments& arguments, const std::string& program) {
  const std::string name = arguments.value("profile");
  auto loaded = arguments.has("profile") ? load_profile(name, search_path(), services())
                                         : load_profile_for(program, search_path(), services());
  Diagnostics diagnostics;
  Profile extra;
  NJ_TRY(add_specs(arguments, "allow", Action::allow, extra, diagnostics));
  NJ_TRY(add_specs(arguments, "deny", Action::deny, extra, diagnostics));
  add_words(arguments, "unix", parse_unix_socket, extra.unix_sockets, diagnostics);
  add_words(arguments, "share", parse_shared_path, extra.shared, diagnostics);
  if (!loaded && loaded.error().error) return std::unexpected(*loaded.error().error);
  if (!loaded)
    diagnostics.insert(diagnostics.begin(), loaded.error().diagnostics.begin(),
                       loaded.error().diagnostics.end());
  if (!diagnostics.empty()) return std::unexpected(diagnostics_error(diagnostics));
  Profile profile = merge(loaded->profile, extra);
  profile.name = loaded->profile.name;
  const std::string user = arguments.has("user") ? arguments.value("user") : profile.user.value_or("");
  const auto expanded = with_sets(profile, user);
  if (!expanded) {
    Error error = to_error(expanded.error());
    if (!arguments.has("profile") && error.hint.empty())
      error.hint =
          "profile " + profile.name +
          " was taken because the program has its name; --profile default has only what --allow says";
    return std::unexpected(std::move(error));
  }
  return ChosenPolicy{make_policy(*expanded), loaded->files};
}

}  // namespace netjail
