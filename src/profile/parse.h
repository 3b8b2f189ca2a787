// One file read: the profile, and where its `extends` stand, for the mistakes that only loading finds.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "netjail/profile/profile.h"
#include "source.h"

namespace netjail {

struct ParsedFile {
  Profile profile;
  std::vector<Mark> extends_at;  // one per element of profile.extends
};
Parsed<ParsedFile> parse_file(std::string_view text, const std::string& file, const ServiceTable& services);

}  // namespace netjail
