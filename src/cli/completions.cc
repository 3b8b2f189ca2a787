// Completion scripts, made from the command table.
#include "commands.h"
#include "netjail/base/format.h"

namespace netjail {
namespace {

std::string words_of(const CommandInfo& command) {
  std::string out;
  for (const OptionInfo& option : command.options) out += (out.empty() ? "--" : " --") + option.name;
  return out;
}

std::string command_names() {
  std::string out;
  for (const CommandInfo& command : command_table()) out += (out.empty() ? "" : " ") + command.name;
  return out;
}

std::string bash_script() {
  std::string cases;
  for (const CommandInfo& command : command_table())
    cases += fmt::format("    {}) options=\"{}\" ;;\n", command.name, words_of(command));
  return fmt::format(R"sh(# bash completion for netjail
_netjail() {{
  local cur prev command options
  cur=${{COMP_WORDS[COMP_CWORD]}}
  prev=${{COMP_WORDS[COMP_CWORD-1]}}
  command=${{COMP_WORDS[1]}}
  if ((COMP_CWORD == 1)); then
    mapfile -t COMPREPLY < <(compgen -W "{} --help --version" -- "$cur")
    return
  fi
  case $prev in
    --profile | -p)
      mapfile -t COMPREPLY < <(compgen -W "$(netjail profiles 2>/dev/null | cut -d' ' -f1)" -- "$cur"; compgen -f -X '!*.toml' -- "$cur")
      return ;;
    --user | -u) mapfile -t COMPREPLY < <(compgen -u -- "$cur"); return ;;
    --json) mapfile -t COMPREPLY < <(compgen -f -- "$cur"); return ;;
    --format | -f) mapfile -t COMPREPLY < <(compgen -W "text nft json" -- "$cur"); return ;;
  esac
  case $command in
{}  esac
  if [[ $cur == -* ]]; then
    mapfile -t COMPREPLY < <(compgen -W "$options" -- "$cur")
    return
  fi
  case $command in
    run | plan) mapfile -t COMPREPLY < <(compgen -c -- "$cur") ;;
    completions) mapfile -t COMPREPLY < <(compgen -W "bash zsh fish" -- "$cur") ;;
    check | profiles | explain) mapfile -t COMPREPLY < <(compgen -W "$(netjail profiles 2>/dev/null | cut -d' ' -f1)" -- "$cur") ;;
  esac
}}
complete -o default -F _netjail netjail
)sh",
                     command_names(), cases);
}

std::string escaped(std::string text) {
  std::string out;
  for (const char c : text) {
    if (c == '\'') out += "'\\'";
    if (c == '[' || c == ']' || c == ':') out += '\\';
    out += c;
  }
  return out;
}

std::string zsh_script() {
  std::string commands;
  std::string cases;
  for (const CommandInfo& command : command_table()) {
    commands += fmt::format("    '{}:{}'\n", command.name, escaped(command.summary));
    cases += fmt::format("    {})\n      _arguments -s", command.name);
    for (const OptionInfo& option : command.options) {
      const std::string action = option.name == "profile"  ? "_netjail_profiles"
                                 : option.name == "user"   ? "_users"
                                 : option.name == "json"   ? "_files"
                                 : option.name == "format" ? "(text nft json)"
                                                           : " ";
      cases += fmt::format(" \\\n        '{}--{}[{}]{}'", option.repeated ? "*" : "", option.name,
                           escaped(option.help),
                           option.value.empty() ? "" : fmt::format(":{}:{}", option.value, action));
    }
    cases +=
        command.runs_command ? " \\\n        '*::command: _normal'" : " \\\n        '*: :_netjail_profiles'";
    cases += "\n      ;;\n";
  }
  return fmt::format(R"sh(#compdef netjail
# zsh completion for netjail
_netjail_profiles() {{
  local -a names
  names=(${{(f)"$(netjail profiles 2>/dev/null | cut -d' ' -f1)"}})
  compadd -a names
  _files -g '*.toml'
}}
_netjail() {{
  local -a commands
  commands=(
{}  )
  if ((CURRENT == 2)); then
    _describe command commands
    return
  fi
  local command=$words[2]
  shift words
  ((CURRENT--))
  case $command in
{}  esac
}}
_netjail "$@"
)sh",
                     commands, cases);
}

std::string fish_script() {
  std::string out =
      "# fish completion for netjail\n"
      "function __netjail_profiles\n  netjail profiles 2>/dev/null | string replace -r ' .*' ''\nend\n"
      "complete -c netjail -f\n";
  const std::string none = "not __fish_seen_subcommand_from " + command_names();
  for (const CommandInfo& command : command_table()) {
    out += fmt::format("complete -c netjail -n '{}' -a {} -d '{}'\n", none, command.name,
                       escaped(command.summary));
    const std::string seen = "__fish_seen_subcommand_from " + command.name;
    for (const OptionInfo& option : command.options) {
      out += fmt::format("complete -c netjail -n '{}' -l {}", seen, option.name);
      if (option.letter != 0) out += fmt::format(" -s {}", option.letter);
      if (!option.value.empty()) out += " -r";
      if (option.name == "profile") out += " -a '(__netjail_profiles)'";
      if (option.name == "user") out += " -a '(__fish_complete_users)'";
      if (option.name == "format") out += " -a 'text nft json'";
      out += fmt::format(" -d '{}'\n", escaped(option.help));
    }
    if (command.runs_command)
      out += fmt::format("complete -c netjail -n '{}' -a '(__fish_complete_subcommand)'\n", seen);
  }
  out += "complete -c netjail -n '__fish_seen_subcommand_from completions' -a 'bash zsh fish'\n";
  out +=
      "complete -c netjail -n '__fish_seen_subcommand_from check profiles explain' -a "
      "'(__netjail_profiles)'\n";
  return out;
}

}  // namespace

std::string render_completions(const std::string& shell) {
  if (shell == "bash") return bash_script();
  if (shell == "zsh") return zsh_script();
  if (shell == "fish") return fish_script();
  return {};
}

Result<int> completions_command(const Arguments& arguments) {
  const std::string shell = arguments.words.size() == 1 ? arguments.words.front() : "";
  const std::string script = render_completions(shell);
  if (script.empty()) return fail("netjail completions: give a shell", "bash, zsh or fish");
  NJ_TRY(print(script));
  return 0;
}

}  // namespace netjail
