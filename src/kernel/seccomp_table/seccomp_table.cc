// Run by the build: compiles the default policy for the machine and prints it as the header that seccomp.cc
// includes.

#include <cstdio>

#include "../seccomp_compile.h"
#include "netjail/base/format.h"

int main() {
  using namespace netjail;
#if defined(__x86_64__)
  constexpr Architecture kNative = Architecture::x86_64;
#else
  constexpr Architecture kNative = Architecture::aarch64;
#endif
  const auto program = compile_seccomp_filter(SeccompPolicy{kDefaultFamilies}, kNative);
  if (!program) {
    fmt::print(stderr, "{}", render_error(program.error()));
    return 1;
  }
  fmt::print("// Written by seccomp_table during the build.\n#pragma once\n#include <linux/filter.h>\n");
  fmt::print("namespace netjail {{\ninline constexpr sock_filter kDefaultSeccompTable[] = {{\n");
  for (const sock_filter& instruction : *program)
    fmt::print("    {{{:#x}, {}, {}, {:#x}}},\n", instruction.code, instruction.jt, instruction.jf,
               instruction.k);
  fmt::print("}};\n}}  // namespace netjail\n");
  return std::fflush(stdout) == 0 ? 0 : 1;
}
