#include "resolver_world.h"

#include <arpa/inet.h>
#include <doctest/doctest.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>

namespace netjail::test {
namespace {

using Descriptor = asio::posix::descriptor_base;

sockaddr_in loopback(std::uint16_t port) {
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(port);
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  return address;
}

// Header and question of `query` as an answer, OPT left out.
Bytes answer_head(const Bytes& query, std::size_t answers) {
  std::size_t end = 12;
  while (query.at(end) != 0) end += 1U + query[end];
  Bytes message(query.begin(), query.begin() + static_cast<std::ptrdiff_t>(end + 5));
  message[2] = 0x81;
  message[3] = 0x80;
  message[6] = static_cast<std::uint8_t>(answers >> 8);
  message[7] = static_cast<std::uint8_t>(answers & 0xff);
  std::fill(message.begin() + 8, message.begin() + 12, std::uint8_t{0});
  return message;
}

}  // namespace

void put16(Bytes& to, std::size_t value) {
  to.push_back(static_cast<std::uint8_t>(value >> 8 & 0xff));
  to.push_back(static_cast<std::uint8_t>(value & 0xff));
}

void put32(Bytes& to, std::uint32_t value) {
  put16(to, value >> 16);
  put16(to, value & 0xffff);
}

Bytes bytes(std::string_view text) { return {text.begin(), text.end()}; }
void append(Bytes& to, const Bytes& what) { to.insert(to.end(), what.begin(), what.end()); }

Bytes wire_name(std::string_view dotted) {
  Bytes name;
  while (!dotted.empty()) {
    const auto label = dotted.substr(0, dotted.find('.'));
    name.push_back(static_cast<std::uint8_t>(label.size()));
    append(name, bytes(label));
    dotted.remove_prefix(std::min(dotted.size(), label.size() + 1));
  }
  name.push_back(0);
  return name;
}

Bytes lowered(Bytes message) {
  for (std::size_t at = 12; message.at(at) != 0; at += 1U + message[at])
    for (std::size_t octet = at + 1; octet <= at + message[at]; ++octet)
      if (message[octet] >= 'A' && message[octet] <= 'Z') message[octet] |= 0x20;
  return message;
}

Bytes query(std::uint16_t id, std::string_view name, std::uint16_t type, std::uint16_t edns) {
  Bytes message;
  put16(message, id);
  for (const int value : {0x0100, 1, 0, 0, edns ? 1 : 0}) put16(message, static_cast<std::size_t>(value));
  append(message, wire_name(name));
  put16(message, type);
  put16(message, 1);
  if (edns) {
    message.push_back(0);
    put16(message, 41);
    put16(message, edns);
    put32(message, 0);
    put16(message, 0);
  }
  return message;
}

Bytes answer(const Bytes& query, std::uint32_t address) {
  Bytes message = answer_head(query, 1);
  for (const int value : {0xc00c, 1, 1}) put16(message, static_cast<std::size_t>(value));
  put32(message, 60);
  put16(message, 4);
  put32(message, address);
  return message;
}

Bytes text_answer(const Bytes& query, std::size_t text) {
  const std::size_t records = (text + 199) / 200;
  Bytes message = answer_head(query, records);
  for (std::size_t index = 0; index < records; ++index) {
    for (const int value : {0xc00c, 16, 1}) put16(message, static_cast<std::size_t>(value));
    put32(message, 60);
    put16(message, 201);
    message.push_back(200);
    message.insert(message.end(), 200, 'x');
  }
  return message;
}

Bytes with_rcode(Bytes message, int rcode) {
  message.at(3) = static_cast<std::uint8_t>((message.at(3) & 0xf0) | rcode);
  return message;
}

std::uint16_t id_of(const Bytes& message) {
  return static_cast<std::uint16_t>(message.at(0) << 8 | message.at(1));
}
int rcode_of(const Bytes& message) { return message.size() < 12 ? -1 : message[3] & 0x0f; }
bool truncated(const Bytes& message) { return message.size() >= 12 && (message[2] & 0x02) != 0; }
std::uint16_t count_of(const Bytes& message, int section) {
  const auto at = static_cast<std::size_t>(4 + 2 * section);
  return static_cast<std::uint16_t>(message.at(at) << 8 | message.at(at + 1));
}

Bytes framed(const Bytes& message) {
  Bytes result;
  put16(result, message.size());
  append(result, message);
  return result;
}

Fd loopback_socket(int type) {
  Fd fd(::socket(AF_INET, type | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  const auto address = loopback(0);
  REQUIRE(::bind(fd.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0);
  if (type == SOCK_STREAM) REQUIRE(::listen(fd.get(), 128) == 0);
  return fd;
}

std::uint16_t port_of(const Fd& socket) {
  sockaddr_in address{};
  socklen_t length = sizeof address;
  REQUIRE(::getsockname(socket.get(), reinterpret_cast<sockaddr*>(&address), &length) == 0);
  return ntohs(address.sin_port);
}

Fd connected_socket(int type, std::uint16_t port) {
  Fd fd(::socket(AF_INET, type | SOCK_CLOEXEC, 0));
  const auto address = loopback(port);
  REQUIRE(::connect(fd.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0);
  REQUIRE(::fcntl(fd.get(), F_SETFL, O_NONBLOCK) == 0);
  return fd;
}

struct FakeUpstream::Peer {
  explicit Peer(asio::io_context& loop) : socket(loop) {}
  asio::posix::stream_descriptor socket;
  Bytes incoming;
};

FakeUpstream::FakeUpstream(asio::io_context& loop, Reply reply)
    : loop_(loop), reply_(std::move(reply)), udp_(loop), tcp_(loop) {
  Fd tcp = loopback_socket(SOCK_STREAM);
  port_ = port_of(tcp);
  Fd udp(::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  const auto address = loopback(port_);
  REQUIRE(::bind(udp.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0);
  udp_.assign(udp.release());
  tcp_.assign(tcp.release());
  wait_udp();
  wait_tcp();
}

Upstream FakeUpstream::upstream() const {
  return {.address = *parse_ip("127.0.0.1"), .port = port_, .zone = {}};
}

void FakeUpstream::wait_udp() {
  udp_.async_wait(Descriptor::wait_read, [this](const asio::error_code& error) {
    if (error) return;
    Bytes message(65536);
    sockaddr_in from{};
    socklen_t length = sizeof from;
    const ssize_t got = ::recvfrom(udp_.native_handle(), message.data(), message.size(), 0,
                                   reinterpret_cast<sockaddr*>(&from), &length);
    if (got >= 0) {
      message.resize(static_cast<std::size_t>(got));
      asked.push_back(message);
      source_ports.push_back(ntohs(from.sin_port));
      for (const auto& reply : reply_(message, false))
        ::sendto(udp_.native_handle(), reply.data(), reply.size(), 0, reinterpret_cast<sockaddr*>(&from),
                 length);
    }
    wait_udp();
  });
}

void FakeUpstream::wait_tcp() {
  tcp_.async_wait(Descriptor::wait_read, [this](const asio::error_code& error) {
    if (error) return;
    Fd accepted(::accept4(tcp_.native_handle(), nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK));
    if (accepted) {
      ++connections;
      auto peer = std::make_shared<Peer>(loop_);
      peer->socket.assign(accepted.release());
      read_peer(peer);
    }
    wait_tcp();
  });
}

void FakeUpstream::read_peer(const std::shared_ptr<Peer>& peer) {
  peer->socket.async_wait(Descriptor::wait_read, [this, peer](const asio::error_code& error) {
    Bytes some(4096);
    const ssize_t got = error ? 0 : ::recv(peer->socket.native_handle(), some.data(), some.size(), 0);
    if (got <= 0) return;
    peer->incoming.insert(peer->incoming.end(), some.begin(), some.begin() + got);
    while (peer->incoming.size() >= 2 && peer->incoming.size() >= 2U + id_of(peer->incoming)) {
      const auto end = peer->incoming.begin() + 2 + id_of(peer->incoming);
      const Bytes message(peer->incoming.begin() + 2, end);
      peer->incoming.erase(peer->incoming.begin(), end);
      asked.push_back(message);
      for (const auto& reply : reply_(message, true)) {
        const Bytes octets = framed(reply);
        REQUIRE(::send(peer->socket.native_handle(), octets.data(), octets.size(), MSG_NOSIGNAL) ==
                static_cast<ssize_t>(octets.size()));
      }
    }
    read_peer(peer);
  });
}

World::World(ResolverSettings given) : settings(std::move(given)) {
  settings.policy = policy_of({"allow internet"});
  settings.resolv_conf.clear();
  settings.try_timeout = settings.total_timeout = settings.idle_timeout = kLong;
}

void World::start() {
  Fd udp = loopback_socket(SOCK_DGRAM), tcp = loopback_socket(SOCK_STREAM);
  udp_port = port_of(udp);
  tcp_port = port_of(tcp);
  ResolverHooks hooks;
  hooks.on_refused = [this](const RefusedName& one) { refused.push_back(one); };
  hooks.open = [this](std::span<const Opening> openings) -> Status {
    if (open_fails) opened.insert(opened.end(), openings.begin(), openings.end());
    return open_fails;
  };
  auto made = Resolver::create(loop, settings, std::move(udp), std::move(tcp), std::move(hooks));
  REQUIRE(made.has_value());
  resolver = std::move(*made);
}

bool World::until(const std::function<bool()>& done) {
  const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(20);
  while (!done()) {
    if (std::chrono::steady_clock::now() > deadline) return false;
    loop.run_one_for(std::chrono::milliseconds(5));
  }
  return true;
}

void World::drain() {
  while (loop.run_for(std::chrono::milliseconds(2)) > 0) {
  }
}

Bytes World::receive(const Fd& socket) {
  Bytes message(65536);
  ssize_t got = -1;
  until([&] { return (got = ::recv(socket.get(), message.data(), message.size(), MSG_DONTWAIT)) >= 0; });
  message.resize(got < 0 ? 0 : static_cast<std::size_t>(got));
  return message;
}

Bytes World::ask(const Bytes& message) {
  const Fd socket = connected_socket(SOCK_DGRAM, udp_port);
  REQUIRE(::send(socket.get(), message.data(), message.size(), 0) == static_cast<ssize_t>(message.size()));
  return receive(socket);
}

bool World::silent(const Bytes& message) {
  // Datagrams on loopback keep their order: what answers the second has had its chance to answer the first.
  const Fd socket = connected_socket(SOCK_DGRAM, udp_port);
  const Bytes after = query(0x5151, "after.example", kAxfr);
  for (const auto& one : {message, after})
    REQUIRE(::send(socket.get(), one.data(), one.size(), 0) == static_cast<ssize_t>(one.size()));
  return id_of(receive(socket)) == 0x5151;
}

TcpClient::TcpClient(World& world) : world_(world), socket_(connected_socket(SOCK_STREAM, world.tcp_port)) {}

void TcpClient::send(const Bytes& octets) {
  std::size_t sent = 0;
  REQUIRE(world_.until([&] {
    const ssize_t put =
        ::send(socket_.get(), octets.data() + sent, octets.size() - sent, MSG_NOSIGNAL | MSG_DONTWAIT);
    if (put > 0) sent += static_cast<std::size_t>(put);
    return sent == octets.size();
  }));
}

void TcpClient::finish_sending() { ::shutdown(socket_.get(), SHUT_WR); }

bool TcpClient::fill() {
  Bytes some(65536);
  const ssize_t got = end_ ? -1 : ::recv(socket_.get(), some.data(), some.size(), MSG_DONTWAIT);
  if (got > 0) incoming_.insert(incoming_.end(), some.begin(), some.begin() + got);
  if (got == 0 || (got < 0 && errno == ECONNRESET)) end_ = true;
  return got > 0;
}

Bytes TcpClient::receive() {
  const auto whole = [&] { return incoming_.size() >= 2 && incoming_.size() >= 2U + id_of(incoming_); };
  world_.until([&] {
    fill();
    return whole() || end_;
  });
  if (!whole()) return {};
  const auto end = incoming_.begin() + 2 + id_of(incoming_);
  Bytes message(incoming_.begin() + 2, end);
  incoming_.erase(incoming_.begin(), end);
  return message;
}

bool TcpClient::closed() {
  return world_.until([&] {
    fill();
    return end_;
  });
}

bool TcpClient::is_open() {
  fill();
  return !end_;
}

}  // namespace netjail::test
