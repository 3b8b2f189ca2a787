// One question on its way: it asks one server after the other, over UDP or over TCP as its client did, until
// one gives an answer that fits, all have refused, or the time is over.
//
// Whatever comes in over UDP and is not that answer is ignored (it may be forged) and the server's time runs
// on. A server that says SERVFAIL or REFUSED, an ICMP error, a refused or broken TCP connection end its turn
// at once. When a whole round ends without one time-out no further round is tried.
#pragma once

#include <array>
#include <asio/posix/stream_descriptor.hpp>
#include <functional>
#include <memory>
#include <span>
#include <vector>

#include "dns_message.h"
#include "resolver_upstreams.h"

namespace netjail {

// Ids from the kernel's generator, some at a time.
class RandomIds {
 public:
  std::uint16_t next();

 private:
  std::array<std::uint16_t, 64> ids_{};
  std::size_t left_ = 0;
};

// What all exchanges share. One thread, and nobody waits while he uses `scratch`: one is enough. Its pages
// become resident only when a message is that large.
struct Desk {
  asio::io_context& loop;
  ResolverSettings settings;
  Upstreams upstreams;
  ResolverCounts counts;
  RandomIds ids;
  std::unique_ptr<std::uint8_t[]> memory = std::make_unique_for_overwrite<std::uint8_t[]>(dns::kMaxMessage);
  std::span<std::uint8_t> scratch{memory.get(), dns::kMaxMessage};
};

enum class Transport : std::uint8_t { udp, tcp };

class Exchange : public std::enable_shared_from_this<Exchange> {
 public:
  // Called once, with a whole answer (SERVFAIL when there is none) that begins with the client's id; it may
  // be written to.
  using Done = std::function<void(Exchange&, std::span<std::uint8_t> answer)>;

  Exchange(Desk& desk, dns::Octets query, const dns::Question& question, Transport transport, Done done);
  void start(Clock::time_point now);  // may call `done` before it returns
  void cancel();                      // forgets `done`
  Clock::time_point deadline() const { return deadline_; }
  void expire(Clock::time_point now);  // call it when deadline() is over

  std::size_t slot = 0;  // where its owner keeps it

 private:
  void ask_next(Clock::time_point now);
  bool ask(const Upstream& upstream);
  void wait(asio::posix::descriptor_base::wait_type direction);
  void ready();
  void read_udp();
  void connected();
  void write_tcp();
  void read_tcp();
  bool take(std::span<std::uint8_t> message);
  void finish(std::span<std::uint8_t> answer);
  void fail();
  bool finished() const { return !done_; }

  Desk& desk_;
  std::vector<std::uint8_t> query_;
  dns::Question question_;
  Transport transport_;
  Done done_;
  std::uint16_t client_id_;

  UpstreamList list_;
  std::size_t first_ = 0;                // index in list_ of the first server asked
  std::size_t asked_ = 0;                // in this round
  bool silent_ = false;                  // somebody did not answer in this round
  std::vector<std::uint8_t> rejection_;  // the first SERVFAIL or REFUSED of this round
  Clock::time_point give_up_{};
  Clock::time_point deadline_{};

  asio::posix::stream_descriptor socket_;
  unsigned turn_ = 0;  // tells a handler of a socket that was closed from one of its successor
  enum class Stage : std::uint8_t { udp, connecting, writing, reading } stage_ = Stage::udp;
  std::size_t written_ = 0;
  std::vector<std::uint8_t> incoming_;  // TCP: length and message, as far as they are here
};

}  // namespace netjail
