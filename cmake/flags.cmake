# Compiler and linker flags, the same for every module.
add_library(netjail_flags INTERFACE)
target_compile_options(netjail_flags INTERFACE
  -Wall -Wextra -Wpedantic -Wshadow -Wconversion -Wsign-conversion -Wnon-virtual-dtor
  -Woverloaded-virtual -Wimplicit-fallthrough -Wundef -Werror
  # Plain structs are initialised by naming the members that matter; the others have defaults.
  -Wno-missing-field-initializers
  # g++ 12 sees uninitialised std::string members where there are none, at -O2 and above only.
  -Wno-maybe-uninitialized
  # Nor is there an overlap in "x" + std::string, or an overread in comparing vectors: at -O3 only.
  -Wno-restrict -Wno-stringop-overread
  -ffunction-sections -fdata-sections)
target_compile_definitions(netjail_flags INTERFACE
  _GNU_SOURCE FMT_HEADER_ONLY NETJAIL_VERSION="${PROJECT_VERSION}"
  NETJAIL_DATADIR="${CMAKE_INSTALL_FULL_DATADIR}/netjail"
  NETJAIL_SYSCONFDIR="/etc/netjail")
target_link_options(netjail_flags INTERFACE -Wl,--gc-sections -Wl,--as-needed)

if(NETJAIL_SANITIZE)
  # -g1: lines in backtraces; the whole of -g costs half of the compile time again.
  target_compile_options(netjail_flags INTERFACE -fsanitize=address,undefined
    -fno-sanitize-recover=all -fno-omit-frame-pointer -O1 -g1)
  target_link_options(netjail_flags INTERFACE -fsanitize=address,undefined)
endif()

if(NETJAIL_HARDEN)
  target_compile_options(netjail_flags INTERFACE -fPIE -fstack-protector-strong
    -fstack-clash-protection -U_FORTIFY_SOURCE -D_FORTIFY_SOURCE=3 -D_GLIBCXX_ASSERTIONS)
  if(CMAKE_SYSTEM_PROCESSOR STREQUAL "x86_64")
    target_compile_options(netjail_flags INTERFACE -fcf-protection=full)
  elseif(CMAKE_SYSTEM_PROCESSOR STREQUAL "aarch64")
    target_compile_options(netjail_flags INTERFACE -mbranch-protection=standard)
  endif()
  target_link_options(netjail_flags INTERFACE -pie -Wl,-z,relro -Wl,-z,now -Wl,-z,noexecstack)
endif()
