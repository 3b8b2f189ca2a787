#include "policies.h"

#include <doctest/doctest.h>

#include "netjail/base/text.h"

namespace netjail::test {

Policy policy_of(const std::vector<std::string>& rules) {
  Profile profile;
  profile.name = "test";
  for (const std::string& text : rules) {
    const auto words = split_words(text);
    ProfileRule rule;
    rule.action = words.at(0) == "allow" ? Action::allow : Action::deny;
    Destination destination;
    const auto prefix = parse_prefix(words.at(1));
    if (words[1] == "internet" || words[1] == "any") {
      destination.kind = words[1] == "any" ? Destination::Kind::any : Destination::Kind::internet;
    } else if (prefix) {
      destination.kind = Destination::Kind::prefix;
      destination.prefix = *prefix;
    } else {
      const auto pattern = parse_name_pattern(words[1], PublicSuffixes::builtin());
      REQUIRE(pattern.has_value());
      destination.kind = Destination::Kind::name;
      destination.pattern = *pattern;
    }
    rule.to.push_back(destination);
    for (const auto word : std::span(words).subspan(2)) {
      if (word == "local") {
        rule.local = true;
        continue;
      }
      const auto services = parse_service(word, ServiceTable());
      REQUIRE(services.has_value());
      rule.services.insert(rule.services.end(), services->begin(), services->end());
    }
    profile.rules.push_back(std::move(rule));
  }
  return make_policy(profile);
}

}  // namespace netjail::test
