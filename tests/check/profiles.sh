#!/bin/bash
# profiles.sh ROOT NETJAIL: the shipped profiles have no mistake and no doubtful rule, and each has a description.
. "$(dirname "$0")/lib.sh"
root=$1 netjail=$2

try=$(mktemp -d)
trap 'rm -rf "$try"' EXIT
printf '[[allow]]\nto = ["internte"]\n' >"$try/wrong.toml"
must_fail "a profile with a mistake" "$netjail" check --strict "$try/wrong.toml"
printf '[[allow]]\nto = ["internet"]\nservice = ["telnet"]\n' >"$try/doubtful.toml"
must_fail "a profile with a doubtful rule" "$netjail" check --strict "$try/doubtful.toml"

for file in "$root"/profiles/*.toml; do
  "$netjail" check --strict "$file" || flaw "$file: see above"
  grep -q '^description = "..*"' "$file" || flaw "$file has no description"
done
finish
