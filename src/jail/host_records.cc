#include "host_records.h"

#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <memory>

#include "host_state.h"
#include "keeper.h"
#include "netjail/base/text.h"
#include "netjail/kernel/nft.h"

namespace netjail {
namespace {

constexpr std::string_view kSysctl = "sysctl-";
constexpr std::string_view kTableRecord = "table-";

// '/' cannot stand in a file name.
std::string encode(const std::string& path) {
  std::string out;
  for (const char c : path) {
    if (c == '/')
      out += "%2F";
    else if (c == '%')
      out += "%25";
    else
      out.push_back(c);
  }
  return out;
}

// Writes a record that appears whole or not at all; false if there is one already.
Result<bool> write_record(const std::string& folder, const std::string& name, const std::string& text) {
  const std::string path = folder + "/" + name;
  const std::string draft = folder + "/." + std::to_string(::getpid());
  const Fd fd(::open(draft.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600));
  if (!fd) return fail_errno("cannot write " + draft);
  if (Status written = write_all(fd.get(), text); !written) {
    ::unlink(draft.c_str());
    written.error().what = "cannot write " + draft;
    if (written.error().code == EFBIG)
      written.error().hint = "the limit of file sizes is too small: see ulimit -f";
    return std::unexpected(written.error());
  }
  const bool linked = ::link(draft.c_str(), path.c_str()) == 0;
  const int code = errno;
  ::unlink(draft.c_str());
  errno = code;
  if (!linked && errno != EEXIST) return fail_errno("cannot write " + path);
  return linked;
}

std::string read_setting(const std::string& path) {
  const auto text = read_file("/proc/sys/" + path, 256);
  return text ? std::string(trim(*text)) : std::string();
}

// Only what netjail itself can have recorded is acted on, whoever wrote it.
bool is_ours(std::string_view path) {
  if (path == "net/ipv6/conf/all/forwarding") return true;
  const auto parts = split(path, '/');
  if (parts.size() != 5 || parts[0] != "net" || parts[2] != "conf" || parts[3].empty() || parts[3] == "." ||
      parts[3] == "..")
    return false;
  if (parts[1] == "ipv4") return parts[4] == "forwarding";
  return parts[1] == "ipv6" && (parts[4] == "force_forwarding" || parts[4] == "accept_ra");
}

void restore_sysctl(const std::string& folder, const std::string& name) {
  const std::string path = folder + "/" + name;
  if (const auto text = read_file(path, 4096)) {
    const auto lines = split(*text, '\n');
    if (lines.size() >= 3 && is_ours(lines[0]) && parse_number(lines[1], 2)) {
      // An administrator who changed it meanwhile knows better. An interface that is gone needs nothing.
      if (const std::string now = read_setting(std::string(lines[0])); now == lines[2])
        (void)write_file("/proc/sys/" + std::string(lines[0]), lines[1]);
    }
  }
  ::unlink(path.c_str());
}

std::vector<std::string> records(const std::string& folder, std::string_view prefix) {
  std::vector<std::string> names;
  const std::unique_ptr<DIR, int (*)(DIR*)> dir(::opendir(folder.c_str()), ::closedir);
  if (!dir) return names;
  while (const dirent* entry = ::readdir(dir.get()))
    if (const std::string name = entry->d_name; name != "." && name != ".." && name.starts_with(prefix))
      names.push_back(name);
  return names;
}

}  // namespace

Status switch_on(const std::string& folder, const SysctlSetting& setting) {
  const std::string old = read_setting(setting.path);
  if (old == setting.value) return {};
  NJ_TRY(write_record(folder, std::string(kSysctl) + encode(setting.path),
                      setting.path + "\n" + old + "\n" + setting.value + "\n"));
  return set_sysctl(setting);
}

Status load_host_table(Netlink& netfilter, const nft::Ruleset& table, bool replace) {
  const Status done = load_ruleset(netfilter, table, {.persistent = true, .replace = replace});
  if (done || (done.error().code != EOPNOTSUPP && done.error().code != EINVAL)) return done;
  return load_ruleset(netfilter, table, {.persistent = false, .replace = replace});
}

Status ensure_table(Netlink& netfilter, const std::string& folder, const nft::Ruleset& table) {
  NJ_TRY_AS(const auto there, find_table(netfilter, table.table));
  if (!there) {
    NJ_TRY(write_record(folder, std::string(kTableRecord) + encode(table.table), table.table + "\n"));
    const Status loaded = load_host_table(netfilter, table, false);
    if (loaded) {
      wake_keeper(folder);
      return {};
    }
    // Another run was faster, or the keeper, who had read the record (EPERM: and owns it already).
    if (loaded.error().code != EEXIST && loaded.error().code != EPERM) return loaded;
    NJ_TRY_AS(const auto made, find_table(netfilter, table.table));
    if (!made) return loaded;
  }
  Status same = there && there->dormant ? fail("it is dormant") : verify_ruleset(netfilter, table);
  if (!same) {
    same.error().what =
        "table inet " + table.table + " of the host is not what netjail makes: " + same.error().what;
    same.error().hint = "see it with nft list table inet " + table.table +
                        "; when no jail runs, remove it with nft delete table inet " + table.table;
  }
  return same;
}

std::vector<std::string> recorded_tables(const std::string& folder) {
  std::vector<std::string> tables;
  for (const std::string& name : records(folder, kTableRecord))
    if (const auto text = read_file(folder + "/" + name, 4096)) tables.emplace_back(trim(*text));
  return tables;
}

void restore_sysctls(const std::string& folder) {
  for (const std::string& name : records(folder, kSysctl)) restore_sysctl(folder, name);
}

void remove_records(const std::string& folder) {
  for (const std::string& name : records(folder, "")) ::unlink((folder + "/" + name).c_str());
  ::rmdir(folder.c_str());
  ::rmdir(kRunFolder);  // stays while another namespace has state there
}

}  // namespace netjail
