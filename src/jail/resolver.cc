// The jail's side: takes questions, decides what becomes of them, sends the answers, keeps the time for all.
#include "netjail/jail/resolver.h"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>

#include <algorithm>
#include <asio/steady_timer.hpp>
#include <cerrno>
#include <utility>

#include "resolver_connection.h"
#include "resolver_exchange.h"

namespace netjail {
namespace {

using Descriptor = asio::posix::descriptor_base;

// Datagrams, or new connections, that are taken before the loop sees to somebody else.
constexpr int kDatagramsPerTurn = 64;
constexpr int kConnectionsPerTurn = 16;
// After accept(2) has failed for want of descriptors or memory: a retry at once would be a busy loop.
constexpr std::chrono::milliseconds kAcceptPause{100};

struct Client {
  sockaddr_in6 address{};  // or a sockaddr_in
  socklen_t length = sizeof(sockaddr_in6);
};

// Owned objects, each of which knows its place: taking one out costs nothing and may be done by itself.
template <class T>
void put(std::vector<std::shared_ptr<T>>& all, std::shared_ptr<T> one) {
  one->slot = all.size();
  all.push_back(std::move(one));
}
template <class T>
void take_out(std::vector<std::shared_ptr<T>>& all, const T& one) {
  const std::size_t slot = one.slot;
  all.back()->slot = slot;
  std::swap(all[slot], all.back());
  all.pop_back();
}

// Gives `fd` to the loop.
Status adopt(asio::posix::stream_descriptor& socket, Fd fd, std::string_view what) {
  asio::error_code error;
  socket.assign(fd.get(), error);
  if (!error) {
    (void)fd.release();
    socket.native_non_blocking(true, error);
  }
  if (!error) return {};
  errno = error.value();
  return fail_errno("cannot serve DNS on the jail's " + std::string(what) + " socket");
}

// Lives until the loop has dropped its last handler, which may be after the Resolver.
class Server : public std::enable_shared_from_this<Server> {
 public:
  using OnRefused = std::function<void(const std::string&, std::uint16_t)>;

  Server(asio::io_context& loop, const ResolverSettings& settings, OnRefused on_refused)
      : desk_{.loop = loop,
              .settings = settings,
              .upstreams = Upstreams(settings.upstreams, settings.resolv_conf),
              .counts = {},
              .ids = {}},
        on_refused_(std::move(on_refused)),
        udp_(loop),
        tcp_(loop),
        timer_(loop) {}

  Status start(Fd udp, Fd tcp) {
    NJ_TRY(adopt(udp_, std::move(udp), "UDP"));
    NJ_TRY(adopt(tcp_, std::move(tcp), "TCP"));
    wait_udp();
    wait_tcp();
    return {};
  }
  void stop();
  const ResolverCounts& counts() const { return desk_.counts; }

 private:
  void wait_udp();
  void read_udp();
  void take_datagram(dns::Octets message, const Client& client);
  void send_udp(dns::Octets message, const Client& client);

  void wait_tcp();
  void accept();
  void add_connection(Fd socket);
  bool make_room();
  void take_message(const std::shared_ptr<Connection>& connection, dns::Octets message);

  std::optional<std::vector<std::uint8_t>> answer_here(dns::Octets message, const dns::Query& query);
  template <class Reply>
  void forward(dns::Octets message, const dns::Question& question, Transport transport, Reply reply);

  void wake_at(Clock::time_point when);
  void sweep();

  Desk desk_;
  OnRefused on_refused_;
  asio::posix::stream_descriptor udp_;
  asio::posix::stream_descriptor tcp_;
  // One timer for all. It is set to the earliest time-out and looks at everybody when it fires; a question
  // that was answered in time, as almost all are, never touches it.
  asio::steady_timer timer_;
  Clock::time_point wake_ = Clock::time_point::max();
  bool accept_paused_ = false;
  bool stopped_ = false;
  std::vector<std::shared_ptr<Exchange>> exchanges_;
  std::vector<std::shared_ptr<Connection>> connections_;
};

void Server::stop() {
  if (std::exchange(stopped_, true)) return;
  asio::error_code ignored;
  udp_.close(ignored);
  tcp_.close(ignored);
  timer_.cancel();
  for (const auto& exchange : std::exchange(exchanges_, {})) exchange->cancel();
  for (const auto& connection : std::exchange(connections_, {})) connection->close();
}

// What is answered without asking anybody; nothing for what deserves no answer.
std::optional<std::vector<std::uint8_t>> Server::answer_here(dns::Octets message, const dns::Query& query) {
  if (!query.question) {
    ++desk_.counts.malformed;
    if (query.fate == dns::Query::Fate::drop) return std::nullopt;
    return dns::make_answer(message, std::nullopt, query.rcode);
  }
  ++desk_.counts.questions;
  const auto rcode = desk_.settings.forward ? query.rcode : dns::Rcode::refused;
  auto answer = dns::make_answer(message, query.question, rcode);
  if (rcode == dns::Rcode::refused) {
    ++desk_.counts.refused;
    if (on_refused_) on_refused_(dns::printable_name(message), query.question->type);
  } else {
    ++desk_.counts.answered;
  }
  return answer;
}

template <class Reply>
void Server::forward(dns::Octets message, const dns::Question& question, Transport transport, Reply reply) {
  auto exchange = std::make_shared<Exchange>(
      desk_, message, question, transport,
      [this, reply = std::move(reply)](Exchange& done, std::span<std::uint8_t> answer) {
        take_out(exchanges_, done);
        reply(answer);
      });
  put(exchanges_, exchange);
  exchange->start(Clock::now());
  wake_at(exchange->deadline());
}

void Server::wait_udp() {
  udp_.async_wait(Descriptor::wait_read, [self = shared_from_this()](const asio::error_code& error) {
    if (!error && !self->stopped_) self->read_udp();
  });
}

void Server::read_udp() {
  for (int count = 0; count < kDatagramsPerTurn && !stopped_; ++count) {
    Client client;
    // One octet more than a question may have: what fills it is too long.
    const ssize_t got =
        ::recvfrom(udp_.native_handle(), desk_.scratch.data(), dns::kMaxQuery + 1, MSG_DONTWAIT,
                   reinterpret_cast<sockaddr*>(&client.address), &client.length);
    if (got < 0 && (errno == EAGAIN || errno == EWOULDBLOCK)) break;
    if (got < 0) continue;  // a signal, or an ICMP error for an earlier answer
    take_datagram(desk_.scratch.first(static_cast<std::size_t>(got)), client);
  }
  if (!stopped_) wait_udp();
}

void Server::take_datagram(dns::Octets message, const Client& client) {
  const dns::Query query = dns::read_query(message);
  if (query.fate != dns::Query::Fate::forward || !desk_.settings.forward) {
    if (const auto answer = answer_here(message, query)) send_udp(*answer, client);
    return;
  }
  ++desk_.counts.questions;
  if (exchanges_.size() >= desk_.settings.max_in_flight) {
    ++desk_.counts.dropped;
    return;
  }
  forward(message, *query.question, Transport::udp,
          [this, client, question = *query.question](std::span<std::uint8_t> answer) {
            send_udp(dns::truncate(answer, question, question.udp_size), client);
          });
}

void Server::send_udp(dns::Octets message, const Client& client) {
  const ssize_t put =
      ::sendto(udp_.native_handle(), message.data(), message.size(), MSG_DONTWAIT | MSG_NOSIGNAL,
               reinterpret_cast<const sockaddr*>(&client.address), client.length);
  if (put < 0) ++desk_.counts.dropped;  // as if the network had lost it
}

void Server::wait_tcp() {
  tcp_.async_wait(Descriptor::wait_read, [self = shared_from_this()](const asio::error_code& error) {
    if (!error && !self->stopped_) self->accept();
  });
}

void Server::accept() {
  for (int count = 0; count < kConnectionsPerTurn; ++count) {
    // Not asio's accept(): its sockets are inherited through exec.
    Fd socket(::accept4(tcp_.native_handle(), nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK));
    if (socket) {
      add_connection(std::move(socket));
    } else if (errno == EMFILE || errno == ENFILE || errno == ENOBUFS || errno == ENOMEM) {
      accept_paused_ = true;
      return wake_at(Clock::now() + kAcceptPause);
    } else if (errno == EAGAIN || errno == EWOULDBLOCK) {
      break;
    }
  }
  wait_tcp();
}

void Server::add_connection(Fd socket) {
  if (connections_.size() >= desk_.settings.max_connections && !make_room()) {
    ++desk_.counts.dropped;
    return;
  }
  const int yes = 1;  // several answers on one connection must not wait for the client's ACK of the first
  ::setsockopt(socket.get(), IPPROTO_TCP, TCP_NODELAY, &yes, sizeof yes);
  auto connection = Connection::create(
      desk_, std::move(socket), Clock::now(),
      [this](const std::shared_ptr<Connection>& from, dns::Octets message) { take_message(from, message); },
      [this](const Connection& gone) {
        if (!stopped_) take_out(connections_, gone);
      });
  if (!connection) return;
  wake_at(connection->deadline());
  put(connections_, std::move(connection));
}

// Closes the connection that has been idle longest; one that waits for an answer is never closed for a new
// one.
bool Server::make_room() {
  std::shared_ptr<Connection> idle;
  for (const auto& connection : connections_) {
    if (connection->waiting() && (!idle || connection->active() < idle->active())) idle = connection;
  }
  if (idle) idle->close();
  return idle != nullptr;
}

void Server::take_message(const std::shared_ptr<Connection>& connection, dns::Octets message) {
  const auto keep = shared_from_this();
  const dns::Query query = dns::read_query(message);
  if (query.fate != dns::Query::Fate::forward || !desk_.settings.forward) {
    const auto answer = answer_here(message, query);
    return answer ? connection->answer(*answer) : connection->no_answer();
  }
  ++desk_.counts.questions;
  if (exchanges_.size() >= desk_.settings.max_in_flight) {
    ++desk_.counts.failed;
    return connection->answer(dns::make_answer(message, query.question, dns::Rcode::server_failure));
  }
  forward(message, *query.question, Transport::tcp,
          [connection](std::span<std::uint8_t> answer) { connection->answer(answer); });
}

void Server::wake_at(Clock::time_point when) {
  if (stopped_ || when >= wake_) return;
  wake_ = when;
  timer_.expires_at(when);
  timer_.async_wait([self = shared_from_this()](const asio::error_code& error) {
    if (!error && !self->stopped_) self->sweep();
  });
}

void Server::sweep() {
  const auto now = Clock::now();
  wake_ = Clock::time_point::max();
  if (std::exchange(accept_paused_, false)) accept();
  auto next = Clock::time_point::max();
  // Backwards, by number: one that ends takes itself out, and what it leads to may add others behind.
  const auto look_at = [&](auto& all) {
    for (std::size_t at = all.size(); at-- > 0;) {
      if (at >= all.size()) continue;
      const auto one = all[at];
      if (one->deadline() <= now) one->expire(now);
    }
    for (const auto& one : all) next = std::min(next, one->deadline());
  };
  look_at(connections_);
  look_at(exchanges_);
  wake_at(next);
}

class LoopResolver final : public Resolver {
 public:
  explicit LoopResolver(std::shared_ptr<Server> server) : server_(std::move(server)) {}
  ~LoopResolver() override { server_->stop(); }
  LoopResolver(const LoopResolver&) = delete;
  LoopResolver& operator=(const LoopResolver&) = delete;
  const ResolverCounts& counts() const override { return server_->counts(); }
  void stop() override { server_->stop(); }

 private:
  std::shared_ptr<Server> server_;
};

}  // namespace

Result<std::unique_ptr<Resolver>> Resolver::create(
    asio::io_context& loop, ResolverSettings settings, Fd udp, Fd tcp,
    std::function<void(const std::string&, std::uint16_t)> on_refused) {
  auto server = std::make_shared<Server>(loop, settings, std::move(on_refused));
  auto resolver = std::make_unique<LoopResolver>(server);
  NJ_TRY(server->start(std::move(udp), std::move(tcp)));
  return resolver;
}

}  // namespace netjail
