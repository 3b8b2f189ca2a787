#include "netjail/cli/cli.h"

namespace netjail {
namespace {

const OptionInfo kHelp{"help", 'h', "", "show this help and exit", false};
const OptionInfo kProfile{
    "profile", 'p', "P", "profile: a name, or a path (default: the one named like COMMAND, else \"default\")",
    false};
const OptionInfo kAllow{
    "allow", 'a', "SPEC",
    "open DEST[:SERVICE[,SERVICE]...], for example example.org, 198.51.100.7:443, internet:https", true};
const OptionInfo kDeny{"deny", 'd', "SPEC", "refuse SPEC, whatever else allows it", true};
const OptionInfo kUser{"user", 'u', "USER", "run COMMAND as this user (default: the one who called sudo)",
                       false};
const OptionInfo kUnix{"unix", 0, "SOCKET",
                       "let COMMAND reach this unix socket outside: a path, or a name such as wayland", true};
const OptionInfo kShare{
    "share", 0, "PATH",
    "use the host's PATH below /tmp, /var/tmp, /run or /dev/shm, not one of the jail's own", true};

std::vector<CommandInfo> make_table() {
  std::vector<CommandInfo> table;
  table.push_back(
      {"run",
       "[OPTION]... [--] COMMAND [ARG]...",
       "run COMMAND so that it reaches the network only as the profile allows",
       "The exit status is COMMAND's own, 128+N if signal N ended it, 126 if it cannot be executed,\n"
       "127 if it is not found, 125 if netjail itself failed (COMMAND was not started then).\n",
       {kProfile,
        kAllow,
        kDeny,
        kUnix,
        kShare,
        kUser,
        {"keep-fd", 0, "N", "pass file descriptor N (a file, pipe or terminal) on to COMMAND", true},
        {"json", 0, "FILE", "write the report as JSON lines to FILE", false},
        {"fail-on-deny", 0, "", "exit with status 3 if COMMAND succeeds but something was refused", false},
        {"verbose", 'v', "",
         "tell refusals as they happen also when stderr is no terminal, and what was allowed", false},
        {"quiet", 'q', "", "tell nothing about refusals", false},
        kHelp},
       true});
  table.push_back({"plan",
                   "[OPTION]... [[--] COMMAND [ARG]...]",
                   "print what run would do, and change nothing",
                   "Needs no privilege.\n",
                   {kProfile,
                    kAllow,
                    kDeny,
                    kUnix,
                    kShare,
                    kUser,
                    {"format", 'f', "FORMAT", "text, nft or json (default: text)", false},
                    kHelp},
                   true});
  table.push_back(
      {"check",
       "[PROFILE]...",
       "check profiles for mistakes and doubtful rules",
       "Without PROFILE every profile that can be found is checked. Status 0: no mistake; 1: mistakes.\n",
       {{"strict", 0, "", "count warnings as mistakes", false}, kHelp},
       false});
  table.push_back(
      {"explain",
       "[OPTION]... [PROFILE] DEST",
       "say whether a profile allows a destination, and by which rule",
       "DEST is an address with a service (198.51.100.7:443/tcp, [2001:db8::1]:53/udp, 192.0.2.7:ping),\n"
       "or a name, with a service or without (example.org:22/tcp, example.org).\n"
       "Status 0: allowed; 1: refused.\n",
       {kProfile, kAllow, kDeny, kHelp},
       false});
  table.push_back({"doctor",
                   "",
                   "say what this machine can do, what is missing, and the command that mends it",
                   "Status 0: netjail run works here; 1: something is missing.\n",
                   {kHelp},
                   false});
  table.push_back(
      {"profiles", "[PROFILE]", "list the profiles that can be found, or show one", "", {kHelp}, false});
  table.push_back(
      {"completions", "SHELL", "print the completion script for bash, zsh or fish", "", {kHelp}, false});
  return table;
}

}  // namespace

const std::vector<CommandInfo>& command_table() {
  static const std::vector<CommandInfo> table = make_table();
  return table;
}

}  // namespace netjail
