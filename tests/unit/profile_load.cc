// Finding, extending and merging profiles, in folders of their own. And the shipped ones.
#include "netjail/profile/load.h"

#include <doctest/doctest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>

using namespace netjail;
namespace fs = std::filesystem;

namespace {

const ServiceTable& services() {
  static const ServiceTable table;
  return table;
}

// A folder with user/ and system/ in it, gone at the end.
class Folders {
 public:
  Folders() {
    std::string name = (fs::temp_directory_path() / "netjail-profile-XXXXXX").string();
    REQUIRE(::mkdtemp(name.data()) != nullptr);
    root = name;
    fs::create_directories(root + "/user");
    fs::create_directories(root + "/system");
  }
  ~Folders() { fs::remove_all(root); }
  Folders(const Folders&) = delete;
  Folders& operator=(const Folders&) = delete;

  std::string write(const std::string& name, const std::string& text) const {
    const std::string file = root + '/' + name;
    fs::create_directories(fs::path(file).parent_path());
    std::ofstream(file, std::ios::binary) << text;
    return file;
  }
  SearchPath path() const { return {{root + "/user", root + "/system"}}; }

  std::string root;
};

// A rule that can be told from others.
std::string rule(int octet) { return "[[allow]]\nto = [\"198.51.100." + std::to_string(octet) + "\"]\n"; }

std::string rules_of(const Profile& profile) {
  std::string out;
  for (const auto& rule : profile.rules) out += rule.to[0].text.substr(rule.to[0].text.rfind('.') + 1) + ' ';
  return out;
}

LoadedProfile load(const Folders& folders, const std::string& argument) {
  auto loaded = load_profile(argument, folders.path(), services());
  if (!loaded) {
    if (loaded.error().error) FAIL(render_error(*loaded.error().error));
    FAIL(render_diagnostics(loaded.error().diagnostics));
  }
  return *loaded;
}

LoadFailure failure(const Folders& folders, const std::string& argument) {
  auto loaded = load_profile(argument, folders.path(), services());
  REQUIRE_FALSE(loaded);
  // Never both, never neither.
  CHECK(loaded.error().error.has_value() == loaded.error().diagnostics.empty());
  return loaded.error();
}

using Ports = std::vector<std::uint16_t>;

bool has(const std::string& text, const std::string& part) {
  CAPTURE(text);
  CAPTURE(part);
  return text.find(part) != text.npos;
}

}  // namespace

TEST_CASE("the search path") {
  const auto built = make_search_path("", "/src/netjail/build/dev/src/netjail").folders;
  CHECK(built == std::vector<std::string>{"/etc/netjail/profiles", "/src/netjail/profiles",
                                          NETJAIL_DATADIR "/profiles"});
  const auto installed = make_search_path("/c", "/opt/netjail/bin/netjail").folders;
  CHECK(installed == std::vector<std::string>{"/c/netjail/profiles", "/etc/netjail/profiles",
                                              "/opt/netjail/share/netjail/profiles",
                                              NETJAIL_DATADIR "/profiles"});
  // A relative XDG_CONFIG_HOME is ignored; /usr/bin/../../../profiles is nobody's source tree.
  CHECK(make_search_path("config", "").folders ==
        std::vector<std::string>{"/etc/netjail/profiles", NETJAIL_DATADIR "/profiles"});
}

TEST_CASE("by name, nearest folder first, with and without the suffix") {
  const Folders folders;
  const auto near = folders.write("user/a.toml", rule(1));
  folders.write("system/a.toml", rule(2));
  const auto far = folders.write("system/b.toml", rule(3));
  CHECK(load(folders, "a").files == std::vector<std::string>{near});
  CHECK(load(folders, "a").profile.name == "a");
  CHECK(load(folders, "a.toml").files == std::vector<std::string>{near});
  CHECK(load(folders, "b").files == std::vector<std::string>{far});
}

TEST_CASE("by path") {
  const Folders folders;
  const auto file = folders.write("elsewhere/c.toml", rule(1));
  const auto bare = folders.write("elsewhere/d", rule(2));
  CHECK(load(folders, file).profile.name == "c");
  CHECK(load(folders, bare).profile.name == "d");
  const auto missing = failure(folders, folders.root + "/elsewhere/c");
  REQUIRE(missing.error);
  CHECK(has(missing.error->what, "there is no file"));
  CHECK(has(missing.error->hint, "elsewhere/c.toml"));

  // The working directory: only as it is written, with .toml.
  const auto before = fs::current_path();
  fs::current_path(folders.root + "/elsewhere");
  folders.write("user/e.toml", rule(3));
  folders.write("elsewhere/e.toml", rule(4));
  CHECK(rules_of(load(folders, "e.toml").profile) == "4 ");
  CHECK(rules_of(load(folders, "e").profile) == "3 ");
  CHECK(rules_of(load(folders, "./e.toml").profile) == "4 ");
  // A program's name is no path: "e.toml" as a program does not pick up what lies here.
  const auto loaded = load_profile_for("e.toml", folders.path(), services());
  CHECK_FALSE((loaded && rules_of(loaded->profile) == "4 "));
  fs::current_path(before);
}

TEST_CASE("what is not found says where it was looked for, and what was perhaps meant") {
  const Folders folders;
  folders.write("system/browser.toml", rule(1));
  const auto missing = failure(folders, "browsr");
  REQUIRE(missing.error);
  CHECK(has(missing.error->what, "'browsr'"));
  CHECK(has(missing.error->hint, "'browser'"));
  CHECK(has(missing.error->hint, folders.root + "/user"));
  CHECK(has(missing.error->hint, folders.root + "/system"));
  CHECK(missing.error->status == 125);
  for (const auto& name : std::vector<std::string>{"", ".", "..", "a\nb", std::string(300, 'x')})
    CHECK(failure(folders, name).error);
  CHECK(failure(folders, std::string("browser\0x", 9)).error);
}

TEST_CASE("what cannot be read is an error, and no reason to take a farther file") {
  const Folders folders;
  folders.write("system/a.toml", rule(1));
  fs::create_directory(folders.root + "/user/a.toml");
  const auto folder = failure(folders, "a");
  REQUIRE(folder.error);
  CHECK(has(folder.error->what, "not a regular file"));

  folders.write("system/b.toml", rule(1));
  fs::create_symlink(folders.root + "/nowhere", folders.root + "/user/b.toml");
  CHECK(failure(folders, "b").error);

  folders.write("user/c.toml", std::string("\x7f"
                                           "ELF\0\0",
                                           6));
  CHECK(has(failure(folders, "c").diagnostics.at(0).message, "binary"));

  REQUIRE(::mkfifo((folders.root + "/user/d.toml").c_str(), 0600) == 0);
  CHECK(failure(folders, "d").error);

  const auto huge = folders.write("user/e.toml", "");
  fs::resize_file(huge, (16u << 20) + 1);
  CHECK(has(failure(folders, "e").error.value().what, "larger than 16 MiB"));

  if (::geteuid() == 0) {
    // As an ordinary user in a child: root reads everything.
    const auto secret = folders.write("user/f.toml", rule(1));
    folders.write("system/f.toml", rule(2));
    fs::permissions(folders.root, fs::perms::all);
    fs::permissions(folders.root + "/user",
                    fs::perms::owner_all | fs::perms::others_exec | fs::perms::others_read);
    fs::permissions(secret, fs::perms::owner_read);
    REQUIRE(::seteuid(65534) == 0);
    const auto unreadable = load_profile("f", folders.path(), services());
    REQUIRE(::seteuid(0) == 0);
    REQUIRE_FALSE(unreadable);
    CHECK(has(render_error(unreadable.error().error.value()), "Permission denied"));
  } else {
    const auto secret = folders.write("user/f.toml", rule(1));
    fs::permissions(secret, fs::perms::none);
    CHECK(has(render_error(failure(folders, "f").error.value()), "Permission denied"));
  }
}

TEST_CASE("the profile named like the program, else default") {
  const Folders folders;
  folders.write("system/default.toml", rule(1));
  folders.write("user/make.toml", rule(2));
  const auto name_for = [&](const std::string& program) {
    const auto loaded = load_profile_for(program, folders.path(), services());
    return loaded ? loaded->profile.name : std::string("failure");
  };
  CHECK(name_for("make") == "make");
  CHECK(name_for("/usr/bin/make") == "make");
  CHECK(name_for("./cmake") == "default");
  CHECK(name_for("") == "default");
  CHECK(name_for("..") == "default");
  // A wrong one is a failure, not the default.
  folders.write("user/cc.toml", "nonsense\n");
  CHECK(name_for("cc") == "failure");
  fs::remove(folders.root + "/system/default.toml");
  const auto none = load_profile_for("ls", folders.path(), services());
  REQUIRE_FALSE(none);
  CHECK(has(none.error().error.value().hint, folders.root + "/system"));
}

TEST_CASE("extends: what is extended is farther, lists add up") {
  const Folders folders;
  folders.write("system/base.toml",
                "description = \"base\"\n[network]\nrefuse = \"drop\"\nipv6 = false\n[seccomp]\nfamilies = "
                "[\"inet\", \"unix\"]\n"
                "[process]\ngroups = [\"a\"]\nuser-namespaces = true\nmount-namespaces = true\nenvironment = "
                "{ A = \"1\", B = \"1\" }\n" +
                    rule(1));
  folders.write("system/more.toml", rule(2));
  folders.write(
      "user/top.toml",
      "extends = [\"base\", \"./deep/other.toml\", \"more.toml\"]\n[network]\nrefuse = "
      "\"reject\"\n[seccomp]\nfamilies = [\"inet\", "
      "\"can\"]\n[process]\ngroups = [\"b\", \"a\"]\nuser-namespaces = false\nenvironment = { B = \"2\" }\n" +
          rule(4));
  folders.write("user/deep/other.toml", rule(3) + "[log]\ndenied = false\n");
  const LoadedProfile loaded = load(folders, "top");
  const Profile& profile = loaded.profile;
  CHECK(profile.name == "top");
  CHECK(profile.description == "base");
  CHECK(rules_of(profile) == "1 3 2 4 ");
  CHECK(profile.refuse == Refuse::reject);
  CHECK(profile.ipv6 == false);
  CHECK(profile.log_denied == false);
  CHECK(profile.user_namespaces == false);
  CHECK(profile.mount_namespaces == true);
  CHECK(profile.seccomp_families == std::vector<std::string>{"inet", "unix", "can"});
  CHECK(profile.groups == std::vector<std::string>{"a", "b"});
  CHECK(profile.environment == std::map<std::string, std::string>{{"A", "1"}, {"B", "2"}});
  CHECK(profile.rules[0].where.file == folders.root + "/system/base.toml");
  CHECK(loaded.files ==
        std::vector<std::string>{folders.root + "/user/top.toml", folders.root + "/system/base.toml",
                                 folders.root + "/user/deep/other.toml", folders.root + "/system/more.toml"});
}

TEST_CASE("extends: beside the file first, a file reached twice counts once") {
  const Folders folders;
  folders.write("user/base.toml", rule(1));
  folders.write("system/base.toml", rule(2));
  folders.write("system/left.toml", "extends = [\"base\"]\n" + rule(3));
  folders.write("system/right.toml", "extends = [\"./base.toml\"]\n" + rule(4));
  folders.write("system/top.toml", "extends = [\"left\", \"right\"]\n");
  CHECK(rules_of(load(folders, "top").profile) == "2 3 4 ");
}

TEST_CASE("extends: circles are shown whole") {
  const Folders folders;
  folders.write("user/a.toml", "extends = [\"b\"]\n");
  folders.write("user/b.toml", "description = \"x\"\nextends = [\"c\"]\n");
  folders.write("user/c.toml", "extends = [\n  \"../user/b.toml\",\n]\n");
  const auto circle = failure(folders, "a").diagnostics;
  REQUIRE(circle.size() == 1);
  const std::string user = folders.root + "/user/";
  CHECK(circle[0].where == Position{user + "c.toml", 2, 3});
  CHECK(circle[0].width == 16);
  CHECK(circle[0].source_line == "  \"../user/b.toml\",");
  CHECK(circle[0].message == "profiles extend each other in a circle: " + user + "b.toml -> " + user +
                                 "c.toml -> " + user + "b.toml");

  folders.write("user/self.toml", "extends = \"self\"\n");
  CHECK(has(failure(folders, "self").diagnostics.at(0).message, "self.toml -> "));
  // The same file under another name.
  fs::create_symlink(user + "link.toml", user + "other.toml");
  folders.write("user/link.toml", "extends = \"other\"\n");
  CHECK(has(failure(folders, "link").diagnostics.at(0).message, "in a circle"));
}

TEST_CASE("extends: depth and number have an end") {
  const Folders folders;
  for (int i = 0; i < 40; ++i)
    folders.write("user/p" + std::to_string(i) + ".toml", "extends = [\"p" + std::to_string(i + 1) + "\"]\n");
  folders.write("user/p40.toml", "");
  CHECK(has(failure(folders, "p0").diagnostics.at(0).message, "more than 16"));
  CHECK(load(folders, "p30").files.size() == 11);
  std::string all = "extends = [";
  for (int i = 0; i < 300; ++i) {
    folders.write("user/q" + std::to_string(i) + ".toml", "");
    all += "\"q" + std::to_string(i) + "\", ";
  }
  folders.write("user/wide.toml", all + "]\n");
  CHECK(has(failure(folders, "wide").diagnostics.at(0).message, "more than 256 files"));
}

TEST_CASE("extends: what is missing or wrong, all of it at once") {
  const Folders folders;
  folders.write("system/internet.toml", rule(1));
  folders.write("user/bad.toml", "[network]\nipv6 = 1\n");
  folders.write("user/a.toml", "extends = [\"internt\", \"./none.toml\", \"bad\", \"./folder\"]\n");
  fs::create_directory(folders.root + "/user/folder");
  const auto mistakes = failure(folders, "a").diagnostics;
  REQUIRE(mistakes.size() == 4);
  CHECK(mistakes[0].where == Position{folders.root + "/user/bad.toml", 2, 8});
  CHECK(mistakes[1].where.column == 12);
  CHECK(has(mistakes[1].message, "there is no profile 'internt'; searched: " + folders.root + "/user, "));
  CHECK(has(mistakes[1].suggestion, "'internet'"));
  CHECK(mistakes[2].where.column == 23);
  CHECK(has(mistakes[2].message, "there is no file " + folders.root + "/user/none.toml"));
  CHECK(mistakes[3].where.column == 45);
  CHECK(has(mistakes[3].message, "not a regular file"));
}

TEST_CASE("NAME.local.toml beside the profile comes last") {
  const Folders folders;
  folders.write("user/a.toml", "extends = [\"base\"]\n[network]\nipv6 = true\nrefuse = \"drop\"\n" + rule(1));
  folders.write("user/a.local.toml", "[network]\nipv6 = false\n" + rule(2));
  folders.write("user/base.toml", rule(3));
  folders.write("user/base.local.toml", rule(4) + "[network]\nrefuse = \"reject\"\n");
  const auto loaded = load(folders, "a");
  CHECK(rules_of(loaded.profile) == "3 4 1 2 ");
  CHECK(loaded.profile.name == "a");
  CHECK(loaded.profile.ipv6 == false);
  CHECK(loaded.profile.refuse == Refuse::drop);
  CHECK(loaded.files.size() == 4);
  // A path has its own, too; what is no .toml has none.
  CHECK(rules_of(load(folders, folders.root + "/user/a.toml").profile) == "3 4 1 2 ");
  // A wrong one is not passed over.
  folders.write("user/a.local.toml", "[[allow]]\nto = [\"1.2.3\"]\n");
  CHECK(failure(folders, "a").diagnostics.at(0).where == Position{folders.root + "/user/a.local.toml", 2, 7});
  fs::remove(folders.root + "/user/a.local.toml");
  fs::create_directory(folders.root + "/user/a.local.toml");
  const auto unreadable = failure(folders, "a").diagnostics;
  CHECK(has(unreadable.at(0).message, "not a regular file"));
}

TEST_CASE("NAME.local.toml in a nearer folder adds to a profile of the system") {
  const Folders folders;
  folders.write("system/a.toml", rule(1));
  folders.write("system/a.local.toml", rule(2) + "[network]\nipv6 = true\n");
  folders.write("user/a.local.toml", rule(3) + "[network]\nipv6 = false\n");
  CHECK(rules_of(load(folders, "a").profile) == "1 2 3 ");
  CHECK(load(folders, "a").profile.ipv6 == false);
  CHECK(rules_of(load_profile_for("a", folders.path(), services())->profile) == "1 2 3 ");
  // By its path it is that file, with what stands beside it.
  CHECK(rules_of(load(folders, folders.root + "/system/a.toml").profile) == "1 2 ");
  // A nearer profile of the name has nothing to do with the farther folder.
  folders.write("user/a.toml", rule(4));
  CHECK(rules_of(load(folders, "a").profile) == "4 3 ");
}

TEST_CASE("the list of profiles") {
  const Folders folders;
  folders.write("user/b.toml", "description = \"near\"\n");
  folders.write("system/b.toml", "description = \"far\"\n");
  folders.write("system/a.toml", "description = \"first\"\n");
  folders.write("system/c.toml", "[network]\nipv6 = 1\n");
  folders.write("system/b.local.toml", "");
  folders.write("system/.hidden.toml", "");
  folders.write("system/README", "");
  fs::create_directory(folders.root + "/user/d.toml");
  const auto entries = list_profiles(folders.path(), services());
  REQUIRE(entries.size() == 4);
  CHECK(entries[0].name == "a");
  CHECK(entries[0].description == "first");
  CHECK(entries[1].name == "b");
  CHECK(entries[1].file == folders.root + "/user/b.toml");
  CHECK(entries[1].description == "near");
  CHECK(entries[1].valid);
  CHECK_FALSE(entries[2].valid);
  CHECK(has(entries[2].description, "c.toml:2:8: "));
  CHECK_FALSE(entries[3].valid);
  CHECK(list_profiles({{folders.root + "/none"}}, services()).empty());
}

TEST_CASE("merge with nothing changes nothing") {
  const Folders folders;
  folders.write(
      "user/a.toml",
      "description = \"x\"\n[network]\ndns = \"none\"\nuplink = \"none\"\n[process]\nuser = \"u\"\n" +
          rule(1));
  const Profile profile = load(folders, "a").profile;
  CHECK(merge(profile, Profile{}) == profile);
  CHECK(merge(Profile{}, profile) == profile);
}

TEST_CASE("every shipped profile loads and keeps its word") {
  const SearchPath shipped{{NETJAIL_SOURCE_DIR "/profiles"}};
  for (const auto& entry : list_profiles(shipped, services())) {
    CAPTURE(entry.name);
    CAPTURE(entry.description);
    CHECK(entry.valid);
    CHECK_FALSE(entry.description.empty());
  }
  const auto shipped_profile = [&](const std::string& name) {
    auto loaded = load_profile(name, shipped, services());
    REQUIRE(loaded);
    return loaded->profile;
  };
  CHECK(list_profiles(shipped, services()).size() >= 10);
  CHECK(shipped_profile("default").rules.empty());
  CHECK(shipped_profile("offline").rules.empty());
  CHECK(shipped_profile("offline").uplink == UplinkChoice::none);
  for (const auto* name : {"internet", "browser", "ci"}) {
    const Profile profile = shipped_profile(name);
    CHECK_FALSE(profile.rules.empty());
    for (const auto& rule : profile.rules) {
      CHECK_FALSE(rule.local);
      CHECK_FALSE(rule.purpose.empty());
      CHECK(rule.services.empty() == (std::string(name) == "internet"));
      for (const auto& destination : rule.to) CHECK(destination.kind == Destination::Kind::internet);
    }
  }
  for (const auto* name : {"git", "agent"}) {
    for (const auto& rule : shipped_profile(name).rules) {
      CHECK_FALSE(rule.local);
      CHECK_FALSE(rule.purpose.empty());
      CHECK_FALSE(rule.services.empty());
      for (const auto& destination : rule.to) {
        CHECK(destination.kind == Destination::Kind::name);
        CHECK_FALSE(destination.pattern.below);
      }
    }
  }
  CHECK(shipped_profile("agent").rules.size() > shipped_profile("git").rules.size());
  for (const auto& [name, set] : std::vector<std::pair<std::string, std::string>>{
           {"apt", "@apt-sources"}, {"node", "@npm-registry"}, {"python", "@pip-index"}}) {
    CHECK(sets_of(shipped_profile(name)) == std::vector{set});
    REQUIRE(shipped_profile(name).rules.size() == 1);
    CHECK(shipped_profile(name).rules[0].to.size() == 1);
    CHECK_FALSE(shipped_profile(name).rules[0].purpose.empty());
  }
  const auto allows = [&](const std::string& name, std::uint8_t protocol, std::uint16_t port) {
    for (const auto& rule : shipped_profile(name).rules) {
      for (const auto& service : rule.services) {
        if (matches(service, Flow{*parse_ip("198.51.100.1"), protocol, port, 0})) return true;
      }
    }
    return false;
  };
  for (const auto port : Ports{80, 443, 8080, 8443}) CHECK(allows("browser", kTcp, port));
  CHECK(allows("browser", kUdp, 443));
  for (const auto port : Ports{22, 25, 53, 853, 5432}) CHECK_FALSE(allows("browser", kTcp, port));
  for (const auto port : Ports{80, 443, 22, 9418}) CHECK(allows("ci", kTcp, port));
  for (const auto port : Ports{25, 53, 5432, 8080}) CHECK_FALSE(allows("ci", kTcp, port));
  for (const auto port : Ports{22, 443}) CHECK(allows("git", kTcp, port));
  for (const auto port : Ports{80, 9418}) CHECK_FALSE(allows("agent", kTcp, port));
  CHECK_FALSE(allows("agent", kUdp, 443));
}
