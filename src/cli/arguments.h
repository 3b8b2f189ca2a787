// A command's arguments, parsed by cxxopts from the command table.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "netjail/cli/cli.h"

namespace netjail {

struct Arguments {
  std::map<std::string, std::vector<std::string>> values;  // by option name; a switch has one empty value
  std::vector<std::string> words;                          // what is no option

  bool has(const std::string& option) const { return values.contains(option); }
  std::string value(const std::string& option) const;  // the last one; empty if not given
  std::vector<std::string> all(const std::string& option) const;
};

// Fails with the mistake, the nearest option, and where the help is.
Result<Arguments> parse_arguments(const CommandInfo& command, const std::vector<std::string>& arguments);

}  // namespace netjail
