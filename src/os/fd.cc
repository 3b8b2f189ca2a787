#include "netjail/os/fd.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <ctime>

namespace netjail {

void Fd::reset() {
  if (fd_ >= 0) ::close(fd_);
  fd_ = -1;
}

Result<std::string> read_file(const std::string& path, std::size_t limit) {
  // O_NONBLOCK: a FIFO put in the place of a file must not hang us.
  const Fd fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK));
  if (!fd) return fail_errno("cannot open " + path);
  return read_file(fd, path, limit);
}

Result<std::string> read_file(const Fd& fd, const std::string& path, std::size_t limit) {
  struct stat info {};
  if (::fstat(fd.get(), &info) != 0) return fail_errno("cannot read " + path);
  if (!S_ISREG(info.st_mode)) return fail("cannot read " + path + ": not a regular file");
  std::string text;
  char chunk[16384];
  while (true) {
    const ssize_t got = ::read(fd.get(), chunk, sizeof chunk);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return fail_errno("cannot read " + path);
    if (got == 0) return text;
    if (text.size() + static_cast<std::size_t>(got) > limit)
      return fail("cannot read " + path + ": larger than " + std::to_string(limit >> 20) + " MiB");
    text.append(chunk, static_cast<std::size_t>(got));
  }
}

Status write_file(const std::string& path, std::string_view text) {
  const Fd fd(::open(path.c_str(), O_WRONLY | O_CLOEXEC));
  if (!fd) return fail_errno("cannot open " + path);
  const ssize_t put = ::write(fd.get(), text.data(), text.size());
  if (put != static_cast<ssize_t>(text.size())) return fail_errno("cannot write " + path);
  return {};
}

void pause_briefly() {
  const timespec time{0, 20'000};
  ::nanosleep(&time, nullptr);
}

Status write_all(int fd, std::string_view text) {
  while (!text.empty()) {
    const ssize_t put = ::write(fd, text.data(), text.size());
    if (put < 0 && errno == EINTR) continue;
    if (put < 0) return fail_errno("cannot write");
    text.remove_prefix(static_cast<std::size_t>(put));
  }
  return {};
}

}  // namespace netjail
