#include "resolver_connection.h"

#include <sys/socket.h>

#include <algorithm>
#include <cerrno>
#include <utility>

namespace netjail {
namespace {

using Descriptor = asio::posix::descriptor_base;

// What one connection may have under way, and the octets of answers that may wait for its client.
constexpr std::size_t kMaxOutstanding = 32;
constexpr std::size_t kMaxWaiting = 32 << 10;
constexpr std::size_t kReadAtOnce = 4096;

}  // namespace

std::shared_ptr<Connection> Connection::create(Desk& desk, Fd socket, Clock::time_point now, Asked asked,
                                               Closed closed) {
  auto connection = std::make_shared<Connection>(desk, now, std::move(asked), std::move(closed));
  asio::error_code error;
  connection->socket_.assign(socket.get(), error);
  if (error) return nullptr;
  (void)socket.release();
  connection->wait_read();
  return connection;
}

Connection::Connection(Desk& desk, Clock::time_point now, Asked asked, Closed closed)
    : desk_(desk), asked_(std::move(asked)), closed_(std::move(closed)), socket_(desk.loop), active_(now) {}

void Connection::close() {
  if (!socket_.is_open()) return;
  const auto keep = shared_from_this();
  asio::error_code ignored;
  socket_.close(ignored);
  if (closed_) std::exchange(closed_, nullptr)(*this);
}

void Connection::expire(Clock::time_point now) {
  // Its questions have time-outs of their own; the answers count as activity.
  if (outstanding_ > 0 && sent_ == outgoing_.size()) {
    active_ = now;
  } else {
    close();
  }
}

bool Connection::full() const {
  return outstanding_ >= kMaxOutstanding || outgoing_.size() - sent_ > kMaxWaiting;
}

void Connection::wait_read() {
  if (std::exchange(reading_, true)) return;
  socket_.async_wait(Descriptor::wait_read, [self = shared_from_this()](const asio::error_code& error) {
    self->reading_ = false;
    if (!error && self->socket_.is_open()) self->read();
  });
}

void Connection::wait_write() {
  if (std::exchange(writing_, true)) return;
  socket_.async_wait(Descriptor::wait_write, [self = shared_from_this()](const asio::error_code& error) {
    self->writing_ = false;
    if (error || !self->socket_.is_open()) return;
    self->flush();
    self->settle();
  });
}

// One read a turn, so that a client that sends without end waits for the others.
void Connection::read() {
  const ssize_t got = ::recv(socket_.native_handle(), desk_.scratch.data(), kReadAtOnce, MSG_DONTWAIT);
  if (got < 0 && (errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR)) return wait_read();
  if (got < 0) return close();
  ended_ = got == 0;
  incoming_.insert(incoming_.end(), desk_.scratch.begin(), desk_.scratch.begin() + got);
  settle();
}

// Asks what is there in whole messages. An answer may come before asked_ returns.
void Connection::parse() {
  if (std::exchange(parsing_, true)) return;
  const dns::Octets all = incoming_;
  std::size_t at = 0;
  while (socket_.is_open() && !full() && all.size() - at >= 2) {
    const std::size_t length = static_cast<std::size_t>(all[at] << 8 | all[at + 1]);
    if (length > dns::kMaxQuery) {
      ++desk_.counts.malformed;
      close();
      break;
    }
    if (all.size() - at < 2 + length) break;
    active_ = Clock::now();
    ++outstanding_;
    asked_(shared_from_this(), all.subspan(at + 2, length));
    at += 2 + length;
  }
  incoming_.erase(incoming_.begin(), incoming_.begin() + static_cast<std::ptrdiff_t>(at));
  parsing_ = false;
}

void Connection::answer(dns::Octets message) {
  --outstanding_;
  if (!socket_.is_open()) return;
  // One buffer, one write for all that is ready: length and message never go out in two segments.
  outgoing_.push_back(static_cast<std::uint8_t>(message.size() >> 8));
  outgoing_.push_back(static_cast<std::uint8_t>(message.size() & 0xff));
  outgoing_.insert(outgoing_.end(), message.begin(), message.end());
  if (parsing_) return;  // settle() is below us
  flush();
  settle();
}

void Connection::no_answer() {
  --outstanding_;
  if (!parsing_) settle();
}

void Connection::flush() {
  while (socket_.is_open() && sent_ < outgoing_.size()) {
    const ssize_t put = ::send(socket_.native_handle(), outgoing_.data() + sent_, outgoing_.size() - sent_,
                               MSG_NOSIGNAL | MSG_DONTWAIT);
    if (put < 0 && errno == EINTR) continue;
    if (put < 0 && (errno == EAGAIN || errno == EWOULDBLOCK)) return wait_write();
    if (put < 0) return close();
    active_ = Clock::now();
    sent_ += static_cast<std::size_t>(put);
  }
  // Gives the memory of a large answer back.
  if (outgoing_.capacity() > kReadAtOnce) outgoing_ = {};
  outgoing_.clear();
  sent_ = 0;
}

// Goes on with what the last event has made possible.
void Connection::settle() {
  if (!socket_.is_open() || parsing_) return;
  std::size_t before = 0;
  do {
    before = incoming_.size();
    parse();
    if (socket_.is_open() && sent_ < outgoing_.size() && !writing_) flush();
  } while (socket_.is_open() && incoming_.size() != before);
  if (!socket_.is_open()) return;
  if (ended_) {
    if (waiting()) close();
  } else if (!full()) {
    wait_read();
  }
}

}  // namespace netjail
