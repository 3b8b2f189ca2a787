#!/bin/bash
# apparmor.sh BUILD CMAKE: the AppArmor profile, as cmake --install leaves it, is of the program that is installed, and
# AppArmor's parser takes it. Nothing is loaded.
. "$(dirname "$0")/lib.sh"
build=$1
cmake=$2
# Where only root has it in his PATH.
PATH=$PATH:/usr/sbin:/sbin
need apparmor_parser

try=$(mktemp -d)
trap 'rm -rf "$try"' EXIT

install() { # PREFIX ON|OFF
  DESTDIR=$try "$cmake" -DCMAKE_INSTALL_COMPONENT=apparmor -DCMAKE_INSTALL_PREFIX="$1" -DNETJAIL_APPARMOR="$2" \
    -P "$build/cmake_install.cmake" >/dev/null
}
parse() { apparmor_parser --skip-kernel-load --skip-cache "$1" 2>&1; } # FILE

install /opt/nj OFF
[ ! -e "$try/etc" ] || flaw "NETJAIL_APPARMOR=OFF installs a profile"
install /opt/nj ON
installed=$try/etc/apparmor.d/netjail
grep -q '^profile netjail "/opt/nj/bin/netjail" ' "$installed" || flaw "the profile is of another program"
grep -qx '  userns,' "$installed" || flaw "the profile does not have the permission that it is for"

# The parser of before AppArmor 4 knows neither that version nor the rule: it sees all but these two lines.
cp "$installed" "$try/profile"
[ -e /etc/apparmor.d/abi/4.0 ] || sed -i -e 's|<abi/4.0>|<abi/3.0>|' -e '/^  userns,$/d' "$try/profile"
sed 's/^profile/porfile/' "$try/profile" >"$try/broken"
must_fail "a profile that does not parse" parse "$try/broken"
parse "$try/profile" >"$try/said" || flaw "AppArmor's parser refuses the profile: $(cat "$try/said")"
finish
