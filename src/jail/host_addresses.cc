#include "host_addresses.h"

#include "netjail/kernel/nft.h"

namespace netjail {

Result<AddressSet> list_host(Netlink& route) {
  NJ_TRY_AS(const AddressSet local, list_local(route));
  return local.without(unroutable_addresses());
}

Status HostAddresses::refuse_new(Netlink& rules) {
  if (!watch_.changed()) return {};
  Status done = read_anew(rules);
  if (!done) done.error().what = "cannot refuse an address that the host has got: " + done.error().what;
  return done;
}

Status HostAddresses::read_anew(Netlink& rules) {
  NJ_TRY_AS(Netlink route, Netlink::open(NETLINK_ROUTE));
  NJ_TRY_AS(const AddressSet now, list_host(route));
  const AddressSet added = now.without(known_);
  if (added.empty()) return {};
  NJ_TRY(extend_ruleset(rules, make_host_addition(added, known_.without(start_))));
  known_ = known_.united(added);
  return {};
}

}  // namespace netjail
