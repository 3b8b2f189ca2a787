// Frames of every kind that a program in a jail cannot even make: somebody with the capability enters its
// network namespace and sends them there. Nothing comes out of the router but what the profile opens. Run in
// both modes: packets.py has the frames.
#include <algorithm>
#include <filesystem>

#include "e2e/fixture.h"
#include "netjail/base/text.h"
#include "netjail/os/fd.h"

using namespace netjail;
using namespace netjail::test;

namespace {

const std::string kScript = std::string(NETJAIL_SOURCE_DIR) + "/tests/e2e/packets.py";

// A program that waits, in a jail that opens what packets.py calls allowed.
struct Waiting {
  Process run;
  pid_t program = -1;
  std::string ipv4, ipv6;  // the jail's addresses

  std::string network() const { return "--net=/proc/" + std::to_string(program) + "/ns/net"; }
};

std::string name_of(pid_t pid) {
  const auto text = read_file("/proc/" + std::to_string(pid) + "/comm", 64);
  return text ? std::string(trim(*text)) : std::string();
}

Waiting wait_in_jail() {
  const std::string profile = world().write("packets.toml", R"([[allow]]
to = ["198.51.100.10", "2001:db8:1::10"]
service = ["7/udp", "443/tcp"]
)");
  Process run =
      world().start({.argv = netjail_command(
                         {"run", "-q", "--profile", profile, "--", "sh", "-c",
                          "ip -o addr show eth0 scope global; echo ready; sleep 100 & read x; kill $!"}),
                     .keep_input_open = true,
                     .deadline = 100s});
  REQUIRE_MESSAGE(run.wait_for("ready"), run.err());
  Waiting waiting{std::move(run)};
  REQUIRE(eventually([&] {
    for (const pid_t pid : descendants(waiting.run.pid()))
      if (name_of(pid) == "sleep") waiting.program = pid;
    return waiting.program > 0;
  }));
  const auto words = split_words(waiting.run.out());
  for (std::size_t i = 0; i + 1 < words.size(); ++i) {
    const std::string address(words[i + 1].substr(0, words[i + 1].find('/')));
    if (words[i] == "inet") waiting.ipv4 = address;
    if (words[i] == "inet6") waiting.ipv6 = address;
  }
  REQUIRE_MESSAGE((!waiting.ipv4.empty() && !waiting.ipv6.empty()), waiting.run.out());
  return waiting;
}

// Who listens on a link: start, then what came.
class Ears {
 public:
  Ears(Place place, const std::string& link) {
    auto started = Process::start(
        place, {.argv = {"python3", kScript, "listen", link}, .keep_input_open = true, .deadline = 100s});
    if (!started) FAIL(render_error(started.error()));
    process_.emplace(std::move(*started));
    REQUIRE_MESSAGE(process_->wait_for("listening"), process_->err());
  }
  Words came() {
    process_->close_input();
    const Outcome outcome = process_->wait();
    REQUIRE_MESSAGE(has(outcome.out, "came:"), outcome.describe());
    const std::string line = outcome.out.substr(outcome.out.find("came:") + 5);
    Words names;
    for (const std::string_view name : split_words(line)) names.emplace_back(name);
    return names;
  }

 private:
  std::optional<Process> process_;
};

bool contains(const Words& names, const std::string& name) {
  return std::ranges::find(names, name) != names.end();
}

// From the jail's link: `what` is empty for all that must not pass, PLAIN for what may.
void send_from(const Waiting& jail, const std::string& what = {}) {
  Words words{"nsenter", jail.network(), "python3", kScript, "send", "eth0", jail.ipv4, jail.ipv6};
  if (!what.empty()) words.push_back(what);
  const Outcome outcome = world().call(words);
  REQUIRE_MESSAGE(outcome.ok(), outcome.describe());
  REQUIRE_MESSAGE(has(outcome.out, what.empty() ? "sent 2" : "sent 4"), outcome.describe());
}

// The wire is quiet once something allowed that was sent later has come.
void wait_quiet(const Waiting& jail) {
  world().servers().forget();
  send_from(jail, "PLAIN");
  CHECK(eventually([] {
    return world().servers().count("udp", "198.51.100.10", 7) > 0 &&
           world().servers().count("udp", "2001:db8:1::10", 7) > 0;
  }));
}

}  // namespace

TEST_CASE("the frames are well-formed: without netjail every one of them arrives") {
  if (!needs_root()) return;
  Ears listener(world().internet().place(), "eth0");
  const Outcome sent = world().call({"python3", kScript, "send", "eth0", "198.51.100.2", "2001:db8:1::2"});
  REQUIRE_MESSAGE(sent.ok(), sent.describe());
  const Words came = listener.came();
  CHECK_MESSAGE(has(sent.out, "sent " + std::to_string(came.size())), sent.out);
  CHECK(came.size() > 200);
}

TEST_CASE("out of a jail comes what the profile opens, and no other frame whatever it is made of") {
  if (!needs_root()) return;
  Waiting jail = wait_in_jail();
  Ears internet(world().internet().place(), "eth0"), lan(world().lan().place(), "eth0");
  std::optional<Ears> router;  // the host's end of the router's link
  if (!rootless()) router.emplace(world().host(), "nj" + std::to_string(jail.run.pid()));
  const Outcome neighbours = world().call({"ip", "neigh"});
  const Outcome routes = world().call({"ip", "-6", "route"});
  world().servers().forget();
  send_from(jail);
  wait_quiet(jail);
  Words came = internet.came();
  CHECK(contains(came, "plain-4"));
  CHECK(contains(came, "plain-6"));
  for (Words other : {lan.came(), router ? router->came() : Words{}})
    came.insert(came.end(), other.begin(), other.end());
  std::erase_if(came, [](const std::string& name) { return name.starts_with("plain"); });
  CHECK_MESSAGE(came.empty(), join(came, " "));
  for (const Arrival& arrival : world().servers().arrivals()) CHECK(arrival.zone == "internet");
  CHECK(world().call({"ip", "-6", "route"}).out == routes.out);  // no router advertisement was believed
  CHECK(has(neighbours.out, "198.51.100.1"));
  jail.run.close_input();
  jail.run.wait();
}

// The same jail, with the router's rules taken away: what would come out is what the rules keep in.
TEST_CASE("it is the rules that keep them in" * only_root("without root pasta drops much by itself")) {
  if (!needs_root()) return;
  Waiting jail = wait_in_jail();
  const std::string own = world().call({"readlink", "/proc/" + std::to_string(jail.program) + "/ns/net"}).out;
  std::error_code error;
  const std::string host_id =
      std::filesystem::read_symlink("/proc/self/fd/" + std::to_string(world().host().network), error)
          .string();
  std::string router;
  for (const pid_t pid : descendants())
    for (const auto& entry :
         std::filesystem::directory_iterator("/proc/" + std::to_string(pid) + "/fd", error)) {
      const std::string target = std::filesystem::read_symlink(entry.path(), error).string();
      if (target.starts_with("net:[") && target + "\n" != own && target != host_id)
        router = entry.path().string();
    }
  REQUIRE(!router.empty());
  const Outcome flushed = world().call({"nsenter", "--net=" + router, "nft", "flush", "ruleset"});
  REQUIRE_MESSAGE(flushed.ok(), flushed.describe());
  Ears host(world().host(), "nj" + std::to_string(jail.run.pid()));
  send_from(jail);
  wait_quiet(jail);
  const Words came = host.came();
  for (const std::string name :
       {"spoof-other",   "record",          "routing4",         "routing-behind",  "port-4",
        "port-6",        "ack-port-4",      "fast-open-6",      "hop-port",        "tiny",
        "split",         "protocol47-4",    "protocol4-6",      "protocol132-4",   "icmp3-other",
        "icmp8-allowed", "icmp6-128-other", "to-192.168.77.10", "to-198.51.100.2", "to-2001:db8:1::2"})
    CHECK_MESSAGE(contains(came, name), name);
  MESSAGE(came.size() << " kinds of frames come out without the rules");
  jail.run.close_input();
  jail.run.wait();
}

TEST_CASE("a run sends nothing of its own: not at its start, not at its end") {
  if (!needs_root()) return;
  FakeWorld fresh = make_world();
  const auto run = [&](const Words& words) {
    Words arguments{"--profile", "internet", "--"};
    arguments.insert(arguments.end(), words.begin(), words.end());
    const Outcome outcome = fresh.netjail(arguments);
    CHECK_MESSAGE(outcome.ok(), outcome.describe());
  };
  const auto ping = [&] {
    REQUIRE(fresh.probe({"ping", "198.51.100.1"}).ok());
  };  // sent later than all before
  ping();
  fresh.servers().forget();
  for (int i = 0; i < 10; ++i) run({"true"});
  ping();
  auto packets = fresh.servers().packets();
  std::erase_if(packets, [](const test::Packet& packet) { return packet.destination == "198.51.100.1"; });
  CHECK_MESSAGE(packets.empty(), describe(packets));
  run({kProbe, "echo", "198.51.100.10", "443"});
  run({kProbe, "echo", "2001:db8:1::10", "443"});
  CHECK(fresh.servers().packets().size() > 6);  // what is sent is seen
}
