#include "arguments.h"

#include <algorithm>
// Else it compiles regular expressions before main(): 0.4 ms of every start.
#define CXXOPTS_NO_REGEX true
#include <cxxopts.hpp>

#include "netjail/base/text.h"

namespace netjail {
namespace {

const OptionInfo* find_option(const CommandInfo& command, const std::string& word) {
  for (const OptionInfo& option : command.options) {
    if (word.starts_with("--") && word.substr(2, word.find('=') - 2) == option.name) return &option;
    if (!word.starts_with("--") && word.size() >= 2 && word[1] == option.letter) return &option;
  }
  return nullptr;
}

// How many of `arguments` belong to netjail: COMMAND's own options must not be read as ours.
std::size_t own_arguments(const CommandInfo& command, const std::vector<std::string>& arguments) {
  std::size_t at = 0;
  while (at < arguments.size()) {
    const std::string& word = arguments[at];
    if (word == "--" || word.size() < 2 || word[0] != '-') return at;
    const OptionInfo* option = find_option(command, word);
    const bool takes_next = option != nullptr && !option->value.empty() &&
                            (word.starts_with("--") ? word.find('=') == std::string::npos : word.size() == 2);
    at += takes_next ? 2 : 1;
  }
  return std::min(at, arguments.size());
}

std::unexpected<Error> usage_error(const CommandInfo& command, std::string what, std::string hint = {}) {
  if (!hint.empty()) hint += "; ";
  return fail("netjail " + command.name + ": " + std::move(what),
              hint + "see netjail " + command.name + " --help");
}

Status check_known(const CommandInfo& command, const std::vector<std::string>& own) {
  bool is_value = false;
  std::string before;
  for (const std::string& word : own) {
    if (is_value) {
      is_value = false;
      // An unset variable in quotes must not mean that nothing was asked for.
      if (word.empty() || word == "--") return usage_error(command, "option " + before + " needs a value");
      continue;
    }
    before = word;
    const OptionInfo* option = find_option(command, word);
    if (word.size() < 2 || word[0] != '-' || word == "--") continue;
    if (option == nullptr) {
      std::vector<std::string> names;
      for (const OptionInfo& known : command.options) names.push_back("--" + known.name);
      const auto meant = nearest(word.substr(0, word.find('=')), names);
      return usage_error(command, "unknown option " + printable(word),
                         meant ? "did you mean " + *meant + "?" : "");
    }
    const bool joined = word.starts_with("--") ? word.find('=') != std::string::npos : word.size() > 2;
    if (option->value.empty() && word.starts_with("--") && joined)
      return usage_error(command, "option --" + option->name + " takes no value");
    if (joined && word.ends_with('='))
      return usage_error(command, "option " + word.substr(0, word.size() - 1) + " needs a value");
    is_value = !option->value.empty() && !joined;
  }
  if (is_value) return usage_error(command, "option " + own.back() + " needs a value");
  return {};
}

}  // namespace

std::string Arguments::value(const std::string& option) const {
  const auto found = values.find(option);
  return found == values.end() || found->second.empty() ? std::string() : found->second.back();
}

std::vector<std::string> Arguments::all(const std::string& option) const {
  const auto found = values.find(option);
  return found == values.end() ? std::vector<std::string>() : found->second;
}

Result<Arguments> parse_arguments(const CommandInfo& command, const std::vector<std::string>& arguments) {
  const std::size_t own = command.runs_command ? own_arguments(command, arguments) : arguments.size();
  std::vector<std::string> ours(arguments.begin(), arguments.begin() + static_cast<std::ptrdiff_t>(own));
  NJ_TRY(check_known(command, ours));

  cxxopts::Options options("netjail " + command.name);
  for (const OptionInfo& option : command.options) {
    const std::string names =
        option.letter != 0 ? std::string(1, option.letter) + "," + option.name : option.name;
    if (option.value.empty())
      options.add_options()(names, option.help);
    else
      options.add_options()(names, option.help, cxxopts::value<std::string>());
  }
  options.allow_unrecognised_options();
  std::vector<const char*> argv{"netjail"};
  for (const std::string& word : ours) argv.push_back(word.c_str());

  Arguments parsed;
  try {  // cxxopts throws; check_known has found everything that we know of
    const auto result = options.parse(static_cast<int>(argv.size()), argv.data());
    for (const auto& pair : result.arguments()) parsed.values[pair.key()].push_back(pair.value());
    parsed.words = result.unmatched();
  } catch (const std::exception& problem) {
    return usage_error(command, problem.what());
  }
  std::size_t rest = own;
  if (rest < arguments.size() && arguments[rest] == "--") ++rest;
  parsed.words.insert(parsed.words.end(), arguments.begin() + static_cast<std::ptrdiff_t>(rest),
                      arguments.end());
  return parsed;
}

}  // namespace netjail
