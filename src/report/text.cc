#include "netjail/base/text.h"
#include "netjail/base/format.h"
#include "netjail/report/report.h"

namespace netjail {
namespace {

constexpr std::size_t kMostLines = 20;  // of the summary; --json FILE has them all

std::string remedy(const Plan& plan, const Flow& flow) {
  const std::string spec = allow_spec(plan.policy, flow);
  return spec.empty() ? std::string() : describe_remedy(plan.policy, spec);
}

std::string plural(std::uint64_t count, std::string_view one, std::string_view many) {
  return fmt::format("{} {}", count, count == 1 ? one : many);
}

}  // namespace

std::string render_refusal(const Plan& plan, const Refusal& refusal) {
  std::string line = fmt::format("netjail: refused {}: {}", to_string(refusal.flow),
                                 describe_rule(plan.policy, refusal.rule));
  if (const std::string spec = remedy(plan, refusal.flow); !spec.empty()) line += "; to open it: " + spec;
  return line + "\n";
}

std::string render_refused_name(const Plan& plan, const RefusedName& refused) {
  return fmt::format(
      "netjail: refused to look up {}: profile {} opens nothing; netjail profiles lists others\n",
      refused.name, plan.name);
}

std::string render_refused_namespace(const Plan& plan, const RefusedNamespace& refused) {
  std::string line = fmt::format("netjail: refused a new user namespace{}",
                                 refused.program.empty() ? "" : " to " + refused.program);
  if (plan.child.uid == 0)
    line +=
        ": there is none for user 0 inside; to open it: --user USER, and user-namespaces = true in [process] "
        "of the profile, as `browser` has it";
  else
    line += "; to open it: user-namespaces = true in [process] of the profile, as `browser` has it";
  return line + "\n";
}

std::string render_summary(const Plan& plan, const Outcome& outcome, bool verbose) {
  const std::uint64_t refused = outcome.refused();
  std::string out;
  if (verbose) {
    for (const Rule& rule : plan.policy.rules) {
      if (rule.action != Action::allow) continue;
      const auto found = outcome.admitted_by_rule.find(rule.id);
      const std::uint64_t count = found == outcome.admitted_by_rule.end() ? 0 : found->second;
      out += fmt::format("netjail: {} ({}): {}\n", rule.id, rule.text,
                         plural(count, "connection", "connections"));
    }
    if (outcome.names_asked > 0)
      out += fmt::format("netjail: {} looked up\n", plural(outcome.names_asked, "name", "names"));
    if (refused == 0 && outcome.refused_namespaces.empty()) out += "netjail: nothing was refused\n";
  }
  constexpr std::size_t kMostPrograms = 3;  // they choose their names, and can have many
  const auto& spaces = outcome.refused_namespaces;
  for (std::size_t i = 0; i < std::min(spaces.size(), kMostPrograms); ++i)
    out += render_refused_namespace(plan, spaces[i]);
  if (spaces.size() > kMostPrograms)
    out += fmt::format("netjail: ... and to {} more programs\n", spaces.size() - kMostPrograms);
  if (refused == 0) return out;

  out += fmt::format("netjail: profile {} refused {}:\n", plan.name, plural(refused, "attempt", "attempts"));
  std::size_t lines = 0;
  std::uint64_t told = 0;
  for (const RefusedName& name : outcome.refused_names) {
    told += name.count;
    if (++lines > kMostLines) continue;
    out += fmt::format("  {:>5}  look-up of {}  (the profile opens nothing)\n",
                       fmt::format("{}x", name.count), name.name);
  }
  for (const Refusal& refusal : outcome.refusals) {
    told += refusal.count;
    if (++lines > kMostLines) continue;
    const std::string spec = remedy(plan, refusal.flow);
    out += fmt::format("  {:>5}  {}  ({}){}\n", fmt::format("{}x", refusal.count), to_string(refusal.flow),
                       describe_rule(plan.policy, refusal.rule), spec.empty() ? "" : "  " + spec);
  }
  if (lines > kMostLines)
    out += fmt::format("         ... and {} more destinations; --json FILE lists them\n", lines - kMostLines);
  if (refused > told)
    out += fmt::format("         ... and {} that came too fast to be listed one by one\n",
                       plural(refused - told, "attempt", "attempts"));
  return out;
}

}  // namespace netjail
