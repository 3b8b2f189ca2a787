#!/bin/bash
# format.sh ROOT: every C and C++ file is as clang-format 14 (Debian 12's) writes it.
. "$(dirname "$0")/lib.sh"
need clang-format
cd "$1"

try=$(mktemp -d)
trap 'rm -rf "$try"' EXIT
cp .clang-format "$try"
printf 'int  x( ) ;\n' >"$try/x.cc"
must_fail "a badly formatted file" clang-format --dry-run -Werror "$try/x.cc"

files=$(find src include tests bench man \( -name '*.cc' -o -name '*.h' -o -name '*.c' \) | sort)
# shellcheck disable=SC2086  # a list of words
if ! clang-format --dry-run -Werror $files 2>"$try/out"; then
  sed -n 's/: error: code should be clang-formatted.*//p' "$try/out" | cut -d: -f1 | sort | uniq -c
  flaw "not formatted; clang-format -i mends it"
fi
finish
