// The jail's resolver: answers DNS on a socket that was opened in the jail's loopback, asks the host's own
// resolvers over sockets in the host's namespace. It runs on the supervisor's event loop.
//
//   question   well-formed, one, of a type that may be asked      dns_question.h
//   ruling     may the name be looked up, or is the answer here   resolver_gate.h
//   cache      an answer that still holds                         resolver_cache.h
//   exchange   asked anew, one server after the other             resolver_exchange.h
//   filter     addresses that may not be told are taken out       dns_answer.h
//   open       the others are in the kernel's sets, acknowledged  hooks.open
//   reply      made anew                                          dns_reply.h
//
// Nothing of a client's message leaves the machine but a name that the policy allows and the type asked, and
// each of them at most once while the answer holds, a second at least. Each question gets an upstream socket,
// source port, id and spelling of its own; what several clients ask at once is asked once. Everything is
// bounded: questions in flight, who waits for them, TCP connections, their idle time, octets per message,
// answers kept, addresses open.
#pragma once

#include <asio/io_context.hpp>
#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "netjail/base/result.h"
#include "netjail/kernel/learned.h"
#include "netjail/net/ip.h"
#include "netjail/os/fd.h"
#include "netjail/report/report.h"

namespace netjail {

struct Upstream {
  Ip address;
  std::uint16_t port = 53;
  std::string zone;  // interface of a link-local address, may be empty
};

// nameserver lines of a resolv.conf(5). Pure.
std::vector<Upstream> parse_resolv_conf(std::string_view text);

struct ResolverSettings {
  Policy policy;                     // whose names may be looked up
  std::vector<HostsName> hosts;      // known without asking
  std::vector<std::string> search;   // the jail's search domains, for the report alone
  std::vector<std::uint16_t> types;  // record types that may be asked for, empty: all of may_ask()
  bool ipv6 = true;                  // the jail has a way out for it; else no name has such an address
  std::vector<Upstream> upstreams;
  std::string resolv_conf =
      "/etc/resolv.conf";  // looked at again when its mtime changes; empty: upstreams are fixed
  std::chrono::milliseconds try_timeout{2000};  // one server
  std::chrono::milliseconds total_timeout{8000};
  std::size_t max_in_flight = 512;
  std::size_t max_waiting = 2048;  // clients, for all that is in flight
  std::size_t max_connections = 64;
  std::chrono::milliseconds idle_timeout{10000};
};

struct ResolverCounts {
  std::uint64_t questions = 0, answered = 0, refused = 0, failed = 0, malformed = 0, dropped = 0;
  std::uint64_t cached = 0;  // of those answered: without asking anybody
};

// Addresses that a group of make_name_groups(policy) learns.
struct Opening {
  std::size_t group = 0;
  std::vector<LearnedAddress> addresses;
};

// What the resolver wants of its owner.
struct ResolverHooks {
  // When it returns without an error every packet finds the addresses; the answer leaves after that.
  // ENFILE: a set is full.
  std::function<Status(std::span<const Opening>)> open;
  std::function<void(const RefusedName&)> on_refused;
};

class Resolver {
 public:
  // `udp` is bound, `tcp` listens; both in the jail.
  static Result<std::unique_ptr<Resolver>> create(asio::io_context& loop, ResolverSettings settings, Fd udp,
                                                  Fd tcp, ResolverHooks hooks);
  virtual ~Resolver() = default;
  virtual const ResolverCounts& counts() const = 0;
  // The name that was asked for when this address was told, the last one of several; empty when none was.
  virtual std::string name_of(const Ip& address) const = 0;
  virtual void stop() = 0;  // closes every socket; pending work is cancelled
};

}  // namespace netjail
