// The fake world with a "forge" in it: what git, npm, apt, pip and curl fetch from (forge.py), under names of
// its own and some that the shipped profiles name; and the calls with which a real client is tried.
#pragma once

#include "e2e/fixture.h"
#include "netjail/base/text.h"
#include "support/annex.h"

namespace netjail::test {

inline const std::string kCaller = std::to_string(rootless() ? kOrdinaryUser : 0);
inline const char* const kAuthority = "/srv/authority.pem";  // of the forge's certificate

// A folder that the caller may write.
inline std::string home() {
  const std::string path = "/srv/caller";
  const Outcome made = world().call({"install", "-d", "-o", kCaller, "-g", kCaller, path});
  REQUIRE_MESSAGE(made.ok(), made.describe());
  return path;
}

struct Forge {
  Annex annex;
  Process server;
};

inline Forge make_forge() {
  const std::string names[] = {"forge.test", "registry.forge.test", "github.com", "api.openai.com",
                               "raw.githubusercontent.com"};
  DnsTable table = default_dns_table();
  std::string alternatives = "subjectAltName=";
  for (const std::string& name : names) {
    table[name].records = {dns_address("203.0.113.70"), dns_address("2001:db8:7::70")};
    alternatives += (alternatives.ends_with('=') ? "DNS:" : ",DNS:") + name;
  }
  world().servers().set_dns(table);
  const std::string folder = world().directory();
  // ssh wants its user to be in passwd(5).
  const Outcome made = world().call(
      {"sh", "-ec",
       "cd " + folder +
           "\nopenssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2 "
           "-subj /CN=forge.test -addext " +
           alternatives + " -keyout key.pem -out " + kAuthority + "\ncat key.pem " + kAuthority +
           " >pair.pem\ncp /etc/passwd passwd\necho caller:x:61999:61999::/srv/caller:/bin/sh >>passwd\n"
           "mount --bind passwd /etc/passwd"});
  if (!made.ok()) FAIL(made.describe());
  auto annex = Annex::create(world());
  if (!annex) FAIL(render_error(annex.error()));
  auto server = annex->serve("forge.py", {folder + "/tree", folder + "/pair.pem"});
  if (!server) FAIL(render_error(server.error()));
  return {std::move(*annex), std::move(*server)};
}

// One for the whole file.
inline Forge& forge() {
  static Forge made = make_forge();
  return made;
}

inline Command at_home(Words argv) {
  return {.argv = std::move(argv),
          .environment = {{"HOME", home()}, {"GIT_TERMINAL_PROMPT", "0"}, {"GIT_SSL_CAINFO", kAuthority}},
          .directory = home(),
          .deadline = 20s};
}

inline Outcome unjailed(const Words& words) { return world().run(at_home(words)); }

inline Outcome jailed(const Words& options, const Words& words) {
  Words arguments{"run"};
  arguments.insert(arguments.end(), options.begin(), options.end());
  arguments.emplace_back("--");
  arguments.insert(arguments.end(), words.begin(), words.end());
  return world().run(at_home(netjail_command(arguments)));
}

// A client that talks to `name` shows `sign` without netjail and where the name is allowed. Where another
// name is, it fails at once, the refusal is told, and nothing has left.
inline void check_client(const std::string& name, const Words& words, const std::string& sign) {
  CAPTURE(join(words, " "));
  const Outcome outside = unjailed(words);
  CHECK_MESSAGE(outside.ok(), outside.describe());
  CHECK_MESSAGE(has(outside.out, sign), outside.describe());
  const Outcome allowed = jailed({"--allow", name}, words);
  CHECK_MESSAGE(allowed.ok(), allowed.describe());
  CHECK_MESSAGE(has(allowed.out, sign), allowed.describe());
  world().servers().forget();
  const Outcome refused = jailed({"--allow", "v4only.test"}, words);
  CHECK_MESSAGE(!refused.ok(), refused.describe());
  CHECK_MESSAGE(!has(refused.out, sign), refused.describe());
  CHECK_MESSAGE(has(refused.err, "look-up of " + name), refused.describe());
  CHECK_MESSAGE(refused.took < 3s, refused.describe());
  CHECK_MESSAGE(world().servers().arrivals().empty(), describe(world().servers().arrivals()));
}

}  // namespace netjail::test
