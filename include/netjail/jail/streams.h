// Standard streams that are sockets (inetd, socket activation, ssh -T, Node's spawn) do not reach the
// program: a socket belongs for ever to the network namespace that it was made in, can be connected anew
// (connect(2), AF_UNSPEC), aimed elsewhere, and carries descriptors. The program gets a pipe instead, and the
// supervisor pumps. SECURITY.md P5.
//
//   streams = Streams::wrap()     before the jail's first process is forked: 0, 1, 2 are pipes where needed
//   streams.restore()             after it: ours are what the caller gave
//   streams.take()                what is to be pumped, for the supervisor
#pragma once

#include <vector>

#include "netjail/base/result.h"
#include "netjail/os/fd.h"

namespace netjail {

struct StreamRelay {
  int number = 0;  // 0, 1 or 2
  Fd socket;       // the caller's
  Fd pipe;         // our end; O_NONBLOCK
};

class Streams {
 public:
  Streams() = default;
  // An error for a socket that is no connected stream: listening, of datagrams, not connected.
  static Result<Streams> wrap();
  Streams(Streams&&) = default;
  Streams& operator=(Streams&& other) noexcept;
  ~Streams() { restore(); }

  void restore();
  const std::vector<StreamRelay>& relays() const { return relays_; }
  std::vector<StreamRelay> take() { return std::move(relays_); }

 private:
  bool wrapped_ = false;
  std::vector<StreamRelay> relays_;
};

}  // namespace netjail
