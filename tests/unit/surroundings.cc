// The hint of a refused namespace: from the facts of the machine to the cause and its remedy. Those that this
// machine cannot have (AppArmor's) have no other test; the others are made real in tests/e2e/shut.cc.
#include "surroundings.h"

#include <doctest/doctest.h>

#include <cerrno>

using namespace netjail;
using init::Step;

namespace {

// An ordinary user's on a machine that shuts nothing.
Surroundings open_machine() { return {.clone = 1, .user_namespaces = 30000, .net_namespaces = 30000}; }

std::string remedy(Step step, int code, const Surroundings& around) {
  return find_remedy(step, code, around);
}
bool has(const std::string& text, const std::string& part) { return text.find(part) != std::string::npos; }

}  // namespace

TEST_CASE("a sysctl that shuts user namespaces is named, with its command") {
  Surroundings around = open_machine();
  around.clone = 0;
  CHECK(remedy(Step::user_namespace, EPERM, around) ==
        "as root: sysctl kernel.unprivileged_userns_clone=1; or run netjail as root: sudo netjail ...");
  around = open_machine();
  around.user_namespaces = 0;
  CHECK(remedy(Step::user_namespace, ENOSPC, around) ==
        "as root: sysctl user.max_user_namespaces=15000; or run netjail as root: sudo netjail ...");
}

TEST_CASE("a limit that is reached is told from one that is 0") {
  Surroundings around = open_machine();
  CHECK(has(remedy(Step::user_namespace, ENOSPC, around), "sysctl user.max_user_namespaces=60000"));
  CHECK(has(remedy(Step::user_namespace, EUSERS, around), "too many are in use"));
  CHECK(has(remedy(Step::router, ENOSPC, around), "sysctl user.max_net_namespaces=60000"));
  around.net_namespaces = 0;
  CHECK(remedy(Step::jail, ENOSPC, around) == "as root: sysctl user.max_net_namespaces=15000");
  around.root = true;
  CHECK(remedy(Step::jail, ENOSPC, around) == "as root: sysctl user.max_net_namespaces=15000");
}

TEST_CASE("AppArmor: first the profile, then the sysctl") {
  Surroundings around = open_machine();
  around.apparmor = true;
  // Without the profile unprivileged_userns it denies the namespace; with it, every capability in it.
  for (const auto& [step, code] : {std::pair{Step::user_namespace, EACCES},
                                   {Step::user_namespace, EPERM},
                                   {Step::router, EPERM},
                                   {Step::namespaces, EPERM},
                                   {Step::mount, EACCES}}) {
    CAPTURE(static_cast<int>(step));
    const std::string text = remedy(step, code, around);
    CHECK(has(text, "NETJAIL_APPARMOR=ON"));
    CHECK(text.find("apparmor_parser -r /etc/apparmor.d/netjail") <
          text.find("sysctl kernel.apparmor_restrict_unprivileged_userns=0"));
  }
  around.apparmor_profile = true;  // installed, but not loaded
  const std::string text = remedy(Step::user_namespace, EACCES, around);
  CHECK(!has(text, "NETJAIL_APPARMOR"));
  CHECK(has(text, "as root: apparmor_parser -r /etc/apparmor.d/netjail"));
  // A failure that AppArmor does not explain is not blamed on it.
  CHECK(remedy(Step::sysctl, EINVAL, around).empty());
}

TEST_CASE("a system call filter is told from what the kernel itself refuses") {
  Surroundings around = open_machine();
  around.filter = true;
  CHECK(has(remedy(Step::user_namespace, EPERM, around), "RestrictNamespaces=no"));
  around.container = true;
  const std::string text = remedy(Step::user_namespace, EPERM, around);
  CHECK(has(text, "start the container with --security-opt seccomp=unconfined"));
  CHECK(!has(text, "sudo"));  // that would not help
  around.filter = false;
  CHECK(has(remedy(Step::user_namespace, EPERM, around), "chroot"));
  CHECK(has(remedy(Step::user_namespace, EACCES, around), "SELinux"));
  CHECK(has(remedy(Step::user_namespace, EINVAL, around), "this kernel has none"));
}

TEST_CASE("hidden parts of /proc, a read-only one, and a root without capabilities") {
  Surroundings around = open_machine();
  around.covered = true;
  for (const Step step : {Step::proc, Step::mount})
    CHECK(has(remedy(step, EPERM, around), "--security-opt unmask=ALL (Podman)"));
  CHECK(has(remedy(Step::sysctl, EROFS, around), "systempaths=unconfined (Docker)"));
  around.root = true;
  CHECK(has(remedy(Step::namespaces, EPERM, around),
            "--cap-add SYS_ADMIN --cap-add NET_ADMIN --cap-add NET_RAW"));
  CHECK(remedy(Step::namespaces, EINVAL, around) ==
        "/ is no mount point (a plain chroot?): mount --bind DIR DIR before chroot");
  CHECK(remedy(Step::keyring, EPERM, around).empty());
  around.profile = "docker-default";  // it says EACCES; a capability that is not there EPERM
  for (const bool root : {true, false}) {
    around.root = root;
    CHECK(has(remedy(Step::sysctl, EACCES, around), "the AppArmor profile docker-default forbids it"));
    CHECK(has(remedy(Step::mount, EACCES, around), "--security-opt apparmor=unconfined"));
  }
}
