// Unix sockets of the host's that are not where the kernel's list says, and those that move while netjail
// starts. Before Linux 7.1 nothing but a cover keeps the program from a socket: each is found, or the program
// can connect to none.
#include <doctest/doctest.h>

#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>

#include "e2e/offline.h"

using namespace netjail;
using namespace netjail::test;

namespace fs = std::filesystem;

namespace {

// Binds the paths, each with a file beside it: a folder of sockets alone would be covered as a whole, and
// could not be moved. A path that is relative is bound so. "ready" when all are there.
constexpr const char* kServe = R"(
import os, socket, sys
kept = []
for path in sys.argv[1:]:
    folder, name = os.path.split(path)
    os.makedirs(folder or '.', exist_ok=True)
    open(os.path.join(folder, 'beside'), 'w').close()
    s = socket.socket(socket.AF_UNIX)
    s.bind(path)
    os.chmod(path, 0o777)
    s.listen()
    kept.append(s)
print('ready', flush=True)
sys.stdin.read()
)";

Identity user() { return rootless() ? Identity{kOrdinaryUser, kOrdinaryUser, {}} : Identity{}; }

Process serve(const Words& paths, const Identity& identity, const std::string& directory = "/") {
  Words words{"python3", "-c", kServe};
  words.insert(words.end(), paths.begin(), paths.end());
  Process server = world().start({.argv = words,
                                  .keep_input_open = true,
                                  .identity = identity,
                                  .directory = directory,
                                  .deadline = 60s});
  REQUIRE(server.wait_for("ready"));
  return server;
}

void as_user(const std::string& script, const std::string& directory) {
  const Outcome done =
      world().run({.argv = {"sh", "-ec", script}, .identity = user(), .directory = directory});
  REQUIRE_MESSAGE(done.ok(), done.describe());
}

// A folder of the user's, which is not in one that the jail has for itself.
class Folder {
 public:
  explicit Folder(const std::string& name) : path_("/srv/netjail-" + name) {
    const std::string owner = std::to_string(user().uid);
    REQUIRE(world().call({"install", "-d", "-o", owner, "-g", owner, path_}).ok());
  }
  Folder(const Folder&) = delete;
  Folder& operator=(const Folder&) = delete;
  ~Folder() { (void)world().call({"rm", "-rf", path_}); }
  const std::string& path() const { return path_; }

 private:
  std::string path_;
};

// From its folder, whose path may be longer than an address.
bool is_reached(const fs::path& path) {
  return world()
      .run({.argv = connect(path.filename()), .identity = user(), .directory = path.parent_path()})
      .ok();
}
// By who can open again what he has shut: `own`, and all in it.
Outcome try_inside(const Folder& own, const std::string& path) {
  const fs::path full = own.path() + "/" + path;
  constexpr const char* kEnter = R"(
import os, sys
for folder, names, _ in os.walk(sys.argv[1]):
    for name in names:
        try: os.chmod(folder + '/' + name, 0o700)
        except OSError: pass  # covered
os.chdir(sys.argv[2])
os.execv(sys.argv[3], sys.argv[3:])
)";
  return jailed({},
                {"python3", "-c", kEnter, own.path(), full.parent_path(), kProbe, "unix", full.filename()});
}

constexpr const char* kNone = "netjail: no unix sockets in this run but connected pairs";

}  // namespace

TEST_CASE("one that a folder shows, or its process, is covered") {
  if (!needs_root()) return;
  const Folder own("found");
  const std::string far = own.path() + "/" + std::string(120, 'l');
  as_user("mkdir " + far, own.path());
  const Process there = serve({own.path() + "/line/new\nline", own.path() + "/a/S"}, user());
  const Process relative = serve({"relative/S"}, user(), own.path());
  const Process long_path = serve({"S"}, user(), far);
  as_user("mv a/S a/renamed; ln a/renamed line/second", own.path());
  for (const std::string& path :
       {std::string("line/new\nline"), std::string("a/renamed"), std::string("line/second"),
        std::string("relative/S"), std::string(120, 'l') + "/S"}) {
    INFO(path);
    CHECK(is_reached(own.path() + "/" + path));
    const Outcome inside = try_inside(own, path);
    CHECK_MESSAGE(inside.status == 1, inside.describe());
    CHECK_MESSAGE(!has(inside.err, kNone), inside.describe());
  }
}

TEST_CASE("where one may be anywhere, there are no unix sockets, and it is told whose") {
  if (!needs_root()) return;
  struct Case {
    const char* what;
    const char* moves;
    const char* now;
  };
  for (const Case& one :
       std::vector<Case>{{"a folder renamed, another in its place", "mv a/b a/c; mkdir a/b", "a/c/S"},
                         {"a second name", "mkdir -p far/away; ln a/b/S far/away/S", "far/away/S"},
                         {"out of sight, where it cannot be listed", "mv a/b a/c; chmod 100 a", "a/c/S"},
                         {"a folder shut, to be opened again", "chmod 0 a", "a/b/S"},
                         {"a dead socket in its place that cannot be asked",
                          "mv a/b a/c; mkdir a/b; python3 -c \"import socket; "
                          "socket.socket(socket.AF_UNIX).bind('a/b/S')\"; chmod 0 a/b/S",
                          "a/c/S"}}) {
    INFO(one.what);
    const Folder own("lost");
    const Process server = serve({own.path() + "/a/b/S"}, user());
    CHECK(is_reached(own.path() + "/a/b/S"));
    as_user(one.moves, own.path());
    const Outcome inside = try_inside(own, one.now);
    CHECK_MESSAGE(inside.status == 1, inside.describe());
    // Root lists what it likes.
    const bool found = !rootless() && (has(one.moves, "chmod 0 a") && !has(one.moves, "mv"));
    CHECK_MESSAGE(has(inside.err, kNone) != found, inside.describe());
    CHECK_MESSAGE((found || has(inside.err, "/a/b/S by python3 (process ")), inside.describe());
    CHECK_MESSAGE((found || has(inside.out, "EAFNOSUPPORT")), inside.describe());
    as_user("chmod -R u+rwx .", own.path());
  }
  // Of one that is gone nobody can tell; what has no unix sockets anyway is not told.
  const Folder own("removed");
  const Process server = serve({own.path() + "/a/S"}, user());
  as_user("rm -r a", own.path());
  const Outcome removed = jailed({}, {"echo", "started"});
  CHECK_MESSAGE(has(removed.out, "started"), removed.describe());
  CHECK_MESSAGE(has(removed.err, kNone), removed.describe());
  const std::string profile =
      world().write("no-unix-at-all.toml", std::string(kShut) + "[seccomp]\nfamilies = [\"inet\"]\n");
  const Outcome without = world().netjail({"--profile", profile, "--", "true"});
  CHECK_MESSAGE(without.err.empty(), without.describe());
}

TEST_CASE("another user's in a folder of the user's can be moved by him, too") {
  if (!needs_root()) return;
  struct Case {
    const char* what;
    const char* before;  // as root
    const char* bound;
    const char* moves;
    const char* now;
  };
  for (const Case& one : std::vector<Case>{
           {"in his folder", "true", "a/b/S", "mv a c", "c/b/S"},
           {"in one in a sticky folder of root's", "chown 0:0 .; chmod 1777 .", "a/S", "mv a c", "c/S"},
           {"by root's link to one of his", "ln -s a/b link", "link/S", "mv a c", "c/b/S"}}) {
    INFO(one.what);
    const Folder own("lent");
    as_user("mkdir -p a/b", own.path());
    const Outcome made =
        world().run({.argv = {"sh", "-ec", one.before}, .identity = Identity{}, .directory = own.path()});
    REQUIRE_MESSAGE(made.ok(), made.describe());
    const Process server = serve({own.path() + "/" + one.bound}, Identity{});
    as_user(one.moves, own.path());
    CHECK(is_reached(own.path() + "/" + one.now));
    const Outcome inside = try_inside(own, one.now);
    CHECK_MESSAGE(inside.status == 1, inside.describe());
    CHECK_MESSAGE(has(inside.err, kNone), inside.describe());
  }
}

TEST_CASE("a mount that shows a part of the file system, to which one can be moved") {
  if (!needs_root()) return;
  const std::string user = std::to_string(kOrdinaryUser);
  const Folder own("narrow");
  REQUIRE(world().call({"chown", user + ":" + user, own.path()}).ok());
  const Process server = serve({own.path() + "/p/S"}, Identity{kOrdinaryUser, kOrdinaryUser, {}});
  REQUIRE(world().call({"install", "-d", "-o", user, own.path() + "/part"}).ok());
  const std::string preparation = "mkdir -p /srv/narrow; mount -n --bind " + own.path() + "/part /srv/narrow";
  Words run{kNetjail, "run", "--profile", "offline"};
  if (!rootless()) run.insert(run.end(), {"--user", user});
  run.insert(run.end(),
             {"--", "sh", "-c",
              "cd " + own.path() + "; mv p part/p; exec " + std::string(kProbe) + " unix /srv/narrow/p/S"});
  const Outcome inside = world().run(after(preparation, run));
  CHECK_MESSAGE(inside.status == 1, inside.describe());
  CHECK_MESSAGE(has(inside.out, "unix /srv/narrow/p/S: E"), inside.describe());
  CHECK(world().call({"rm", "-rf", "/srv/narrow"}).ok());
}

TEST_CASE("with the groups of the user inside, not with root's") {
  if (!needs_root() || rootless()) return;
  const std::string user = std::to_string(kOrdinaryUser);
  const Folder own("group");
  REQUIRE(world().call({"install", "-d", "-g", "61998", "-m", "2770", own.path() + "/g"}).ok());
  const Process server = serve({own.path() + "/g/S"}, Identity{});
  const Words in_group{"setpriv", "--reuid=" + user,  "--regid=" + user, "--groups=61998", kProbe,
                       "unix",    own.path() + "/g/S"};
  CHECK(world().call(in_group).ok());
  const std::string profile = world().write(
      "group.toml", std::string(kShut) + "[process]\nuser = \"" + user + "\"\ngroups = [\"61998\"]\n");
  const Outcome inside = world().netjail({"--profile", profile, "--", kProbe, "unix", own.path() + "/g/S"});
  CHECK_MESSAGE(inside.status == 1, inside.describe());
}

TEST_CASE("what a mount shows alone, or one that is older than what it lies on") {
  if (!needs_root()) return;
  const Folder own("mounts");
  const Process server = serve({own.path() + "/p/S"}, user());
  const auto inside = [&](const std::string& preparation, const std::string& path) {
    const Outcome outside = world().run(after(preparation, connect(path), false));
    CHECK_MESSAGE(outside.ok(), outside.describe());
    Words run{kNetjail, "run", "--profile", "offline", "--"};
    for (const std::string& word : connect(path)) run.push_back(word);
    const Outcome outcome = world().run(after(preparation, run));
    CHECK_MESSAGE(outcome.status == 1, outcome.describe());
  };
  inside("touch /srv/alone; mount -n --bind " + own.path() + "/p/S /srv/alone; mount -t tmpfs none " +
             own.path(),
         "/srv/alone");
  inside("mkdir -p /srv/old /srv/new; mount -t tmpfs none /srv/old; mkdir /srv/old/p; mount -n --bind " +
             own.path() +
             "/p /srv/old/p; mount -t tmpfs none /srv/new; mkdir /srv/new/m; mount --make-private "
             "/srv/old; mount --make-private /srv/new; mount --move /srv/old /srv/new/m",
         "/srv/new/m/p/S");
  for (const char* path : {"/srv/alone", "/srv/old", "/srv/new"})
    CHECK(world().call({"rm", "-rf", path}).ok());
}

// A jail that runs already can rename what lies above a socket that is covered in it, too.
TEST_CASE("one that is moved to and fro while netjail starts is not reached") {
  if (!needs_root()) return;
  const Folder own("moving");
  const Process server = serve({own.path() + "/p/a/S"}, user());
  constexpr const char* kFlip = R"(
import os, sys
os.chdir(sys.argv[1])
print('flipping', flush=True)
while True:
    os.rename('p', 'q')
    os.rename('q', 'p')
)";
  constexpr const char* kTry = R"(
import os, socket, sys, time
os.chdir(sys.argv[1])
print('started', flush=True)
end = time.monotonic() + 0.3
while time.monotonic() < end:
    for path in 'p/a/S', 'q/a/S':
        try:
            socket.socket(socket.AF_UNIX).connect(path)
            print('REACHED')
            sys.exit(1)
        except OSError:
            pass
)";
  Process flipping = world().start(
      {.argv = netjail_command({"run", "--profile", "offline", "--", "python3", "-c", kFlip, own.path()}),
       .keep_input_open = true,
       .environment = {{"HOME", home()}},
       .deadline = 60s});
  REQUIRE(flipping.wait_for("flipping"));
  int started = 0;
  for (int i = 0; i < 12; ++i) {
    const Outcome outcome = jailed({}, {"python3", "-c", kTry, own.path()});
    CHECK_MESSAGE(!has(outcome.out, "REACHED"), outcome.describe());
    if (outcome.status == 0)
      ++started;
    else
      CHECK_MESSAGE(has(outcome.err, "was moved while netjail started"), outcome.describe());
  }
  MESSAGE(started, " of 12 started");
}
