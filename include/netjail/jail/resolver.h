// The jail's resolver: answers DNS on a socket that was opened in the jail's loopback, asks the host's own
// resolvers over sockets in the host's namespace. It runs on the supervisor's event loop.
//
// Each question gets an upstream socket, source port and id of its own; only an answer that comes from the
// asked server with that id and the same question goes back. Messages are parsed with ldns before they are
// passed in either direction; what does not parse, or is not a single question, is answered FORMERR or NOTIMP
// or dropped, never passed on. UDP answers larger than the client announced are truncated (TC); TCP questions
// are asked upstream over TCP. Time-outs fail over to the next server; when none answers: SERVFAIL.
// Everything is bounded: questions in flight, TCP connections, their idle time, octets per message.
#pragma once

#include <asio/io_context.hpp>
#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "netjail/base/result.h"
#include "netjail/net/ip.h"
#include "netjail/os/fd.h"

namespace netjail {

struct Upstream {
  Ip address;
  std::uint16_t port = 53;
  std::string zone;  // interface of a link-local address, may be empty
};

// nameserver lines of a resolv.conf(5). Pure.
std::vector<Upstream> parse_resolv_conf(std::string_view text);

struct ResolverSettings {
  bool forward = true;  // false: every question is answered REFUSED and reported
  std::vector<Upstream> upstreams;
  std::string resolv_conf =
      "/etc/resolv.conf";  // looked at again when its mtime changes; empty: upstreams are fixed
  std::chrono::milliseconds try_timeout{2000};  // one server
  std::chrono::milliseconds total_timeout{8000};
  std::size_t max_in_flight = 512;
  std::size_t max_connections = 64;
  std::chrono::milliseconds idle_timeout{10000};
};

struct ResolverCounts {
  std::uint64_t questions = 0, answered = 0, refused = 0, failed = 0, malformed = 0, dropped = 0;
};

class Resolver {
 public:
  // `udp` is bound, `tcp` listens; both in the jail. `on_refused(name, type)` is called for questions that
  // are refused.
  static Result<std::unique_ptr<Resolver>> create(
      asio::io_context& loop, ResolverSettings settings, Fd udp, Fd tcp,
      std::function<void(const std::string&, std::uint16_t)> on_refused);
  virtual ~Resolver() = default;
  virtual const ResolverCounts& counts() const = 0;
  virtual void stop() = 0;  // closes every socket; pending work is cancelled
};

}  // namespace netjail
