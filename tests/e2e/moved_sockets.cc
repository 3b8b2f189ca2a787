// Unix sockets of the host's that are not where the kernel's list says.
#include <doctest/doctest.h>

#include <unistd.h>

#include <filesystem>

#include "e2e/offline.h"

using namespace netjail;
using namespace netjail::test;

namespace fs = std::filesystem;

// Before Linux 7.1 nothing but a cover keeps the program from a socket, so each must be found: also where the
// kernel's list does not say that it is.
TEST_CASE("a socket that is not where it was bound is found, or nothing starts") {
  if (!needs_root()) return;
  constexpr const char* kWander = R"(
import os, socket, sys
os.chdir(sys.argv[1])
kept = []
def bind(path):
    s = socket.socket(socket.AF_UNIX)
    s.bind(path)
    s.listen()
    kept.append(s)
def make(*folders):
    for folder in folders:
        os.makedirs(folder)
        open(folder + '/beside', 'w').close()
make('moved', 'linked', 'far/away', 'relative', 'line', 'gone', 'hidden')
for name in 'moved', 'linked', 'gone', 'hidden':
    bind(os.path.abspath(name) + '/S')
os.rename('moved', 'elsewhere')
make('moved')
os.link('linked/S', 'far/away/second')
os.unlink('gone/S')
bind(os.path.abspath('line/new\nline'))
long = 'l' * 120
os.mkdir(long)
for folder in 'relative', long:
    os.chdir(folder)
    bind('S')
    os.chdir('..')
print('ready', flush=True)
for line in sys.stdin:
    os.rename('hidden', 'shut')
    os.chmod('shut', 0o300)
    print('shut', flush=True)
)";
  const std::string own = home() + "/wandering";
  fs::create_directories(own);
  const Identity user = rootless() ? Identity{kOrdinaryUser, kOrdinaryUser, {}} : Identity{};
  if (rootless()) REQUIRE(::chown(own.c_str(), kOrdinaryUser, kOrdinaryUser) == 0);
  Process server = world().start(
      {.argv = {"python3", "-c", kWander, own}, .keep_input_open = true, .identity = user, .deadline = 60s});
  REQUIRE(server.wait_for("ready"));
  for (const std::string& name : {std::string("elsewhere/S"), std::string("far/away/second"),
                                  std::string("linked/S"), std::string("relative/S"), std::string("hidden/S"),
                                  std::string("line/new\nline"), std::string(120, 'l') + "/S"}) {
    INFO(name);
    // From its folder, whose path may be longer than an address; and from elsewhere.
    const fs::path path = fs::path(own) / name;
    const Words there = connect(path.filename());
    const Words in_folder{"sh",
                          "-c",
                          "cd \"$1\" && exec " + std::string(kProbe) + " unix \"$2\"",
                          "sh",
                          path.parent_path(),
                          path.filename()};
    CHECK(world().run({.argv = there, .identity = user, .directory = path.parent_path()}).ok());
    for (const Outcome& inside : {jailed({}, there, path.parent_path()), jailed({}, in_folder)})
      CHECK_MESSAGE(inside.status == 1, inside.describe());
  }
  // One that was removed is in nobody's way, and those are not either, for who cannot connect.
  REQUIRE(server.send("on\n").has_value());
  REQUIRE(server.wait_for("shut"));
  const Outcome hidden = jailed({}, {"echo", "started"});
  if (rootless()) {
    CHECK_MESSAGE(hidden.status == 125, hidden.describe());
    CHECK_MESSAGE(has(hidden.err, "/S by python3, process "), hidden.describe());
    CHECK_MESSAGE(has(hidden.err, own + "/shut cannot be listed"), hidden.describe());
  } else {
    CHECK_MESSAGE(has(hidden.out, "started"), hidden.describe());
    CHECK(!jailed({}, connect("S"), own + "/shut").ok());
  }
  const std::string profile =
      world().write("no-unix-at-all.toml", std::string(kShut) + "[seccomp]\nfamilies = [\"inet\"]\n");
  CHECK(world().netjail({"--profile", profile, "--", "true"}).ok());
  fs::remove_all(own);
}
