#!/bin/bash
# sizes.sh ROOT: no source file over 600 lines; one over 350 has its reason in sizes.txt, and no reason is stale.
. "$(dirname "$0")/lib.sh"
here=$(cd "$(dirname "$0")" && pwd)

check() { # ROOT REASONS
  (
    cd "$1"
    flaws=0
    while read -r lines file; do
      file=${file#./}
      if [ "$lines" -gt 600 ]; then flaw "$file: $lines lines, the limit is 600"; fi
      if [ "$lines" -gt 350 ] && ! grep -q "^$file " "$2"; then
        flaw "$file: $lines lines; over 350 it needs a reason in tests/check/sizes.txt, or a split"
      fi
    done < <(find . -path ./build -prune -o \( -name '*.cc' -o -name '*.h' -o -name '*.c' \) -exec wc -l {} +  | grep -v ' total$')
    while read -r file _; do
      [ -f "$file" ] || flaw "$file: has a reason in tests/check/sizes.txt, but is not there"
    done < <(grep -v '^#' "$2")
    finish
  )
}

try=$(mktemp -d)
trap 'rm -rf "$try"' EXIT
: >"$try/reasons"
yes | head -n 351 >"$try/x.cc"
must_fail "a file of 351 lines without a reason" check "$try" "$try/reasons"
echo 'x.cc because' >"$try/reasons"
check "$try" "$try/reasons" >/dev/null || flaw "the check itself is broken: it does not read the reasons"
yes | head -n 601 >"$try/x.cc"
must_fail "a file of 601 lines" check "$try" "$try/reasons"

check "$1" "$here/sizes.txt" || flaw "see above"
finish
