#include "children.h"

#include <dirent.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <memory>
#include <mutex>
#include <set>

#include "netjail/base/text.h"
#include "run.h"

namespace netjail::test {
namespace {

std::mutex g_mutex;
std::set<pid_t> g_owned;

bool owned(pid_t pid) {
  const std::scoped_lock lock(g_mutex);
  return g_owned.contains(pid);
}

struct State {
  pid_t parent = 0;
  char code = '?';
};

// Every process of the machine with its parent, from /proc/PID/stat.
std::map<pid_t, State> process_table() {
  std::map<pid_t, State> table;
  const std::unique_ptr<DIR, int (*)(DIR*)> folder(::opendir("/proc"), [](DIR* d) { return ::closedir(d); });
  if (!folder) return table;
  while (const dirent* entry = ::readdir(folder.get())) {
    const auto pid = parse_number(entry->d_name, 1u << 30);
    if (!pid) continue;
    const auto text = read_file(std::string("/proc/") + entry->d_name + "/stat");
    if (!text) continue;                     // ended meanwhile
    const auto name_end = text->rfind(')');  // a name may contain spaces and parentheses
    if (name_end == std::string::npos) continue;
    const auto words = split_words(std::string_view(*text).substr(name_end + 1));
    if (words.size() < 2) continue;
    const auto parent = parse_number(words[1], 1u << 30);
    table[static_cast<pid_t>(*pid)] = {.parent = static_cast<pid_t>(parent.value_or(0)), .code = words[0][0]};
  }
  return table;
}

}  // namespace

void own_child(pid_t pid) {
  const std::scoped_lock lock(g_mutex);
  g_owned.insert(pid);
}

void disown_child(pid_t pid) {
  const std::scoped_lock lock(g_mutex);
  g_owned.erase(pid);
}

std::vector<pid_t> descendants(pid_t of) {
  const auto table = process_table();
  const pid_t self = ::getpid();
  std::vector<pid_t> found;
  for (const auto& [pid, state] : table) {
    pid_t above = state.parent;
    while (above != of && above > 1) {
      const auto next = table.find(above);
      above = next == table.end() ? 0 : next->second.parent;
    }
    if (above != of) continue;
    if (state.code == 'Z' || state.code == 'X') {
      if (state.parent == self && !owned(pid)) ::waitpid(pid, nullptr, WNOHANG);
      continue;
    }
    found.push_back(pid);
  }
  return found;
}

std::vector<pid_t> descendants() { return descendants(::getpid()); }

void kill_all(const std::vector<pid_t>& pids) {
  for (const pid_t pid : pids) {
    // Only what is still ours: a number may have been given to somebody else meanwhile.
    const auto mine = descendants();
    if (std::find(mine.begin(), mine.end(), pid) != mine.end()) ::kill(pid, SIGKILL);
  }
  eventually([&] {
    const auto mine = descendants();
    return std::none_of(pids.begin(), pids.end(), [&](pid_t pid) {
      return std::find(mine.begin(), mine.end(), pid) != mine.end() && !owned(pid);
    });
  });
}

}  // namespace netjail::test
