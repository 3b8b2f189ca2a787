// What is said of names: the lines of the terminal and of --json.
#include "netjail/report/report.h"

#include <doctest/doctest.h>

#include "policies.h"

using namespace netjail;
using namespace netjail::test;

namespace {

using Why = RefusedName::Why;

Plan plan_of(const std::vector<std::string>& rules) {
  Plan plan;
  plan.name = "test";
  plan.policy = policy_of(rules);
  plan.policy.host = AddressSet({range_of(*parse_prefix("198.51.100.200"))});
  return plan;
}

std::string line(const Plan& plan, Why why, const std::string& detail,
                 const std::string& name = "a.example") {
  return render_refused_name(plan, {name, why, detail, 1});
}

Flow flow(std::string_view address, std::uint16_t port) { return {*parse_ip(address), kTcp, port, 0}; }

bool has(const std::string& text, std::string_view part) { return text.find(part) != text.npos; }

}  // namespace

TEST_CASE("a name that is refused: why, and what would open it") {
  const Plan plan = plan_of({"allow example.com", "deny b.example"});
  CHECK(line(plan, Why::rule, "default") ==
        "netjail: refused to look up a.example: no rule allows it; to open it: --allow a.example\n");
  CHECK(line(plan, Why::rule, "deny-1", "b.example") ==
        "netjail: refused to look up b.example: rule deny-1 (deny b.example)\n");
  CHECK(line(plan_of({}), Why::rule, "default") ==
        "netjail: refused to look up a.example: profile test opens nothing; to open it: --allow a.example\n");
  CHECK(line(plan, Why::rule, "default", "\\027.example") ==
        "netjail: refused to look up \\027.example: no rule allows it\n");
  CHECK(line(plan, Why::type, "NS") ==
        "netjail: refused to look up a.example: records of type NS are not looked up\n");
  CHECK(has(line(plan, Why::budget, "*.example.com"), "too many names below *.example.com"));
  CHECK(line(plan, Why::full, "no room") == "netjail: refused a.example: no room\n");
}

TEST_CASE("an address that is refused to a name: what it is, and what would open it, if anything would") {
  const Plan plan = plan_of({"allow a.example"});
  const auto said = [&](const std::string& address) { return line(plan, Why::address, address); };
  CHECK(said("10.0.0.1") ==
        "netjail: refused a.example: its address 10.0.0.1 is local; to open it: local = true in the rule of "
        "the name, or --allow 10.0.0.1:PORT\n");
  CHECK(has(said("fd00::1"), "--allow '[fd00::1]:PORT'"));
  CHECK(said("127.0.0.1") ==
        "netjail: refused a.example: its address 127.0.0.1 is none that packets go to; to open it: local = "
        "true in the rule of the name\n");
  CHECK(said("0.0.0.0") == "netjail: refused a.example: its address 0.0.0.0 is none that packets go to\n");
  CHECK(said("198.51.100.200") ==
        "netjail: refused a.example: its address 198.51.100.200 is this machine's own\n");
}

TEST_CASE("a refused flow has the name that was asked for, and a rule for it as the remedy") {
  const Plan plan = plan_of({"allow a.example 443/tcp", "deny 203.0.113.0/24"});
  CHECK(render_refusal(plan, {flow("198.51.100.1", 22), "default", 1, "a.example"}) ==
        "netjail: refused 198.51.100.1:22/tcp (a.example): no rule allows it; to open it: --allow "
        "a.example:22/tcp\n");
  CHECK(render_refusal(plan, {flow("198.51.100.1", 22), "default", 1, ""}) ==
        "netjail: refused 198.51.100.1:22/tcp: no rule allows it; to open it: --allow 198.51.100.1:22/tcp\n");
  // A rule by name would not open a local address.
  CHECK(has(render_refusal(plan, {flow("10.0.0.1", 443), "local", 1, "a.example"}),
            "--allow 10.0.0.1:443/tcp"));
  // Deny beats allow, and it is said.
  CHECK(render_refusal(plan, {flow("203.0.113.1", 443), "deny-1", 1, "a.example"}) ==
        "netjail: refused 203.0.113.1:443/tcp (a.example): rule deny-1 (deny 203.0.113.0/24), which has this "
        "address too and beats allow-1 for a.example\n");
}

TEST_CASE("the outcome counts names by what was refused of them, and is bounded") {
  Outcome outcome;
  CHECK(outcome.add_refused_name({"a.example", Why::rule, "default", 1}));
  CHECK_FALSE(outcome.add_refused_name({"a.example", Why::rule, "default", 1}));
  CHECK(outcome.add_refused_name({"a.example", Why::type, "NS", 1}));
  REQUIRE(outcome.refused_names.size() == 2);
  CHECK(outcome.refused_names[0].count == 2);
  for (int count = 0; count < 5000; ++count)
    outcome.add_refused_name({std::to_string(count) + ".example", Why::rule, "default", 1});
  CHECK(outcome.refused_names.size() == Outcome::kMostRefusals);
  CHECK(outcome.refused() == 5003);
}

TEST_CASE("rules by name that share what they learn are counted at the first of them") {
  const Plan plan = plan_of({"allow a.example", "allow b.example", "allow c.example 22/tcp"});
  Outcome outcome;
  outcome.admitted_by_rule["allow-1"] = 2;
  const std::string summary = render_summary(plan, outcome, true);
  CHECK(has(summary, "allow-1 (allow a.example): 2 connections\n"));
  CHECK(has(summary, "allow-2 (allow b.example): counted at allow-1\n"));
  CHECK(has(summary, "allow-3 (allow c.example 22/tcp): 0 connections\n"));
}

TEST_CASE("--json has name, reason and detail") {
  const Plan plan = plan_of({"allow a.example"});
  Outcome outcome;
  outcome.add_refused_name({"a.example", Why::address, "10.0.0.1", 1});
  outcome.add_refusal(flow("198.51.100.1", 22), "default", "a.example");
  const std::string json = render_json_lines(plan, outcome);
  CHECK(has(json, R"("detail":"10.0.0.1")"));
  CHECK(has(json, R"("why":"address")"));
  CHECK(has(json, R"("name":"a.example")"));
  CHECK(has(json, R"("allow":"a.example:22/tcp")"));
}
