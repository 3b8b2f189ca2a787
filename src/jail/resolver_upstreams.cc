#include "resolver_upstreams.h"

#include <net/if.h>
#include <netinet/in.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <utility>

#include "netjail/base/text.h"

namespace netjail {
namespace {

constexpr std::size_t kMaxResolvConf = 64 << 10;

bool is_link_local(const Ip& ip) {
  return ip.family == Family::ipv6 && ip.bytes[0] == 0xfe && (ip.bytes[1] & 0xc0) == 0x80;
}

std::optional<Upstream> parse_server(std::string_view text) {
  const auto percent = text.find('%');
  const auto ip = parse_ip(text.substr(0, percent));
  if (!ip) return std::nullopt;
  if (percent == std::string_view::npos) return Upstream{.address = *ip, .port = 53, .zone = {}};
  const auto zone = text.substr(percent + 1);
  if (!is_link_local(*ip) || zone.empty()) return std::nullopt;
  return Upstream{.address = *ip, .port = 53, .zone = std::string(zone)};
}

// An interface's name or number; 0 when there is none.
std::uint32_t scope_of(const std::string& zone) {
  if (const auto number = parse_number(zone, UINT32_MAX)) return static_cast<std::uint32_t>(*number);
  return ::if_nametoindex(zone.c_str());
}

}  // namespace

std::vector<Upstream> parse_resolv_conf(std::string_view text) {
  std::vector<Upstream> upstreams;
  for (std::string_view line : split(text, '\n')) {
    if (line.ends_with('\r')) line.remove_suffix(1);
    const auto words = split_words(line);
    if (words.size() < 2 || words[0] != "nameserver") continue;
    if (auto upstream = parse_server(words[1])) upstreams.push_back(std::move(*upstream));
  }
  return upstreams;
}

bool Upstreams::Stamp::differs(const Stamp& other) const {
  return device != other.device || inode != other.inode || size != other.size ||
         modified.tv_sec != other.modified.tv_sec || modified.tv_nsec != other.modified.tv_nsec;
}

Upstreams::Upstreams(std::vector<Upstream> upstreams, std::string resolv_conf)
    : path_(std::move(resolv_conf)) {
  // Given servers are what the file said at the start; without them it is read for the first question.
  if (!upstreams.empty() && !path_.empty()) look(stamp_);
  list_ = std::make_shared<const std::vector<Upstream>>(std::move(upstreams));
}

bool Upstreams::look(Stamp& stamp) const {
  struct stat info {};
  if (::stat(path_.c_str(), &info) != 0) return false;
  stamp = {.device = info.st_dev, .inode = info.st_ino, .size = info.st_size, .modified = info.st_mtim};
  return true;
}

const UpstreamList& Upstreams::current(Clock::time_point now) {
  if (path_.empty() || now < next_look_) return list_;
  next_look_ = now + std::chrono::seconds(1);
  Stamp stamp;
  // A file that is gone for a moment (written anew by somebody who does not rename) does not take the servers
  // away.
  if (!look(stamp) || !stamp.differs(stamp_)) return list_;
  const auto text = read_file(path_, kMaxResolvConf);
  if (!text) return list_;
  stamp_ = stamp;
  auto upstreams = parse_resolv_conf(*text);
  list_ = std::make_shared<const std::vector<Upstream>>(std::move(upstreams));
  first_ = 0;
  spelling_.clear();
  return list_;
}

void Upstreams::answered(const UpstreamList& list, std::size_t index) {
  if (list == list_) first_ = index;
}

void Upstreams::spells(const UpstreamList& list, std::size_t index) {
  if (list != list_) return;
  spelling_.resize(list_->size());
  spelling_[index] = true;
}

bool Upstreams::any_spelling(const UpstreamList& list, std::size_t index) const {
  return list == list_ && index < spelling_.size() && spelling_[index];
}

Fd open_upstream(const Upstream& upstream, int type) {
  sockaddr_storage storage{};
  socklen_t length = 0;
  if (upstream.address.family == Family::ipv4) {
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_port = htons(upstream.port);
    std::memcpy(&address.sin_addr, upstream.address.bytes.data(), sizeof address.sin_addr);
    std::memcpy(&storage, &address, length = sizeof address);
  } else {
    sockaddr_in6 address{};
    address.sin6_family = AF_INET6;
    address.sin6_port = htons(upstream.port);
    std::memcpy(&address.sin6_addr, upstream.address.bytes.data(), sizeof address.sin6_addr);
    if (is_link_local(upstream.address) && !upstream.zone.empty()) {
      address.sin6_scope_id = scope_of(upstream.zone);
      if (address.sin6_scope_id == 0) return {};
    }
    std::memcpy(&storage, &address, length = sizeof address);
  }
  // Not asio's open(): its sockets are inherited through exec.
  Fd fd(::socket(storage.ss_family, type | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  if (!fd) return {};
  // Connected: the kernel picks a random source port and lets only that server's answers in.
  if (::connect(fd.get(), reinterpret_cast<const sockaddr*>(&storage), length) != 0 && errno != EINPROGRESS)
    return {};
  return fd;
}

}  // namespace netjail
