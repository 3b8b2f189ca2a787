#include "child_shared.h"

#include <sys/mman.h>

#include <algorithm>

namespace netjail {

Result<std::unique_ptr<SharedSpec>> SharedSpec::map() {
  void* memory =
      ::mmap(nullptr, kSize, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (memory == MAP_FAILED) return fail_errno("cannot map memory for the jail's first process");
  return std::unique_ptr<SharedSpec>(new SharedSpec(static_cast<std::byte*>(memory)));
}

SharedSpec::~SharedSpec() { ::munmap(memory_, kSize); }

void SharedSpec::keep_private() { ::madvise(memory_, kSize, MADV_DONTFORK); }

void* SharedSpec::take(std::size_t size) {
  constexpr std::size_t kAlign = alignof(std::max_align_t);
  if (full_ || size > kSize - used_ - kAlign) {
    full_ = true;
    return nullptr;
  }
  used_ = (used_ + kAlign - 1) / kAlign * kAlign;
  void* out = memory_ + used_;
  used_ += size;
  return out;
}

char** SharedSpec::copy(const std::vector<std::string>& strings) {
  auto** out = static_cast<char**>(take((strings.size() + 1) * sizeof(char*)));
  if (out == nullptr) return nullptr;
  for (std::size_t i = 0; i < strings.size(); ++i) out[i] = copy(strings[i]);
  out[strings.size()] = nullptr;
  return out;
}

Status SharedSpec::write(const ChildSpec& spec) {
  init::Spec* to = &front()->spec;
  to->argv = copy(spec.command);
  std::vector<std::string> shell{"/bin/sh", ""};
  shell.insert(shell.end(), spec.command.begin() + 1, spec.command.end());
  to->shell_argv = copy(shell);
  to->envp = copy(spec.environment);
  to->candidates = copy(spec.candidates);
  to->cwd = copy(spec.cwd);
  to->uid = spec.uid;
  to->gid = spec.gid;
  to->groups = copy(spec.groups.data(), spec.groups.size());
  to->group_count = spec.groups.size();
  to->keep_fds = copy(spec.keep_fds.data(), spec.keep_fds.size());
  to->keep_fd_count = spec.keep_fds.size();
  auto* mounts = static_cast<init::Mount*>(take(spec.mounts.size() * sizeof(init::Mount)));
  for (std::size_t i = 0; mounts != nullptr && i < spec.mounts.size(); ++i) {
    const MountStep& step = spec.mounts[i];
    mounts[i] = {step.kind,   copy(step.target), copy(step.text), step.text.size(),
                 step.device, step.inode,        step.links};
  }
  to->mounts = mounts;
  to->mount_count = spec.mounts.size();
  to->seccomp = copy(spec.seccomp.data(), spec.seccomp.size());
  to->seccomp_length = spec.seccomp.size();
  to->sockets = copy(spec.sockets);
  to->scope_sockets = spec.scope_sockets;
  to->no_socket_names = spec.no_socket_names;
  to->seccomp_listener = spec.seccomp_listener;
  to->new_session = spec.new_session;
  if (full_) return fail("the command line and the environment are too long");
  return {};
}

}  // namespace netjail
