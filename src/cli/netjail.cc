#include <fcntl.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <csignal>
#include <string_view>

#include "commands.h"
#include "netjail/base/text.h"
#include "netjail/os/fd.h"

namespace netjail {
namespace {

using Handler = Result<int> (*)(const Arguments&);
constexpr std::array<std::pair<std::string_view, Handler>, 7> kHandlers{
    {{"run", run_command},
     {"plan", plan_command},
     {"check", check_command},
     {"explain", explain_command},
     {"doctor", doctor_command},
     {"profiles", profiles_command},
     {"completions", completions_command}}};

const CommandInfo* find_command(const std::string& name) {
  for (const CommandInfo& command : command_table())
    if (command.name == name) return &command;
  return nullptr;
}

std::unexpected<Error> unknown_command(const std::vector<std::string>& arguments) {
  const std::string& name = arguments.front();
  if (name.starts_with('-'))
    return fail(
        "option " + printable(name) + " stands before the command",
        "options follow it: netjail run " + printable(name) + " ...; netjail --help lists the commands");
  std::vector<std::string> names;
  for (const CommandInfo& command : command_table()) names.push_back(command.name);
  const auto meant = nearest(name, names);
  return fail("unknown command " + printable(name),
              meant ? "did you mean netjail " + *meant + "?"
                    : "netjail --help lists the commands; to run a program: netjail run -- " +
                          printable(join(arguments, " ")));
}

// With 0, 1 or 2 closed, the next socket that is opened would sit there and be handed to the program.
Status open_standard_streams() {
  for (int fd = 0; fd <= 2; ++fd) {
    if (::fcntl(fd, F_GETFD) >= 0 || errno != EBADF) continue;
    const int null = ::open("/dev/null", O_RDWR);
    if (null != fd) return fail_errno("cannot open /dev/null for a closed standard stream");
  }
  return {};
}

}  // namespace

Status print(const std::string& text) {
  if (Status done = write_all(STDOUT_FILENO, text); !done) {
    done.error().what = "cannot write to standard output";
    return done;
  }
  return {};
}

Result<int> run_netjail(const std::vector<std::string>& arguments) {
  NJ_TRY(open_standard_streams());
  // Ignored by the caller, it would be ignored by init too: the kernel would reap the program and nobody hear
  // of its end.
  ::signal(SIGCHLD, SIG_DFL);
  if (arguments.empty()) {
    (void)write_all(STDERR_FILENO, render_help(nullptr));
    return 125;
  }
  const std::string& name = arguments.front();
  if (name == "--version" || name == "-V") {
    NJ_TRY(print(std::string("netjail ") + NETJAIL_VERSION + "\n"));
    return 0;
  }
  const bool help = name == "--help" || name == "-h" || name == "help";
  if (help && arguments.size() == 1) {
    NJ_TRY(print(render_help(nullptr)));
    return 0;
  }
  const std::string& command_name = help ? arguments[1] : name;
  const CommandInfo* command = find_command(command_name);
  if (command == nullptr) return unknown_command({arguments.begin() + (help ? 1 : 0), arguments.end()});
  if (help) {
    NJ_TRY(print(render_help(command)));
    return 0;
  }
  NJ_TRY_AS(const Arguments parsed, parse_arguments(*command, {arguments.begin() + 1, arguments.end()}));
  if (parsed.has("help")) {
    NJ_TRY(print(render_help(command)));
    return 0;
  }
  for (const auto& [handled, handler] : kHandlers)
    if (handled == command->name) return handler(parsed);
  return unknown_command(arguments);
}

}  // namespace netjail
