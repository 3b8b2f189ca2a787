// The thread of the servers: what it owns, what it shares, what it does with each kind of socket.
#pragma once

#include <atomic>
#include <condition_variable>
#include <mutex>
#include <thread>

#include "listen.h"
#include "run.h"
#include "servers.h"

namespace netjail::test {

// A listening or datagram socket, a packet socket (serve is ignored) or an accepted connection.
struct Source {
  enum class Kind : std::uint8_t { listener, datagram, packet, connection };
  Fd fd;
  Kind kind = Kind::listener;
  Serve serve = Serve::tcp_echo;
  std::string zone;
  std::uint16_t port = 0;
  std::string local, peer;  // of a connection
  std::string in, out;
  std::uint64_t filler = 0;  // octets of /bytes/N still to send
  bool ending = false;       // close when everything is sent
  bool wants_write = false;
};

struct Delayed {
  std::chrono::steady_clock::time_point due;
  int fd = -1;
  Datagram datagram;  // UDP; else `text` goes to the connection
  std::string text;
  bool udp = false;
};

inline constexpr std::size_t kHighWater =
    256 * 1024;  // octets not yet sent, above which a connection is not read

struct Servers::Loop {
  Fd epoll, wake;
  std::thread thread;
  std::atomic<bool> stop = false;
  mutable std::mutex mutex;  // everything below but `sources` and `delayed`, which belong to the thread
  std::condition_variable answered;
  std::uint64_t asked = 0, done = 0;
  std::vector<Source> incoming;
  std::vector<Arrival> arrivals;
  std::vector<Packet> packets;
  DnsTable dns = default_dns_table();

  std::map<int, Source> sources;
  std::vector<Delayed> delayed;

  void work();
  void take_incoming();
  int send_due();  // milliseconds until the next, -1: none
  void handle(int fd, std::uint32_t events);
  void accept_all(Source& listener);
  void read_datagrams(Source& source);
  void read_packets(Source& source);
  void read_connection(Source& source);
  void answer_stream(Source& source);
  void answer_http(Source& source);
  void answer_dns(Source& source);
  void flush(Source& source);
  void add(Source source);
  void record(Arrival arrival);
  void sync();
  struct Answer {
    std::string text;
    Milliseconds delay{0};
  };
  Answer look_up(std::string_view query, std::size_t limit);
};

}  // namespace netjail::test
