// What of the host's files the child finds: folders of its own, what is shared there, covered sockets.
#include <doctest/doctest.h>

#include <algorithm>

#include "netjail/plan/plan.h"

using namespace netjail;

namespace {

using Kind = HostPath::Kind;

struct Case {
  HostFacts host;
  Caller caller;
  Profile profile;
  Case() {
    host.meeting_places = {"/run", "/tmp", "/var/tmp"};
    caller.command = {"true"};
    caller.cwd = "/home/user/work";
    caller.uid = caller.gid = 1000;
    caller.environment = {{"HOME", "/home/user"}, {"PATH", "/usr/bin"}};
  }
  void there(const std::string& path, Kind kind, const std::string& target = {}) {
    host.paths[path] = {kind, target.empty() ? path : target};
  }
  ChildPlan plan() const {
    const auto made = make_plan(make_policy(profile), host, caller);
    REQUIRE(made.has_value());
    return made->child;
  }
};

template <class T>
std::vector<std::string> targets(const ChildPlan& child) {
  std::vector<std::string> out;
  for (const Mount& mount : child.mounts)
    if (const auto* one = std::get_if<T>(&mount)) out.push_back(one->target);
  return out;
}
bool has_variable(const ChildPlan& child, const std::string& name) {
  return std::ranges::any_of(child.environment, [&](const auto& one) { return one.starts_with(name + "="); });
}
using Paths = std::vector<std::string>;

}  // namespace

TEST_CASE("the jail has folders of its own where the host's programs meet, root and user alike") {
  Case one;
  for (const std::uint32_t uid : {0u, 1000u}) {
    one.caller.uid = uid;
    const ChildPlan child = one.plan();
    CHECK(targets<MountOwn>(child) == Paths{"/run", "/tmp", "/var/tmp"});
    CHECK(std::ranges::count_if(child.mounts,
                                [](const Mount& m) { return std::holds_alternative<MountDevices>(m); }) == 1);
    CHECK(targets<MakeFolder>(child) == Paths{"/run/user/" + std::to_string(uid)});
    CHECK(targets<MountShared>(child).empty());
  }
}

TEST_CASE("what the program is given there is shared, by the folder that holds it") {
  Case one;
  one.caller.cwd = "/tmp/build/src";
  one.caller.command = {"sh", "/tmp/x.sh", "--out=/var/tmp/out/a", "cat /srv/tmp/y", "/tmp/sock", "/tmp/"};
  one.caller.environment["TMPDIR"] = "/tmp/user/1000";
  one.there("/tmp/build", Kind::folder);
  one.there("/tmp/x.sh", Kind::file);
  one.there("/var/tmp/out", Kind::folder);
  one.there("/tmp/sock", Kind::socket);
  const HostQuestions asked = host_questions(make_policy(one.profile), one.caller);
  CHECK(asked.paths == Paths{"/tmp/build", "/tmp/x.sh", "/var/tmp/out", "/tmp/sock"});
  ChildPlan child = one.plan();
  CHECK(targets<MountShared>(child) == Paths{"/tmp/build", "/tmp/x.sh", "/var/tmp/out"});
  CHECK(targets<MakeFolder>(child) == Paths{"/run/user/1000", "/tmp/user/1000"});
  CHECK(child.lost.empty());
  one.host.paths.erase("/var/tmp/out");
  CHECK(one.plan().lost == Paths{"/var/tmp/out"});
  one.profile.shared = {{"/var/tmp"}};
  one.there("/var/tmp", Kind::folder);
  child = one.plan();
  CHECK(child.lost.empty());
  CHECK(targets<MountOwn>(child) == Paths{"/run", "/tmp"});
}

TEST_CASE("who cannot connect to a unix socket is not in need of their whereabouts") {
  Case one;
  CHECK(host_questions(make_policy(one.profile), one.caller).every_socket);
  one.profile.seccomp_families = {{"inet", "netlink"}};
  CHECK(!host_questions(make_policy(one.profile), one.caller).every_socket);
  one.profile.mount_namespaces = true;
  one.caller.uid = 1000;
  CHECK(host_questions(make_policy(one.profile), one.caller).can_mount);
  one.caller.uid = 0;
  CHECK(!host_questions(make_policy(one.profile), one.caller).can_mount);
}

TEST_CASE("paths are found in the script of a shell, too") {
  Case one;
  one.caller.command = {"sh", "-c",
                        "cat </tmp/a \"/tmp/b b\" >'/var/tmp/c/d'; x=/tmp/a:/dev/shm/e, /a/tmp/f"};
  CHECK(host_questions(make_policy(one.profile), one.caller).paths ==
        Paths{"/tmp/a", "/tmp/b", "/var/tmp/c", "/dev/shm/e"});
}

TEST_CASE("a folder that is shared brings what lies in it, once") {
  Case one;
  one.profile.shared = {{"/tmp/a", "/tmp/a/b", "/run/secrets", "/srv/x"}};
  for (const auto& path : *one.profile.shared) one.there(path, Kind::folder);
  CHECK(targets<MountShared>(one.plan()) == Paths{"/run/secrets", "/tmp/a"});
  one.host.paths.erase("/srv/x");
  const auto missing = make_plan(make_policy(one.profile), one.host, one.caller);
  REQUIRE(!missing.has_value());
  CHECK(missing.error().what == "cannot share /srv/x: it is not there");
}

TEST_CASE("where a socket may be anywhere, the program can make none") {
  Case one;
  CHECK(one.plan().seccomp_families == Paths{"unix", "inet", "inet6", "netlink"});
  one.host.lost_sockets = {{"/home/user/S", "agent", "12"}, {"T", "", ""}};
  const ChildPlan child = one.plan();
  CHECK(child.seccomp_families == Paths{"inet", "inet6", "netlink"});
  CHECK(describe_lost_sockets(child) ==
        "no unix sockets in this run but connected pairs: the one bound as /home/user/S by agent (process "
        "12), and "
        "1 more, is not where it was; end their programs to have them");
  one.profile.seccomp_families = {{"inet"}};
  CHECK(describe_lost_sockets(one.plan()).empty());
}

TEST_CASE("what is named and would not be found is told") {
  Case one;
  one.profile.shared = {{"/var"}};
  one.there("/var", Kind::folder);
  const auto whole = make_plan(make_policy(one.profile), one.host, one.caller);
  REQUIRE(!whole.has_value());
  CHECK(whole.error().hint == "name that: --share /var/tmp");
  one.profile.shared.reset();
  one.caller.command = {"cat", "/tmp/link"};
  one.there("/tmp/link", Kind::link);
  CHECK(one.plan().links == Paths{"/tmp/link"});
  for (const char* folder : {"/run", "/run/user", "/run/user/1000", "/tmp"}) {
    one.caller.cwd = folder;
    CHECK(one.plan().cwd == folder);
  }
  one.caller.cwd = "/run/other";
  const auto lost = make_plan(make_policy(one.profile), one.host, one.caller);
  REQUIRE(!lost.has_value());
  CHECK(lost.error().hint == "cd somewhere else first, or --share /run/other");
  one.profile.shared = {{"/run/other"}};
  one.there("/run/other", Kind::folder);
  CHECK(one.plan().cwd == "/run/other");
}

TEST_CASE("sockets outside the jail's own folders are covered, but those that are allowed") {
  Case one;
  one.host.sockets = {
      {.path = "/home/user/.s"}, {.path = "/run/a.sock"}, {.path = "/srv/b.sock"}, {.path = "/tmp/shared/c"}};
  CHECK(targets<MountNull>(one.plan()) == Paths{"/home/user/.s", "/srv/b.sock"});
  one.profile.shared = {{"/tmp/shared"}};
  one.there("/tmp/shared", Kind::folder);
  one.profile.unix_sockets = {{"/srv/b.sock", "/var/run/a.sock"}};
  one.there("/srv/b.sock", Kind::socket);
  one.there("/var/run/a.sock", Kind::socket, "/run/a.sock");
  const ChildPlan child = one.plan();
  CHECK(targets<MountNull>(child) == Paths{"/home/user/.s", "/tmp/shared/c"});
  CHECK(targets<MountShared>(child) == Paths{"/run/a.sock", "/tmp/shared"});
  CHECK(child.sockets == Paths{"/srv/b.sock", "/run/a.sock"});
  // A folder of sockets alone goes as a whole, too, unless the program stands in it or may reach one of them.
  one.host.sockets = {{.path = "/srv/s/1"}, {.path = "/srv/s/2"}, {.path = "/srv/t/3"}};
  one.host.socket_folders = {{.path = "/srv/s"}, {.path = "/srv/t"}};
  one.caller.cwd = "/srv/t";
  const ChildPlan folders = one.plan();
  CHECK(targets<MountEmpty>(folders) == Paths{"/srv/s"});
  CHECK(targets<MountNull>(folders) == Paths{"/srv/s/1", "/srv/s/2", "/srv/t/3"});
  one.host.paths.erase("/srv/b.sock");
  const auto missing = make_plan(make_policy(one.profile), one.host, one.caller);
  REQUIRE(!missing.has_value());
  CHECK(missing.error().what == "there is no unix socket /srv/b.sock");
}

TEST_CASE("a preset opens the socket that the environment names, and passes its variables on") {
  Case one;
  one.caller.environment.insert({{"DISPLAY", ":1"},
                                 {"XAUTHORITY", "/run/user/1000/xauth"},
                                 {"WAYLAND_DISPLAY", "wayland-1"},
                                 {"PULSE_SERVER", "unix:/run/user/1000/pulse/native"},
                                 {"DBUS_SESSION_BUS_ADDRESS", "unix:path=/run/user/1000/bus,guid=0"},
                                 {"SSH_AUTH_SOCK", "/tmp/ssh-x/agent.1"},
                                 {"DOCKER_HOST", "tcp://198.51.100.1:2375"},
                                 {"TMUX", "/tmp/tmux-1000/default,1,0"}});
  for (const char* socket : {"/tmp/.X11-unix/X1", "/run/user/1000/wayland-1", "/run/user/1000/pulse/native",
                             "/run/user/1000/bus", "/tmp/ssh-x/agent.1"})
    one.there(socket, Kind::socket);
  one.there("/run/user/1000/xauth", Kind::file);
  ChildPlan child = one.plan();
  CHECK(child.withheld == Paths{"DBUS_SESSION_BUS_ADDRESS", "DISPLAY", "PULSE_SERVER", "SSH_AUTH_SOCK",
                                "TMUX", "WAYLAND_DISPLAY", "XAUTHORITY"});
  CHECK(!has_variable(child, "DISPLAY"));
  CHECK(has_variable(child, "DOCKER_HOST"));  // the network's: the rules judge it
  CHECK(child.sockets.empty());

  one.profile.unix_sockets = {{"x11", "wayland", "pulse", "session-bus", "ssh-agent", "pipewire"}};
  child = one.plan();
  CHECK(child.withheld == Paths{"TMUX"});
  CHECK(child.sockets == Paths{"/tmp/.X11-unix/X1", "/run/user/1000/wayland-1", "/run/user/1000/pulse/native",
                               "/run/user/1000/bus", "/tmp/ssh-x/agent.1"});
  CHECK(targets<MountShared>(child) == Paths{"/run/user/1000/bus", "/run/user/1000/pulse/native",
                                             "/run/user/1000/wayland-1", "/run/user/1000/xauth",
                                             "/tmp/.X11-unix/X1", "/tmp/ssh-x/agent.1"});
  one.caller.environment["DISPLAY"] = "198.51.100.7:0";
  CHECK(has_variable(one.plan(), "DISPLAY"));
}

TEST_CASE("a variable that leads to a socket allowed by its path is passed on") {
  Case one;
  one.caller.environment["DOCKER_HOST"] = "unix:///run/docker.sock";
  CHECK(one.plan().withheld == Paths{"DOCKER_HOST"});
  one.profile.unix_sockets = {{"/run/docker.sock"}};
  one.there("/run/docker.sock", Kind::socket);
  CHECK(one.plan().withheld.empty());
}

TEST_CASE("devices of the host's are added to the jail's, those that it has") {
  Case one;
  one.profile.devices = {{"/dev/dri", "/dev/snd"}};
  one.there("/dev/dri", Kind::folder);
  CHECK(targets<MountShared>(one.plan()) == Paths{"/dev/dri"});
}

TEST_CASE("a symbolic link that an earlier program could have turned is followed by nobody") {
  Case one;
  one.profile.unix_sockets = {{"/home/user/app/S"}};
  one.there("/home/user/app/S", Kind::link);
  const auto turned = make_plan(make_policy(one.profile), one.host, one.caller);
  REQUIRE(!turned.has_value());
  CHECK(turned.error().hint.find("symbolic link") != std::string::npos);
  one.profile.unix_sockets = {{"x11"}};
  one.caller.environment["XAUTHORITY"] = "/home/user/.Xauthority";
  one.there("/home/user/.Xauthority", Kind::folder, "/run/secret");
  one.caller.command = {"cat", "/tmp/link"};
  one.there("/tmp/link", Kind::link);
  CHECK(targets<MountShared>(one.plan()).empty());
}

TEST_CASE("a variable that goes out of the jail's own folders makes nothing there") {
  Case one;
  one.caller.environment["TMPDIR"] = "/tmp/../srv/x";
  one.caller.environment["XDG_RUNTIME_DIR"] = "/run//user";
  CHECK(targets<MakeFolder>(one.plan()).empty());
}

TEST_CASE("more sockets than can be covered are an error, where they can be reached") {
  Case one;
  for (std::size_t i = 0; i <= kMostCovered; ++i)
    one.host.sockets.push_back({.path = "/tmp/s" + std::to_string(i)});
  CHECK(make_plan(make_policy(one.profile), one.host, one.caller).has_value());
  for (HostFile& socket : one.host.sockets) socket.path = "/srv" + socket.path;
  CHECK(!make_plan(make_policy(one.profile), one.host, one.caller).has_value());
}
