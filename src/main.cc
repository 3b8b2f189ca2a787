#include <cstdio>
#include <string>
#include <vector>

#include "netjail/base/result.h"
#include "netjail/cli/cli.h"

int main(int argc, char** argv) {
  const std::vector<std::string> arguments(argv + (argc > 0 ? 1 : 0), argv + argc);
  const auto status = netjail::run_netjail(arguments);
  if (status) return *status;
  std::fputs(netjail::render_error(status.error()).c_str(), stderr);
  return status.error().status;
}
