#include <fcntl.h>
#include <poll.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <csignal>

#include "caller.h"
#include "commands.h"
#include "netjail/base/format.h"
#include "netjail/base/text.h"
#include "netjail/jail/jail.h"
#include "netjail/jail/streams.h"
#include "planning.h"

namespace netjail {
namespace {

constexpr int kDenied = 3;             // --fail-on-deny
constexpr std::size_t kMostLive = 20;  // lines while the program runs; the summary has the rest

void tell(const std::string& text) { (void)write_all(STDERR_FILENO, text); }

// While the program runs nothing may wait for a reader: the program can halt the terminal (tcflow(3)), and
// the supervisor has to refuse what the host gets meanwhile (SECURITY.md P3). The summary has what is left
// out.
void tell_now(const std::string& text) {
  pollfd err{STDERR_FILENO, POLLOUT, 0};
  if (::poll(&err, 1, 0) == 1) tell(text);
}

SuperviseOptions live_lines(const Plan& plan, SuperviseOptions options) {
  const auto limited = [told = std::make_shared<std::size_t>(0)](const std::string& line) {
    if (*told > kMostLive) return;
    tell_now(++*told > kMostLive ? "netjail: more refusals follow; the summary at the end counts them\n"
                                 : line);
  };
  options.on_refusal = [&plan, limited](const Refusal& refusal) { limited(render_refusal(plan, refusal)); };
  options.on_refused_name = [&plan, limited](const RefusedName& name) {
    limited(render_refused_name(plan, name));
  };
  options.on_refused_namespace = [&plan, limited](const RefusedNamespace& refused) {
    limited(render_refused_namespace(plan, refused));
  };
  return options;
}

// What somebody might look for in vain, or take for granted.
std::string describe_surprises(const Plan& plan, const Streams& streams, bool verbose) {
  std::string out;
  for (const std::string& path : plan.child.lost)
    out += fmt::format(
        "netjail: {} will be in a folder of the jail's own, and gone with it; to keep it: --share {}\n",
        printable(path), shell_quote(path.substr(0, path.rfind('/'))));
  if (const std::string lost = describe_lost_sockets(plan.child); !lost.empty())
    out += "netjail: " + lost + "\n";
  for (const std::string& path : plan.child.links)
    out += fmt::format(
        "netjail: the program does not find {}, a symbolic link: name what it leads to, or --share {}\n",
        printable(path), shell_quote(path.substr(0, path.rfind('/'))));
  if (!verbose) return out;
  static constexpr const char* kNames[] = {"input", "output", "error"};
  for (const StreamRelay& relay : streams.relays())
    out += fmt::format("netjail: standard {} is a socket: it is passed on through a pipe\n",
                       kNames[relay.number]);
  if (!plan.child.withheld.empty())
    out += fmt::format("netjail: not passed on, for they lead to unix sockets that are out of reach: {}\n",
                       join_some(plan.child.withheld, 12));
  return out;
}

// Set-up needs about 25 descriptors at once, the resolver more; it must not run out of them half way.
Status check_limits() {
  constexpr rlim_t kLeast = 64;
  rlimit limit{};
  if (::getrlimit(RLIMIT_NOFILE, &limit) != 0) return fail_errno("cannot read the limit of open files");
  if (limit.rlim_cur >= kLeast) return {};
  return fail(fmt::format("only {} open files are allowed, netjail needs {}", limit.rlim_cur, kLeast),
              fmt::format("ulimit -n {}", kLeast));
}

Result<Fd> open_report(const std::string& path) {
  if (path.empty()) return Fd();
  Fd fd(::open(path.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644));
  if (!fd) return fail_errno("cannot write the report to " + printable(path));
  return fd;
}

// As init of a container we are the keeper's parent, and it dies with us: let it finish.
void wait_for_keeper() {
  if (::getpid() != 1) return;
  while (::waitpid(-1, nullptr, 0) > 0 || errno == EINTR) {
  }
}

Result<int> run_jailed(const Arguments& arguments) {
  if (arguments.words.empty())
    return fail("netjail run: no command given",
                "netjail run --profile internet -- curl -sI 198.51.100.7; see netjail run --help");
  if (arguments.has("quiet") && arguments.has("verbose"))
    return fail("--quiet and --verbose exclude each other");
  NJ_TRY(check_limits());
  NJ_TRY(check_standard_streams());
  NJ_TRY_AS(const auto keep_fds, kept_descriptors(arguments));
  NJ_TRY_AS(Streams streams, Streams::wrap());
  // First of all, to make the namespaces while we read the profile and the host; whose mistakes are told
  // first.
  Result<Child> child = Child::spawn();
  // A caller's limit of file sizes is an error to be told, not the end of us.
  sigset_t too_big;
  sigemptyset(&too_big);
  sigaddset(&too_big, SIGXFSZ);
  ::sigprocmask(SIG_BLOCK, &too_big, nullptr);
  NJ_TRY_AS(Planned planned, plan_run(arguments, keep_fds, true));
  const Plan& plan = planned.plan;
  if (!child) return std::unexpected(child.error());
  std::optional<Child> behind_pasta;
  if (plan.uplink.kind == UplinkPlan::Kind::pasta && ::geteuid() == 0) {
    // Behind pasta root has nothing to do that the user inside could not do: the namespaces are his.
    { const Child first = std::move(*child); }
    NJ_TRY_AS(Child other, Child::spawn_as(owner_of(plan.child)));
    behind_pasta.emplace(std::move(other));
  }
  streams.restore();
  NJ_TRY_AS(const Fd json, open_report(arguments.value("json")));

  const bool verbose = arguments.has("verbose");
  const bool quiet = arguments.has("quiet");
  for (const std::string& warning : plan.uplink.warnings) tell("netjail: " + warning + "\n");
  if (verbose && !plan.uplink.because.empty())
    tell("netjail: through pasta: the host's forwarding is shut by " + plan.uplink.because + "\n");
  const bool live = !quiet && (verbose || ::isatty(STDERR_FILENO) == 1);
  NJ_TRY_AS(Jail jail, Jail::apply(plan, std::move(planned.lock), std::move(planned.watch),
                                   std::move(behind_pasta ? *behind_pasta : *child)));
  SuperviseOptions options;
  options.on_uplink_lost = [] { tell_now("netjail: pasta has ended: the jail has no way out any more\n"); };
  options.on_uplink_closed = [] {
    tell(
        "netjail: the jail had lost its way out: table inet netjail of the host, or a guard of it, was "
        "replaced "
        "by somebody (see the system log), or the jail's interface there was closed\n");
  };
  if (live) options = live_lines(plan, std::move(options));
  if (!quiet) tell(describe_surprises(plan, streams, verbose));
  options.streams = streams.take();
  NJ_TRY_AS(const Outcome outcome, jail.supervise(std::move(options)));

  if (!quiet) tell(render_summary(plan, outcome, verbose));
  if (json) {
    Status written = write_all(json.get(), render_json_lines(plan, outcome));
    if (!written) {  // the program has run: its status counts more
      written.error().what = "cannot write the report to " + printable(arguments.value("json"));
      tell(render_error(written.error()));
    }
  }
  if (outcome.status == 0 && arguments.has("fail-on-deny") && outcome.refused() > 0) return kDenied;
  return outcome.status;
}

}  // namespace

Result<int> run_command(const Arguments& arguments) {
  Result<int> status = run_jailed(arguments);
  wait_for_keeper();  // the jail and its lock are gone
  return status;
}

}  // namespace netjail
