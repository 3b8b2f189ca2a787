// What init is told after the fork: written by the supervisor into memory that both have mapped at the same
// address, so that pointers hold in both. Plain data; init only reads it.
#pragma once

#include <linux/filter.h>
#include <sys/types.h>

#include <cstddef>
#include <string>
#include <type_traits>
#include <vector>

#include "netjail/kernel/child.h"

namespace netjail {

namespace init {

struct Mount {
  MountStep::Kind kind;
  const char* target;
  const char* text;
  std::size_t text_size;
  std::uint64_t device, inode, links;
};

struct Spec {
  char* const* argv;
  char** shell_argv;  // /bin/sh PATH ARGS..., for a script without an interpreter line
  char* const* envp;
  const char* const* candidates;  // NULL-terminated
  const char* cwd;
  uid_t uid;
  gid_t gid;
  const gid_t* groups;
  std::size_t group_count;
  const int* keep_fds;
  std::size_t keep_fd_count;
  const Mount* mounts;
  std::size_t mount_count;
  const sock_filter* seccomp;
  std::size_t seccomp_length;
  const char* const* sockets;  // NULL-terminated
  bool scope_sockets;
  bool no_socket_names;
  bool seccomp_listener;
  bool new_session;
};

}  // namespace init

class SharedSpec {
 public:
  static Result<std::unique_ptr<SharedSpec>> map();
  ~SharedSpec();
  SharedSpec(const SharedSpec&) = delete;
  SharedSpec& operator=(const SharedSpec&) = delete;

  const init::Spec* spec() const { return &front()->spec; }
  pid_t* init_pid() const { return &front()->init_pid; }
  Status write(const ChildSpec& spec);
  void keep_private();  // from whoever is forked from now on

 private:
  struct Front {
    init::Spec spec;
    pid_t init_pid;  // written by the launcher before it ends
  };
  Front* front() const { return reinterpret_cast<Front*>(memory_); }
  // Address space only: execve(2) takes no more than 6 MiB of arguments and environment (a quarter of the
  // stack limit, at most 3/4 of 8 MiB).
  static constexpr std::size_t kSize = 16u << 20;

  explicit SharedSpec(std::byte* memory) : memory_(memory) {}
  void* take(std::size_t size);
  template <class T>
  T* copy(const T* data, std::size_t count) {
    static_assert(std::is_trivially_copyable_v<T>);
    auto* to = static_cast<T*>(take(count * sizeof(T)));
    if (to != nullptr) std::copy(data, data + count, to);
    return to;
  }
  char* copy(const std::string& text) { return copy(text.c_str(), text.size() + 1); }
  char** copy(const std::vector<std::string>& strings);

  std::byte* memory_;
  std::size_t used_ = sizeof(Front);
  bool full_ = false;
};

}  // namespace netjail
