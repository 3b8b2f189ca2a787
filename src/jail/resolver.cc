// The sockets of the jail, and the time for all.
#include "netjail/jail/resolver.h"

#include <netinet/tcp.h>
#include <sys/socket.h>

#include <algorithm>
#include <asio/post.hpp>
#include <cerrno>
#include <utility>

#include "resolver_server.h"

namespace netjail {
namespace {

using Descriptor = asio::posix::descriptor_base;

// Datagrams, or new connections, that are taken before the loop sees to somebody else; answers that are held.
constexpr std::size_t kDatagramsPerTurn = 64;
constexpr int kConnectionsPerTurn = 16;
// After accept(2) has failed for want of descriptors or memory: a retry at once would be a busy loop.
constexpr std::chrono::milliseconds kAcceptPause{100};

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

}  // namespace

Status Server::start(Fd udp, Fd tcp) {
  NJ_TRY(names_.open_hosts(Clock::now()));
  NJ_TRY(adopt(udp_, std::move(udp), "UDP"));
  NJ_TRY(adopt(tcp_, std::move(tcp), "TCP"));
  wait_udp();
  wait_tcp();
  return {};
}

void Server::stop() {
  if (std::exchange(stopped_, true)) return;
  asio::error_code ignored;
  udp_.close(ignored);
  tcp_.close(ignored);
  timer_.cancel();
  for (const auto& exchange : std::exchange(exchanges_, {})) exchange->cancel();
  lookups_.clear();
  for (const auto& connection : std::exchange(connections_, {})) connection->close();
}

void Server::wait_udp() {
  udp_.async_wait(Descriptor::wait_read, [self = shared_from_this()](const asio::error_code& error) {
    if (!error && !self->stopped_) self->read_udp();
  });
}

void Server::read_udp() {
  for (std::size_t count = 0; count < kDatagramsPerTurn && !stopped_; ++count) {
    Datagram from;
    // One octet more than a question may have: what fills it is too long.
    const ssize_t got = ::recvfrom(udp_.native_handle(), desk_.scratch.data(), dns::kMaxQuery + 1,
                                   MSG_DONTWAIT, reinterpret_cast<sockaddr*>(&from.address), &from.length);
    if (got < 0 && (errno == EAGAIN || errno == EWOULDBLOCK)) break;
    if (got < 0) continue;  // a signal, or an ICMP error for an earlier answer
    take(desk_.scratch.first(static_cast<std::size_t>(got)), from);
  }
  if (!stopped_) wait_udp();
}

void Server::send_udp(dns::Octets message, const Datagram& to) {
  if (outgoing_.empty()) asio::post(desk_.loop, [self = shared_from_this()] { self->flush_udp(); });
  outgoing_.push_back({{message.begin(), message.end()}, to});
  if (outgoing_.size() >= kDatagramsPerTurn) flush_udp();
}

void Server::flush_udp() {
  for (const Outgoing& one : std::exchange(outgoing_, {})) {
    if (stopped_) return;
    const ssize_t put =
        ::sendto(udp_.native_handle(), one.message.data(), one.message.size(), MSG_DONTWAIT | MSG_NOSIGNAL,
                 reinterpret_cast<const sockaddr*>(&one.to.address), one.to.length);
    if (put < 0) ++desk_.counts.dropped;  // as if the network had lost it
  }
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
  if (connections_.size() >= desk_.settings.max_connections) make_room();
  const int yes = 1;  // several answers on one connection must not wait for the client's ACK of the first
  ::setsockopt(socket.get(), IPPROTO_TCP, TCP_NODELAY, &yes, sizeof yes);
  auto connection = Connection::create(
      desk_, std::move(socket), Clock::now(),
      [this](const std::shared_ptr<Connection>& from, dns::Octets message) {
        const auto keep = shared_from_this();
        take(message, from);
      },
      [this](const Connection& gone) {
        if (!stopped_) take_out(connections_, gone);
      });
  if (!connection) return;
  wake_at(connection->deadline());
  put(connections_, std::move(connection));
}

// Closes the connection that has been idle longest; if all wait for answers the one that has waited longest,
// so that those who ask what nobody answers do not keep others out.
void Server::make_room() {
  const auto first = std::ranges::min_element(
      connections_, {}, [](const auto& one) { return std::pair(!one->waiting(), one->active()); });
  if (first == connections_.end()) return;
  if (!(*first)->waiting()) ++desk_.counts.dropped;
  const auto keep = *first;
  keep->close();
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

namespace {

class LoopResolver final : public Resolver {
 public:
  explicit LoopResolver(std::shared_ptr<Server> server) : server_(std::move(server)) {}
  ~LoopResolver() override { server_->stop(); }
  LoopResolver(const LoopResolver&) = delete;
  LoopResolver& operator=(const LoopResolver&) = delete;
  const ResolverCounts& counts() const override { return server_->counts(); }
  std::string name_of(const Ip& address) const override { return server_->name_of(address); }
  void stop() override { server_->stop(); }

 private:
  std::shared_ptr<Server> server_;
};

}  // namespace

Result<std::unique_ptr<Resolver>> Resolver::create(asio::io_context& loop, ResolverSettings settings, Fd udp,
                                                   Fd tcp, ResolverHooks hooks) {
  auto server = std::make_shared<Server>(loop, std::move(settings), std::move(hooks));
  auto resolver = std::make_unique<LoopResolver>(server);
  NJ_TRY(server->start(std::move(udp), std::move(tcp)));
  return resolver;
}

}  // namespace netjail
