// A client's TCP connection: several questions may be on their way at once, each answer goes back when it is
// there (RFC 7766). A client that asks without reading its answers is not read from any more until it does;
// one that neither sends a whole message nor takes an answer for the idle time is closed.
#pragma once

#include <asio/posix/stream_descriptor.hpp>
#include <functional>
#include <memory>
#include <span>
#include <vector>

#include "resolver_exchange.h"

namespace netjail {

class Connection : public std::enable_shared_from_this<Connection> {
 public:
  // `asked` takes a whole message; what becomes of it is told by answer() or by no_answer(), then or later.
  using Asked = std::function<void(const std::shared_ptr<Connection>&, dns::Octets)>;
  using Closed = std::function<void(Connection&)>;

  // Needs a non-blocking socket.
  static std::shared_ptr<Connection> create(Desk& desk, Fd socket, Clock::time_point now, Asked asked,
                                            Closed closed);
  Connection(Desk& desk, Clock::time_point now, Asked asked, Closed closed);

  void answer(dns::Octets message);
  void no_answer();
  void close();  // calls `closed`, once

  bool waiting() const { return outstanding_ == 0 && sent_ == outgoing_.size(); }  // nothing is owed to it
  Clock::time_point active() const { return active_; }
  Clock::time_point deadline() const { return active_ + desk_.settings.idle_timeout; }
  void expire(Clock::time_point now);

  std::size_t slot = 0;  // where its owner keeps it

 private:
  bool full() const;
  void read();
  void parse();
  void flush();
  void settle();
  void wait_read();
  void wait_write();

  Desk& desk_;
  Asked asked_;
  Closed closed_;
  asio::posix::stream_descriptor socket_;
  Clock::time_point active_;
  std::vector<std::uint8_t> incoming_;
  std::vector<std::uint8_t> outgoing_;
  std::size_t sent_ = 0;  // octets of outgoing_
  std::size_t outstanding_ = 0;
  bool reading_ = false;  // a wait is under way
  bool writing_ = false;
  bool parsing_ = false;
  bool ended_ = false;  // the client sends no more
};

}  // namespace netjail
