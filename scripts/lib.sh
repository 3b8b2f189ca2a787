# What the scripts share. Sourced, not run: . "$(dirname "$0")/lib.sh"
# Leaves the shell in the root of the source tree.

set -eu
cd "$(dirname "$0")/.."
# ip(8) and nft(8) stand in sbin, which su(1) and cron leave out.
PATH=$PATH:/usr/local/sbin:/usr/sbin:/sbin
export PATH
# For ccache, where there is one: the same sources in another folder are the same.
export CCACHE_BASEDIR="$PWD" CCACHE_NOHASHDIR=1

step() { printf '\n== %s\n' "$*"; }

die() {
  printf '%s: %s\n' "${0##*/}" "$*" >&2
  exit 1
}

need_root() {
  [ "$(id -u)" = 0 ] || die "this needs root: sudo scripts/${0##*/}, or run it as root where there is no sudo"
}

# configure PRESET [CMAKE-OPTION]...
configure() {
  preset=$1
  shift
  if command -v ccache >/dev/null; then
    set -- "$@" -DCMAKE_C_COMPILER_LAUNCHER=ccache -DCMAKE_CXX_COMPILER_LAUNCHER=ccache
  fi
  cmake --preset "$preset" -Wno-dev "$@"
}

# Under sudo the build belongs to the one who called it, not to root.
give_back_build() {
  if [ -n "${SUDO_UID:-}" ] && [ -d build ]; then chown -R "$SUDO_UID:${SUDO_GID:-$SUDO_UID}" build; fi
}
