// What of the host's files the child finds: where programs meet, it has folders of its own, and what it may
// use of the host's there is mounted back; a socket anywhere else is covered.
//
// A unix socket that is bound to a path is reached by whoever reaches the path (unix(7)); network and mount
// namespaces do not come into it, nor does a read-only mount. SECURITY.md P13.
#include <algorithm>

#include "netjail/base/text.h"
#include "netjail/plan/plan.h"
#include "netjail/profile/keys.h"
#include "presets.h"

namespace netjail {
namespace {

// Of these alone the command line shares what it names; the others hold sockets more than files.
constexpr std::array<std::string_view, 3> kTemporary{"/tmp", "/var/tmp", "/dev/shm"};
constexpr std::string_view kSharedMemory = "/dev/shm";
constexpr const char* kTurned =
    "a symbolic link that is not root's could have been turned by an earlier program: name what it leads to";

bool is_below(std::string_view path, std::string_view folder) {
  return path.size() > folder.size() && path.starts_with(folder) && path[folder.size()] == '/';
}

// No '.' or '..', nothing doubled: what such a path is below, it is below.
bool is_straight(std::string_view path) {
  return path.starts_with('/') && std::ranges::none_of(split(path.substr(1), '/'), [](std::string_view part) {
           return part.empty() || part == "." || part == "..";
         });
}

bool is_preset(const std::string& word) {
  const auto presets = unix_preset_names();
  return std::ranges::find(presets, word) != presets.end();
}

std::string variable(const Caller& caller, const char* name) {
  const auto found = caller.environment.find(name);
  return found == caller.environment.end() ? std::string() : found->second;
}

// Whether a path can begin behind `before`, and goes on with `c`.
bool is_of_path(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
         std::string_view("._-+@%~").find(c) != std::string_view::npos || (c & 0x80) != 0;
}

// What of kTemporary a text speaks of, by the entry of the folder: who runs /tmp/build/configure wants what
// lies beside it, too. In "/tmp/x", "--file=/tmp/x" and "cat /tmp/x >/tmp/y".
void find_entries(std::string_view text, std::vector<std::string>& entries) {
  for (const std::string_view folder : kTemporary) {
    for (auto at = text.find(folder); at != text.npos; at = text.find(folder, at + 1)) {
      if (at > 0 && (is_of_path(text[at - 1]) || text[at - 1] == '/')) continue;
      std::size_t end = at + folder.size();
      if (end >= text.size() || text[end] != '/') continue;
      while (++end < text.size() && is_of_path(text[end])) {
      }
      const std::string entry(text.substr(at, end - at));
      if (entry.size() > folder.size() + 1 && std::ranges::find(entries, entry) == entries.end())
        entries.push_back(entry);
    }
  }
}

// What the program is given there, or stands in: it is meant to be found.
std::vector<std::string> given_paths(const Caller& caller) {
  std::vector<std::string> paths;
  for (const std::string& place : {caller.cwd, variable(caller, "HOME")}) {
    // Whatever characters it has.
    for (const std::string_view folder : kTemporary)
      if (is_below(place, folder)) paths.push_back(place.substr(0, place.find('/', folder.size() + 1)));
  }
  for (const std::string& word : caller.command) {
    // A word that is a path, whatever characters it has; else what it speaks of.
    const auto* const folder = std::ranges::find_if(kTemporary, [&](std::string_view one) {
      return is_below(word, one) && word.size() > one.size() + 1;
    });
    if (folder == kTemporary.end()) {
      find_entries(word, paths);
      continue;
    }
    const std::string entry = word.substr(0, word.find('/', folder->size() + 1));
    if (std::ranges::find(paths, entry) == paths.end()) paths.push_back(entry);
  }
  return paths;
}

class FilesMaker {
 public:
  FilesMaker(const Policy& policy, const HostFacts& host, const Caller& caller)
      : policy_(policy), host_(host), caller_(caller) {}

  Result<FilesPlan> make() {
    own_.assign(host_.meeting_places.begin(), host_.meeting_places.end());
    own_.emplace_back(kSharedMemory);
    for (const std::string& path : policy_.shared)
      if (const HostPath* there = find(path)) std::erase(own_, there->target);
    NJ_TRY(find_sockets());
    NJ_TRY(find_shared());
    for (const std::string& folder : own_)
      if (folder != kSharedMemory) plan_.mounts.push_back(MountOwn{folder, folder != "/run"});
    plan_.mounts.push_back(MountDevices{});
    for (const std::string& path : shared_) plan_.mounts.push_back(MountShared{path, find_target(path)});
    NJ_TRY(make_folders());
    name_service();
    NJ_TRY(cover());
    return std::move(plan_);
  }

 private:
  const HostPath* find(const std::string& path) const {
    const auto found = host_.paths.find(path);
    return found == host_.paths.end() ? nullptr : &found->second;
  }
  HostFile find_target(const std::string& target) const {
    for (const auto& [path, there] : host_.paths)
      if (there.target == target) return {target, there.device, there.inode};
    return {target};
  }
  // Whether it lies where the jail has a tmpfs of its own.
  bool is_own(std::string_view path) const {
    return std::ranges::any_of(own_, [&](const std::string& folder) { return is_below(path, folder); });
  }
  bool is_visible(std::string_view path) const {
    if (path == "/dev" || is_below(path, "/dev") || std::ranges::find(own_, path) != own_.end() ||
        is_own(path))
      return std::ranges::any_of(
          shared_, [&](const std::string& folder) { return path == folder || is_below(path, folder); });
    return true;
  }
  void share(const std::string& path) {
    if (std::ranges::find(shared_, path) == shared_.end()) shared_.push_back(path);
  }

  static std::string why_not(const HostPath* there) {
    if (there == nullptr) return "is its server running? [unix] allow, or --unix, names it";
    if (there->kind == HostPath::Kind::link) return kTurned;
    return "it is something else: a folder is shared by --share";
  }
  Status find_sockets() {
    for (const std::string& word : policy_.unix_sockets) {
      if (is_preset(word)) {
        const Preset preset = find_preset(word, caller_.environment, caller_.uid);
        for (const std::string& socket : preset.sockets)
          if (const HostPath* there = find(socket); there != nullptr && there->kind == HostPath::Kind::socket)
            add_socket(there->target);
        for (const std::string& file : preset.files)
          if (const HostPath* there = find(file);
              there != nullptr && there->kind == HostPath::Kind::file && is_own(there->target))
            share(there->target);
        continue;
      }
      const HostPath* there = find(word);
      if (there == nullptr || there->kind != HostPath::Kind::socket)
        return fail("there is no unix socket " + printable(word), why_not(there));
      add_socket(there->target);
    }
    return {};
  }
  void add_socket(const std::string& path) {
    if (std::ranges::find(plan_.sockets, path) != plan_.sockets.end()) return;
    plan_.sockets.push_back(path);
    if (is_own(path)) share(path);
  }

  Status find_shared() {
    for (const std::string& path : policy_.shared) {
      const HostPath* there = find(path);
      if (there == nullptr || there->kind == HostPath::Kind::link)
        return fail("cannot share " + printable(path) +
                        (there == nullptr ? ": it is not there" : ": it goes by a symbolic link"),
                    there == nullptr ? "" : kTurned);
      if (is_own(there->target) || there->target == kSharedMemory) share(there->target);
      const auto inside = std::ranges::find_if(
          own_, [&](const std::string& own) { return there->target == "/" || is_below(own, there->target); });
      if (inside != own_.end())
        return fail(
            "cannot share " + printable(path) + " as a whole: the program has " + *inside + " for itself",
            "name that: --share " + *inside);
    }
    for (const std::string& path : policy_.devices)
      if (const HostPath* there = find(path); there != nullptr) share(there->target);
    for (const std::string& path : given_paths(caller_)) {
      if (!is_own(path)) continue;
      const HostPath* there = find(path);
      if (there != nullptr && there->kind == HostPath::Kind::link) plan_.links.push_back(path);
      if (there == nullptr) {
        // A program that is not there is told as such.
        const bool is_program = !caller_.command.empty() && caller_.command.front().starts_with(path);
        if (!is_program) plan_.lost.push_back(path);
        continue;
      }
      const bool found = there->kind == HostPath::Kind::folder || there->kind == HostPath::Kind::file;
      if (found && is_own(there->target)) share(there->target);
    }
    // What lies in a folder that is shared comes with it, and must not be covered by it.
    std::ranges::sort(shared_);
    std::vector<std::string> outermost;
    for (const std::string& path : shared_)
      if (outermost.empty() || !is_below(path, outermost.back())) outermost.push_back(path);
    shared_ = std::move(outermost);
    if (shared_.size() > kMostShared)
      return fail("the command line names too many files in a folder that the program has for itself",
                  "share the folder: --share /tmp");
    return {};
  }
  // And whether what it stands in is there.
  Status make_folders() {
    const std::string runtime = runtime_folder(caller_.environment, caller_.uid);
    const std::string& cwd = caller_.cwd;
    bool found = !is_own(cwd) || is_visible(cwd);
    for (const std::string& folder : {runtime, variable(caller_, "TMPDIR")}) {
      if (!is_straight(folder) || !is_own(folder) || is_visible(folder)) continue;
      plan_.mounts.push_back(MakeFolder{folder});
      found = found || folder == cwd || is_below(folder, cwd);
    }
    if (found) return {};
    return fail(
        "the working directory " + printable(cwd) + " is below a folder that the program has for itself",
        "cd somewhere else first, or --share " + shell_quote(cwd));
  }

  // What the program needs in the folder, or of it.
  bool holds_something(const std::string& folder) const {
    std::vector<std::string> needed{caller_.cwd, variable(caller_, "HOME")};
    needed.insert(needed.end(), plan_.sockets.begin(), plan_.sockets.end());
    return std::ranges::any_of(
        needed, [&](const std::string& path) { return path == folder || is_below(path, folder); });
  }

  void name_service();
  Status cover();

  const Policy& policy_;
  const HostFacts& host_;
  const Caller& caller_;
  FilesPlan plan_;
  std::vector<std::string> own_;     // folders in which the jail has a tmpfs
  std::vector<std::string> shared_;  // paths in them that are the host's
};

std::string resolv_conf(const HostFacts& host) {
  std::string text = "# Made by netjail: the supervisor answers here.\nnameserver 127.0.0.1\n";
  if (!host.search.empty()) text += "search " + join(host.search, " ") + "\n";
  if (!host.resolv_options.empty()) text += "options " + join(host.resolv_options, " ") + "\n";
  return text;
}

// Name look-ups go to files and DNS alone: mdns, resolve, nis, sss and the like ask daemons outside the jail.
std::string nsswitch(const std::string& original) {
  std::string text;
  for (const std::string_view line : split(original, '\n')) {
    if (trim(line).starts_with("hosts:")) continue;
    if (!line.empty()) text.append(line).append("\n");
  }
  return text + "hosts: files dns\n";
}

void FilesMaker::name_service() {
  if (policy_.dns != DnsChoice::policy) return;
  // Without the file glibc asks 127.0.0.1 anyway (resolv.conf(5)).
  if (const std::string& target = host_.resolv_conf_target; !target.empty()) {
    if (!is_visible(target)) plan_.mounts.push_back(MakeFile{target});
    plan_.mounts.push_back(MountFile{target, resolv_conf(host_)});
  }
  if (!host_.nsswitch.empty())
    plan_.mounts.push_back(MountFile{"/etc/nsswitch.conf", nsswitch(host_.nsswitch)});
  if (host_.nscd_socket && is_visible("/run/nscd")) plan_.mounts.push_back(MountEmpty{"/run/nscd", {}});
}

Status FilesMaker::cover() {
  if (caller_.uid == 0) {
    // What the keeper restores is root's to write: the jail's root must not see it.
    for (const std::string& records : host_.records)
      if (is_visible(records)) plan_.mounts.push_back(MountEmpty{records, {}});
  }
  for (const KernelMount& mount : host_.kernel_mounts) {
    if (!is_visible(mount.target)) continue;
    if (mount.kind == KernelMount::Kind::processes)
      plan_.mounts.push_back(MountEmpty{mount.target, mount.over});
    else if (caller_.uid == 0)
      plan_.mounts.push_back(mount.kind == KernelMount::Kind::devices
                                 ? Mount(MountEmpty{mount.target, mount.over})
                                 : Mount(MountReadOnly{mount.target}));
  }
  std::size_t covered = 0;
  for (const HostFile& socket : host_.sockets) {
    if (!is_visible(socket.path) || std::ranges::find(plan_.sockets, socket.path) != plan_.sockets.end())
      continue;
    if (++covered > kMostCovered)
      return fail(
          "more unix sockets can be reached than netjail can cover, " + std::to_string(kMostCovered),
          "many are beside " + printable(socket.path) + ": work in another folder, or end their servers");
    plan_.mounts.push_back(MountNull{socket.path, socket});
  }
  // A folder of sockets alone is covered as a whole, too: also what its servers, when they start anew, bind
  // there. Not instead: a folder can be moved into another one meanwhile.
  for (const HostFile& folder : host_.socket_folders) {
    if (!is_visible(folder.path) || holds_something(folder.path)) continue;
    plan_.mounts.push_back(MountEmpty{folder.path, folder});
  }
  return {};
}

}  // namespace

HostQuestions host_questions(const Policy& policy, const Caller& caller) {
  HostQuestions questions = host_questions(policy);
  std::vector<std::string>& paths = questions.paths;
  paths = given_paths(caller);
  paths.insert(paths.end(), policy.shared.begin(), policy.shared.end());
  paths.insert(paths.end(), policy.devices.begin(), policy.devices.end());
  for (const std::string& word : policy.unix_sockets) {
    if (!is_preset(word)) {
      paths.push_back(word);
      continue;
    }
    const Preset preset = find_preset(word, caller.environment, caller.uid);
    paths.insert(paths.end(), preset.sockets.begin(), preset.sockets.end());
    paths.insert(paths.end(), preset.files.begin(), preset.files.end());
  }
  questions.user = Rights{caller.uid, caller.gid, caller.groups};
  const auto& families = policy.seccomp_families;
  questions.every_socket = std::ranges::find(families, "unix") != families.end();
  questions.can_mount = policy.mount_namespaces && caller.uid != 0;
  questions.folders.push_back(caller.cwd);
  if (const std::string home = variable(caller, "HOME"); home.starts_with('/'))
    questions.folders.insert(questions.folders.end(), {home, home + "/.ssh", home + "/.gnupg"});
  return questions;
}

Result<FilesPlan> make_files(const Policy& policy, const HostFacts& host, const Caller& caller) {
  return FilesMaker(policy, host, caller).make();
}

}  // namespace netjail
