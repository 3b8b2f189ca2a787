# What the checks share. Sourced: . "$(dirname "$0")/lib.sh"
# A check prints every mistake that it finds and ends with 1; `flaw` counts them.
set -eu
flaws=0
flaw() {
  printf '%s\n' "$*"
  flaws=$((flaws + 1))
}
finish() {
  if [ "$flaws" -gt 0 ]; then
    echo "$flaws flaw(s)"
    exit 1
  fi
  exit 0
}
# A tool that is not there: skipped (77), or failed where every test must run.
need() {
  command -v "$1" >/dev/null && return
  echo "SKIPPED: needs $1"
  [ "${NETJAIL_TESTS_MUST_RUN:-}" = 1 ] && exit 1
  exit 77
}
# must_fail NAME COMMAND...: a check that cannot fail proves nothing, so it is tried on a flaw first.
must_fail() {
  name=$1
  shift
  if "$@" >/dev/null 2>&1; then flaw "the check itself is broken: it does not see $name"; fi
}
