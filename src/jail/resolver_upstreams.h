// The servers that are asked, in the order in which they are asked, and how to reach them.
#pragma once

#include <sys/socket.h>
#include <sys/stat.h>

#include <chrono>
#include <cstddef>
#include <memory>
#include <string>
#include <vector>

#include "netjail/jail/resolver.h"
#include "resolver_cache.h"

namespace netjail {

using UpstreamList = std::shared_ptr<const std::vector<Upstream>>;

class Upstreams {
 public:
  Upstreams(std::vector<Upstream> upstreams, std::string resolv_conf);

  // The list as it is now; a question keeps the one it began with. Looks at the file at most once a second.
  const UpstreamList& current(Clock::time_point now);
  // Where to begin in current(): the server that answered last.
  std::size_t first() const { return first_; }
  void answered(const UpstreamList& list, std::size_t index);
  // The server answers in a spelling of its own, and has no TCP: its answers are taken as they come.
  void spells(const UpstreamList& list, std::size_t index);
  bool any_spelling(const UpstreamList& list, std::size_t index) const;

 private:
  struct Stamp {
    dev_t device = 0;
    ino_t inode = 0;
    off_t size = 0;
    timespec modified{};
    bool differs(const Stamp& other) const;
  };
  bool look(Stamp& stamp) const;

  std::string path_;
  UpstreamList list_;
  std::size_t first_ = 0;
  std::vector<bool> spelling_;  // of list_: any_spelling
  Stamp stamp_;
  Clock::time_point next_look_{};
};

// A non-blocking, close-on-exec socket that is connected to the server (TCP: that begins to connect), or
// nothing. `type` is SOCK_DGRAM or SOCK_STREAM.
Fd open_upstream(const Upstream& upstream, int type);

}  // namespace netjail
