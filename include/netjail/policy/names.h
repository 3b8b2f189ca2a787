// What a policy says of names: which may be looked up, and for which rules their addresses are learned. Pure.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "netjail/policy/policy.h"

namespace netjail {

// One name, whatever its addresses turn out to be.
struct NameVerdict {
  Action action = Action::deny;     // of looking it up
  std::string rule;                 // id of the rule that decides; kDefaultRule when none allows it
  std::vector<std::size_t> groups;  // of make_name_groups: those that learn its addresses, ascending
  // Of those, the ones that learn local addresses as well: denials, and allowances by a rule that says local.
  // The name's other rules must not open such an address by being of the same name.
  std::vector<std::size_t> local_groups;
  bool local = false;  // a rule that allows it lets it have local addresses
  // Where only a "*." lets it through: index into the patterns (of several the longest), and the octets of
  // the name that the program chose (the '*' stands for them).
  struct Wildcard {
    std::size_t pattern = 0;
    std::size_t octets = 0;
    bool operator==(const Wildcard&) const = default;
  };
  std::optional<Wildcard> wildcard;

  bool operator==(const NameVerdict&) const = default;
};

// A policy's names as an index: a question costs a look-up for each label of the name.
class NameRules {
 public:
  explicit NameRules(const Policy& policy);

  NameVerdict find(const Name& name) const;
  // The groups that deny this name some services, whoever allows it.
  std::vector<std::size_t> denials(const Name& name) const;
  // True when no name at all may be looked up.
  bool empty() const { return empty_; }
  // "*.example.org", of NameVerdict::Wildcard.
  const NamePattern& pattern(std::size_t index) const { return set_.pattern(index); }

 private:
  struct Owner {
    std::size_t rule;
    std::optional<std::size_t> group;
    Action action;
    bool local;
  };
  std::vector<Owner> owners_;       // of each pattern
  std::vector<std::string> rules_;  // ids
  NameSet set_;
  std::size_t any_rule_ = 0;  // the first that allows every name
  bool any_name_ = false;
  bool empty_ = true;
};

// What is known of a flow to a name before it is looked up: what a rule says of the address that it turns out
// to have is another question, unless a denial leaves no address. Of the destination of `flow` nothing
// counts.
Verdict decide(const Policy& policy, const Name& name, const Flow& flow);

}  // namespace netjail
