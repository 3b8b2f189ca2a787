// Octets from one descriptor to another, one of them a socket of the caller's, the other a pipe of the
// program's, without a flag of the socket being changed: others may hold it, too.
#pragma once

#include <array>
#include <asio/posix/stream_descriptor.hpp>
#include <functional>
#include <memory>

#include "netjail/jail/streams.h"

namespace netjail {

class Pump : public std::enable_shared_from_this<Pump> {
 public:
  // `done`: once nothing more will come or can be given; both ends are closed then.
  static std::shared_ptr<Pump> start(asio::io_context& loop, StreamRelay relay, std::function<void()> done);
  Pump(asio::io_context& loop, StreamRelay relay, std::function<void()> done);
  bool is_output() const { return relay_.number != 0; }
  void stop();

 private:
  void wait_read();
  void wait_write();
  void move();
  bool fill();   // false: nothing is there now, or ever
  bool drain();  // false: it takes nothing now, or ever again

  StreamRelay relay_;
  asio::posix::stream_descriptor from_, to_;
  std::function<void()> done_;
  std::array<char, 65536> buffer_;
  std::size_t begin_ = 0, end_ = 0;
};

}  // namespace netjail
