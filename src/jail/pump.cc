#include "pump.h"

#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <utility>

namespace netjail {

using Descriptor = asio::posix::descriptor_base;

std::shared_ptr<Pump> Pump::start(asio::io_context& loop, StreamRelay relay, std::function<void()> done) {
  auto pump = std::make_shared<Pump>(loop, std::move(relay), std::move(done));
  pump->from_.assign(pump->is_output() ? pump->relay_.pipe.get() : pump->relay_.socket.get());
  pump->to_.assign(pump->is_output() ? pump->relay_.socket.get() : pump->relay_.pipe.get());
  pump->wait_read();
  return pump;
}

Pump::Pump(asio::io_context& loop, StreamRelay relay, std::function<void()> done)
    : relay_(std::move(relay)), from_(loop), to_(loop), done_(std::move(done)) {}

void Pump::stop() {
  if (from_.is_open()) from_.release();
  if (to_.is_open()) to_.release();
  relay_.socket.reset();
  relay_.pipe.reset();
  if (done_) std::exchange(done_, nullptr)();
}

void Pump::wait_read() {
  from_.async_wait(Descriptor::wait_read, [self = shared_from_this()](const asio::error_code& error) {
    if (!error) self->move();
  });
}

void Pump::wait_write() {
  to_.async_wait(Descriptor::wait_write, [self = shared_from_this()](const asio::error_code& error) {
    if (!error) self->move();
  });
}

void Pump::move() {
  if (begin_ == end_ && !fill()) return;
  if (drain()) wait_read();
}

bool Pump::fill() {
  const ssize_t got = is_output() ? ::read(relay_.pipe.get(), buffer_.data(), buffer_.size())
                                  : ::recv(relay_.socket.get(), buffer_.data(), buffer_.size(), MSG_DONTWAIT);
  if (got > 0) {
    begin_ = 0;
    end_ = static_cast<std::size_t>(got);
    return true;
  }
  if (got < 0 && (errno == EAGAIN || errno == EINTR))
    wait_read();
  else
    stop();
  return false;
}

bool Pump::drain() {
  while (begin_ < end_) {
    const char* data = buffer_.data() + begin_;
    const ssize_t put = is_output()
                            ? ::send(relay_.socket.get(), data, end_ - begin_, MSG_DONTWAIT | MSG_NOSIGNAL)
                            : ::write(relay_.pipe.get(), data, end_ - begin_);
    if (put >= 0) {
      begin_ += static_cast<std::size_t>(put);
    } else if (errno == EAGAIN) {
      wait_write();
      return false;
    } else if (errno != EINTR) {
      stop();
      return false;
    }
  }
  return true;
}

}  // namespace netjail
