#include "probe.h"

#include <cerrno>
#include <csignal>
#include <cstdio>
#include <cstring>
#include <functional>
#include <map>

namespace probe {

Result good(const std::string& details) { return {details.empty() ? "ok" : "ok " + details, true}; }
Result bad(const std::string& reason) { return {reason, false}; }
Result bad_errno() {
  const char* name = ::strerrorname_np(errno);
  return bad(name != nullptr ? name : "errno " + std::to_string(errno));
}

namespace {

struct Entry {
  Result (*run)(const Arguments&);
  std::size_t fewest, most;
  const char* usage;
};

const std::map<std::string, Entry> kCommands{{"tcp", {connect_tcp, 2, 2, "ADDRESS PORT"}},
                                             {"echo", {echo_tcp, 2, 2, "ADDRESS PORT"}},
                                             {"hold", {hold_tcp, 2, 2, "ADDRESS PORT"}},
                                             {"udp", {echo_udp, 2, 2, "ADDRESS PORT"}},
                                             {"ping", {ping, 1, 1, "ADDRESS"}},
                                             {"http", {fetch_http, 3, 3, "ADDRESS PORT PATH"}},
                                             {"dns", {ask_dns, 2, 4, "NAME TYPE [udp|tcp [SERVER]]"}},
                                             {"spoof", {spoof_udp, 3, 3, "SOURCE DESTINATION PORT"}},
                                             {"listen", {listen_tcp, 2, 2, "ADDRESS PORT"}},
                                             {"unix", {connect_unix, 1, 1, "PATH|@NAME"}},
                                             {"families", {show_families, 0, 0, ""}},
                                             {"fds", {show_descriptors, 0, 0, ""}},
                                             {"ids", {show_identity, 0, 0, ""}},
                                             {"stdin", {read_stdin, 0, 0, ""}}};

int usage() {
  for (const auto& [name, entry] : kCommands)
    std::fprintf(stderr, "netjail-probe %s %s\n", name.c_str(), entry.usage);
  return 2;
}

}  // namespace
}  // namespace probe

int main(int argc, char** argv) {
  using namespace probe;
  if (argc < 2) return usage();
  const Arguments arguments(argv + 2, argv + argc);
  const auto command = kCommands.find(argv[1]);
  if (command == kCommands.end() || arguments.size() < command->second.fewest ||
      arguments.size() > command->second.most)
    return usage();
  ::signal(SIGPIPE, SIG_IGN);
  const auto start = std::chrono::steady_clock::now();
  const Result result = command->second.run(arguments);
  const auto took =
      std::chrono::duration_cast<std::chrono::milliseconds>(std::chrono::steady_clock::now() - start).count();
  std::string line = argv[1];
  for (const auto& argument : arguments) line += " " + argument;
  std::printf("%s: %s %lldms\n", line.c_str(), result.text.c_str(), static_cast<long long>(took));
  return result.good ? 0 : 1;
}
