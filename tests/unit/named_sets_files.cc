// Reading the files of named sets, below a folder that stands for /.
#include <doctest/doctest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>

#include "netjail/base/text.h"
#include "netjail/profile/load.h"

using namespace netjail;
namespace fs = std::filesystem;

namespace {

class Root {
 public:
  Root() {
    std::string name = (fs::temp_directory_path() / "netjail-sets-XXXXXX").string();
    REQUIRE(::mkdtemp(name.data()) != nullptr);
    path = name;
  }
  ~Root() { fs::remove_all(path); }
  Root(const Root&) = delete;
  Root& operator=(const Root&) = delete;

  void write(const std::string& name, const std::string& text = "x") const {
    fs::create_directories(fs::path(path + name).parent_path());
    std::ofstream(path + name, std::ios::binary) << text;
  }
  // The files that are there, from the root on; or the error.
  std::string read(const std::string& set) const { return read(set, {::getuid(), path + "/home"}); }
  std::string read(const std::string& set, const ConfigUser& user) const {
    const auto files = read_set_files({set}, user, path);
    if (!files) return render_error(files.error());
    REQUIRE(files->size() == 1);
    std::vector<std::string> found;
    for (const auto& file : files->at(set))
      if (file.text) found.push_back(file.path.substr(path.size()));
    return join(found, " ");
  }
  std::size_t looked_at(const std::string& set) const {
    return read_set_files({set}, {::getuid(), path + "/home"}, path)->at(set).size();
  }

  std::string path;
};

bool has(std::string_view text, std::string_view part) { return text.find(part) != text.npos; }

}  // namespace

TEST_CASE("the files that each set is read from, the nearest first") {
  const Root root;
  for (const auto set : set_names()) CHECK(root.read(std::string(set)) == "");
  CHECK(root.looked_at("@apt-sources") == 2);
  CHECK(root.looked_at("@npm-registry") == 4);
  CHECK(root.looked_at("@pip-index") == 4);
  for (const auto* name :
       {"/home/.npmrc", "/etc/npmrc", "/usr/etc/npmrc", "/usr/local/etc/npmrc", "/home/.pip/pip.conf",
        "/home/.config/pip/pip.conf", "/etc/pip.conf", "/etc/xdg/pip/pip.conf", "/etc/apt/sources.list",
        "/etc/apt/sources.list.d/b.list", "/etc/apt/sources.list.d/a.sources",
        "/etc/apt/sources.list.d/c.list.save", "/etc/apt/sources.list.d/.d.list",
        "/etc/apt/sources.list.d/e~x.list", "/etc/apt/sources.list.d/f.list.disabled"})
    root.write(name);
  CHECK(root.read("@apt-sources") ==
        "/etc/apt/sources.list /etc/apt/sources.list.d/a.sources /etc/apt/sources.list.d/b.list");
  CHECK(root.read("@npm-registry") == "/home/.npmrc /etc/npmrc /usr/local/etc/npmrc /usr/etc/npmrc");
  CHECK(root.read("@pip-index") ==
        "/home/.config/pip/pip.conf /home/.pip/pip.conf /etc/pip.conf /etc/xdg/pip/pip.conf");
  // Without a home of one's own, or with one that depends on the working directory, only the system's.
  CHECK(root.read("@npm-registry", {::getuid(), ""}) == "/etc/npmrc /usr/local/etc/npmrc /usr/etc/npmrc");
  CHECK(root.read("@npm-registry", {::getuid(), "."}) == "/etc/npmrc /usr/local/etc/npmrc /usr/etc/npmrc");
}

TEST_CASE("what is there and cannot be read is an error") {
  const Root root;
  fs::create_directories(root.path + "/home/.npmrc");
  CHECK(has(root.read("@npm-registry"), "/home/.npmrc: not a regular file"));
  CHECK(root.read("@pip-index") == "");
  root.write("/home/.pip/pip.conf", std::string((1u << 20) + 1, '#'));
  CHECK(has(root.read("@pip-index"), "larger than 1 MiB"));
  root.write("/home/.pip/pip.conf", std::string(1u << 20, '#'));
  CHECK(root.read("@pip-index") == "/home/.pip/pip.conf");
  root.write("/home/.config", "a file");
  CHECK(root.read("@pip-index") == "/home/.pip/pip.conf");
  REQUIRE(::mkdir((root.path + "/etc").c_str(), 0755) == 0);
  REQUIRE(::mkfifo((root.path + "/etc/pip.conf").c_str(), 0644) == 0);
  CHECK(has(root.read("@pip-index"), "not a regular file"));
  root.write("/etc/apt/sources.list.d", "a file");
  CHECK(has(root.read("@apt-sources"), "sources.list.d"));
  fs::remove(root.path + "/etc/apt/sources.list.d");
  for (int i = 0; i < 1000; ++i) root.write("/etc/apt/sources.list.d/" + std::to_string(i) + ".list", "");
  CHECK(has(root.read("@apt-sources"), "more than 1000 files"));
  fs::remove(root.path + "/etc/apt/sources.list.d/0.list");
  CHECK(root.looked_at("@apt-sources") == 1000);
}

TEST_CASE("root reads for a user what that user could read") {
  const Root root;
  root.write("/secret", "registry=https://a.example.org");
  fs::create_directories(root.path + "/home");
  fs::create_symlink(root.path + "/secret", root.path + "/home/.npmrc");
  const auto mode = [&](unsigned bits) { fs::permissions(root.path + "/secret", fs::perms(bits)); };
  const uid_t other = ::getuid() + 1;
  // A file of the caller's own, by whatever way.
  mode(0600);
  CHECK(root.read("@npm-registry") == "/home/.npmrc");
  CHECK(has(root.read("@npm-registry", {other, root.path + "/home"}), "belongs to another user"));
  mode(0644);
  // Root's, which everybody may read; but nobody else's.
  const std::string found = root.read("@npm-registry", {other, root.path + "/home"});
  CHECK(has(found, ::getuid() == 0 ? "/home/.npmrc" : "belongs to another user"));
  if (::getuid() != 0) return;
  REQUIRE(::chown((root.path + "/secret").c_str(), 12345, 12345) == 0);
  CHECK(has(root.read("@npm-registry"), "belongs to another user"));
  CHECK(root.read("@npm-registry", {12345, root.path + "/home"}) == "/home/.npmrc");
}
