// A seccomp program as text. Fields of seccomp_data by name, jumps by the number of their target:
//
//    2: load nr
//    3: if == 41 goto 9 else 4
//    9: load args[0]
//   10: and 0x20
//   11: return errno 97

#include <linux/seccomp.h>

#include <cstddef>

#include "netjail/base/format.h"
#include "netjail/kernel/seccomp.h"

namespace netjail {
namespace {

std::string field_name(std::uint32_t offset) {
  if (offset == offsetof(seccomp_data, nr)) return "nr";
  if (offset == offsetof(seccomp_data, arch)) return "arch";
  if (offset >= offsetof(seccomp_data, args) && offset < sizeof(seccomp_data) && offset % 4 == 0) {
    // Both architectures are little-endian: the lower half comes first.
    const auto place = offset - offsetof(seccomp_data, args);
    return fmt::format("args[{}]{}", place / 8, place % 8 == 0 ? "" : " upper");
  }
  return fmt::format("[{}]", offset);
}

std::string action_name(std::uint32_t action) {
  const std::uint32_t data = action & SECCOMP_RET_DATA;
  switch (action & SECCOMP_RET_ACTION_FULL) {
    case SECCOMP_RET_ALLOW: return "allow";
    case SECCOMP_RET_ERRNO: return fmt::format("errno {}", data);
    case SECCOMP_RET_KILL_PROCESS: return "kill process";
    case SECCOMP_RET_KILL_THREAD: return "kill thread";
    default: return fmt::format("{:#x}", action);
  }
}

const char* comparison(unsigned code) {
  switch (BPF_OP(code)) {
    case BPF_JEQ: return "==";
    case BPF_JGT: return ">";
    case BPF_JGE: return ">=";
    default: return "&";
  }
}

std::string render(const sock_filter& instruction, std::size_t at) {
  const std::uint32_t k = instruction.k;
  switch (instruction.code) {
    case BPF_LD | BPF_W | BPF_ABS: return "load " + field_name(k);
    case BPF_LD | BPF_MEM: return fmt::format("load M[{}]", k);
    case BPF_ST: return fmt::format("store M[{}]", k);
    case BPF_ALU | BPF_AND | BPF_K: return fmt::format("and {:#x}", k);
    case BPF_RET | BPF_K: return "return " + action_name(k);
    case BPF_JMP | BPF_JA: return fmt::format("goto {}", at + 1 + k);
    case BPF_JMP | BPF_JEQ | BPF_K:
    case BPF_JMP | BPF_JGT | BPF_K:
    case BPF_JMP | BPF_JGE | BPF_K:
    case BPF_JMP | BPF_JSET | BPF_K:
      return fmt::format("if {} {:#x} goto {} else {}", comparison(instruction.code), k,
                         at + 1 + instruction.jt, at + 1 + instruction.jf);
    default:
      return fmt::format("code {:#x} k {:#x} jt {} jf {}", instruction.code, k, instruction.jt,
                         instruction.jf);
  }
}

}  // namespace

std::string render_seccomp(const std::vector<sock_filter>& program) {
  std::string text;
  for (std::size_t i = 0; i < program.size(); ++i)
    text += fmt::format("{:4}: {}\n", i, render(program[i], i));
  return text;
}

}  // namespace netjail
