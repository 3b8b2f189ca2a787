// Where user namespaces, /proc or the way out are shut: nothing is started, and the error names the cause and
// the remedy. Each wall is built here; AppArmor's alone cannot be (tests/unit/surroundings.cc).
#include <doctest/doctest.h>

#include "e2e/fixture.h"

using namespace netjail;
using namespace netjail::test;

namespace {

const std::string kOffline = std::string(kNetjail) + " run --profile offline -- true";
const std::string kUserWords = "setpriv --reuid 61999 --regid 61999 --clear-groups ";

// `script` as root in a mount namespace of its own.
Outcome as_root(const std::string& script) {
  return world().call({"unshare", "--mount", "--propagation", "private", "sh", "-ec", script});
}
// `command` as an ordinary user, after `preparation` as root.
Outcome as_user(const std::string& preparation, const std::string& command) {
  return as_root(preparation + "; exec " + kUserWords + command);
}

void check_refused(const Outcome& outcome, const std::string& cause, const std::string& remedy) {
  CHECK_MESSAGE(outcome.status == 125, outcome.describe());
  CHECK_MESSAGE(has(outcome.err, cause), outcome.describe());
  CHECK_MESSAGE(has(outcome.err, remedy), outcome.describe());
}

// Runs its arguments where unshare(2) and clone(2) of a user namespace answer EPERM, as in Docker: by number,
// since the filter is written by hand. x86_64 and aarch64.
std::string filtered() {
  return world().write("filtered.py", R"(
import ctypes, os, platform, struct, sys
libc = ctypes.CDLL(None, use_errno=True)
unshare, clone = {'x86_64': (272, 56), 'aarch64': (97, 220)}[platform.machine()]
def op(code, jt, jf, k): return struct.pack('HBBI', code, jt, jf, k)
program = b''.join([op(0x20, 0, 0, 0),               # the number
                    op(0x15, 1, 0, unshare), op(0x15, 0, 3, clone),
                    op(0x20, 0, 0, 16),              # the first argument: flags
                    op(0x45, 0, 1, 0x10000000),      # CLONE_NEWUSER
                    op(0x06, 0, 0, 0x00050001),      # EPERM
                    op(0x06, 0, 0, 0x7fff0000)])
buffer = ctypes.create_string_buffer(program, len(program))
class Program(ctypes.Structure): _fields_ = [('length', ctypes.c_ushort), ('filter', ctypes.c_void_p)]
if libc.prctl(38, 1, 0, 0, 0) or libc.prctl(22, 2, ctypes.byref(Program(len(program) // 8, ctypes.addressof(buffer)))):
    sys.exit('no filter: errno %d' % ctypes.get_errno())
os.execvp(sys.argv[1], sys.argv[1:])
)");
}

}  // namespace

TEST_CASE("nothing is shut: the contrast of all that follows") {
  if (!needs_root()) return;
  const Outcome outcome = as_user("true", kOffline);
  CHECK_MESSAGE(outcome.ok(), outcome.describe());
}

TEST_CASE("a system call filter that refuses user namespaces") {
  if (!needs_root()) return;
  const std::string script = "python3 " + filtered() + " ";
  const Outcome container = as_user("true", script + "env container=podman " + kOffline);
  check_refused(container, "cannot make a user namespace: Operation not permitted",
                "start the container with --security-opt seccomp=unconfined");
  const Outcome doctor = as_user("true", script + kNetjail + " doctor");
  CHECK_MESSAGE(doctor.status == 1, doctor.describe());
  CHECK_MESSAGE(has(doctor.out, "MISSING  a jail cannot be made: cannot make a user namespace"),
                doctor.describe());
  CHECK_MESSAGE(has(doctor.out, "         -> a system call filter (seccomp)"), doctor.describe());
}

TEST_CASE("a chroot") {
  if (!needs_root()) return;
  const Outcome outcome =
      as_root("mkdir -p /srv/root; mount --rbind / /srv/root; exec chroot --userspec 61999:61999 /srv/root " +
              kOffline);
  check_refused(outcome, "cannot make a user namespace: Operation not permitted", "is this a chroot?");
}

TEST_CASE("limits of namespaces: 0, and one that is reached") {
  if (!needs_root()) return;
  // In a user namespace of our own, whose limits are ours to set.
  const auto limited = [](const std::string& limits) {
    return as_user("true", "unshare --user --map-user=61999 --map-group=61999 --keep-caps sh -c '" + limits +
                               "; exec " + kOffline + "'");
  };
  const std::string limit = " > /proc/sys/user/max_";
  check_refused(limited("echo 0" + limit + "user_namespaces"), "No space left on device",
                "as root: sysctl user.max_user_namespaces=15000");
  check_refused(limited("echo 1" + limit + "user_namespaces"), "No space left on device", "now 1");
  check_refused(limited("echo 0" + limit + "net_namespaces"), "the router's network namespace: No space left",
                "as root: sysctl user.max_net_namespaces=15000");
  check_refused(limited("echo 1" + limit + "net_namespaces"), "the jail's network namespace: No space left",
                "sysctl user.max_net_namespaces=30000, now 1");
}

// As container engines do: the kernel gives a user namespace no procfs that shows more than the one that is
// there.
TEST_CASE("a /proc with hidden parts, and one with a read-only /proc/sys") {
  if (!needs_root()) return;
  const Outcome hidden = as_user("mount --bind /dev/null /proc/timer_list", kOffline);
  check_refused(hidden, "cannot make a new /proc for the jail: Operation not permitted",
                "unmask=ALL (Podman)");
  const Outcome read_only =
      as_user("mount --bind /proc/sys /proc/sys; mount -o remount,bind,ro /proc/sys", kOffline);
  check_refused(read_only, "cannot set the sysctl net/ipv4/conf/all/send_redirects: Read-only file system",
                "systempaths=unconfined (Docker)");
  const Outcome sys = as_user("mount -t tmpfs none /sys/firmware", kOffline);
  check_refused(sys, "cannot mount /sys in the jail: Operation not permitted", "unmask=ALL (Podman)");
  // Root has no need of it: the same /proc, and a jail.
  const Outcome root = as_root("mount --bind /dev/null /proc/timer_list; exec " + kOffline);
  CHECK_MESSAGE(root.ok(), root.describe());
}

TEST_CASE("root without capabilities, as in a container") {
  if (!needs_root()) return;
  const std::string drop = "exec setpriv --bounding-set -all,+setuid,+setgid,+chown ";
  check_refused(as_root(drop + kOffline), "cannot make a pid namespace for the jail: Operation not permitted",
                "--cap-add SYS_ADMIN --cap-add NET_ADMIN --cap-add NET_RAW");
  const Outcome no_raw = as_root("exec setpriv --bounding-set -net_raw " + kOffline);
  check_refused(no_raw, "cannot open the sockets of the jail",
                "--cap-add SYS_ADMIN --cap-add NET_ADMIN --cap-add NET_RAW");
  const Outcome forwarding =
      as_root("mount --bind /proc/sys /proc/sys; mount -o remount,bind,ro /proc/sys; exec " +
              std::string(kNetjail) + " run --profile internet -- true");
  check_refused(forwarding, "Read-only file system", "--security-opt unmask=/proc/sys (Podman)");
}

TEST_CASE("doctor without root notes what makes pasta less than it could be, and that is no failure") {
  if (!needs_root()) return;
  const std::string doctor = std::string(kNetjail) + " doctor";
  const std::string range = "echo 0 2147483647 > /proc/sys/net/ipv4/ping_group_range";
  const Outcome shut = as_user("echo 1 0 > /proc/sys/net/ipv4/ping_group_range", doctor);
  CHECK_MESSAGE(shut.ok(), shut.describe());
  CHECK_MESSAGE(has(shut.out, "note     ping through pasta"), shut.describe());
  CHECK_MESSAGE(has(shut.out, "-> as root: sysctl net.ipv4.ping_group_range=\"0 2147483647\""),
                shut.describe());
  const Outcome open = as_user(range, doctor);
  CHECK_MESSAGE(!has(open.out, "ping through pasta"), open.describe());
  // The machine's own value, which is no test's to change: shown as another file.
  for (const char* bytes : {"212992", "16777216"}) {
    const Outcome buffer = as_user(
        "echo " + std::string(bytes) + " > /srv/wmem; mount --bind /srv/wmem /proc/sys/net/core/wmem_max",
        doctor);
    CHECK_MESSAGE(
        has(buffer.out,
            "note     an upload through pasta is slow: net.core.wmem_max is 212992\n"
            "         -> as root: sysctl net.core.wmem_max=16777216") == (std::string(bytes) == "212992"),
        buffer.describe());
  }
}
