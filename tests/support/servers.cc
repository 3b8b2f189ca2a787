#include "servers.h"

#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <algorithm>

#include "server_loop.h"

namespace netjail::test {

Servers::Servers(std::unique_ptr<Loop> loop) : loop_(std::move(loop)) {}
Servers::Servers(Servers&&) noexcept = default;

Servers::~Servers() {
  if (!loop_) return;
  loop_->stop = true;
  const std::uint64_t one = 1;
  if (::write(loop_->wake.get(), &one, sizeof one) == sizeof one) loop_->thread.join();
}

Result<Servers> Servers::create() {
  auto loop = std::make_unique<Loop>();
  loop->epoll = Fd(::epoll_create1(EPOLL_CLOEXEC));
  loop->wake = Fd(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
  if (!loop->epoll || !loop->wake) return fail_errno("cannot make an epoll");
  epoll_event event{};
  event.events = EPOLLIN;
  event.data.fd = loop->wake.get();
  ::epoll_ctl(loop->epoll.get(), EPOLL_CTL_ADD, loop->wake.get(), &event);
  loop->thread = std::thread([running = loop.get()] { running->work(); });
  return Servers(std::move(loop));
}

Status Servers::open(const std::string& zone, Place place, const std::vector<Listener>& listeners) {
  std::vector<Source> fresh;
  const auto open_all = [&]() -> Status {
    for (const auto& listener : listeners) {
      NJ_TRY_AS(Fd fd, open_listener(listener));
      const bool udp = listener.serve == Serve::udp_echo || listener.serve == Serve::udp_dns;
      fresh.push_back({.fd = std::move(fd),
                       .kind = udp ? Source::Kind::datagram : Source::Kind::listener,
                       .serve = listener.serve,
                       .zone = zone,
                       .port = listener.port});
    }
    return {};
  };
  NJ_TRY(in_place(place, open_all));
  {
    const std::scoped_lock lock(loop_->mutex);
    std::ranges::move(fresh, std::back_inserter(loop_->incoming));
  }
  loop_->sync();
  return {};
}

Status Servers::watch(const std::string& zone, Place place, const std::string& interface) {
  const auto open_watch = [&]() -> Status {
    NJ_TRY_AS(Fd fd, open_packet_socket(interface));
    const std::scoped_lock lock(loop_->mutex);
    loop_->incoming.push_back({.fd = std::move(fd), .kind = Source::Kind::packet, .zone = zone});
    return {};
  };
  NJ_TRY(in_place(place, open_watch));
  loop_->sync();
  return {};
}

std::vector<Arrival> Servers::arrivals() const {
  loop_->sync();
  const std::scoped_lock lock(loop_->mutex);
  return loop_->arrivals;
}

std::vector<Packet> Servers::packets() const {
  loop_->sync();
  const std::scoped_lock lock(loop_->mutex);
  return loop_->packets;
}

std::size_t Servers::count(const std::string& protocol, const std::string& address,
                           std::uint16_t port) const {
  return static_cast<std::size_t>(std::ranges::count_if(arrivals(), [&](const Arrival& arrival) {
    return arrival.protocol == protocol && arrival.address == address && arrival.port == port;
  }));
}

std::size_t Servers::count_packets(const std::string& destination) const {
  return static_cast<std::size_t>(std::ranges::count_if(
      packets(), [&](const Packet& packet) { return packet.destination == destination; }));
}

void Servers::forget() {
  loop_->sync();
  const std::scoped_lock lock(loop_->mutex);
  loop_->arrivals.clear();
  loop_->packets.clear();
}

void Servers::set_dns(DnsTable table) {
  const std::scoped_lock lock(loop_->mutex);
  loop_->dns = std::move(table);
}

std::string describe(const std::vector<Arrival>& arrivals) {
  std::string text;
  for (const auto& a : arrivals)
    text += a.zone + " " + a.address + " " + std::to_string(a.port) + "/" + a.protocol + " from " + a.peer +
            (a.question.empty() ? "" : " asked " + a.question) + "\n";
  return text;
}

std::string describe(const std::vector<Packet>& packets) {
  std::string text;
  for (const auto& p : packets)
    text += p.zone + " " + p.source + " -> " + p.destination + " protocol " + std::to_string(p.protocol) +
            " port " + std::to_string(p.port) + "\n";
  return text;
}

}  // namespace netjail::test
