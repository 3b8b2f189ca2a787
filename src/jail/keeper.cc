#include "keeper.h"

#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <sys/eventfd.h>
#include <sys/file.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <syslog.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <map>

#include "host_records.h"
#include "host_state.h"
#include "netjail/base/text.h"
#include "netjail/jail/jail.h"
#include "netjail/kernel/link.h"
#include "netjail/kernel/nft.h"

namespace netjail {
namespace {

// ms that it waits for a next run: making the host anew costs that run 20 ms
constexpr int kLinger = 1000;
constexpr int kTrouble = 200;  // ms between two looks while a table is somebody else's
constexpr int kLooks = 5;      // at one change: another run may be making the table, too

std::string wake_path(const std::string& folder) { return folder + "/wake"; }

std::vector<std::string> jail_links() {
  std::vector<std::string> names;
  const auto links = read_file("/proc/net/dev");
  if (!links) return names;
  for (const std::string_view line : split(*links, '\n'))
    if (const auto name = trim(line.substr(0, line.find(':')));
        name.starts_with(kHostInterfacePrefix) && name.size() > 2 && name[2] >= '0' && name[2] <= '9')
      names.emplace_back(name);
  return names;
}

void drain(int fd) {
  char octets[64];
  while (::read(fd, octets, sizeof octets) > 0 || errno == EINTR || errno == ENOBUFS) {
  }
}

class Keeper {
 public:
  Keeper(std::string folder, Netlink netfilter)
      : folder_(std::move(folder)), netfilter_(std::move(netfilter)) {}

  int ways() const { return ways_.get(); }
  int changes() const { return changes_.get(); }
  bool in_trouble() const { return trouble_; }

  // At every table, as often as something is on the move.
  void look() {
    if (changes_) drain(changes_.get());
    Status done;
    for (int i = 0; i < kLooks; ++i) {
      done = keep_all();
      if (done && !listen_if_needed()) break;
    }
    if (!done) cut_off(done.error());
    trouble_ = !done;
    if (!ways_)
      if (auto watch = watch_ways()) ways_ = std::move(*watch);
  }

  // The way to the Internet may have moved to another interface (Wi-Fi to VPN): replies come in there.
  void follow() {
    drain(ways_.get());
    if (trouble_) return;
    const std::vector<Ip> far{*parse_ip("1.0.0.0"), *parse_ip("192.0.2.0"), *parse_ip("2000::")};
    const auto host = probe_host({far, false, {}});
    if (!host) return;
    UplinkPlan plan;
    plan_host(plan, *host);
    (void)make_host(folder_, plan);
    look();
  }

  void restore() {
    // Forwarding goes first, what guards it last. What stands in the place of one of our tables is not ours.
    restore_sysctls(folder_);
    for (const auto& [name, kept] : tables_)
      if (const auto table = find_table(netfilter_, name); table && *table && (*table)->handle == kept.handle)
        (void)delete_table(netfilter_, name);
    remove_records(folder_);
  }

 private:
  struct Kept {
    std::uint64_t handle = 0;
    bool owned = false;
  };

  Status keep_all() {
    Status all;
    for (const std::string& name : recorded_tables(folder_)) {
      const auto table = find_host_table(name);
      if (!table) continue;
      if (Status done = keep(*table, tables_[name]); !done && all) all = done;
    }
    return all;
  }

  Status keep(const nft::Ruleset& table, Kept& kept) {
    NJ_TRY_AS(const auto before, find_table(netfilter_, table.table));
    if (!before) return make(table, kept, false);
    if (kept.owned && kept.handle == before->handle) return {};  // nobody else could have changed it
    const bool owned = own_table(netfilter_, table.table).has_value();
    NJ_TRY_AS(const auto now, find_table(netfilter_, table.table));
    if (!now) return make(table, kept, false);
    const Status same = now->dormant ? fail("it is dormant") : verify_ruleset(netfilter_, table);
    if (same) {
      kept = {now->handle, owned};
      return {};
    }
    // Ours, and changed; or gone a moment ago, and made by own_table().
    if (now->handle == kept.handle || now->handle != before->handle) return make(table, kept, true);
    return same;
  }

  Status make(const nft::Ruleset& table, Kept& kept, bool replace) {
    kept = {};
    NJ_TRY(load_host_table(netfilter_, table, replace));
    NJ_TRY_AS(const auto made, find_table(netfilter_, table.table));
    if (!made) return fail("it is gone again");
    kept.handle = made->handle;
    return keep(table, kept);
  }

  // True if somebody else can change a table, and nobody listened before.
  bool listen_if_needed() {
    bool needed = false;
    for (const auto& [name, kept] : tables_) needed = needed || !kept.owned;
    if (!needed) changes_.reset();
    if (!needed || changes_) return false;
    auto watch = watch_rulesets();
    if (!watch) return false;
    changes_ = std::move(*watch);
    return true;
  }

  void cut_off(const Error& error) {
    if (auto route = Netlink::open(NETLINK_ROUTE))
      for (const std::string& name : jail_links())
        if (const auto link = find_link(*route, name)) {
          MessageBuffer messages;
          append_link_down(messages, link->index);
          (void)route->request(messages, "cannot close " + name);
        }
    restore_sysctls(folder_);
    if (trouble_) return;
    ::openlog("netjail", LOG_PID, LOG_DAEMON);
    ::syslog(LOG_ERR, "the jails have lost their way out: %s", error.what.c_str());
    ::closelog();
  }

  std::string folder_;
  Netlink netfilter_;  // the owner of the tables
  Fd changes_;         // of tables that nobody can own
  Fd ways_;
  std::map<std::string, Kept> tables_;
  bool trouble_ = false;
};

// A user may end all processes of a cgroup that is his (a session's scope), those of root among them: to the
// one above all, if it can be had.
void leave_cgroup() {
  for (const char* file : {"/sys/fs/cgroup/cgroup.procs", "/sys/fs/cgroup/unified/cgroup.procs"}) {
    const Fd procs(::open(file, O_WRONLY | O_CLOEXEC));
    if (procs && ::write(procs.get(), "0", 1) == 1) return;
  }
}

void leave_caller(int& claim) {
  ::setsid();
  ::prctl(PR_SET_NAME, "netjail-keeper", 0, 0, 0);
  leave_cgroup();
  // It ends by itself; a service manager that ends the whole control group must not keep it from putting
  // things back.
  for (int signal = 1; signal < 32; ++signal) ::signal(signal, SIG_IGN);
  (void)!::chdir("/");
  // The caller's limits were for the caller.
  const rlimit files{256, 256};
  ::setrlimit(RLIMIT_NOFILE, &files);
  const rlimit size{RLIM_INFINITY, RLIM_INFINITY};
  ::setrlimit(RLIMIT_FSIZE, &size);
  // Holding the caller's terminal or pipes open would make whoever reads them wait for us.
  claim = ::dup3(claim, 3, O_CLOEXEC) == 3 || claim == 3 ? 3 : claim;
  ::syscall(SYS_close_range, 0u, 2u, 0u);
  ::syscall(SYS_close_range, static_cast<unsigned>(claim) + 1, ~0u, 0u);
  const int null = ::open("/dev/null", O_RDWR);
  for (int fd = null + 1; fd <= 2; ++fd) ::dup2(null, fd);
}

// flock(2) cannot be polled: a thread waits in it.
struct LastOneOut {
  int lock;
  int gone;   // eventfd: the last jail ended a while ago
  int again;  // eventfd: another one had come
};

void* wait_for_last(void* argument) {
  const auto& [lock, gone, again] = *static_cast<LastOneOut*>(argument);
  while (true) {
    while (::flock(lock, LOCK_EX) != 0)
      if (errno != EINTR) ::_exit(1);
    ::flock(lock, LOCK_UN);
    ::poll(nullptr, 0, kLinger);
    std::uint64_t count = 1;
    if (::write(gone, &count, sizeof count) < 0 || ::read(again, &count, sizeof count) < 0) ::_exit(1);
  }
}

bool start_waiting(LastOneOut& last) {
  pthread_attr_t attributes;
  pthread_t thread;
  constexpr std::size_t kStack = 64 << 10;
  return ::pthread_attr_init(&attributes) == 0 && ::pthread_attr_setstacksize(&attributes, kStack) == 0 &&
         ::pthread_create(&thread, &attributes, wait_for_last, &last) == 0;
}

// A jail whose supervisor sees another /run (a container that shares this network namespace) needs the host
// as it is, too.
bool is_over(int lock) {
  return jail_links().empty() && ::flock(lock, LOCK_EX | LOCK_NB) == 0 && jail_links().empty();
}

}  // namespace

void run_keeper(const std::string& folder, int claim) {
  leave_caller(claim);
  // Before the first look: whoever makes a table later finds it.
  (void)::mkfifo(wake_path(folder).c_str(), 0600);
  const int wake = ::open(wake_path(folder).c_str(), O_RDWR | O_NONBLOCK | O_CLOEXEC | O_NOFOLLOW);
  LastOneOut last{::open((folder + "/lock").c_str(), O_RDWR | O_CLOEXEC | O_NOFOLLOW),
                  ::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK), ::eventfd(0, EFD_CLOEXEC)};
  auto netfilter = Netlink::open(NETLINK_NETFILTER);
  if (last.lock < 0 || !netfilter || !start_waiting(last)) ::_exit(1);
  Keeper keeper(folder, std::move(*netfilter));
  keeper.look();
  while (true) {
    pollfd waits[] = {
        {last.gone, POLLIN, 0}, {wake, POLLIN, 0}, {keeper.changes(), POLLIN, 0}, {keeper.ways(), POLLIN, 0}};
    ::poll(waits, std::size(waits), keeper.in_trouble() ? kTrouble : -1);
    if (waits[0].revents != 0) {
      drain(last.gone);
      if (is_over(last.lock)) break;
      constexpr std::uint64_t kOne = 1;
      (void)!::write(last.again, &kOne, sizeof kOne);
    }
    if (waits[3].revents != 0) keeper.follow();
    if (waits[1].revents != 0) drain(wake);
    if (waits[1].revents != 0 || waits[2].revents != 0 || keeper.in_trouble()) keeper.look();
  }
  keeper.restore();
  ::_exit(0);
}

void wake_keeper(const std::string& folder) {
  const Fd wake(::open(wake_path(folder).c_str(), O_WRONLY | O_NONBLOCK | O_CLOEXEC | O_NOFOLLOW));
  if (wake) (void)!::write(wake.get(), "", 1);
}

}  // namespace netjail
