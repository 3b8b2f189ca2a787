// A resolver on loopback with its clients and its upstream servers, all on one event loop in one thread: a
// test waits by running the loop until something has happened.
#pragma once

#include <asio/io_context.hpp>
#include <asio/posix/stream_descriptor.hpp>
#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "netjail/jail/resolver.h"
#include "policies.h"

namespace netjail::test {

using Bytes = std::vector<std::uint8_t>;
// Numbers at the end, as the wire has them.
void put16(Bytes& to, std::size_t value);
void put32(Bytes& to, std::uint32_t value);
using Messages = std::vector<Bytes>;
inline constexpr std::uint16_t kA = 1, kTxt = 16, kAaaa = 28, kAxfr = 252;

// Text with \xNN as octets.
Bytes bytes(std::string_view text);
void append(Bytes& to, const Bytes& what);
Bytes wire_name(std::string_view dotted);
// With small letters only in the question's name.
Bytes lowered(Bytes message);
// A question with RD; `edns` is the announced size, 0 for none.
Bytes query(std::uint16_t id, std::string_view name, std::uint16_t type = kA, std::uint16_t edns = 0);
// The answer to a question, with one A record, or with TXT records of about `text` octets in all.
Bytes answer(const Bytes& query, std::uint32_t address = 0xc6336407);
Bytes text_answer(const Bytes& query, std::size_t text);
Bytes with_rcode(Bytes message, int rcode);
std::uint16_t id_of(const Bytes& message);
int rcode_of(const Bytes& message);
bool truncated(const Bytes& message);
std::uint16_t count_of(const Bytes& message, int section);  // 0 questions … 3 additional
Bytes framed(const Bytes& message);                         // with its length in front, for TCP

// Sockets on 127.0.0.1 with a port of the kernel's choice.
Fd loopback_socket(int type);  // SOCK_STREAM: it listens
std::uint16_t port_of(const Fd& socket);
Fd connected_socket(int type, std::uint16_t port);

// A server that is asked over UDP and TCP on one port. `reply` gives the datagrams (TCP: messages) to send
// back.
class FakeUpstream {
 public:
  using Reply = std::function<Messages(const Bytes& query, bool tcp)>;
  FakeUpstream(asio::io_context& loop, Reply reply);
  std::uint16_t port() const { return port_; }
  Upstream upstream() const;
  void use(Reply reply) { reply_ = std::move(reply); }

  std::vector<Bytes> asked;  // every question, as it came
  int connections = 0;
  std::vector<std::uint16_t> source_ports;

 private:
  struct Peer;
  void wait_udp();
  void wait_tcp();
  void read_peer(const std::shared_ptr<Peer>& peer);

  asio::io_context& loop_;
  Reply reply_;
  std::uint16_t port_ = 0;
  asio::posix::stream_descriptor udp_;
  asio::posix::stream_descriptor tcp_;
};

// Longer than any test waits: what happens before it happens at once. Tests of a time-out choose a short one;
// the machine may be so busy that nothing moves for a tenth of a second.
inline constexpr std::chrono::milliseconds kLong{60000};

// The policy allows every name, unless settings say otherwise.
struct World {
  explicit World(ResolverSettings given = {});
  // Starts the resolver with the settings as they are now.
  void start();
  // Runs the loop until `done`; false when it did not come true in twenty seconds.
  bool until(const std::function<bool()>& done);
  // Runs the loop as long as it has something to do at once.
  void drain();
  Bytes ask(const Bytes& message);    // over UDP from a socket of its own; empty when no answer came
  bool silent(const Bytes& message);  // no answer, and the question after it is answered
  Bytes receive(const Fd& socket);    // a datagram; empty when none came

  asio::io_context loop;
  ResolverSettings settings;
  std::vector<RefusedName> refused;
  std::vector<Opening> opened;
  Status open_fails;  // what the kernel says to the next openings
  std::uint16_t udp_port = 0, tcp_port = 0;
  std::unique_ptr<Resolver> resolver;
};

// A client's TCP connection.
class TcpClient {
 public:
  explicit TcpClient(World& world);
  void send(const Bytes& octets);
  void finish_sending();
  Bytes receive();  // one message; empty when none came or the connection was closed
  bool closed();    // waits for the end of the connection
  bool is_open();   // no end, right now

 private:
  bool fill();

  World& world_;
  Fd socket_;
  Bytes incoming_;
  bool end_ = false;
};

}  // namespace netjail::test
