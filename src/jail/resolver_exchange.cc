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

void RandomOctets::fill(std::span<std::uint8_t> octets) {
  for (std::uint8_t& octet : octets) {
    if (left_ == 0) {
      // Up to 256 octets come whole and without EINTR once the generator is ready (getrandom(2)).
      while (::getrandom(octets_.data(), octets_.size(), 0) != static_cast<ssize_t>(octets_.size())) {
      }
      left_ = octets_.size();
    }
    octet = octets_[--left_];
  }
}

std::uint16_t RandomOctets::number() {
  std::array<std::uint8_t, 2> octets{};
  fill(octets);
  return static_cast<std::uint16_t>(octets[0] << 8 | octets[1]);
}

Exchange::Exchange(Desk& desk, const dns::Name& name, std::uint16_t type, Done done)
    : desk_(desk),
      name_(name),
      question_{.end = dns::kHeader + name.wire.size() + 4, .type = type},
      done_(std::move(done)),
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

void Exchange::give_up() {
  given_up_ = true;
  finish({});
}

void Exchange::expire(Clock::time_point now) {
  if (finished()) return;
  if (now >= give_up_) return finish({});
  if (misspelled_) return lost_connection();
  silent_ = true;
  ask_next(now);
}

void Exchange::ask_next(Clock::time_point now) {
  while (true) {
    misspelled_ = false;
    if (asked_ == list_->size()) {
      if (!std::exchange(silent_, false)) return finish({});
      asked_ = 0;
    }
    ++asked_;
    deadline_ = std::min(now + desk_.settings.try_timeout, give_up_);
    if (ask(false)) return;
  }
}

// The same server once more, for what it said over UDP.
void Exchange::ask_again() {
  if (!ask(true)) lost_connection();
}

// False: its turn is over already.
bool Exchange::ask(bool tcp) {
  asio::error_code ignored;
  socket_.close(ignored);
  ++turn_;
  dns::CaseBits bits;
  desk_.random.fill(std::span(bits).first((name_.wire.size() + 7) / 8));
  query_ = dns::make_question(name_, question_.type, desk_.random.number(), bits);
  Fd fd = open_upstream((*list_)[server()], tcp ? SOCK_STREAM : SOCK_DGRAM);
  if (!fd) return false;
  if (!tcp &&
      ::send(fd.get(), query_.data(), query_.size(), MSG_NOSIGNAL) != static_cast<ssize_t>(query_.size()))
    return false;
  asio::error_code error;
  socket_.assign(fd.get(), error);
  if (error) return false;
  (void)fd.release();
  stage_ = tcp ? Stage::connecting : Stage::udp;
  wait(tcp ? Descriptor::wait_write : Descriptor::wait_read);
  return true;
}

// A server without TCP: that it does not spell as we do is its way then.
void Exchange::lost_connection() {
  if (misspelled_) {
    misspelled_ = false;
    desk_.upstreams.spells(list_, server());
    deadline_ = std::min(Clock::now() + desk_.settings.try_timeout, give_up_);
    if (ask(false)) return;
  }
  ask_next(Clock::now());
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
    return lost_connection();
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
  if (put < 0 && !would_block(errno) && errno != EINTR) return lost_connection();
  if (put > 0) written_ += static_cast<std::size_t>(put);
  if (written_ < length.size() + query_.size()) return wait(Descriptor::wait_write);
  stage_ = Stage::reading;
  incoming_.clear();
  wait(Descriptor::wait_read);
}

void Exchange::read_tcp() {
  const ssize_t got = receive(socket_.native_handle(), desk_.scratch);
  if (got < 0 && would_block(errno)) return wait(Descriptor::wait_read);
  if (got <= 0) return lost_connection();
  incoming_.insert(incoming_.end(), desk_.scratch.begin(), desk_.scratch.begin() + got);
  if (incoming_.size() < 2) return wait(Descriptor::wait_read);
  const std::size_t length = static_cast<std::size_t>(incoming_[0] << 8 | incoming_[1]);
  if (incoming_.size() < 2 + length) return wait(Descriptor::wait_read);
  // Nobody can forge this one: a server that sends nonsense over TCP has had its turn.
  if (take(std::span(incoming_).subspan(2, length))) return;
  ++desk_.counts.malformed;
  ask_next(Clock::now());
}

// True when `message` ends this server's turn, or begins its second one.
bool Exchange::take(std::span<std::uint8_t> message) {
  const bool udp = stage_ == Stage::udp;
  const bool spelled = udp && !desk_.upstreams.any_spelling(list_, server());
  // Writes our spelling into the message: compare before.
  const bool repeats = !spelled || dns::repeats_spelling(message, query_, question_);
  const auto matched = dns::match_answer(message, query_, question_);
  if (!matched) return false;
  if (!repeats) {
    misspelled_ = true;
    ask_again();
    return true;
  }
  auto answer = dns::read_answer(*matched, question_);
  if (answer && answer->truncated && udp) {
    ask_again();
    return true;
  }
  if (!answer || answer->truncated) {
    ask_next(Clock::now());
    return true;
  }
  desk_.upstreams.answered(list_, server());
  finish(std::move(*answer));
  return true;
}

void Exchange::finish(std::optional<dns::Answer> answer) {
  const auto keep = shared_from_this();
  asio::error_code ignored;
  socket_.close(ignored);
  std::exchange(done_, nullptr)(*this, std::move(answer));
}

}  // namespace netjail
