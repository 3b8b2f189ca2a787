// The keeper: one detached process for each network namespace of a host in which jails run.
//
// It lives from the first jail with a way out to the last. Meanwhile it keeps the host's tables: where the
// kernel can (Linux 6.9) it owns them, so that nobody else changes or deletes one, `nft flush ruleset`
// included; elsewhere it hears of every change and makes anew what is gone. A table that is somebody else's
// by now is not touched: the jails lose their way out instead, and forwarding is put back, for as long as
// this lasts (SECURITY.md P2). When the host's default route moves to another interface, forwarding is
// switched on there as a launch would do it, behind a guard.
//
// It gets the exclusive lock when the last jail is gone, however it went (SIGKILL too), waits a moment for
// the next run, then restores every recorded sysctl, deletes the tables and ends (P11).
//
// A process of its own, for it must outlive any supervisor; when it is killed the tables stay, nobody keeps
// them, and the next run starts another one.
#pragma once

#include <string>

namespace netjail {

// In the child of a fork. `claim`: the lock by which there is one keeper at most.
[[noreturn]] void run_keeper(const std::string& folder, int claim);

// Makes the keeper look at the tables now.
void wake_keeper(const std::string& folder);

}  // namespace netjail
