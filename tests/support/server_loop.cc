#include "server_loop.h"

#include <sys/epoll.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>

namespace netjail::test {

void Servers::Loop::work() {
  std::vector<epoll_event> events(256);
  int rounds = 0;
  while (!stop) {
    // Requests to synchronise are answered when a round finds nothing more to do, or after some rounds where
    // a bulk transfer keeps us busy: what had arrived before the request was in the first of them.
    std::uint64_t seen = 0;
    {
      const std::scoped_lock lock(mutex);
      seen = asked;
    }
    take_incoming();
    const int next = send_due();
    const int ready = ::epoll_wait(epoll.get(), events.data(), 256, seen != done ? 0 : next);
    bool busy = false;
    for (int i = 0; i < ready; ++i) {
      const auto& event = events[static_cast<std::size_t>(i)];
      if (event.data.fd == wake.get()) {
        std::uint64_t ignored = 0;
        if (::read(wake.get(), &ignored, sizeof ignored) < 0) continue;
      } else {
        busy = true;
        handle(event.data.fd, event.events);
      }
    }
    if (seen == done || (busy && ++rounds < 4)) continue;
    rounds = 0;
    const std::scoped_lock lock(mutex);
    done = seen;
    answered.notify_all();
  }
}

void Servers::Loop::sync() {
  std::unique_lock lock(mutex);
  const auto mine = ++asked;
  const std::uint64_t one = 1;
  if (::write(wake.get(), &one, sizeof one) < 0) return;
  answered.wait(lock, [&] { return done >= mine; });
}

void Servers::Loop::take_incoming() {
  std::vector<Source> fresh;
  {
    const std::scoped_lock lock(mutex);
    fresh.swap(incoming);
  }
  for (auto& source : fresh) add(std::move(source));
}

void Servers::Loop::add(Source source) {
  const int fd = source.fd.get();
  epoll_event event{};
  event.events = EPOLLIN;
  event.data.fd = fd;
  ::epoll_ctl(epoll.get(), EPOLL_CTL_ADD, fd, &event);
  sources.insert_or_assign(fd, std::move(source));
}

void Servers::Loop::record(Arrival arrival) {
  const std::scoped_lock lock(mutex);
  arrivals.push_back(std::move(arrival));
}

int Servers::Loop::send_due() {
  const auto now = std::chrono::steady_clock::now();
  auto soonest = std::chrono::steady_clock::time_point::max();
  std::vector<Delayed> due;
  std::erase_if(delayed, [&](Delayed& entry) {
    if (entry.due > now) {
      soonest = std::min(soonest, entry.due);
      return false;
    }
    due.push_back(std::move(entry));
    return true;
  });
  for (const auto& entry : due) {
    const auto source = sources.find(entry.fd);
    if (source == sources.end()) continue;
    if (entry.udp) {
      reply(entry.fd, entry.datagram, entry.text);
    } else {
      source->second.out += entry.text;
      flush(source->second);
    }
  }
  if (soonest == std::chrono::steady_clock::time_point::max()) return -1;
  return static_cast<int>(std::chrono::ceil<Milliseconds>(soonest - now).count());
}

void Servers::Loop::handle(int fd, std::uint32_t events) {
  const auto found = sources.find(fd);
  if (found == sources.end()) return;
  Source& source = found->second;
  switch (source.kind) {
    case Source::Kind::listener: accept_all(source); return;
    case Source::Kind::datagram: read_datagrams(source); return;
    case Source::Kind::packet: read_packets(source); return;
    case Source::Kind::connection: break;
  }
  if ((events & (EPOLLIN | EPOLLHUP | EPOLLERR)) != 0) read_connection(source);
  flush(source);
  if (source.ending && source.out.empty() && source.filler == 0) {
    std::erase_if(delayed, [&](const Delayed& entry) { return entry.fd == fd; });
    sources.erase(found);
  }
}

void Servers::Loop::accept_all(Source& listener) {
  while (true) {
    sockaddr_storage peer{}, local{};
    socklen_t peer_size = sizeof peer, local_size = sizeof local;
    Fd fd(::accept4(listener.fd.get(), reinterpret_cast<sockaddr*>(&peer), &peer_size,
                    SOCK_CLOEXEC | SOCK_NONBLOCK));
    if (!fd) return;
    ::getsockname(fd.get(), reinterpret_cast<sockaddr*>(&local), &local_size);
    Source source{.fd = std::move(fd),
                  .kind = Source::Kind::connection,
                  .serve = listener.serve,
                  .zone = listener.zone,
                  .port = listener.port,
                  .local = to_peer(local).address,
                  .peer = to_peer(peer).address};
    record({.zone = source.zone,
            .protocol = "tcp",
            .address = source.local,
            .port = source.port,
            .peer = source.peer});
    add(std::move(source));
  }
}

void Servers::Loop::read_datagrams(Source& source) {
  Datagram datagram;
  while (receive(source.fd.get(), datagram)) {
    Arrival arrival{.zone = source.zone,
                    .protocol = "udp",
                    .address = to_text(datagram.to),
                    .port = source.port,
                    .peer = to_peer(datagram.from).address};
    if (source.serve == Serve::udp_echo) {
      record(std::move(arrival));
      reply(source.fd.get(), datagram, datagram.text);
      continue;
    }
    if (const auto question = read_dns_question(datagram.text))
      arrival.question = question->name + " " + std::to_string(question->type);
    arrival.message = datagram.text;
    record(std::move(arrival));
    Answer answer = look_up(datagram.text, 4096);
    if (answer.text.empty()) continue;
    if (answer.delay.count() == 0)
      reply(source.fd.get(), datagram, answer.text);
    else
      delayed.push_back({.due = std::chrono::steady_clock::now() + answer.delay,
                         .fd = source.fd.get(),
                         .datagram = datagram,
                         .text = std::move(answer.text),
                         .udp = true});
  }
}

void Servers::Loop::read_packets(Source& source) {
  std::string bytes(2048, '\0');
  while (true) {
    const ssize_t got = ::recv(source.fd.get(), bytes.data(), bytes.size(), 0);
    if (got < 0) return;
    auto packet = read_packet(std::string_view(bytes).substr(0, static_cast<std::size_t>(got)));
    if (!packet) continue;
    packet->zone = source.zone;
    const std::scoped_lock lock(mutex);
    packets.push_back(std::move(*packet));
  }
}

void Servers::Loop::read_connection(Source& source) {
  char chunk[65536];
  while (!source.ending && source.out.size() < kHighWater) {
    const ssize_t got = ::recv(source.fd.get(), chunk, sizeof chunk, 0);
    if (got < 0 && errno == EAGAIN) return;
    if (got < 0) source.out.clear(), source.filler = 0;  // reset by the peer: nobody reads the rest
    if (got <= 0) {
      source.ending = true;
      return;
    }
    source.in.append(chunk, static_cast<std::size_t>(got));
    answer_stream(source);
  }
}

void Servers::Loop::flush(Source& source) {
  while (true) {
    if (source.out.empty() && source.filler > 0) {
      source.out.assign(std::min<std::uint64_t>(source.filler, kHighWater), 'x');
      source.filler -= source.out.size();
    }
    if (source.out.empty()) break;
    const ssize_t put = ::send(source.fd.get(), source.out.data(), source.out.size(), MSG_NOSIGNAL);
    if (put < 0) {
      if (errno != EAGAIN) source.out.clear(), source.filler = 0, source.ending = true;
      break;
    }
    source.out.erase(0, static_cast<std::size_t>(put));
  }
  const bool wants_write = !source.out.empty();
  if (wants_write == source.wants_write) return;
  source.wants_write = wants_write;
  epoll_event event{};
  event.events = wants_write ? EPOLLOUT : EPOLLIN;  // not both: what we cannot pass on we do not read
  event.data.fd = source.fd.get();
  ::epoll_ctl(epoll.get(), EPOLL_CTL_MOD, source.fd.get(), &event);
}

}  // namespace netjail::test
