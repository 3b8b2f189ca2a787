// The mounts of the jail. Runs in init, before exec: no allocation.
#include <fcntl.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstring>

#include "child_init.h"

namespace netjail::init {
namespace {

constexpr const char* kStage = "/proc";  // always there, and covered by a fresh proc in the end
constexpr unsigned long kQuiet = MS_NOSUID | MS_NODEV | MS_NOEXEC;

bool remount_read_only(const char* target) {
  // The flags that the mount has already must be repeated: one locked by the kernel may not be taken away.
  return ::mount(nullptr, target, nullptr,
                 MS_REMOUNT | MS_BIND | MS_RDONLY | MS_NOSUID | MS_NODEV | MS_NOEXEC, nullptr) == 0;
}

bool bind(const char* source, const char* target) {
  return ::mount(source, target, nullptr, MS_BIND, nullptr) == 0;
}

bool make_file(const char* path, const char* text, std::size_t size) {
  const int fd = ::open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0644);
  if (fd < 0) return false;
  const bool done = ::write(fd, text, size) == static_cast<ssize_t>(size);
  ::fchmod(fd, 0644);
  ::close(fd);
  return done;
}

bool mount_file(const Mount& step) {
  static int number = 0;
  char path[64];
  std::snprintf(path, sizeof path, "%s/file%d", kStage, number++);
  if (!make_file(path, step.text, step.text_size)) return false;
  return bind(path, step.target) && remount_read_only(step.target);
}

bool mount_proc(int proc) {
  // Over the stage, which stays below: umount2 would wait for RCU, 1.5 ms of a launch of 4.
  return ::move_mount(proc, "", AT_FDCWD, "/proc", MOVE_MOUNT_F_EMPTY_PATH) == 0;
}

bool bind_device(const char* stage, const char* name) {
  char source[64];
  char target[96];
  std::snprintf(source, sizeof source, "/dev/%s", name);
  std::snprintf(target, sizeof target, "%s/%s", stage, name);
  if (!make_file(target, "", 0)) return false;
  return bind(source, target);
}

// uid 0 without capabilities still owns the host's block devices, /dev/kmsg and the like: only nodes that
// reach nothing. Of the terminals the caller's own alone, as /dev/console, where ttyname(3) finds it; those
// that the program opens are of an instance of its own.
bool mount_terminal(const char* stage, const char* terminal) {
  char path[96];
  std::snprintf(path, sizeof path, "%s/pts", stage);
  if (::mkdir(path, 0755) != 0 ||
      ::mount("devpts", path, "devpts", MS_NOSUID | MS_NOEXEC, "newinstance,ptmxmode=0666,mode=0620") != 0)
    return false;
  if (terminal[0] == '\0') return true;
  std::snprintf(path, sizeof path, "%s/console", stage);
  return make_file(path, "", 0) && bind(terminal, path);
}

bool mount_devices(const char* terminal) {
  char stage[64];
  std::snprintf(stage, sizeof stage, "%s/dev", kStage);
  if (::mkdir(stage, 0755) != 0 || ::mount("tmpfs", stage, "tmpfs", MS_NOSUID | MS_NOEXEC, "mode=0755") != 0)
    return false;
  for (const char* name : {"null", "zero", "full", "random", "urandom", "tty"})
    if (!bind_device(stage, name)) return false;
  struct Link {
    const char* name;
    const char* target;
  };
  for (const Link& link :
       {Link{"fd", "/proc/self/fd"}, Link{"stdin", "/proc/self/fd/0"}, Link{"stdout", "/proc/self/fd/1"},
        Link{"stderr", "/proc/self/fd/2"}, Link{"ptmx", "pts/ptmx"}}) {
    char path[96];
    std::snprintf(path, sizeof path, "%s/%s", stage, link.name);
    if (::symlink(link.target, path) != 0) return false;
  }
  if (!mount_terminal(stage, terminal)) return false;
  char path[96];
  std::snprintf(path, sizeof path, "%s/shm", stage);
  if (::mkdir(path, 01777) != 0 || ::mount("tmpfs", path, "tmpfs", MS_NOSUID | MS_NODEV, "mode=1777") != 0)
    return false;
  return ::mount(stage, "/dev", nullptr, MS_MOVE, nullptr) == 0;
}

bool mount_cgroup() {
  // The stage holds the host's tree while sysfs is mounted over it.
  char stage[64];
  std::snprintf(stage, sizeof stage, "%s/cgroup", kStage);
  return ::mount(stage, "/sys/fs/cgroup", nullptr, MS_MOVE, nullptr) == 0;
}

bool mount_sysfs() {
  char stage[64];
  std::snprintf(stage, sizeof stage, "%s/cgroup", kStage);
  if (::mkdir(stage, 0755) != 0) return false;
  // Not there (no cgroup file system): nothing to keep. MountStep::cgroup is then not in the plan.
  if (::mount("/sys/fs/cgroup", stage, nullptr, MS_BIND | MS_REC, nullptr) == 0) {
    // Every hierarchy below, too: uid 0 could write a release_agent of version 1 (CVE-2022-0492).
    mount_attr attributes{};
    attributes.attr_set = MOUNT_ATTR_RDONLY | MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV | MOUNT_ATTR_NOEXEC;
    if (::mount_setattr(AT_FDCWD, stage, AT_RECURSIVE, &attributes, sizeof attributes) != 0) return false;
  }
  return ::mount("sysfs", "/sys", "sysfs", kQuiet | MS_RDONLY, nullptr) == 0;
}

// When the supervisor is killed the kernel closes its descriptors before it ends the jail. Were they the last
// references to the router's namespace, its rules would go while the program still runs, and its routes a
// moment later. A mount in the jail's mount namespace goes when the last process of the jail can send no
// more. It lies below the fresh proc: no path leads to it.
bool mount_pin(int netns) {
  char path[64];
  std::snprintf(path, sizeof path, "%s/router", kStage);
  if (!make_file(path, "", 0)) return false;
  const int tree = ::open_tree(netns, "", OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | AT_EMPTY_PATH);
  if (tree < 0) return false;
  const bool done = ::move_mount(tree, "", AT_FDCWD, path, MOVE_MOUNT_F_EMPTY_PATH) == 0;
  ::close(tree);
  return done;
}

// Detached: /dev/null, or an empty folder.
int make_cover(MountStep::Kind kind) {
  if (kind == MountStep::Kind::null)
    return ::open_tree(AT_FDCWD, "/dev/null", OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC);
  const int context = ::fsopen("tmpfs", FSOPEN_CLOEXEC);
  if (context < 0) return -1;
  int mount = -1;
  if (::fsconfig(context, FSCONFIG_SET_STRING, "mode", "0755", 0) == 0 &&
      ::fsconfig(context, FSCONFIG_CMD_CREATE, nullptr, nullptr, 0) == 0)
    mount = ::fsmount(context, FSMOUNT_CLOEXEC,
                      MOUNT_ATTR_RDONLY | MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV | MOUNT_ATTR_NOEXEC);
  const int code = errno;
  ::close(context);
  errno = code;
  return mount;
}

bool mount_read_only(const char* target) {
  if (!bind(target, target)) return errno == ENOENT;
  return remount_read_only(target);
}

}  // namespace

// Early, for the sysctls: in the procfs that all share, each network namespace of the machine has files of
// the same names, and every look-up passes by them all (2 ms with 1,000 jails).
int make_proc() {
  const int context = ::fsopen("proc", FSOPEN_CLOEXEC);
  if (context < 0) return -1;
  int proc = -1;
  if (::fsconfig(context, FSCONFIG_CMD_CREATE, nullptr, nullptr, 0) == 0)
    proc = ::fsmount(context, FSMOUNT_CLOEXEC, MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV | MOUNT_ATTR_NOEXEC);
  const int code = errno;
  ::close(context);
  errno = code;
  return proc;
}

bool prepare_mounts() {
  return ::mount(nullptr, "/", nullptr, MS_REC | MS_PRIVATE, nullptr) == 0 &&
         ::mount("tmpfs", kStage, "tmpfs", MS_NOSUID | MS_NOEXEC, "mode=0755") == 0;
}

bool mount_step(const Mount& step, const Made& made, int tree, const Spec& spec) {
  switch (step.kind) {
    case MountStep::Kind::proc: return mount_proc(made.proc);
    case MountStep::Kind::sysfs: return mount_sysfs();
    case MountStep::Kind::devices: return mount_devices(step.text);
    case MountStep::Kind::file: return mount_file(step);
    case MountStep::Kind::empty:
      return ::mount("tmpfs", step.target, "tmpfs", kQuiet | MS_RDONLY, "mode=0755") == 0;
    case MountStep::Kind::read_only: return mount_read_only(step.target);
    case MountStep::Kind::cgroup: return mount_cgroup();
    case MountStep::Kind::pin: return mount_pin(made.router);
    case MountStep::Kind::null: return bind("/dev/null", step.target);
    case MountStep::Kind::own: return mount_own(step.target, step.text);
    case MountStep::Kind::make_folder: return make_folder(step.target, spec.uid, spec.gid);
    case MountStep::Kind::make_file: return make_empty_file(step.target);
    case MountStep::Kind::shared: return mount_tree(tree, step.target);
  }
  errno = EINVAL;
  return false;
}

// On the file itself, not on its path: whoever renames a folder above it takes the cover along.
bool cover(const Mount& step, int over) {
  struct stat info {};
  if (over < 0 || ::fstat(over, &info) != 0 || info.st_dev != step.device || info.st_ino != step.inode ||
      (step.links != 0 && info.st_nlink != step.links)) {
    errno = 0;
    return false;
  }
  const int tree = make_cover(step.kind);
  if (tree < 0) return false;
  const bool done = ::move_mount(tree, "", over, "", MOVE_MOUNT_F_EMPTY_PATH | MOVE_MOUNT_T_EMPTY_PATH) == 0;
  const int code = errno;
  ::close(tree);
  errno = code;
  return done;
}

}  // namespace netjail::init
