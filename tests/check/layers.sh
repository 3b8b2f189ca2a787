#!/bin/bash
# layers.sh EDGES ROOT: every #include of src/ and include/ goes along an edge of the CMake module lists, the edges have
# no circle, and each third-party library is included by one module only (libraries.txt).
. "$(dirname "$0")/lib.sh"
here=$(cd "$(dirname "$0")" && pwd)
edges=$(realpath "$1")
root=$2

check() { # ROOT
  cd "$1"
  files=$(find src include -name '*.cc' -o -name '*.h' -o -name '*.c' | sort)
  # shellcheck disable=SC2086  # a list of words; no name has a blank
  awk -v edges="$edges" -v libraries="$here/libraries.txt" '
    function flaw(text) { print FILENAME ":" FNR ": " text; flaws++ }
    BEGIN {
      while ((getline line < edges) > 0) {
        split(line, part, ":"); name = part[1]
        known[name] = 1; edge[name, name] = 1
        n = split(part[2], target, " ")
        for (i = 1; i <= n; i++) edge[name, target[i]] = 1
      }
      while ((getline line < libraries) > 0) {
        if (line ~ /^#/ || line == "") continue
        split(line, part, " ")
        pattern[++count] = part[1]; module_of[count] = part[2]; place[count] = part[3]
        gsub(/\./, "\\.", place[count]); gsub(/\*/, ".*", place[count])
      }
    }
    function module(path,  part) {
      sub(/^\.\//, "", path)
      if (path == "src/main.cc") return "main"
      split(path, part, "/")
      return part[1] == "src" ? part[2] : part[3]
    }
    /^[ \t]*#[ \t]*include[ \t]+"netjail\// {
      match($0, /"netjail\/[^\/"]+/); to = substr($0, RSTART + 9, RLENGTH - 9)
      from = module(FILENAME)
      if (!(from in known)) flaw("module " from " is in no CMake list")
      else if (!((from, to) in edge)) flaw("includes " to ", but the module list of " from " has no such edge")
      next
    }
    /^[ \t]*#[ \t]*include[ \t]+</ {
      match($0, /<[^>]+>/); header = substr($0, RSTART + 1, RLENGTH - 2)
      for (i = 1; i <= count; i++) {
        if (header !~ "^(" pattern[i] ")") continue
        if (module(FILENAME) != module_of[i]) flaw("<" header "> belongs to module " module_of[i])
        else if (FILENAME !~ "^" place[i] "$") flaw("<" header "> is included by " place[i] " only")
        next
      }
      # The C++ library, the C library, the kernel.
      if (header ~ /^[a-z0-9_]+$/ || header ~ /^[a-z0-9_]+\.h$/ || header ~ /^(sys|net|netinet|arpa|linux|asm)\//) next
      flaw("<" header "> is of a library that tests/check/libraries.txt does not name")
    }
    END { exit flaws > 0 }' $files
}

# Circles: tsort complains of them.
acyclic() { # EDGES
  sed 's/:/ /' "$1" | awk '{ for (i = 2; i <= NF; i++) print $1, $i }' | tsort >/dev/null 2>&1
}

try=$(mktemp -d)
trap 'rm -rf "$try"' EXIT
flawed() { # FILE LINE
  rm -rf "$try/src" "$try/include"
  mkdir -p "$try/src" "$try/include" "$try/$(dirname "$1")"
  echo "$2" >"$try/$1"
}
flawed src/net/x.cc '#include "netjail/jail/jail.h"'
must_fail "an include against the edges" check "$try"
flawed include/netjail/net/x.h '#include <fmt/format.h>'
must_fail "a library of another module" check "$try"
flawed src/net/x.cc '#include <boost/any.hpp>'
must_fail "an unknown library" check "$try"
printf 'a: b\nb: a\n' >"$try/edges"
must_fail "a circle" acyclic "$try/edges"
flawed src/net/x.cc '#include "netjail/base/text.h"'
check "$try" || flaw "the check itself is broken: it refuses a good include"

acyclic "$edges" || flaw "the modules of the CMake lists depend on each other in a circle"
check "$root" || flaw "see above"
finish
