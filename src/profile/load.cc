#include "netjail/profile/load.h"

#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <set>
#include <system_error>

#include "netjail/base/text.h"
#include "netjail/os/fd.h"
#include "parse.h"
#include "search.h"

namespace netjail {
namespace {

constexpr std::size_t kMaxDepth = 16;   // of `extends`
constexpr std::size_t kMaxFiles = 256;  // read for one profile

// `from` as seen from the working directory: "./x" is as good as "x", and names one file one way.
std::string normal(const std::string& path) {
  return std::filesystem::path(path).lexically_normal().string();
}

// One file on the way from the profile asked for to what it extends.
struct Link {
  std::string identity;
  std::string file;
};

// Reads a profile with everything it is merged with: depth first, so that what is extended comes before (is
// farther than) what extends it. A file that is reached twice counts once.
class Loader {
 public:
  Loader(const SearchPath& path, const ServiceTable& services) : path_(path), services_(services) {}

  std::expected<LoadedProfile, LoadFailure> load(const std::string& file, std::optional<std::size_t> folder) {
    auto text = read_file(file);
    if (!text) return std::unexpected(LoadFailure{{}, std::move(text).error()});
    add(file, *text);
    add_local_files(file, folder);
    if (!diagnostics_.empty()) return std::unexpected(LoadFailure{std::move(diagnostics_), {}});
    merged_.name = profile_name_of(file);
    return LoadedProfile{std::move(merged_), std::move(files_)};
  }

 private:
  // The same file under two names is one: compared by its canonical path.
  static std::string identity_of(const std::string& file) {
    std::error_code error;
    const auto canonical = std::filesystem::canonical(file, error);
    return error ? normal(file) : canonical.string();
  }

  void add(const std::string& file, const std::string& text) {
    std::string identity = identity_of(file);
    if (!seen_.insert(identity).second) return;
    files_.push_back(file);
    auto parsed = parse_file(text, file, services_);
    if (!parsed) {
      auto& mistakes = parsed.error();
      diagnostics_.insert(diagnostics_.end(), mistakes.begin(), mistakes.end());
      return;
    }
    chain_.push_back({std::move(identity), file});
    Source source(text, file);
    for (std::size_t i = 0; i < parsed->profile.extends.size(); ++i)
      add_extended(parsed->profile.extends[i], file, source, parsed->extends_at[i]);
    chain_.pop_back();
    auto mistakes = source.take();
    diagnostics_.insert(diagnostics_.end(), mistakes.begin(), mistakes.end());
    merged_ = merge(merged_, parsed->profile);
  }

  // `name` as it stands in `file` at `mark`.
  void add_extended(const std::string& name, const std::string& file, Source& source, Mark mark) {
    std::string target;
    std::optional<std::size_t> folder;
    if (name.find('/') != name.npos) {
      target = normal(name.starts_with('/') ? name : folder_of(file) + '/' + name);
      if (!exists(target)) {
        const std::string with_suffix = target + std::string(kProfileSuffix);
        source.complain(mark, {"there is no file " + target,
                               exists(with_suffix) ? "did you mean " + with_suffix + '?' : std::string()});
        return;
      }
    } else {
      // Beside the file first: profiles that belong together stand together.
      const std::string beside =
          normal(folder_of(file) + '/' + name + (name.ends_with(kProfileSuffix) ? "" : ".toml"));
      auto found = find_by_name(name, path_);
      if (exists(beside) && identity_of(beside) != chain_.back().identity)
        target = beside;
      else if (found)
        target = found->file;
      if (target.empty()) {
        source.complain(mark, missing(name));
        return;
      }
      if (found && found->file == target) folder = found->folder;
    }

    const std::string identity = identity_of(target);
    const auto begin = std::ranges::find(chain_, identity, &Link::identity);
    if (begin != chain_.end()) {
      std::string circle;
      for (auto link = begin; link != chain_.end(); ++link) circle += link->file + " -> ";
      source.complain(
          mark, {"profiles extend each other in a circle: " + circle + target, "leave out one of them"});
      return;
    }
    if (chain_.size() >= kMaxDepth) {
      source.complain(mark, {"more than " + std::to_string(kMaxDepth) + " profiles extend one another"});
      return;
    }
    if (files_.size() >= kMaxFiles) {
      source.complain(mark, {"more than " + std::to_string(kMaxFiles) + " files make this profile"});
      return;
    }
    if (const auto text = read_file(target)) {
      add(target, *text);
      add_local_files(target, folder);
    } else {
      source.complain(mark, {explain(text.error())});
    }
  }

  // NAME.local.toml beside the file, and, for a profile found by name, in the folders that are nearer: so a
  // user adds to a profile of the system without a copy of it. The nearest comes last.
  void add_local_files(const std::string& file, std::optional<std::size_t> folder) {
    if (file.ends_with(kLocalSuffix)) return;
    const std::string name = profile_name_of(file) + std::string(kLocalSuffix);
    std::vector<std::string> candidates{folder_of(file) + '/' + name};
    for (std::size_t i = folder.value_or(0); i-- > 0;) candidates.push_back(path_.folders[i] + '/' + name);
    for (const auto& candidate : candidates) {
      const std::string local = normal(candidate);
      if (!exists(local)) continue;
      if (const auto text = read_file(local)) {
        add(local, *text);
      } else {
        // No text, no line to show.
        diagnostics_.push_back({{local, 1, 1}, explain(text.error()), {}, 1, {}, 0});
      }
    }
  }

  Mistake missing(const std::string& name) const {
    Mistake result{"there is no profile " + quote_word(name) + "; searched: " + join(path_.folders, ", ")};
    if (const auto meant = nearest(name, profile_names(path_)))
      result.suggestion = "did you mean " + quote_word(*meant) + '?';
    return result;
  }

  static std::string explain(const Error& error) {
    // "netjail: cannot open X: Permission denied\n": without the frame.
    Error bare = error;
    bare.hint.clear();
    const std::string text = render_error(bare);
    return std::string(trim(text.substr(std::min(text.find(' ') + 1, text.size()))));
  }

  const SearchPath& path_;
  const ServiceTable& services_;
  Profile merged_;
  std::vector<std::string> files_;
  std::vector<Link> chain_;
  std::set<std::string> seen_;
  Diagnostics diagnostics_;
};

LoadFailure not_found(const std::string& name, const SearchPath& path) {
  std::string hint = "searched: " + join(path.folders, ", ");
  if (const auto meant = nearest(profile_name_of(name), profile_names(path)))
    hint = "did you mean " + quote_word(*meant) + "? (" + hint + ')';
  return {{}, make_error("there is no profile " + quote_word(name), std::move(hint))};
}

}  // namespace

std::expected<LoadedProfile, LoadFailure> load_profile(const std::string& argument, const SearchPath& path,
                                                       const ServiceTable& services) {
  Loader loader(path, services);
  if (argument.find('\0') != argument.npos) return std::unexpected(not_found(argument, path));
  if (argument.find('/') != argument.npos) {
    if (!exists(argument)) {
      const std::string with_suffix = argument + std::string(kProfileSuffix);
      return std::unexpected(
          LoadFailure{{},
                      make_error("there is no file " + argument,
                                 exists(with_suffix) ? "did you mean " + with_suffix + '?' : std::string())});
    }
    return loader.load(argument, {});
  }
  if (argument.ends_with(kProfileSuffix) && is_profile_name(argument) && exists(argument))
    return loader.load(argument, {});
  if (const auto found = find_by_name(argument, path)) return loader.load(found->file, found->folder);
  return std::unexpected(not_found(argument, path));
}

std::expected<LoadedProfile, LoadFailure> load_profile_for(const std::string& program, const SearchPath& path,
                                                           const ServiceTable& services) {
  const std::string name = program.substr(program.rfind('/') + 1);
  // "x.toml" as a program must not find ./x.toml, so this is no load_profile(name). A profile that is there
  // and wrong is a failure: falling back to the default would be another policy than the one written.
  for (const auto& candidate : {name + std::string(kProfileSuffix), std::string("default.toml")}) {
    if (const auto found = find_by_name(candidate, path))
      return Loader(path, services).load(found->file, found->folder);
  }
  return std::unexpected(not_found("default", path));
}

std::vector<ProfileEntry> list_profiles(const SearchPath& path, const ServiceTable& services) {
  std::vector<ProfileEntry> entries;
  for (const auto& name : profile_names(path)) {
    const auto found = find_by_name(name + std::string(kProfileSuffix), path);
    if (!found) continue;
    ProfileEntry entry{name, found->file, {}, true};
    const auto loaded = Loader(path, services).load(found->file, found->folder);
    if (loaded) {
      entry.description = loaded->profile.description.value_or("");
    } else {
      entry.valid = false;
      const auto& failure = loaded.error();
      if (failure.error) {
        entry.description = failure.error->what;
      } else {
        const Diagnostic& first = failure.diagnostics.front();
        entry.description = first.where.file + ':' + std::to_string(first.where.line) + ':' +
                            std::to_string(first.where.column) + ": " + first.message;
      }
    }
    entries.push_back(std::move(entry));
  }
  return entries;
}

}  // namespace netjail
