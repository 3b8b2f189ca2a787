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
#include "netjail/kernel/unix_sockets.h"
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

// A plan for true(1): with all of the internet open, or nothing.
Result<Plan> plan_true(const HostFacts& host, bool open) {
  Profile profile;
  profile.name = "doctor";
  profile.dns = DnsChoice::none;
  if (open) profile.rules.push_back(*parse_spec("internet", Action::allow, services()));
  NJ_TRY_AS(const Identity identity, find_identity("", std::nullopt));
  NJ_TRY_AS(const Caller caller, make_caller(identity, {"/bin/true"}, {}));
  return make_plan(make_policy(profile), host, caller);
}

std::vector<Finding> check_sockets() {
  if (can_scope_sockets())
    return {finding(true, "unix sockets outside are out of reach, whenever they are bound")};
  std::vector<Finding> out{
      {Mark::note,
       "a unix socket that is bound while a jail runs, in a folder that both see, is reached: only Linux 7.1 "
       "can shut that",
       "until then a profile whose [seccomp] families has no \"unix\""}};
  if (const auto list = list_bound_sockets(); !list)
    out.push_back(
        {Mark::note,
         "a unix socket that was moved since it was bound is not found: this kernel has no unix_diag",
         "as root: modprobe unix_diag; or a profile as above"});
  return out;
}

Finding check_mode(bool past) {
  if (::geteuid() != 0) return finding(true, "running without root: jails reach the world through pasta");
  return finding(true, past ? "running as root: jails reach the world through pasta"
                            : "running as root: jails reach the world by a veth into the host");
}

// What other firewalls do to jails. Of those that drop a part of what goes out by a condition, the host's own
// packets meet most.
std::vector<Finding> check_firewalls(const HostFacts& host, const UplinkPlan& uplink) {
  std::vector<Finding> out;
  if (!uplink.because.empty())
    out.push_back({Mark::note, "the host's forwarding is shut by " + uplink.because + "; pasta goes past it",
                   "nothing is to be done; netjail(1), BESIDE OTHER FIREWALLS"});
  for (const std::string& warning : uplink.warnings)
    out.push_back({Mark::note, warning, "netjail(1), BESIDE OTHER FIREWALLS"});
  const std::vector<std::string> all = find_walls(host, uplink.kind, true);
  const std::vector<std::string> told = find_walls(host, uplink.kind);
  for (const std::string& wall : all)
    if (std::ranges::find(told, wall) == told.end())
      out.push_back({Mark::note, wall + " can drop a part of what jails send", ""});
  return out;
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
Finding check_jail(const Result<HostFacts>& host, bool past) {
  if (!host) return missing("", host.error());
  const KeptStreams streams;
  const auto run = [&]() -> Result<Outcome> {
    NJ_TRY_AS(const Plan plan, plan_true(*host, past && !host->uplinks.empty() && check_pasta()));
    const bool root = ::geteuid() == 0;
    const bool for_user = root && plan.uplink.kind == UplinkPlan::Kind::pasta;
    NJ_TRY_AS(Child child, for_user ? Child::spawn_as(owner_of(plan.child)) : Child::spawn());
    HostLock lock;
    if (root) {  // as plan_run()
      NJ_TRY_AS(lock, HostLock::take());
    }
    NJ_TRY_AS(LocalWatch watch, LocalWatch::open());
    NJ_TRY_AS(Jail jail, Jail::apply(plan, std::move(lock), std::move(watch), std::move(child)));
    return jail.supervise({});
  }();
  if (!run) return missing("a jail cannot be made: ", run.error());
  return finding(run->status == 0, "a jail was made, proved and left", "true(1) failed inside");
}

}  // namespace

Result<int> doctor_command(const Arguments& arguments) {
  if (!arguments.words.empty()) return fail("netjail doctor takes no argument");
  auto host = probe_host({.destinations = {*parse_ip("198.51.100.1"), *parse_ip("2001:db8::1")}});
  const bool root = ::geteuid() == 0;
  UplinkPlan uplink;
  Status firewalls;
  if (const auto identity = find_identity("", std::nullopt); root && host && identity)
    firewalls = probe_firewalls(*host, identity->uid, Detail::all);
  if (host && !host->uplinks.empty())
    if (auto plan = plan_true(*host, true)) uplink = std::move(plan->uplink);
  const bool past = !root || uplink.kind == UplinkPlan::Kind::pasta;
  std::vector<Finding> findings{check_kernel(), check_mode(past), past ? check_way_out() : check_sysctl(host),
                                check_jail(host, past)};
  if (host) {
    findings.push_back(check_route(*host));
    findings.push_back(check_resolver(*host));
    if (root) std::ranges::move(check_firewalls(*host, uplink), std::back_inserter(findings));
  }
  if (!firewalls) findings.push_back(missing("", firewalls.error()));
  std::ranges::move(check_sockets(), std::back_inserter(findings));
  if (past) std::ranges::move(check_pasta_limits(), std::back_inserter(findings));
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
