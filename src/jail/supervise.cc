#include "supervise.h"

#include <fcntl.h>
#include <malloc.h>
#include <sys/signalfd.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <asio/io_context.hpp>
#include <asio/posix/stream_descriptor.hpp>
#include <asio/steady_timer.hpp>
#include <chrono>
#include <csignal>

#include "caller_terminal.h"
#include "dns_question.h"
#include "netjail/base/text.h"
#include "netjail/jail/resolver.h"
#include "netjail/kernel/seccomp.h"
#include "netjail/net/packet.h"
#include "pump.h"

namespace netjail {
namespace {

// Refused packets read per turn of the loop: a flood must not starve signals and the resolver.
constexpr std::size_t kLogTurn = 64;
constexpr std::size_t kWorthTrimming = 1 << 20;  // octets
// After SIGHUP (the terminal is gone) the program has this long to end by itself.
constexpr std::chrono::seconds kHangupGrace{2};

class Supervisor {
 public:
  explicit Supervisor(SuperviseInput input)
      : in_(std::move(input)),
        control_(loop_),
        signal_events_(loop_),
        log_events_(loop_),
        uplink_(loop_),
        attempts_(loop_),
        host_events_(loop_),
        hangup_(loop_) {}
  Supervisor(const Supervisor&) = delete;
  Supervisor& operator=(const Supervisor&) = delete;
  ~Supervisor() {
    if (resolver_) resolver_->stop();
    for (const auto& pump : pumps_) pump->stop();
    // The descriptors are not ours to close.
    for (asio::posix::stream_descriptor* descriptor :
         {&control_, &signal_events_, &log_events_, &uplink_, &attempts_, &host_events_})
      if (descriptor->is_open()) descriptor->release();
  }

  Result<Outcome> run() {
    control_.assign(in_.child.control());
    signal_events_.assign(signals_.fd());
    log_events_.assign(in_.log.fd());
    if (in_.uplink >= 0) uplink_.assign(in_.uplink);
    if (in_.attempts) attempts_.assign(in_.attempts.get());
    NJ_TRY(start_resolver());
    if (in_.host != nullptr) {
      host_events_.assign(in_.host->fd());
      NJ_TRY(in_.host->refuse_new(in_.rules));  // since the host was read
    }
    NJ_TRY(in_.child.go());
    detach_streams();
    start_pumps();
    // A profile of ten thousand names leaves 3 MiB that nobody needs any more.
    if (::mallinfo2().fordblks > kWorthTrimming) ::malloc_trim(0);
    watch_control();
    watch_signals();
    watch_log();
    watch_uplink();
    watch_attempts();
    watch_host();
    loop_.run();
    terminal_.take_back();
    if (error_) return std::unexpected(std::move(*error_));
    if (resolver_) outcome_.names_asked = resolver_->counts().questions;
    return std::move(outcome_);
  }

 private:
  Status start_resolver() {
    if (!in_.udp) return {};
    const ResolverPlan& plan = in_.plan.resolver;
    ResolverSettings settings;
    settings.policy = in_.plan.policy;
    settings.hosts = plan.hosts;
    settings.search = plan.search;
    settings.ipv6 = in_.plan.uplink.ipv6;
    for (const std::string& type : settings.policy.record_types)
      if (const auto number = dns::parse_type(type)) settings.types.push_back(*number);
    for (const NameServer& server : settings.policy.upstreams)
      settings.upstreams.push_back({.address = server.address, .port = server.port, .zone = {}});
    if (!settings.upstreams.empty()) {
      settings.resolv_conf.clear();
    } else if (plan.forward) {
      if (const auto text = read_file(settings.resolv_conf, 1u << 20))
        settings.upstreams = parse_resolv_conf(*text);
    }
    ResolverHooks hooks{
        .open = [this](std::span<const Opening> openings) { return open(openings); },
        .on_refused = [this](const RefusedName& refused) { refuse_name(refused); },
    };
    NJ_TRY_AS(resolver_, Resolver::create(loop_, std::move(settings), std::move(in_.udp), std::move(in_.tcp),
                                          std::move(hooks)));
    return {};
  }

  // Into the sets of the router, in one transaction.
  Status open(std::span<const Opening> openings) {
    std::vector<Lesson> lessons;
    for (const Opening& opening : openings) {
      // Of one family after the other: a set has one.
      const std::span<const LearnedAddress> all(opening.addresses);
      const auto middle =
          std::ranges::partition_point(
              all, [](const LearnedAddress& one) { return one.address.family == Family::ipv4; }) -
          all.begin();
      const auto split = static_cast<std::size_t>(middle);
      const std::string& group = groups_[opening.group].id;
      if (split > 0) lessons.push_back({learned_set(group, Family::ipv4), all.first(split)});
      if (split < all.size()) lessons.push_back({learned_set(group, Family::ipv6), all.subspan(split)});
    }
    return learned_.add(in_.rules, lessons);
  }

  // The program has 0-2 now. Holding a pipe's end as well would hide from the other side that the program
  // closed it.
  static void detach_streams() {
    const Fd null(::open("/dev/null", O_RDWR | O_CLOEXEC));
    if (!null) return;
    ::dup2(null.get(), 0);
    ::dup2(null.get(), 1);
  }

  void start_pumps() {
    for (StreamRelay& relay : in_.options.streams) {
      const bool output = relay.number != 0;
      if (output) ++outputs_;
      pumps_.push_back(Pump::start(loop_, std::move(relay), [this, output] {
        if (output && --outputs_ == 0 && ended_) loop_.stop();
      }));
    }
  }

  void refuse_name(const RefusedName& refused) {
    if (!outcome_.add_refused_name(refused)) return;
    if (in_.options.on_refused_name) in_.options.on_refused_name(outcome_.refused_names.back());
  }

  void watch_control() {
    control_.async_wait(asio::posix::stream_descriptor::wait_read, [this](asio::error_code failed) {
      if (failed) return;
      if (on_event()) watch_control();
    });
  }

  // False when the program has ended.
  bool on_event() {
    const auto read = in_.child.read_event();
    if (!read || !*read) {
      // init is gone without a word: killed from outside, or out of memory.
      return finish(128 + SIGKILL);
    }
    const ChildEvent& event = **read;
    switch (event.kind) {
      case ChildEvent::Kind::exited: return finish(event.value);
      case ChildEvent::Kind::signalled: return finish(128 + event.value);
      case ChildEvent::Kind::failed:
      case ChildEvent::Kind::exec_failed:
        error_ = in_.child.describe_failure(event);
        return finish(error_->status);
      case ChildEvent::Kind::stopped: stop_like(event.value); return true;
      case ChildEvent::Kind::ready: return true;
    }
    return true;
  }

  // The program was stopped (Ctrl-Z): the shell that waits for us must see the same. When it continues us,
  // the program goes on too.
  void stop_like(int signal) {
    terminal_.take_back();
    if (::getsid(0) != ::getpid()) {
      // What else runs in the jail goes on, and nobody watches the host's addresses: no network, then.
      signal_uplink(SIGSTOP);
      ::raise(SIGSTOP);
      if (in_.host == nullptr || refuse_host()) signal_uplink(SIGCONT);
    }
    (void)signal;
    in_.child.send_signal(SIGCONT);
  }

  void signal_uplink(int signal) {
    if (in_.uplink >= 0) ::syscall(SYS_pidfd_send_signal, in_.uplink, signal, nullptr, 0);
  }

  bool finish(int status) {
    outcome_.status = status;
    in_.child.reap();
    // What was logged before the end is in the socket already.
    read_log(SIZE_MAX);
    hangup_.cancel();
    ended_ = true;
    if (outputs_ == 0) loop_.stop();  // else when they have given all that the program wrote
    return false;
  }

  void watch_signals() {
    signal_events_.async_wait(asio::posix::stream_descriptor::wait_read, [this](asio::error_code failed) {
      if (failed) return;
      signalfd_siginfo info{};
      while (::read(signals_.fd(), &info, sizeof info) == static_cast<ssize_t>(sizeof info)) on_signal(info);
      watch_signals();
    });
  }

  void on_signal(const signalfd_siginfo& info) {
    const auto signal = static_cast<int>(info.ssi_signo);
    if (signal == SIGCHLD || signal == SIGCONT || signal == SIGPIPE || signal == SIGTTOU) return;
    if (ended_) {  // nobody takes what the program wrote
      loop_.stop();
      return;
    }
    // The kernel sends a terminal's signals to the whole foreground group, the program among it; what a
    // process sent to us alone is passed on.
    if (info.ssi_code <= 0) in_.child.send_signal(signal);
    if (signal == SIGHUP) {
      if (info.ssi_code > 0) in_.child.send_signal(SIGHUP);
      hangup_.expires_after(kHangupGrace);
      hangup_.async_wait([this](asio::error_code cancelled) {
        if (!cancelled) in_.child.kill();
      });
    }
  }

  void watch_log() {
    log_events_.async_wait(asio::posix::stream_descriptor::wait_read, [this](asio::error_code failed) {
      if (failed) return;
      read_log(kLogTurn);
      watch_log();
    });
  }

  void watch_uplink() {
    if (!uplink_.is_open()) return;
    uplink_.async_wait(asio::posix::stream_descriptor::wait_read, [this](asio::error_code failed) {
      if (!failed && in_.options.on_uplink_lost) in_.options.on_uplink_lost();
    });
  }

  // At new namespaces. One at a time: each waits for its answer.
  void watch_attempts() {
    if (!attempts_.is_open()) return;
    attempts_.async_wait(asio::posix::stream_descriptor::wait_read, [this](asio::error_code failed) {
      if (failed) return;
      const auto attempt = refuse_attempt(in_.attempts.get());
      const bool told = attempt && (attempt->user_namespace || in_.plan.child.user_namespaces);
      if (told && outcome_.add_refused_namespace(printable(attempt->program)) &&
          in_.options.on_refused_namespace)
        in_.options.on_refused_namespace(outcome_.refused_namespaces.back());
      watch_attempts();
    });
  }

  void watch_host() {
    if (!host_events_.is_open()) return;
    host_events_.async_wait(asio::posix::stream_descriptor::wait_read, [this](asio::error_code failed) {
      if (failed) return;
      if (refuse_host()) watch_host();
    });
  }

  // False when the program had to be ended: P2.
  bool refuse_host() {
    const Status done = in_.host->refuse_new(in_.rules);
    if (done) return true;
    error_ = done.error();
    in_.child.kill();
    return false;
  }

  void read_log(std::size_t most) {
    in_.log.read(most, [this](const std::string& rule, std::span<const std::byte> octets) {
      const auto flow = parse_packet(octets);
      if (!flow) return;
      const std::string name = resolver_ ? resolver_->name_of(flow->destination) : std::string();
      if (!outcome_.add_refusal(*flow, rule, printable(name))) return;
      if (in_.options.on_refusal) in_.options.on_refusal(outcome_.refusals.back());
    });
  }

  SuperviseInput in_;
  BlockedSignals signals_;
  Terminal terminal_;
  asio::io_context loop_{1};
  asio::posix::stream_descriptor control_;
  asio::posix::stream_descriptor signal_events_;
  asio::posix::stream_descriptor log_events_;
  asio::posix::stream_descriptor uplink_;
  asio::posix::stream_descriptor attempts_;
  asio::posix::stream_descriptor host_events_;
  asio::steady_timer hangup_;
  const std::vector<NameGroup> groups_ = make_name_groups(in_.plan.policy);
  LearnedSets learned_{std::string(kTable)};
  std::unique_ptr<Resolver> resolver_;
  std::vector<std::shared_ptr<Pump>> pumps_;
  std::size_t outputs_ = 0;  // pumps that are not done
  bool ended_ = false;
  Outcome outcome_;
  std::optional<Error> error_;
};

}  // namespace

Result<Outcome> supervise_child(SuperviseInput input) {
  const auto start = std::chrono::steady_clock::now();
  Supervisor supervisor(std::move(input));
  NJ_TRY_AS(Outcome outcome, supervisor.run());
  outcome.seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  return outcome;
}

}  // namespace netjail
