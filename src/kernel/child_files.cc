// The folders that the jail has for itself, and what of the host's is mounted back into them. Runs in init,
// before exec: no allocation.
#include <fcntl.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstring>

#include "child_init.h"

namespace netjail::init {
namespace {

// Folders up to the last '/' of `path`; those that are missing are made.
bool make_parents(const char* path) {
  char part[4096];
  const std::size_t size = std::strlen(path);
  if (size >= sizeof part) {
    errno = ENAMETOOLONG;
    return false;
  }
  std::memcpy(part, path, size + 1);
  for (char* slash = std::strchr(part + 1, '/'); slash != nullptr; slash = std::strchr(slash + 1, '/')) {
    *slash = '\0';
    if (::mkdir(part, 0755) != 0 && errno != EEXIST) return false;
    *slash = '/';
  }
  return true;
}

}  // namespace

bool mount_own(const char* target, const char* mode) {
  char options[16];
  std::snprintf(options, sizeof options, "mode=%s", mode);
  return ::mount("tmpfs", target, "tmpfs", MS_NOSUID | MS_NODEV, options) == 0;
}

bool make_folder(const char* target, uid_t uid, gid_t gid) {
  if (!make_parents(target)) return false;
  if (::mkdir(target, 0700) != 0) return errno == EEXIST;
  return ::chown(target, uid, gid) == 0;
}

bool make_empty_file(const char* target) {
  if (!make_parents(target)) return false;
  const int fd = ::open(target, O_WRONLY | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0644);
  if (fd >= 0) ::close(fd);
  return fd >= 0;
}

// With all that is mounted below: parts of what somebody else has mounted cannot be taken alone (MNT_LOCKED).
int take_tree(const char* source) {
  return ::open_tree(AT_FDCWD, source,
                     OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | AT_RECURSIVE | AT_SYMLINK_NOFOLLOW);
}

bool mount_tree(int tree, const char* target) {
  struct stat info {};
  if (::fstat(tree, &info) != 0) return false;
  if (S_ISDIR(info.st_mode) ? !make_parents(target) || (::mkdir(target, 0755) != 0 && errno != EEXIST)
                            : !make_empty_file(target))
    return false;
  return ::move_mount(tree, "", AT_FDCWD, target, MOVE_MOUNT_F_EMPTY_PATH) == 0;
}

}  // namespace netjail::init
