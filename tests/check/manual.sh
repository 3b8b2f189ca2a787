#!/bin/bash
# manual.sh ROOT NETJAIL PROFILE-PAGE: netjail(1) has every command and option of --help and no other, README.md and the
# manual use known ones only, the texts name files that are there, netjail-profile(5) and netjail(1) are good mdoc.
. "$(dirname "$0")/lib.sh"
root=$1 netjail=$2 page=$3
need mandoc

commands=$("$netjail" --help | sed -n '/^Commands:/,/^$/s/^  \([a-z]*\) .*/\1/p')
[ -n "$commands" ] || flaw "netjail --help names no command"
options_of() { "$netjail" "$1" --help | sed -n '/^Options:/,$s/^ .*--\([a-z-]*\)[ ]\{1,\}.*/\1/p'; }

# The section of one command in netjail(1), and the options it lists: ".It Fl p , Fl \-profile Ar P".
section() { # PAGE COMMAND
  awk -v command="$2" '/^\.S[hs] /{ inside = $0 == ".Ss netjail " command } inside' "$1"
}
listed() { section "$1" "$2" | grep '^\.It Fl' | grep -o 'Fl \\-[a-z\\-]*' | sed 's/^Fl \\-//; s/\\//g'; }

check_options() { # PAGE
  (
    flaws=0
    for command in $commands; do
      [ -n "$(section "$1" "$command")" ] || flaw "netjail(1) has no section on netjail $command"
      for option in $(options_of "$command"); do
        [ "$option" = help ] || listed "$1" "$command" | grep -qx -- "$option" ||
          flaw "netjail(1) does not describe netjail $command --$option"
      done
      for option in $(listed "$1" "$command"); do
        options_of "$command" | grep -qx -- "$option" || flaw "netjail(1) describes --$option, which netjail $command has not"
      done
    done
    for command in $(sed -n 's/^\.Ss netjail \([a-z]*\)$/\1/p' "$1"); do
      grep -qx "$command" <<<"$commands" || flaw "netjail(1) describes netjail $command, which is no command"
    done
    finish
  )
}

# Every option in a line of a text that calls netjail, up to the -- before the program's own.
check_examples() { # FILE
  (
    flaws=0
    while read -r line; do
      command=$(sed -n 's/.*netjail \([a-z]*\).*/\1/p' <<<"$line")
      grep -qx "$command" <<<"$commands" || continue
      for option in $(sed 's/.*netjail [a-z]* //; s/ -- .*//' <<<"$line" | grep -oE '(^| )--[a-z-]+' | sed 's/ *--//'); do
        options_of "$command" | grep -qx -- "$option" || flaw "${1##*/}: netjail $command has no --$option"
      done
    done < <(sed 's/\\-/-/g' "$1" | grep -oE 'netjail (run|plan|check|explain|doctor|profiles|completions)( [^`|#]*)?')
    finish
  )
}

# Every file that a text names in backquotes is there: `src/x/y.cc`, `unit/y.cc` (of tests/).
check_paths() { # FILE
  (
    flaws=0
    for path in $(grep -oE '`(src|tests|man|scripts|unit|golden|kernel|e2e|fuzz|include|profile|policy|jail|plan|nft)/[a-zA-Z0-9_/*.-]+\.[a-z0-9]+`' "$1" | tr -d '`'); do
      for folder in "$root" "$root/tests" "$root/src" "$root/include/netjail"; do
        compgen -G "$folder/$path" >/dev/null && continue 2
      done
      flaw "${1##*/} names $path, which is not there"
    done
    finish
  )
}

try=$(mktemp -d)
trap 'rm -rf "$try"' EXIT
grep -v 'Fl \\-keep\\-fd' "$root/man/netjail.1" >"$try/less.1"
must_fail "an option that the manual lacks" check_options "$try/less.1"
sed 's/^\.It Fl \\-keep\\-fd/.It Fl \\-keep\\-fds/' "$root/man/netjail.1" >"$try/wrong.1"
must_fail "an option that does not exist" check_options "$try/wrong.1"
echo 'sudo netjail run --profil x -- true' >"$try/README.md"
must_fail "a wrong example" check_examples "$try/README.md"
echo 'see `src/jail/nothing.cc`' >"$try/paths.md"
must_fail "a file that is not there" check_paths "$try/paths.md"

check_options "$root/man/netjail.1" || flaw "see above"
for file in README.md SECURITY.md man/netjail.1; do
  [ -f "$root/$file" ] || flaw "$file is missing"
  check_examples "$root/$file" || flaw "see above"
done
for file in README.md SECURITY.md ARCHITECTURE.md CONTRIBUTING.md; do
  check_paths "$root/$file" || flaw "see above"
done
for file in "$root/man/netjail.1" "$page"; do
  mandoc -T lint -W warning "$file" || flaw "${file##*/}: mandoc has complaints"
done
finish
