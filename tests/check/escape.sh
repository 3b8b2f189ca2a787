#!/bin/bash
# escape.sh ROOT PROBES: the escape suite and SECURITY.md agree: every promise is cited by a probe and every probe cites
# a promise; there are enough probes, each with a name of its own, a class, a text, and a note that the verdict knows.
. "$(dirname "$0")/lib.sh"
root=$1 probes=$2
need python3
run=$root/tests/escape/run

promises() { "$run" --probes "$probes" --promises "$1"; } # SECURITY.md

check_list() { # FILE: id, class, promise, needs, note, text
  (
    flaws=0
    total=$(wc -l <"$1")
    [ "$total" -ge 150 ] || flaw "$total probes; 150 at least are wanted"
    while read -r id; do flaw "$id: two probes of this name"; done < <(cut -f1 "$1" | sort | uniq -d)
    while IFS= read -r line; do flaw "not a probe: $line"; done < <(
      grep -vP '^[a-z]+\.[a-z0-9-]+\t[ABCSD=]\tP\d+[a-z]?\t[^\t]*\t((root|never|choice): [^\t]+)?\t[^\t]+$' "$1")
    finish
  )
}

try=$(mktemp -d)
trap 'rm -rf "$try"' EXIT
"$run" --probes "$probes" --list >"$try/list"
sed '$a **P99. Something else.**' "$root/SECURITY.md" >"$try/more.md"
must_fail "a promise that no probe cites" promises "$try/more.md"
grep -v '^\*\*P8\.' "$root/SECURITY.md" >"$try/less.md"
must_fail "a citation that is no promise" promises "$try/less.md"
head -n 149 "$try/list" >"$try/short"
must_fail "too few probes" check_list "$try/short"
{ cat "$try/list" && head -n 1 "$try/list"; } >"$try/twice"
must_fail "two probes of one name" check_list "$try/twice"
sed '1s/\t[ABCSD=]\t/\tX\t/' "$try/list" >"$try/class"
must_fail "a class that there is not" check_list "$try/class"

promises "$root/SECURITY.md" || flaw "see above"
check_list "$try/list" || flaw "see above"
finish
