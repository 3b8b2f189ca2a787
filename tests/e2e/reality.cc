// The third oracle of DESIGN.md section 8: flows of random policies, sent as real packets through a live
// jail, get the verdict of decide(), and the rule that it names is the one that the kernel counted.
#include <doctest/doctest.h>

#include <map>
#include <random>

#include "e2e/fixture.h"
#include "netjail/policy/policy.h"
#include "netjail/profile/profile.h"

using namespace netjail;
using namespace netjail::test;

namespace {

using Random = std::mt19937_64;

std::size_t pick(Random& random, std::size_t below) {
  return std::uniform_int_distribution<std::size_t>(0, below - 1)(random);
}

// Servers of the world, of the internet and of the local network.
const std::vector<std::string> kServers{"198.51.100.10",  "198.51.100.11",  "203.0.113.10",  "203.0.113.11",
                                        "2001:db8:1::10", "2001:db8:2::10", "192.168.77.10", "10.77.0.10",
                                        "fd77::10",       "172.16.77.10"};
const std::vector<std::string> kTo{"internet",        "any",
                                   "198.51.100.0/24", "198.51.100.10",
                                   "203.0.113.8/29",  "2001:db8:1::/64",
                                   "2001:db8:2::10",  "192.168.0.0/16",
                                   "10.77.0.10",      "fd77::/64",
                                   "0.0.0.0/0"};
const std::vector<std::string> kServices{"443/tcp", "7",        "22-100/tcp", "7/udp",
                                         "443/udp", "5432/tcp", "tcp",        "http"};
const std::vector<std::pair<std::string, int>> kPorts{{"tcp", 443}, {"tcp", 7},   {"tcp", 22},  {"tcp", 80},
                                                      {"udp", 7},   {"udp", 443}, {"tcp", 5432}};

std::string random_profile(Random& random) {
  std::string text;
  for (std::size_t i = 1 + pick(random, 4); i > 0; --i) {
    text += pick(random, 3) == 0 ? "[[deny]]\n" : "[[allow]]\n";
    text += "to = [\"" + kTo[pick(random, kTo.size())] + "\", \"" + kTo[pick(random, kTo.size())] + "\"]\n";
    if (pick(random, 3) != 0) text += "service = [\"" + kServices[pick(random, kServices.size())] + "\"]\n";
    if (text.ends_with("]\n") && text.rfind("[[allow]]") != std::string::npos &&
        text.rfind("[[allow]]") > text.rfind("[[deny]]") + 1 && pick(random, 3) == 0)
      text += "local = true\n";
  }
  return text;
}

// {"event":"rule","id":"allow-1",...,"count":3}
std::map<std::string, int> rule_counts(const std::string& json) {
  std::map<std::string, int> counts;
  std::size_t at = 0;
  while ((at = json.find("\"event\":\"rule\"", at)) != std::string::npos) {
    const auto id = json.find("\"id\":\"", at) + 6;
    const auto count = json.find("\"count\":", id) + 8;
    counts[json.substr(id, json.find('"', id) - id)] = std::stoi(json.substr(count));
    at = count;
  }
  return counts;
}

}  // namespace

TEST_CASE("random policies, live: the packets get the verdict of decide()") {
  if (!needs_root()) return;
  Random random(42);
  const ServiceTable services;
  int allowed = 0;
  int refused = 0;
  for (int i = 0; i < 25; ++i) {
    const std::string text = random_profile(random);
    auto profile = parse_profile(text, "random.toml", services);
    if (!profile) {
      CHECK_MESSAGE(profile.has_value(), text << render_diagnostics(profile.error()));
      continue;
    }
    const Policy policy = make_policy(*profile);
    const std::string path = world().write("random.toml", text);
    const std::string report = world().write("report.jsonl", "");

    std::string script;
    std::vector<Flow> flows;
    for (int j = 0; j < 12; ++j) {
      const std::string server = kServers[pick(random, kServers.size())];
      const auto& [protocol, port] = kPorts[pick(random, kPorts.size())];
      flows.push_back(
          {*parse_ip(server), protocol == "tcp" ? kTcp : kUdp, static_cast<std::uint16_t>(port), 0});
      script += std::string(kProbe) + " " + protocol + " " + server + " " + std::to_string(port) + "\n";
    }
    const Outcome outcome =
        world().netjail({"--profile", path, "--json", report, "--", "sh", "-c", script + "exit 0"});
    REQUIRE_MESSAGE(outcome.ok(), text << outcome.describe());

    std::map<std::string, int> expected;
    std::size_t line_start = 0;
    for (const Flow& flow : flows) {
      const auto line_end = outcome.out.find('\n', line_start);
      const std::string line = outcome.out.substr(line_start, line_end - line_start);
      line_start = line_end + 1;
      const Verdict verdict = decide(policy, flow);
      ++expected[verdict.rule];
      const bool reached = line.find(": ok") != std::string::npos;
      (reached ? allowed : refused)++;
      CHECK_MESSAGE(reached == (verdict.action == Action::allow), text << to_string(flow) << "\n"
                                                                       << line << "\n"
                                                                       << verdict.rule);
    }
    const auto counted = rule_counts(world().call({"cat", report}).out);
    for (const Rule& rule : policy.rules) {
      const auto found = counted.find(rule.id);
      REQUIRE(found != counted.end());
      CHECK_MESSAGE(found->second == expected[rule.id], text << rule.id << "\n" << outcome.describe());
    }
  }
  CHECK(allowed > 40);
  CHECK(refused > 40);
}
