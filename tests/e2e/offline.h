// A program of the world's user, with a home of his, under a profile that opens nothing.
#pragma once

#include <unistd.h>

#include <filesystem>
#include <map>
#include <string>
#include <utility>

#include "e2e/fixture.h"

namespace netjail::test {

inline constexpr const char* kShut = "[network]\nuplink = \"none\"\n";

inline std::string home() {
  const std::string path = world().directory() + "/home";
  std::filesystem::create_directories(path);
  if (rootless()) REQUIRE(::chown(path.c_str(), kOrdinaryUser, kOrdinaryUser) == 0);
  return path;
}

inline Outcome jailed(Words options, const Words& command, const std::string& directory = "/",
                      std::map<std::string, std::string> environment = {}) {
  options.insert(options.begin(), {"run", "--profile", "offline"});
  options.emplace_back("--");
  options.insert(options.end(), command.begin(), command.end());
  environment.try_emplace("HOME", home());
  return world().run(
      {.argv = netjail_command(options), .environment = std::move(environment), .directory = directory});
}

inline Words connect(const std::string& path) { return {kProbe, "unix", path}; }

}  // namespace netjail::test
