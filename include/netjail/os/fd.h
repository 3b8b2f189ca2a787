// An owned file descriptor, and the few file operations that everybody needs. All descriptors are
// close-on-exec.
#pragma once

#include <string>
#include <string_view>
#include <utility>

#include "netjail/base/result.h"

namespace netjail {

class Fd {
 public:
  Fd() = default;
  explicit Fd(int fd) : fd_(fd) {}
  Fd(Fd&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
  Fd& operator=(Fd&& other) noexcept {
    if (this != &other) {
      reset();
      fd_ = std::exchange(other.fd_, -1);
    }
    return *this;
  }
  Fd(const Fd&) = delete;
  Fd& operator=(const Fd&) = delete;
  ~Fd() { reset(); }

  int get() const { return fd_; }
  explicit operator bool() const { return fd_ >= 0; }
  int release() { return std::exchange(fd_, -1); }
  void reset();

 private:
  int fd_ = -1;
};

// Whole contents; an error names the path. Files over `limit` bytes, directories and devices are refused.
Result<std::string> read_file(const std::string& path, std::size_t limit = 16u << 20);
// The same of a file that is open already.
Result<std::string> read_file(const Fd& fd, const std::string& path, std::size_t limit);
// Writes to an existing file in one write(2), as procfs wants it.
Status write_file(const std::string& path, std::string_view text);
Status write_all(int fd, std::string_view text);

// Some tens of microseconds asleep, for work of the kernel that has no event to wait for: its worker may be
// bound to this very CPU, so that spinning would keep it from being done.
void pause_briefly();

}  // namespace netjail
