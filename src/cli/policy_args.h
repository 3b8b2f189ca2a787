// From --profile, --allow and --deny to a Policy; the mistakes found on the way are told as they are written.
#pragma once

#include "arguments.h"
#include "netjail/policy/policy.h"
#include "netjail/profile/load.h"

namespace netjail {

struct ChosenPolicy {
  Policy policy;
  std::vector<std::string> files;
};

// `program`: the command's first word, for the profile named like it; empty: none.
Result<ChosenPolicy> choose_policy(const Arguments& arguments, const std::string& program);

// The named sets of its rules expanded from the configuration of `user` (as find_identity takes it).
std::expected<Profile, LoadFailure> with_sets(const Profile& profile, const std::string& user);

const ServiceTable& services();
SearchPath search_path();
// A LoadFailure as one Error: the text of all diagnostics, or the error itself.
Error to_error(const LoadFailure& failure);

}  // namespace netjail
