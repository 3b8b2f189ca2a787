// Ordinary programs under the filter do what they do without it.
#include <doctest/doctest.h>
#include <sys/wait.h>

#include <array>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <string_view>
#include <thread>

#include "seccomp_filtered.h"
#include "support/skipped.h"

using namespace netjail::test;

namespace {

struct Ran {
  int status = -1;
  std::string text;
  bool operator==(const Ran&) const = default;
};

// In a thread, for a filter belongs to a thread and to what that starts.
Ran run(bool filtered, const std::string& command) {
  Ran ran;
  std::thread([&] {
    if (filtered && !install(default_filter())) return;
    FILE* const output = popen(("{ " + command + "; } 2>&1").c_str(), "r");
    if (output == nullptr) return;
    std::array<char, 4096> buffer{};
    for (std::size_t got = 0; (got = fread(buffer.data(), 1, buffer.size(), output)) > 0;)
      ran.text.append(buffer.data(), got);
    const int status = pclose(output);
    ran.status = WIFEXITED(status) ? WEXITSTATUS(status) : -1;
  }).join();
  return ran;
}

bool has(const std::string& program) { return run(false, "command -v " + program).status == 0; }

void check_same(const std::string& command) {
  INFO(command);
  const Ran without = run(false, command);
  CHECK(without.status == 0);
  CHECK_FALSE(without.text.empty());
  const Ran with = run(true, command);
  CHECK(with.status == without.status);
  CHECK(with.text == without.text);
}

}  // namespace

TEST_CASE("the filter is on") {
  CHECK(run(true, "grep Seccomp: /proc/self/status").text == "Seccomp:\t2\n");
  CHECK(run(false, "grep Seccomp: /proc/self/status").text != "Seccomp:\t2\n");
}

TEST_CASE("names and addresses") {
  check_same("getent hosts localhost");
  check_same("getent ahosts localhost");
  check_same("ip -br addr");
  check_same("ip -4 route show table local");
}

TEST_CASE("shells") {
  check_same(
      "bash -c 'set -euo pipefail; echo a b | wc -w; x=$(echo sub); (echo $x) & wait; ulimit -n 64; ulimit "
      "-n'");
  check_same("sh -c 'ulimit -c >/dev/null; trap \"echo trapped\" EXIT'");
  check_same("bash -c 'ulimit -c 0; echo $?'");
}

TEST_CASE("python") {
  if (!has("python3")) {
    const char* const must = std::getenv("NETJAIL_TESTS_MUST_RUN");
    if (must != nullptr && std::string_view(must) == "1") FAIL("needs python3");
    MESSAGE("SKIPPED: needs python3");
    g_skipped = true;
    return;
  }
  check_same(R"(python3 -c '
import asyncio, socket, subprocess, threading, multiprocessing.pool
server = socket.create_server(("127.0.0.1", 0))
threading.Thread(target=lambda: server.accept()[0].sendall(b"hello")).start()
print(socket.create_connection(server.getsockname()).recv(5))
print(socket.getaddrinfo("localhost", 80, type=socket.SOCK_STREAM)[0][1], socket.if_nameindex()[0])
print(subprocess.run(["echo", "x"], capture_output=True).stdout)
async def main():
  process = await asyncio.create_subprocess_exec("echo", "y", stdout=-1)
  return await process.communicate()
print(asyncio.run(main()))
print(multiprocessing.pool.ThreadPool(4).map(abs, [-1, 2]))
')");
}
