// Where plan meets kernel: Jail::apply makes a Plan real, supervise() runs the program, ~Jail undoes.
//
// What apply makes lives exactly as long as this process holds it: the namespaces are anonymous, the rules
// are in the router's, the veths die with them. Only the host's table and sysctls outlive a SIGKILL; the
// keeper (keeper.h) puts them back when the last jail is gone.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "netjail/base/result.h"
#include "netjail/jail/streams.h"
#include "netjail/kernel/child.h"
#include "netjail/kernel/firewalls.h"
#include "netjail/kernel/local.h"
#include "netjail/os/fd.h"
#include "netjail/plan/plan.h"
#include "netjail/report/report.h"

namespace netjail {

// Reads the host; changes nothing, needs no privilege. /etc/hosts is left out when it is larger than 1 MiB.
Result<HostFacts> probe_host(const HostQuestions& questions);

// Other firewalls that can drop, and whether pasta can be used for a user inside instead of the host's
// forwarding. As root.
Status probe_firewalls(HostFacts& facts, uid_t user, Detail detail = Detail::enough);

// Whether the way out without root is there: pasta, root's alone to write, and a /dev/net/tun to open.
Status check_pasta();

// The user inside, for whom root makes a jail behind pasta.
Owner owner_of(const ChildPlan& child);

struct SuperviseOptions {
  // Called for each refused flow or name as it happens, the first time it is seen. Empty: only the report has
  // them.
  std::function<void(const Refusal&)> on_refusal;
  std::function<void(const RefusedName&)> on_refused_name;
  std::function<void(const RefusedNamespace&)> on_refused_namespace;
  // The process that was the way out has ended: nothing is reached any more.
  std::function<void()> on_uplink_lost;
  // At the end: the keeper had taken the way out away (keeper.h), or somebody closed it.
  std::function<void()> on_uplink_closed;
  std::vector<StreamRelay> streams;  // to be pumped until the program has ended
};

// The shared lock that every run with a way out holds for its whole life (host_state.h). Taken before
// probe_host: what another run has switched on stays on while it is held.
class HostLock {
 public:
  HostLock() = default;  // for a run without a way out
  // Needs: root. Waits while the keeper of earlier runs is at work (tens of milliseconds).
  static Result<HostLock> take();
  const std::string& folder() const { return folder_; }

 private:
  HostLock(Fd lock, std::string folder) : lock_(std::move(lock)), folder_(std::move(folder)) {}
  Fd lock_;
  std::string folder_;
};

class Jail {
 public:
  // `child`: spawned before the plan was made, so that its namespaces are there by now. Order: rules loaded
  // and read back, host, links, addresses, routes, proof, child ready. Needs: root. Any failure leaves
  // nothing behind and the program has not started. `watch`: opened before the host was read, where pasta is
  // the way out: it carries a packet to the host by the host's own sockets, past the chain that guards it
  // elsewhere.
  // `plan` must outlive the jail: with long lists of names it is large.
  static Result<Jail> apply(const Plan& plan, HostLock lock, std::optional<LocalWatch> watch, Child child);
  Jail(Jail&&) noexcept;
  Jail& operator=(Jail&&) = delete;
  ~Jail();

  // Starts the program and stays until it ends. An error when it could not be executed (status 126 or 127).
  Result<Outcome> supervise(SuperviseOptions options);

 private:
  struct State;
  explicit Jail(std::unique_ptr<State> state);
  std::unique_ptr<State> state_;
};

}  // namespace netjail
