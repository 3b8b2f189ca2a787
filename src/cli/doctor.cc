#include <fcntl.h>
#include <sys/utsname.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstdlib>
#include <cstring>
#include <iterator>

#include "caller.h"
#include "commands.h"
#include "netjail/base/format.h"
#include "netjail/base/text.h"
#include "netjail/jail/jail.h"
#include "netjail/os/fd.h"
#include "policy_args.h"

namespace netjail {
namespace {

enum class Mark { fine, note, missing };

struct Finding {
  Mark mark = Mark::missing;
  std::string what;
  std::string remedy;
};

Finding finding(bool fine, std::string what, std::string remedy = {}) {
  return {fine ? Mark::fine : Mark::missing, std::move(what), std::move(remedy)};
}

Finding missing(const std::string& what, const Error& error) {
  std::string why = what + error.what;
  if (error.code != 0) why += std::string(": ") + ::strerrordesc_np(error.code);
  if (!error.kernel.empty()) why += " (" + error.kernel + ")";
  return finding(false, why, error.hint);
}

constexpr const char* kContainerFlag =
    "in a container: --security-opt unmask=/proc/sys (Podman), systempaths=unconfined (Docker)";

Finding check_kernel() {
  utsname name{};
  ::uname(&name);
  const auto parts = split(name.release, '.');
  const long major = std::strtol(std::string(parts[0]).c_str(), nullptr, 10);
  const long minor = parts.size() > 1 ? std::strtol(std::string(parts[1]).c_str(), nullptr, 10) : 0;
  const bool fine = major > 5 || (major == 5 && minor >= 15);
  return finding(fine, fmt::format("Linux {}", name.release), "netjail needs Linux 5.15 or newer");
}

// Supervising a jail gives standard input and output away; what comes after wants them back.
class KeptStreams {
 public:
  KeptStreams() : in_(::fcntl(0, F_DUPFD_CLOEXEC, 3)), out_(::fcntl(1, F_DUPFD_CLOEXEC, 3)) {}
  KeptStreams(const KeptStreams&) = delete;
  KeptStreams& operator=(const KeptStreams&) = delete;
  ~KeptStreams() {
    ::dup2(in_.get(), 0);
    ::dup2(out_.get(), 1);
  }

 private:
  Fd in_;
  Fd out_;
};

Finding check_mode() {
  return finding(true, ::geteuid() == 0 ? "running as root: jails reach the world by a veth into the host"
                                        : "running without root: jails reach the world through pasta");
}

Finding check_way_out() {
  const Status there = check_pasta();
  return there ? finding(true, "pasta and /dev/net/tun can be used") : missing("", there.error());
}

// Empty where the sysctl is not: some are of the initial network namespace alone.
std::vector<std::uint64_t> read_numbers(const char* path) {
  std::vector<std::uint64_t> out;
  const auto text = read_file(path, 64);
  if (!text) return out;
  for (const std::string_view word : split_words(trim(*text)))
    if (const auto number = parse_number(word, UINT32_MAX)) out.push_back(*number);
  return out;
}

// What makes pasta less than it could be. Nothing is missing for it.
std::vector<Finding> check_pasta_limits() {
  std::vector<Finding> out;
  constexpr std::uint64_t kGoodBuffer = 16u << 20;
  const auto buffer = read_numbers("/proc/sys/net/core/wmem_max");
  if (!buffer.empty() && buffer[0] < kGoodBuffer)
    out.push_back({Mark::note,
                   fmt::format("an upload through pasta is slow: net.core.wmem_max is {}", buffer[0]),
                   fmt::format("as root: sysctl net.core.wmem_max={}", kGoodBuffer)});
  const auto range = read_numbers("/proc/sys/net/ipv4/ping_group_range");
  std::vector<gid_t> groups(static_cast<std::size_t>(std::max(::getgroups(0, nullptr), 0)));
  groups.resize(
      static_cast<std::size_t>(std::max(::getgroups(static_cast<int>(groups.size()), groups.data()), 0)));
  groups.push_back(::getegid());
  const auto may = [&](gid_t group) { return range[0] <= group && group <= range[1]; };
  if (range.size() == 2 && std::ranges::none_of(groups, may))
    out.push_back({Mark::note,
                   "ping through pasta is not answered: net.ipv4.ping_group_range has no group of yours",
                   "as root: sysctl net.ipv4.ping_group_range=\"0 2147483647\""});
  return out;
}

Finding check_sysctl(const Result<HostFacts>& host) {
  if (::access("/proc/sys/net/ipv4/ip_forward", W_OK) == 0) return finding(true, "/proc/sys is writable");
  const bool on =
      host && !host->uplinks.empty() && std::ranges::all_of(host->uplinks, &HostUplink::forwarding);
  return on ? finding(true, "forwarding is on")
            : finding(false, "/proc/sys is not writable: forwarding cannot be switched on", kContainerFlag);
}

Finding check_route(const HostFacts& host) {
  std::string interfaces;
  for (const HostUplink& uplink : host.uplinks)
    interfaces += fmt::format(" {} ({})", uplink.interface, uplink.family == Family::ipv4 ? "IPv4" : "IPv6");
  return finding(!host.uplinks.empty(),
                 host.uplinks.empty() ? "no route to the internet" : "way out through" + interfaces,
                 "connect the host; until then only profiles that open nothing work (--profile offline)");
}

Finding check_resolver(const HostFacts& host) {
  return finding(
      host.has_resolver,
      host.has_resolver ? "/etc/resolv.conf names a resolver" : "/etc/resolv.conf names no resolver",
      "add a nameserver line, or set dns = \"none\" in the profile");
}

// The whole set-up with the proof, up to a program that does nothing. With a way out where that changes
// nothing of the host: through pasta.
Finding check_jail(const Result<HostFacts>& host) {
  if (!host) return missing("", host.error());
  Profile profile;
  profile.name = "doctor";
  profile.dns = DnsChoice::none;
  if (!host->privileged && !host->uplinks.empty() && check_pasta())
    profile.rules.push_back(*parse_spec("internet", Action::allow, services()));
  const auto identity = find_identity("", std::nullopt);
  if (!identity) return missing("", identity.error());
  const auto caller = make_caller(*identity, {"/bin/true"}, {});
  if (!caller) return missing("", caller.error());
  const KeptStreams streams;
  const auto run = [&]() -> Result<Outcome> {
    NJ_TRY_AS(Child child, Child::spawn());
    HostLock lock;
    if (::geteuid() == 0) {  // as plan_run()
      NJ_TRY_AS(lock, HostLock::take());
    }
    NJ_TRY_AS(LocalWatch watch, LocalWatch::open());
    NJ_TRY_AS(const Plan plan, make_plan(make_policy(profile), *host, *caller));
    NJ_TRY_AS(Jail jail, Jail::apply(plan, std::move(lock), std::move(watch), std::move(child)));
    return jail.supervise({});
  }();
  if (!run) return missing("a jail cannot be made: ", run.error());
  return finding(run->status == 0, "a jail was made, proved and left", "true(1) failed inside");
}

}  // namespace

Result<int> doctor_command(const Arguments& arguments) {
  if (!arguments.words.empty()) return fail("netjail doctor takes no argument");
  const auto host = probe_host({.destinations = {*parse_ip("198.51.100.1"), *parse_ip("2001:db8::1")}});
  std::vector<Finding> findings{check_kernel(), check_mode(),
                                ::geteuid() == 0 ? check_sysctl(host) : check_way_out(), check_jail(host)};
  if (host) {
    findings.push_back(check_route(*host));
    findings.push_back(check_resolver(*host));
  }
  if (::geteuid() != 0) std::ranges::move(check_pasta_limits(), std::back_inserter(findings));
  bool fine = true;
  std::string out;
  for (const auto& [mark, what, remedy] : findings) {
    fine = fine && mark != Mark::missing;
    static constexpr std::array kWords{"ok     ", "note   ", "MISSING"};
    out += fmt::format("{}  {}\n", kWords[static_cast<std::size_t>(mark)], what);
    if (mark != Mark::fine && !remedy.empty()) out += fmt::format("         -> {}\n", remedy);
  }
  NJ_TRY(print(out));
  return fine ? 0 : 1;
}

}  // namespace netjail
