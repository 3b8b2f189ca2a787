// One function per command; `arguments` are parsed, --help is handled before.
#pragma once

#include "arguments.h"

namespace netjail {

Result<int> run_command(const Arguments& arguments);
Result<int> plan_command(const Arguments& arguments);
Result<int> check_command(const Arguments& arguments);
Result<int> explain_command(const Arguments& arguments);
Result<int> doctor_command(const Arguments& arguments);
Result<int> profiles_command(const Arguments& arguments);
Result<int> completions_command(const Arguments& arguments);

// Normal output. An error of stdout (a full disk) is an Error, not a lost line.
Status print(const std::string& text);

}  // namespace netjail
