#include "probe_files.h"

#include <limits.h>
#include <sys/fsuid.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <utility>

#include "netjail/base/text.h"
#include "probe_sockets.h"

namespace netjail {
namespace {

// The rights of the user inside, for as long as it lives: root must not find for him what he could not, nor
// pass by what he can. Without root nothing changes. The system calls are the thread's own, the library's
// would be the whole process's.
class RightsOf {
 public:
  static Result<RightsOf> take(const std::optional<Rights>& user) {
    RightsOf rights;
    if (!user || ::geteuid() != 0) return rights;
    const int count = ::getgroups(0, nullptr);
    rights.groups_.resize(static_cast<std::size_t>(std::max(count, 0)));
    const std::vector<gid_t> groups(user->groups.begin(), user->groups.end());
    if (count < 0 || ::getgroups(count, rights.groups_.data()) != count ||
        ::syscall(SYS_setgroups, groups.size(), groups.data()) != 0)
      return fail_errno("cannot look at files as the user inside");
    rights.changed_ = true;
    ::setfsgid(user->gid);
    ::setfsuid(user->uid);
    return rights;
  }
  RightsOf(RightsOf&& other) noexcept
      : groups_(std::move(other.groups_)), changed_(std::exchange(other.changed_, false)) {}
  RightsOf& operator=(RightsOf&&) = delete;
  ~RightsOf() {
    if (!changed_) return;
    ::setfsuid(::geteuid());
    ::setfsgid(::getegid());
    ::syscall(SYS_setgroups, groups_.size(), groups_.data());
  }

 private:
  RightsOf() = default;
  std::vector<gid_t> groups_;  // ours
  bool changed_ = false;
};

HostPath::Kind kind_of(mode_t mode) {
  using Kind = HostPath::Kind;
  return S_ISDIR(mode)    ? Kind::folder
         : S_ISSOCK(mode) ? Kind::socket
         : S_ISREG(mode)  ? Kind::file
                          : Kind::other;
}

// As realpath(3), but by links of root's alone: one of anybody else's may have been turned by an earlier
// program in a jail, which has not the rights of the one who calls.
std::optional<HostPath> find_path(const std::string& path) {
  constexpr int kMostLinks = 40;
  std::vector<std::string> rest;
  const auto push = [&rest](std::string_view text) {
    const auto parts = split(text, '/');
    for (auto part = parts.rbegin(); part != parts.rend(); ++part) rest.emplace_back(*part);
  };
  push(path);
  std::string target;
  struct stat info {};
  if (::lstat("/", &info) != 0) return std::nullopt;
  for (int links = 0; !rest.empty();) {
    const std::string part = std::move(rest.back());
    rest.pop_back();
    if (part.empty() || part == ".") continue;
    if (part == "..") {
      target.erase(std::min(target.rfind('/'), target.size()));
      continue;
    }
    const std::string next = target + "/" + part;
    if (::lstat(next.c_str(), &info) != 0) return std::nullopt;
    if (!S_ISLNK(info.st_mode)) {
      target = next;
      continue;
    }
    if (info.st_uid != 0) return HostPath{HostPath::Kind::link, next, info.st_dev, info.st_ino};
    char text[PATH_MAX];
    const ssize_t size = ::readlink(next.c_str(), text, sizeof text);
    if (size < 0 || size == sizeof text || ++links > kMostLinks) return std::nullopt;
    if (text[0] == '/') target.clear();
    push({text, static_cast<std::size_t>(size)});
  }
  if (target.empty()) target = "/";
  if (::lstat(target.c_str(), &info) != 0) return std::nullopt;
  return HostPath{kind_of(info.st_mode), target, info.st_dev, info.st_ino};
}

}  // namespace

Status probe_files(const HostQuestions& questions, const std::vector<MountEntry>& mounts, HostFacts& facts) {
  NJ_TRY_AS(const RightsOf user, RightsOf::take(questions.user));
  for (const std::string_view place : kMeetingPlaces)
    if (const auto there = find_path(std::string(place)); there && there->kind == HostPath::Kind::folder)
      if (std::ranges::find(facts.meeting_places, there->target) == facts.meeting_places.end())
        facts.meeting_places.push_back(there->target);
  for (const std::string& path : questions.paths)
    if (const auto there = find_path(path)) facts.paths[path] = *there;

  NJ_TRY(probe_sockets(questions, mounts, facts));
  for (const std::string& path : find_aliases(mounts, "/run/netjail"))
    if (const auto there = find_path(path); there && there->kind == HostPath::Kind::folder)
      facts.records.push_back(path);
  return {};
}

}  // namespace netjail
