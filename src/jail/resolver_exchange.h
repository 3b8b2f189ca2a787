// One question on its way: it asks one server after the other until one gives an answer that fits, all have
// refused, or the time is over.
//
// Over UDP the id, the source port and the spelling of the name are random (draft-vixie-dnsext-dns0x20), and
// whatever comes in and does not repeat them is ignored (it may be forged): the server's time runs on. An
// answer that was cut off, or that only fails to repeat the spelling, is asked for again over TCP, which
// nobody can forge; a server that spells as it likes and has no TCP is taken at its word from then on. A
// server that says SERVFAIL or REFUSED, an answer that makes no sense, an ICMP error, a refused or broken TCP
// connection end its turn at once. When a whole round ends without one time-out no further round is tried.
#pragma once

#include <array>
#include <asio/posix/stream_descriptor.hpp>
#include <functional>
#include <memory>
#include <span>
#include <vector>

#include "dns_answer.h"
#include "dns_question.h"
#include "resolver_upstreams.h"

namespace netjail {

// Octets from the kernel's generator, some at a time.
class RandomOctets {
 public:
  void fill(std::span<std::uint8_t> octets);
  std::uint16_t number();

 private:
  std::array<std::uint8_t, 256> octets_{};
  std::size_t left_ = 0;
};

// What all exchanges share. One thread, and nobody waits while he uses `scratch`: one is enough. Its pages
// become resident only when a message is that large.
struct Desk {
  asio::io_context& loop;
  ResolverSettings settings;
  Upstreams upstreams;
  ResolverCounts counts;
  RandomOctets random;
  std::unique_ptr<std::uint8_t[]> memory = std::make_unique_for_overwrite<std::uint8_t[]>(dns::kMaxMessage);
  std::span<std::uint8_t> scratch{memory.get(), dns::kMaxMessage};
};

class Exchange : public std::enable_shared_from_this<Exchange> {
 public:
  // Called once; without an answer when no server gave one.
  using Done = std::function<void(Exchange&, std::optional<dns::Answer>)>;

  Exchange(Desk& desk, const dns::Name& name, std::uint16_t type, Done done);
  void start(Clock::time_point now);  // may call `done` before it returns
  void cancel();                      // forgets `done`
  void give_up();                     // ends it without an answer
  bool given_up() const { return given_up_; }
  Clock::time_point started() const { return give_up_ - desk_.settings.total_timeout; }
  Clock::time_point deadline() const { return deadline_; }
  void expire(Clock::time_point now);  // call it when deadline() is over

  std::size_t slot = 0;  // where its owner keeps it

 private:
  void ask_next(Clock::time_point now);
  void ask_again();
  bool ask(bool tcp);
  void wait(asio::posix::descriptor_base::wait_type direction);
  void ready();
  void read_udp();
  void connected();
  void write_tcp();
  void read_tcp();
  void lost_connection();
  bool take(std::span<std::uint8_t> message);
  void finish(std::optional<dns::Answer> answer);
  std::size_t server() const { return (first_ + asked_ - 1) % list_->size(); }
  bool finished() const { return !done_; }

  Desk& desk_;
  dns::Name name_;
  dns::Data query_;
  dns::Question question_;
  Done done_;

  UpstreamList list_;
  std::size_t first_ = 0;  // index in list_ of the first server asked
  std::size_t asked_ = 0;  // in this round
  bool given_up_ = false;
  bool silent_ = false;      // somebody did not answer in this round
  bool misspelled_ = false;  // why this server is asked over TCP
  Clock::time_point give_up_{};
  Clock::time_point deadline_{};

  asio::posix::stream_descriptor socket_;
  unsigned turn_ = 0;  // tells a handler of a socket that was closed from one of its successor
  enum class Stage : std::uint8_t { udp, connecting, writing, reading } stage_ = Stage::udp;
  std::size_t written_ = 0;
  std::vector<std::uint8_t> incoming_;  // TCP: length and message, as far as they are here
};

}  // namespace netjail
