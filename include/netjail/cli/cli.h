// The command line: one table of commands and options, from which parsing, --help, the completions and the
// check of netjail(1) come; one file per command.
#pragma once

#include <string>
#include <vector>

#include "netjail/base/result.h"

namespace netjail {

struct OptionInfo {
  std::string name;   // without --
  char letter = 0;    // 0: none
  std::string value;  // placeholder in the help; empty: a switch
  std::string help;   // one line
  bool repeated = false;
};

struct CommandInfo {
  std::string name;
  std::string arguments;  // "[--] COMMAND [ARG]..."
  std::string summary;    // one line
  std::string details;    // paragraphs of --help, may be empty
  std::vector<OptionInfo> options;
  bool runs_command = false;  // what follows the first word that is no option belongs to COMMAND
};

const std::vector<CommandInfo>& command_table();

// Help of netjail or of one command, as printed by --help.
std::string render_help(const CommandInfo* command);
// Completion script for "bash", "zsh" or "fish"; empty for another shell.
std::string render_completions(const std::string& shell);

// The whole program: argv without its first. Returns the exit status; an Error is main's to print.
Result<int> run_netjail(const std::vector<std::string>& arguments);

}  // namespace netjail
