#include "netjail/jail/jail.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>

#include "host_addresses.h"
#include "host_state.h"
#include "netjail/base/text.h"
#include "netjail/kernel/seccomp.h"
#include "netjail/kernel/unix_sockets.h"
#include "pasta.h"
#include "proof.h"
#include "router.h"
#include "supervise.h"

namespace netjail {
namespace {

// Path of the terminal that is passed on; empty without one, or when it is of another mount namespace.
std::string own_terminal() {
  char path[64];
  for (int fd = 0; fd <= 2; ++fd)
    if (::ttyname_r(fd, path, sizeof path) == 0) return path;
  return {};
}

constexpr std::size_t kFirstMounts = 1;  // before those of the plan

MountStep to_step(const Mount& mount) {
  using Kind = MountStep::Kind;
  struct Visitor {
    MountStep operator()(const MountProc&) { return {Kind::proc, "", ""}; }
    MountStep operator()(const MountSysfs&) { return {Kind::sysfs, "", ""}; }
    MountStep operator()(const MountDevices&) { return {Kind::devices, "", own_terminal()}; }
    MountStep operator()(const MountFile& m) { return {Kind::file, m.target, m.text}; }
    MountStep operator()(const MountEmpty& m) {
      return m.over ? MountStep{Kind::empty, m.target, "", m.over->device, m.over->inode}
                    : MountStep{Kind::empty, m.target, ""};
    }
    MountStep operator()(const MountReadOnly& m) { return {Kind::read_only, m.target, ""}; }
    MountStep operator()(const MountCgroup&) { return {Kind::cgroup, "", ""}; }
    MountStep operator()(const MountNull& m) {
      return {Kind::null, m.target, "", m.over.device, m.over.inode, m.over.links};
    }
    MountStep operator()(const MountOwn& m) { return {Kind::own, m.target, m.for_all ? "1777" : "755"}; }
    MountStep operator()(const MakeFolder& m) { return {Kind::make_folder, m.target, ""}; }
    MountStep operator()(const MakeFile& m) { return {Kind::make_file, m.target, ""}; }
    MountStep operator()(const MountShared& m) {
      return {Kind::shared, m.target, "", m.over.device, m.over.inode};
    }
  };
  return std::visit(Visitor{}, mount);
}

// What was to be covered and was not there any more: its server has ended, or it was moved away just now.
Status check_missed(const std::vector<std::size_t>& missed, const ChildPlan& child) {
  if (missed.empty()) return {};
  const auto bound = list_bound_sockets();
  for (const std::size_t step : missed) {
    const Mount& mount = child.mounts.at(step - kFirstMounts);
    const auto* const one = std::get_if<MountNull>(&mount);
    const auto is_it = [one](const BoundSocket& socket) {
      return socket.device == one->over.mount && socket.file == static_cast<std::uint32_t>(one->over.inode);
    };
    if (one != nullptr && bound && std::ranges::none_of(*bound, is_it)) continue;
    const std::string path = std::visit(
        [](const auto& any) -> std::string {
          if constexpr (requires { any.target; }) return any.target;
          return {};
        },
        mount);
    return fail("what lies at " + printable(path) + " was moved while netjail started",
                "start it again; the program is not to find unix sockets that were bound outside");
  }
  return {};
}

bool has_controlling_terminal() {
  const Fd tty(::open("/dev/tty", O_RDWR | O_CLOEXEC | O_NOCTTY));
  return static_cast<bool>(tty);
}

Result<ChildSpec> to_spec(const Plan& plan) {
  const ChildPlan& child = plan.child;
  ChildSpec spec;
  spec.command = child.command;
  spec.candidates = child.candidates;
  spec.environment = child.environment;
  spec.cwd = child.cwd;
  spec.uid = child.uid;
  spec.gid = child.gid;
  spec.groups = owner_of(child).groups;
  spec.keep_fds = child.keep_fds;
  spec.mounts.push_back({MountStep::Kind::pin, "", ""});  // kFirstMounts
  for (const Mount& mount : child.mounts) spec.mounts.push_back(to_step(mount));
  const SeccompPolicy seccomp{child.seccomp_families, child.user_namespaces, child.mount_namespaces};
  NJ_TRY_AS(spec.seccomp, make_seccomp_filter(seccomp, native_architecture()));
  spec.seccomp_listener = !child.mount_namespaces;
  spec.sockets = child.sockets;
  // Within a Landlock domain nobody can mount: a sandbox inside would fail.
  spec.scope_sockets = !child.mount_namespaces;
  spec.no_socket_names = !child.lost_sockets.empty() && !child.mount_namespaces;
  spec.new_session = !has_controlling_terminal();
  return spec;
}

}  // namespace

Owner owner_of(const ChildPlan& child) {
  return {child.uid, child.gid, {child.groups.begin(), child.groups.end()}};
}

// Members are destroyed in reverse order: the child first, then what it lived in, the host lock last.
struct Jail::State {
  const Plan& plan;
  HostLock lock;
  std::optional<Pasta> pasta;
  Router router;
  std::optional<HostAddresses> host;
  LogReader log;
  std::map<std::string, CounterValue> baseline;
  Fd udp;
  Fd tcp;
  Child child;
};

Jail::Jail(std::unique_ptr<State> state) : state_(std::move(state)) {}
Jail::Jail(Jail&&) noexcept = default;
Jail::~Jail() = default;

Result<Jail> Jail::apply(const Plan& plan, HostLock lock, std::optional<LocalWatch> watch, Child child) {
  std::optional<HostAddresses> host;
  if (watch) host.emplace(std::move(*watch), plan.policy.host);
  if (plan.uplink.kind == UplinkPlan::Kind::pasta && !host)
    return fail("nobody watches the host's addresses");
  NJ_TRY_AS(const ChildSpec spec, to_spec(plan));
  NJ_TRY(child.prepare(spec));  // init goes on by itself, up to the program's start
  NJ_TRY_AS(const EncodedRuleset rules, EncodedRuleset::encode(plan.router.ruleset));
  NJ_TRY_AS(RouterSockets router_sockets, child.receive_router());
  std::optional<Pasta> pasta;
  if (plan.uplink.kind == UplinkPlan::Kind::pasta) {
    NJ_TRY_AS(Pasta started, Pasta::start(router_sockets.netns, plan.uplink, tap_addresses(plan.uplink),
                                          owner_of(plan.child)));
    pasta.emplace(std::move(started));
  }
  NJ_TRY_AS(Router router, make_router(std::move(router_sockets)));
  NJ_TRY(rules.load(router.rules));
  NJ_TRY(rules.verify(router.rules));
  if (plan.uplink.kind == UplinkPlan::Kind::host) NJ_TRY(make_host(lock.folder(), plan.uplink));
  NJ_TRY_AS(JailSockets sockets, child.receive_jail());
  NJ_TRY_AS(Netlink jail_route, Netlink::adopt(std::move(sockets.route), NETLINK_ROUTE));
  NJ_TRY_AS(auto host_link, make_links(router.route, sockets.netns.get(), plan.uplink));
  NJ_TRY_AS(const JailAddresses addresses, open_links(router, jail_route, std::move(host_link), plan.uplink));
  NJ_TRY_AS(auto baseline, prove(router, sockets, addresses, plan));
  NJ_TRY(wait_addresses(jail_route, addresses));
  NJ_TRY_AS(LogReader log, LogReader::create(std::move(router.log), kLogGroup, 128));
  NJ_TRY_AS(const std::vector<std::size_t> missed, child.wait_ready());
  NJ_TRY(check_missed(missed, plan.child));
  if (pasta) {
    NJ_TRY(pasta->wait_link(router.route));
    NJ_TRY(attach_tap(router, addresses, plan.uplink));
  }
  if (!plan.resolver.listen) {
    sockets.udp.reset();
    sockets.tcp.reset();
  }
  return Jail(std::make_unique<State>(
      State{plan, std::move(lock), std::move(pasta), std::move(router), std::move(host), std::move(log),
            std::move(baseline), std::move(sockets.udp), std::move(sockets.tcp), std::move(child)}));
}

Result<Outcome> Jail::supervise(SuperviseOptions options) {
  State& state = *state_;
  NJ_TRY_AS(Outcome outcome,
            supervise_child({state.plan, state.child, state.log, std::move(state.udp), std::move(state.tcp),
                             state.child.take_listener(), state.pasta ? state.pasta->pidfd() : -1,
                             state.host ? &*state.host : nullptr, state.router.rules, options}));
  if (state.plan.uplink.kind == UplinkPlan::Kind::host && options.on_uplink_closed)
    if (const auto link = find_link(state.router.route, std::string(kUplinkInterface));
        link && !link->carrier)
      options.on_uplink_closed();
  NJ_TRY_AS(const auto counters, read_counters(state.router.rules, state.plan.router.ruleset.table));
  const auto count_of = [&](std::string_view id) -> std::uint64_t {
    const auto now = counters.find(counter_name(id));
    const auto before = state.baseline.find(counter_name(id));
    if (now == counters.end()) return 0;
    return now->second.packets - (before == state.baseline.end() ? 0 : before->second.packets);
  };
  for (const std::string_view id : {kDefaultRule, kLocalRule, kHostRule, kUnroutableRule, kLimitRule})
    if (const std::uint64_t count = count_of(id); count > 0) outcome.refused_by_rule[std::string(id)] = count;
  for (const Rule& rule : state.plan.policy.rules)
    if (const std::uint64_t count = count_of(rule.id); count > 0)
      (rule.action == Action::allow ? outcome.admitted_by_rule : outcome.refused_by_rule)[rule.id] = count;
  // What the program sent last is in the tap, and goes no further when pasta ends.
  if (state.pasta && !outcome.admitted_by_rule.empty()) state.pasta->settle();
  return outcome;
}

}  // namespace netjail
