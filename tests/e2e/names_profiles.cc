// The shipped profiles with the programs that they are for: what each is for works, what it refuses is
// refused.
#include <doctest/doctest.h>

#include "e2e/configured.h"
#include "e2e/forge.h"

using namespace netjail;
using namespace netjail::test;

namespace {

// `words` at home, on a machine whose configuration of apt, npm and pip is in `more` and at home.
Outcome configured(const std::string& more, const Words& words) {
  Command command = after("export HOME=" + home() + "\n" + kCovered + more, words);
  command.deadline = 40s;
  return world().run(command);
}

Words jail(const Words& options, const std::string& lines) {
  Words arguments{"run"};
  arguments.insert(arguments.end(), options.begin(), options.end());
  arguments.insert(arguments.end(), {"--", "sh", "-ec", lines});
  return netjail_command(arguments);
}

void at_home_write(const std::string& name, const std::string& text) {
  const Outcome made =
      unjailed({"sh", "-ec", "mkdir -p $(dirname $1) && printf %s \"$2\" >$1", "sh", name, text});
  REQUIRE_MESSAGE(made.ok(), made.describe());
}

// What works without netjail works under the profile; what the profile does not mean does not.
void check_profile(const std::string& profile, const std::string& more, const std::string& lines,
                   const std::string& sign, const std::string& beside, const std::string& told) {
  CAPTURE(lines);
  const Outcome outside = configured(more, {"sh", "-ec", lines});
  CHECK_MESSAGE(has(outside.out, sign), outside.describe());
  const Outcome inside = configured(more, jail({"--profile", profile}, lines));
  CHECK_MESSAGE(inside.ok(), inside.describe());
  CHECK_MESSAGE(has(inside.out, sign), inside.describe());
  CHECK_MESSAGE(!has(inside.err, "refused"), inside.describe());

  CAPTURE(beside);
  CHECK_MESSAGE(configured(more, {"sh", "-ec", beside}).ok(), beside);
  const Outcome refused = configured(more, jail({"--profile", profile}, beside));
  CHECK_MESSAGE(!refused.ok(), refused.describe());
  CHECK_MESSAGE(has(refused.err, told), refused.describe());
}

const std::string kClone = "rm -rf clone; git -c http.sslCAInfo=" + std::string(kAuthority) + " clone -q ";
const std::string kLog = " clone; git -C clone log --oneline";
const std::string kCurl = "curl -sS --cacert " + std::string(kAuthority) + " ";

}  // namespace

TEST_CASE("git") {
  if (!needs_root()) return;
  forge();
  check_profile("git", "", kClone + "https://github.com/x.git" + kLog, " forged\n",
                kClone + "https://forge.test/x.git" + kLog, "look-up of forge.test");
  check_profile("git", "", kClone + "https://github.com/x.git" + kLog, " forged\n",
                kClone + "http://github.com/x.git" + kLog, "--allow github.com:80/tcp");
  // By its name, without --profile.
  const Outcome own = jailed({}, {"git", "ls-remote", "https://github.com/x.git"});
  CHECK_MESSAGE(has(own.out, "refs/heads/"), own.describe());
}

TEST_CASE("agent") {
  if (!needs_root()) return;
  forge();
  check_profile("agent", "", kCurl + "https://api.openai.com/; " + kClone + "https://github.com/x.git" + kLog,
                "forged page", kCurl + "https://raw.githubusercontent.com/",
                "look-up of raw.githubusercontent.com");
}

TEST_CASE("ci") {
  if (!needs_root()) return;
  forge();
  check_profile("ci", "", kClone + "http://forge.test/x.git" + kLog + "; " + kCurl + "https://forge.test/",
                "forged page", "curl -sS http://registry.forge.test:4873/",
                "--allow registry.forge.test:4873/tcp");
  const Outcome lan = jailed({"--profile", "ci"}, {"curl", "-sS", "http://lan.test/"});
  CHECK_MESSAGE(!lan.ok(), lan.describe());
}

TEST_CASE("browser, to sites by name") {
  if (!needs_root()) return;
  const std::string user = std::to_string(kOrdinaryUser);
  const Outcome made = world().call({"install", "-d", "-o", user, "-g", user, "/srv/browser"});
  REQUIRE_MESSAGE(made.ok(), made.describe());
  const auto load = [&](const std::string& url) {
    return jailed({"--profile", "browser", "--user", user},
                  {"env", "HOME=/srv/browser", "chromium-headless-shell", "--disable-gpu", "--timeout=8000",
                   "--dump-dom", url});
  };
  const Outcome reached = load("http://allowed.test:8080/");
  CHECK_MESSAGE(has(reached.out, "port 8080"), reached.describe());
  world().servers().forget();
  const Outcome refused = load("http://lan.test/");
  CHECK_MESSAGE(!has(refused.out, "port 80"), refused.describe());
  CHECK_MESSAGE(has(refused.err, "its address 192.168.77.10 is local"), refused.describe());
  CHECK(world().servers().count_packets("192.168.77.10") == 0);
}

TEST_CASE("node: npm and the registry of its user") {
  if (!needs_root()) return;
  forge();
  at_home_write(".npmrc", "registry=http://registry.forge.test:4873/npm/\n");
  at_home_write("tree/package.json", "{}");
  const std::string install =
      "cd tree; rm -rf node_modules package-lock.json ../.npm; "
      "npm install --no-audit --no-fund --no-update-notifier --fetch-retries=0 ";
  check_profile("node", "", install + "forged; cat node_modules/forged/package.json", "\"1.0.0\"",
                install + "http://forge.test/npm/forged-1.0.0.tgz", "look-up of forge.test");
}

TEST_CASE("python: pip and the index of its user") {
  if (!needs_root()) return;
  forge();
  at_home_write(".pip/pip.conf",
                "[global]\nindex-url = http://registry.forge.test/pip/\n"
                "trusted-host = registry.forge.test\ndisable-pip-version-check = true\n"
                "no-cache-dir = true\nretries = 0\n");
  const std::string download = "rm -rf wheels; python3 -m pip download --no-deps -d wheels ";
  check_profile("python", "", download + "forged; ls wheels", "forged-1.0-py3-none-any.whl",
                download + "http://forge.test/pip/forged/forged-1.0-py3-none-any.whl",
                "look-up of forge.test");
}

TEST_CASE("apt and the sources of the machine") {
  if (!needs_root()) return;
  forge();
  const std::string source = apt_source("deb [trusted=yes] http://registry.forge.test/apt ./\\n");
  // Lists and downloads at home: the machine's own stay as they are, and an ordinary user can write them. As
  // root apt changes its user to download, which fails inside.
  const std::string apt =
      "apt-get -qq -o APT::Sandbox::User=root -o Dir::State=$HOME/apt/state -o Dir::Cache=$HOME/apt/cache ";
  const std::string update =
      "rm -rf apt *.deb; mkdir -p apt/state/lists/partial apt/cache/archives/partial; " + apt + "update; " +
      apt + "download forged; ls *.deb";
  check_profile("apt", source, update, "forged_1.0_all.deb", "curl -sS http://forge.test/",
                "look-up of forge.test");
}
