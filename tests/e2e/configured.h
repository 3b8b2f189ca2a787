// A machine whose configuration of apt, npm and pip is the test's alone.
#pragma once

#include "e2e/fixture.h"

namespace netjail::test {

// Shell lines for after(), as root. HOME is the caller's.
inline const char* const kCovered =
    "mount -t tmpfs none /etc/apt\n"
    "mkdir /etc/apt/sources.list.d\n"
    ": >$HOME/empty\n"
    "for file in /etc/npmrc /usr/etc/npmrc /usr/local/etc/npmrc /etc/pip.conf /etc/xdg/pip/pip.conf; do\n"
    "  [ ! -e $file ] || mount --bind $HOME/empty $file\n"
    "done\n"
    "cd $HOME\n";

inline std::string apt_source(const std::string& lines) {
  return "printf '" + lines + "' >/etc/apt/sources.list.d/test.list\n";
}

}  // namespace netjail::test
