// Named sets with the real binary: the hosts are those of the user's own files, of no others, and what they
// open is reached.
#include <doctest/doctest.h>

#include "e2e/configured.h"

using namespace netjail;
using namespace netjail::test;

namespace {

// netjail with `arguments`, where the machine has only the configuration that `more` writes.
Outcome configured(const std::string& more, const Words& arguments) {
  return world().run(
      after("export HOME=" + world().directory() + "\n" + kCovered + more, netjail_command(arguments)));
}

}  // namespace

TEST_CASE("plan shows the hosts of the user's own configuration") {
  if (!needs_root()) return;
  const Outcome apt = configured(
      apt_source(
          "deb http://198.51.100.10/debian stable main\\ndeb https://u:secret@mirror.example.org/x y\\n"),
      {"plan", "--allow", "@apt-sources"});
  CHECK_MESSAGE(apt.ok(), apt.describe());
  CHECK_MESSAGE(has(apt.out, "allow @apt-sources (198.51.100.10) 80/tcp"), apt.describe());
  CHECK_MESSAGE(has(apt.out, "allow @apt-sources (mirror.example.org) 443/tcp"), apt.describe());
  CHECK_MESSAGE(!has(apt.out, "secret"), apt.describe());

  world().write(".npmrc", "registry=http://198.51.100.10:4873/\n");
  const Words npm{"plan", "--allow", "@npm-registry", "--format", "json"};
  const Outcome own = configured("", npm);
  CHECK_MESSAGE(own.ok(), own.describe());
  CHECK_MESSAGE(has(own.out, "allow @npm-registry (198.51.100.10) 4873/tcp"), own.describe());
  // The working tree and the environment say nothing.
  const Outcome tree = configured(
      "export npm_config_registry=http://203.0.113.1/\nmkdir -p $HOME/tree && cd $HOME/tree\n"
      "echo registry=http://203.0.113.2/ >.npmrc\n",
      npm);
  CHECK_MESSAGE(has(tree.out, "(198.51.100.10) 4873/tcp"), tree.describe());
  CHECK_MESSAGE(!has(tree.out, "203.0.113."), tree.describe());
}

TEST_CASE("what is not configured, not understood or not the user's is an error") {
  if (!needs_root()) return;
  struct Case {
    std::string configuration;
    Words arguments;
    Words told;
  };
  world().write(".npmrc", "registry=${REGISTRY}\n");
  const Words run{"--", "echo", "started"};
  for (const Case& bad : std::vector<Case>{
           {"", {"--allow", "@pip-index"}, {"@pip-index: nothing is configured", "pip.conf", "pip config"}},
           {"", {"python", "x.py"}, {"@pip-index: nothing is configured", "has its name; --profile default"}},
           {"", {"--allow", "@npm-registry"}, {".npmrc:1:1: error: a variable"}},
           {apt_source("deb file:/srv x y\\n"), {"--allow", "@apt-sources"}, {"local sources only"}},
           {apt_source("deb http://u:secret@/ x\\n"),
            {"--deny", "@apt-sources"},
            {"test.list:1:1: error: the URL"}},
           {"mkfifo /etc/apt/sources.list\n",
            {"--allow", "@apt-sources"},
            {"sources.list", "not a regular file"}},
           {"", {"--allow", "@apt-source"}, {"there is no set '@apt-source'", "help: @apt-sources"}}}) {
    Words arguments{"run"};
    arguments.insert(arguments.end(), bad.arguments.begin(), bad.arguments.end());
    arguments.insert(arguments.end(), run.begin(), run.end());
    const Outcome outcome = configured(bad.configuration, arguments);
    CHECK_MESSAGE(outcome.status == 125, outcome.describe());
    CHECK_MESSAGE(outcome.out.empty(), outcome.describe());
    CHECK_MESSAGE(!has(outcome.err, "secret"), outcome.describe());
    for (const std::string& part : bad.told) CHECK_MESSAGE(has(outcome.err, part), outcome.describe());
  }
  const std::string profile = world().write("needs.toml", "[[allow]]\nto = [\"@pip-index\"]\n");
  // What this machine has configured is no property of a profile.
  const Outcome check = configured("", {"check", "--strict", profile});
  CHECK_MESSAGE(check.ok(), check.describe());
  CHECK_MESSAGE(has(check.out, "note: "), check.describe());
  CHECK_MESSAGE(has(check.out, "nothing is configured"), check.describe());
}

TEST_CASE("root takes the configuration of the user inside" * only_root("it calls netjail as root")) {
  if (!needs_root()) return;
  const std::string user = std::to_string(kOrdinaryUser);
  // The user's home has to be in passwd(5).
  const std::string account = "cp /etc/passwd $HOME/passwd\necho user:x:" + user + ":" + user +
                              "::$HOME/theirs:/bin/sh >>$HOME/passwd\nmount --bind $HOME/passwd /etc/passwd\n"
                              "mkdir -p $HOME/theirs\nchown " +
                              user + " $HOME/theirs\n";
  world().write(".npmrc", "registry=http://203.0.113.1/\n");
  const Words plan{"plan", "--user", user, "--allow", "@npm-registry"};
  const std::string write = "echo registry=http://198.51.100.10/ >$HOME/theirs/.npmrc\n";
  const Outcome theirs = configured(account + write + "chown " + user + " $HOME/theirs/.npmrc\n", plan);
  CHECK_MESSAGE(has(theirs.out, "allow @npm-registry (198.51.100.10) 80/tcp"), theirs.describe());
  const Outcome strange = configured(account + write + "chown 12345 $HOME/theirs/.npmrc\n", plan);
  CHECK_MESSAGE(strange.status == 125, strange.describe());
  CHECK_MESSAGE(has(strange.err, "belongs to another user"), strange.describe());
  const Outcome hidden = configured(account +
                                        "rm -f $HOME/theirs/.npmrc $HOME/hidden\n(umask 77; echo "
                                        "registry=http://198.51.100.10/ >$HOME/hidden)\n"
                                        "ln -s $HOME/hidden $HOME/theirs/.npmrc\n",
                                    plan);
  CHECK_MESSAGE(has(hidden.err, "belongs to another user"), hidden.describe());
}

TEST_CASE("what a set opens is reached, and nothing beside it") {
  if (!needs_root()) return;
  REQUIRE(world().probe({"echo", "198.51.100.10", "443"}).ok());
  const std::string configuration = apt_source("deb https://198.51.100.10/debian stable main\\n");
  const auto probe = [&](const Words& arguments) {
    Words words{"run", "--allow", "@apt-sources", "--", kProbe};
    words.insert(words.end(), arguments.begin(), arguments.end());
    return configured(configuration, words);
  };
  const Outcome reached = probe({"echo", "198.51.100.10", "443"});
  CHECK_MESSAGE(reached.ok(), reached.describe());
  const Outcome refused = probe({"tcp", "198.51.100.10", "80"});
  CHECK_MESSAGE(!refused.ok(), refused.describe());
  CHECK_MESSAGE(has(refused.out, "ECONNREFUSED"), refused.describe());
}
