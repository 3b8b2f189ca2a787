#include "leaks.h"

#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>

#include "netjail/base/text.h"

namespace netjail::test {
namespace {

namespace fs = std::filesystem;

void add_lines(std::set<std::string>& facts, std::string_view kind, std::string_view text) {
  for (const auto line : split(text, '\n')) {
    if (!trim(line).empty()) facts.insert(std::string(kind) + " " + std::string(trim(line)));
  }
}

// One `ip` for the three: `ip -batch` prints them one after the other.
Status add_network(std::set<std::string>& facts, Place place) {
  const Command ip{.argv = {"ip", "-o", "-batch", "-"},
                   .input = "link show\naddr show\nroute show table all\nrule show\n"};
  NJ_TRY_AS(const Outcome network, run(place, ip));
  if (!network.ok()) return fail("ip: " + network.err);
  add_lines(facts, "network", network.out);
  NJ_TRY_AS(const Outcome rules, run(place, {.argv = {"ip", "-6", "rule", "show"}}));
  add_lines(facts, "rule6", rules.out);
  NJ_TRY_AS(const Outcome nft, run(place, {.argv = {"nft", "-s", "list", "ruleset"}}));
  if (!nft.ok()) return fail("nft: " + nft.err);
  // Lines of different tables may be equal, so each carries its table and chain.
  std::string table, chain;
  for (const auto line : split(nft.out, '\n')) {
    const auto words = split_words(line);
    if (words.empty()) continue;
    if (words[0] == "table") table = std::string(trim(line)), chain.clear();
    if (words[0] == "chain" || words[0] == "set" || words[0] == "map") chain = std::string(trim(line));
    facts.insert("nft " + table + " " + chain + " " + std::string(trim(line)));
  }
  return {};
}

Status add_sysctls(std::set<std::string>& facts, Place place) {
  return in_place(place, [&]() -> Status {
    std::error_code error;
    for (const char* family : {"ipv4", "ipv6"}) {
      for (const auto& entry :
           fs::directory_iterator(std::string("/proc/sys/net/") + family + "/conf", error)) {
        for (const char* name :
             {"forwarding", "force_forwarding", "accept_ra", "accept_redirects", "route_localnet",
              "rp_filter", "proxy_arp", "proxy_ndp", "disable_ipv6", "arp_ignore"}) {
          if (const auto value = read_file(entry.path() / name))
            facts.insert("sysctl " + (entry.path() / name).string() + " = " + std::string(trim(*value)));
        }
      }
    }
    for (const char* path : {"ipv4/ip_forward", "ipv4/ip_local_port_range", "ipv4/ping_group_range",
                             "core/wmem_max", "core/rmem_max", "netfilter/nf_conntrack_max"}) {
      if (const auto value = read_file(std::string("/proc/sys/net/") + path))
        facts.insert(std::string("sysctl ") + path + " = " + std::string(trim(*value)));
    }
    return {};
  });
}

Status add_mounts(std::set<std::string>& facts, Place place) {
  return in_place(place, [&]() -> Status {
    NJ_TRY_AS(const std::string mounts, read_file("/proc/thread-self/mountinfo"));
    add_lines(facts, "mount", mounts);
    if (place.mount < 0) return {};  // the machine's own /run belongs to others
    std::error_code error;
    for (fs::recursive_directory_iterator at("/run", error), end; !error && at != end; at.increment(error)) {
      struct stat info {};
      if (::lstat(at->path().c_str(), &info) != 0) continue;
      // netjail keeps its folder and empty lock files: they carry no state.
      const bool own = at->path().string().starts_with("/run/netjail");
      if (own && (S_ISDIR(info.st_mode) || (S_ISREG(info.st_mode) && info.st_size == 0))) continue;
      facts.insert("file " + at->path().string());
    }
    return {};
  });
}

std::string link_target(const fs::path& path) {
  std::error_code error;
  return fs::read_symlink(path, error).string();
}

// Also the namespaces that a process holds by a descriptor only.
void add_processes(std::set<std::string>& facts) {
  for (const pid_t pid : descendants()) {
    const std::string folder = "/proc/" + std::to_string(pid);
    auto command = read_file(folder + "/cmdline").value_or("");
    std::ranges::replace(command, '\0', ' ');
    const std::string network = link_target(folder + "/ns/net");
    if (network.empty()) continue;  // ended meanwhile
    facts.insert("process " + std::to_string(pid) + " " + printable(command));
    facts.insert("namespace " + network);
    std::error_code error;
    for (fs::directory_iterator at(folder + "/fd", error), end; !error && at != end; at.increment(error)) {
      const std::string target = link_target(at->path());
      if (target.starts_with("net:[")) facts.insert("namespace " + target);
    }
  }
}

}  // namespace

Result<Snapshot> Snapshot::take(Place place) {
  Snapshot snapshot;
  NJ_TRY(add_network(snapshot.facts, place));
  NJ_TRY(add_sysctls(snapshot.facts, place));
  NJ_TRY(add_mounts(snapshot.facts, place));
  add_processes(snapshot.facts);
  return snapshot;
}

std::string difference(const Snapshot& before, const Snapshot& after) {
  std::string text;
  for (const auto& fact : after.facts)
    if (!before.facts.contains(fact)) text += "+ " + fact + "\n";
  for (const auto& fact : before.facts)
    if (!after.facts.contains(fact)) text += "- " + fact + "\n";
  return text;
}

std::string leaked(Place place, const Snapshot& before, Milliseconds deadline) {
  std::string last;
  eventually(
      [&] {
        const auto now = Snapshot::take(place);
        last = now ? difference(before, *now) : render_error(now.error());
        return last.empty();
      },
      deadline);
  return last;
}

}  // namespace netjail::test
