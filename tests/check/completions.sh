#!/bin/bash
# completions.sh NETJAIL: the completion scripts parse (by the shells that are installed; bash always is), and each has
# every command and option.
. "$(dirname "$0")/lib.sh"
netjail=$1

try=$(mktemp -d)
trap 'rm -rf "$try"' EXIT
printf 'x() {\n' >"$try/broken"
must_fail "a script that does not parse" bash -n "$try/broken"

for shell in bash zsh fish; do
  "$netjail" completions $shell >"$try/$shell" || flaw "netjail completions $shell fails"
  if command -v $shell >/dev/null; then $shell -n "$try/$shell" || flaw "the completions of $shell do not parse"; fi
  for command in $("$netjail" --help | sed -n '/^Commands:/,/^$/s/^  \([a-z]*\) .*/\1/p'); do
    grep -qw "$command" "$try/$shell" || flaw "the completions of $shell lack $command"
    for option in $("$netjail" "$command" --help | sed -n '/^Options:/,$s/^ .*--\([a-z-]*\)[ ]\{1,\}.*/\1/p'); do
      grep -qE -- "(--|-l )$option" "$try/$shell" || flaw "the completions of $shell lack --$option of $command"
    done
  done
done
# bash knows what it completes.
bash -c '. "$1"; complete -p netjail >/dev/null' _ "$try/bash" || flaw "bash has no completion for netjail"
finish
