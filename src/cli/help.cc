#include <algorithm>

#include "netjail/base/format.h"
#include "netjail/cli/cli.h"

namespace netjail {
namespace {

std::string option_left(const OptionInfo& option) {
  std::string left = option.letter != 0 ? fmt::format("-{}, ", option.letter) : "    ";
  left += "--" + option.name;
  if (!option.value.empty()) left += " " + option.value;
  return left;
}

std::string program_help() {
  std::string out =
      "netjail - run a program so that it reaches the network only as far as you allow\n"
      "\n"
      "Usage: netjail COMMAND [OPTION]...\n"
      "\n"
      "  netjail run --profile internet -- make test\n"
      "  netjail run --allow example.org -- curl -sI https://example.org\n"
      "\n"
      "Commands:\n";
  for (const CommandInfo& command : command_table())
    out += fmt::format("  {:<12} {}\n", command.name, command.summary);
  return out +
         "\n"
         "Options:\n"
         "  -h, --help     show this help, or that of a command: netjail run --help\n"
         "  -V, --version  show the version\n"
         "\n"
         "Manual: netjail(1), netjail-profile(5)\n";
}

}  // namespace

std::string render_help(const CommandInfo* command) {
  if (command == nullptr) return program_help();
  std::string out = fmt::format("netjail {} - {}\n\nUsage: netjail {}{}{}\n", command->name, command->summary,
                                command->name, command->arguments.empty() ? "" : " ", command->arguments);
  if (!command->details.empty()) out += "\n" + command->details;
  std::size_t width = 0;
  for (const OptionInfo& option : command->options) width = std::max(width, option_left(option).size());
  out += "\nOptions:\n";
  for (const OptionInfo& option : command->options) {
    out += fmt::format("  {:<{}}  {}{}\n", option_left(option), width, option.help,
                       option.repeated ? "; may be repeated" : "");
  }
  return out;
}

}  // namespace netjail
