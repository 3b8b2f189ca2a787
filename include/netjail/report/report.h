// The report: what the program reached and what was refused, told once, for people and as JSON lines. Pure:
// an Outcome comes in, text goes out; what a jailed program put into it (names, addresses) is made printable
// first.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <unordered_map>
#include <vector>

#include "netjail/plan/plan.h"

namespace netjail {

// Refused flows of one destination, port and protocol.
struct Refusal {
  Flow flow;
  std::string rule;  // id of the rule that refused
  std::uint64_t count = 0;
  std::string name = {};  // that the program had asked for, if it had: printable
  bool operator==(const Refusal&) const = default;
};
// A name that was not answered, or not wholly.
struct RefusedName {
  enum class Why : std::uint8_t {
    rule,     // `detail`: id of the rule that decided
    type,     // the kind of record: "65/NS"
    address,  // the address that it has and may not have
    budget,   // the pattern below which too much was asked
    full,     // there is no room for its addresses; what the kernel said, if it was asked
  };
  std::string name;  // printable
  Why why = Why::rule;
  std::string detail;
  std::uint64_t count = 0;
  bool operator==(const RefusedName&) const = default;
};

// New user namespaces that a program of this name wanted; where it may make those, mount namespaces.
struct RefusedNamespace {
  std::string program;  // printable
  std::uint64_t count = 0;
  bool operator==(const RefusedNamespace&) const = default;
};

// What happened. Bounded: beyond kMostRefusals different flows only the counters grow.
struct Outcome {
  static constexpr std::size_t kMostRefusals = 1024;
  std::vector<Refusal> refusals;  // in the order first seen
  std::vector<RefusedName> refused_names;
  std::uint64_t unlisted_names = 0;                  // refusals of more names than are listed
  std::vector<RefusedNamespace> refused_namespaces;  // no flows: refused() does not count them
  std::map<std::string, std::uint64_t>
      refused_by_rule;  // packets per rule id, from the kernel's counters: complete
  std::map<std::string, std::uint64_t> admitted_by_rule;  // flows per rule id
  std::uint64_t names_asked = 0;
  int status = 0;  // exit status of the program, 128+N for a signal
  double seconds = 0;

  // Counts one refused flow; true if it is the first of its kind.
  bool add_refusal(const Flow& flow, const std::string& rule, const std::string& name = {});
  bool add_refused_name(const RefusedName& refused);
  bool add_refused_namespace(const std::string& program);
  std::uint64_t refused() const;  // packets in all, names included

 private:
  std::unordered_map<std::string, std::size_t> name_places_;  // in refused_names
};

// One line for a refusal as it happens: "netjail: refused 192.168.1.1:80/tcp: a local address ...; --allow
// ..."
std::string render_refusal(const Plan& plan, const Refusal& refusal);
std::string render_refused_name(const Plan& plan, const RefusedName& refused);
std::string render_refused_namespace(const Plan& plan, const RefusedNamespace& refused);
// The summary at the end; empty when nothing was refused and `verbose` is off.
std::string render_summary(const Plan& plan, const Outcome& outcome, bool verbose);
// JSON lines of --json: "start", one "refused" per flow, "refused-name", "refused-namespace", one "rule" per
// rule, "end". Schema: netjail(1).
std::string render_json_lines(const Plan& plan, const Outcome& outcome);

}  // namespace netjail
