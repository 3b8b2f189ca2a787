#include "resolver_exchange.h"

#include <sys/random.h>
#include <sys/socket.h>
#include <sys/uio.h>

#include <algorithm>
#include <cerrno>
#include <utility>

namespace netjail {
namespace {

using Descriptor = asio::posix::descriptor_base;

// Datagrams of one server that are read before the loop sees to somebody else.
constexpr int kDatagramsPerTurn = 16;

bool would_block(int error) { return error == EAGAIN || error == EWOULDBLOCK; }

// recv(2) that does not mind signals.
ssize_t receive(int fd, std::span<std::uint8_t> memory) {
  ssize_t got = 0;
  do {
    got = ::recv(fd, memory.data(), memory.size(), MSG_DONTWAIT);
  } while (got < 0 && errno == EINTR);
  return got;
}

}  // namespace

std::uint16_t RandomIds::next() {
  if (left_ == 0) {
    // Up to 256 octets come whole and without EINTR once the generator is ready (getrandom(2)).
    while (::getrandom(ids_.data(), sizeof ids_, 0) != static_cast<ssize_t>(sizeof ids_)) {
    }
    left_ = ids_.size();
  }
  return ids_[--left_];
}

Exchange::Exchange(Desk& desk, dns::Octets query, const dns::Question& question, Transport transport,
                   Done done)
    : desk_(desk),
      query_(query.begin(), query.end()),
      question_(question),
      transport_(transport),
      done_(std::move(done)),
      client_id_(dns::message_id(query)),
      socket_(desk.loop) {}

void Exchange::start(Clock::time_point now) {
  list_ = desk_.upstreams.current(now);
  first_ = desk_.upstreams.first();
  give_up_ = now + desk_.settings.total_timeout;
  ask_next(now);
}

void Exchange::cancel() {
  done_ = nullptr;
  asio::error_code ignored;
  socket_.close(ignored);
}

void Exchange::expire(Clock::time_point now) {
  if (finished()) return;
  silent_ = true;
  if (now >= give_up_) return rejection_.empty() ? fail() : finish(rejection_);
  ask_next(now);
}

void Exchange::ask_next(Clock::time_point now) {
  while (true) {
    asio::error_code ignored;
    socket_.close(ignored);
    ++turn_;
    if (asked_ == list_->size()) {
      if (!rejection_.empty()) return finish(rejection_);
      if (!std::exchange(silent_, false)) return fail();
      asked_ = 0;
    }
    deadline_ = std::min(now + desk_.settings.try_timeout, give_up_);
    if (ask((*list_)[(first_ + asked_++) % list_->size()])) return;
  }
}

// False: its turn is over already.
bool Exchange::ask(const Upstream& upstream) {
  dns::set_message_id(query_, desk_.ids.next());
  Fd fd = open_upstream(upstream, transport_ == Transport::udp ? SOCK_DGRAM : SOCK_STREAM);
  if (!fd) return false;
  if (transport_ == Transport::udp &&
      ::send(fd.get(), query_.data(), query_.size(), MSG_NOSIGNAL) != static_cast<ssize_t>(query_.size()))
    return false;
  asio::error_code error;
  socket_.assign(fd.get(), error);
  if (error) return false;
  (void)fd.release();
  stage_ = transport_ == Transport::udp ? Stage::udp : Stage::connecting;
  wait(stage_ == Stage::udp ? Descriptor::wait_read : Descriptor::wait_write);
  return true;
}

void Exchange::wait(Descriptor::wait_type direction) {
  socket_.async_wait(direction, [self = shared_from_this(), turn = turn_](const asio::error_code& error) {
    if (!error && turn == self->turn_ && !self->finished()) self->ready();
  });
}

void Exchange::ready() {
  switch (stage_) {
    case Stage::udp: return read_udp();
    case Stage::connecting: return connected();
    case Stage::writing: return write_tcp();
    case Stage::reading: return read_tcp();
  }
}

void Exchange::read_udp() {
  for (int count = 0; count < kDatagramsPerTurn; ++count) {
    const ssize_t got = receive(socket_.native_handle(), desk_.scratch);
    if (got < 0 && would_block(errno)) break;
    if (got < 0) return ask_next(Clock::now());  // an ICMP error: nobody there
    if (take(desk_.scratch.first(static_cast<std::size_t>(got)))) return;
    ++desk_.counts.malformed;
  }
  wait(Descriptor::wait_read);
}

void Exchange::connected() {
  int error = 0;
  socklen_t length = sizeof error;
  if (::getsockopt(socket_.native_handle(), SOL_SOCKET, SO_ERROR, &error, &length) != 0 || error != 0)
    return ask_next(Clock::now());
  stage_ = Stage::writing;
  written_ = 0;
  write_tcp();
}

void Exchange::write_tcp() {
  // Length and message in one segment: servers have been met that do not take them in two.
  std::array<std::uint8_t, 2> length{static_cast<std::uint8_t>(query_.size() >> 8),
                                     static_cast<std::uint8_t>(query_.size() & 0xff)};
  const std::size_t head = std::min(written_, length.size());
  const std::size_t body = written_ - head;
  std::array<iovec, 2> parts{iovec{length.data() + head, length.size() - head},
                             iovec{query_.data() + body, query_.size() - body}};
  msghdr message{};
  message.msg_iov = parts.data();
  message.msg_iovlen = parts.size();
  const ssize_t put = ::sendmsg(socket_.native_handle(), &message, MSG_NOSIGNAL | MSG_DONTWAIT);
  if (put < 0 && !would_block(errno) && errno != EINTR) return ask_next(Clock::now());
  if (put > 0) written_ += static_cast<std::size_t>(put);
  if (written_ < length.size() + query_.size()) return wait(Descriptor::wait_write);
  stage_ = Stage::reading;
  incoming_.clear();
  wait(Descriptor::wait_read);
}

void Exchange::read_tcp() {
  const ssize_t got = receive(socket_.native_handle(), desk_.scratch);
  if (got < 0 && would_block(errno)) return wait(Descriptor::wait_read);
  if (got <= 0) return ask_next(Clock::now());
  incoming_.insert(incoming_.end(), desk_.scratch.begin(), desk_.scratch.begin() + got);
  if (incoming_.size() < 2) return wait(Descriptor::wait_read);
  const std::size_t length = static_cast<std::size_t>(incoming_[0] << 8 | incoming_[1]);
  if (incoming_.size() < 2 + length) return wait(Descriptor::wait_read);
  // Nobody can forge this one: a server that sends nonsense over TCP has had its turn.
  if (take(std::span(incoming_).subspan(2, length))) return;
  ++desk_.counts.malformed;
  ask_next(Clock::now());
}

// True when `message` answers the question, or is the refusal to.
bool Exchange::take(std::span<std::uint8_t> message) {
  const auto answer = dns::match_answer(message, query_, question_);
  if (!answer) return false;
  const auto rcode = dns::message_rcode(*answer);
  if (rcode == dns::Rcode::server_failure || rcode == dns::Rcode::refused) {
    if (rejection_.empty()) rejection_.assign(answer->begin(), answer->end());
    ask_next(Clock::now());
    return true;
  }
  desk_.upstreams.answered(list_, (first_ + asked_ - 1) % list_->size());
  finish(*answer);
  return true;
}

void Exchange::finish(std::span<std::uint8_t> answer) {
  const auto keep = shared_from_this();
  asio::error_code ignored;
  socket_.close(ignored);
  dns::set_message_id(answer, client_id_);
  ++desk_.counts.answered;
  std::exchange(done_, nullptr)(*this, answer);
}

void Exchange::fail() {
  const auto keep = shared_from_this();
  asio::error_code ignored;
  socket_.close(ignored);
  dns::set_message_id(query_, client_id_);
  ++desk_.counts.failed;
  auto answer = dns::make_answer(query_, question_, dns::Rcode::server_failure);
  std::exchange(done_, nullptr)(*this, answer);
}

}  // namespace netjail
