#include <fcntl.h>
#include <sys/utsname.h>
#include <unistd.h>

#include <cstdlib>
#include <cstring>

#include "caller.h"
#include "commands.h"
#include "netjail/base/format.h"
#include "netjail/base/text.h"
#include "netjail/jail/jail.h"
#include "netjail/os/fd.h"

namespace netjail {
namespace {

struct Finding {
  bool fine = false;
  std::string what;
  std::string remedy;
};

Finding check_kernel() {
  utsname name{};
  ::uname(&name);
  const auto parts = split(name.release, '.');
  const long major = std::strtol(std::string(parts[0]).c_str(), nullptr, 10);
  const long minor = parts.size() > 1 ? std::strtol(std::string(parts[1]).c_str(), nullptr, 10) : 0;
  const bool fine = major > 5 || (major == 5 && minor >= 15);
  return {fine, fmt::format("Linux {}", name.release), "netjail needs Linux 5.15 or newer"};
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
  return {true,
          ::geteuid() == 0 ? "running as root: jails reach the world by a veth into the host"
                           : "running without root: jails reach the world through pasta",
          ""};
}

Finding check_way_out() {
  const Status there = check_pasta();
  if (there) return {true, "pasta and /dev/net/tun can be used", ""};
  const Error& error = there.error();
  const std::string why = error.code == 0 ? "" : std::string(": ") + ::strerrordesc_np(error.code);
  return {false, error.what + why, error.hint};
}

Finding check_sysctl() {
  const bool fine = ::access("/proc/sys/net/ipv4/ip_forward", W_OK) == 0;
  return {fine, fine ? "/proc/sys is writable" : "/proc/sys is not writable",
          "forwarding for the jails cannot be switched on; in a container: --privileged"};
}

Finding check_route(const HostFacts& host) {
  std::string interfaces;
  for (const HostUplink& uplink : host.uplinks)
    interfaces += fmt::format(" {} ({})", uplink.interface, uplink.family == Family::ipv4 ? "IPv4" : "IPv6");
  return {!host.uplinks.empty(),
          host.uplinks.empty() ? "no route to the internet" : "way out through" + interfaces,
          "connect the host; until then only profiles that open nothing work (--profile offline)"};
}

Finding check_resolver(const HostFacts& host) {
  return {host.has_resolver,
          host.has_resolver ? "/etc/resolv.conf names a resolver" : "/etc/resolv.conf names no resolver",
          "add a nameserver line, or set dns = \"none\" in the profile"};
}

// The whole set-up with the proof, up to a program that does nothing.
Finding check_jail(const Result<HostFacts>& host) {
  if (!host) return {false, host.error().what, ""};
  Profile profile;
  profile.name = "doctor";
  const auto identity = find_identity("", std::nullopt);
  if (!identity) return {false, identity.error().what, identity.error().hint};
  const auto caller = make_caller(*identity, {"/bin/true"}, {});
  if (!caller) return {false, caller.error().what, caller.error().hint};
  const KeptStreams streams;
  const auto run = [&]() -> Result<Outcome> {
    NJ_TRY_AS(Child child, Child::spawn());
    HostLock lock;
    if (::geteuid() == 0) {  // as plan_run()
      NJ_TRY_AS(lock, HostLock::take());
    }
    NJ_TRY_AS(const Plan plan, make_plan(make_policy(profile), *host, *caller));
    NJ_TRY_AS(Jail jail, Jail::apply(plan, std::move(lock), std::move(child)));
    return jail.supervise({});
  }();
  if (!run) return {false, "a jail cannot be made: " + render_error(run.error()), ""};
  return {run->status == 0, "a jail was made, proved and left", "true(1) failed inside"};
}

}  // namespace

Result<int> doctor_command(const Arguments& arguments) {
  if (!arguments.words.empty()) return fail("netjail doctor takes no argument");
  const auto host = probe_host({*parse_ip("198.51.100.1"), *parse_ip("2001:db8::1")});
  std::vector<Finding> findings{check_kernel(), check_mode(),
                                ::geteuid() == 0 ? check_sysctl() : check_way_out(), check_jail(host)};
  if (host) {
    findings.push_back(check_route(*host));
    findings.push_back(check_resolver(*host));
  }
  bool fine = true;
  std::string out;
  for (const Finding& finding : findings) {
    fine = fine && finding.fine;
    out += fmt::format("{}  {}\n", finding.fine ? "ok     " : "MISSING", trim(finding.what));
    if (!finding.fine && !finding.remedy.empty()) out += fmt::format("         -> {}\n", finding.remedy);
  }
  NJ_TRY(print(out));
  return fine ? 0 : 1;
}

}  // namespace netjail
