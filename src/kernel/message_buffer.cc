#include <cassert>
#include <cstring>
#include <limits>

#include "netjail/kernel/netlink.h"

namespace netjail {
namespace {

constexpr std::size_t align(std::size_t size) { return (size + NLMSG_ALIGNTO - 1) & ~(NLMSG_ALIGNTO - 1UL); }
constexpr std::size_t kMaxAttribute = std::numeric_limits<std::uint16_t>::max();

}  // namespace

void MessageBuffer::begin(std::uint16_t type, std::uint16_t flags, const void* header,
                          std::size_t header_size) {
  starts_.push_back(bytes_.size());
  const nlmsghdr message{.nlmsg_len = sizeof(nlmsghdr),
                         .nlmsg_type = type,
                         .nlmsg_flags = flags,
                         .nlmsg_seq = 0,
                         .nlmsg_pid = 0};
  bytes_.resize(bytes_.size() + sizeof message);
  std::memcpy(bytes_.data() + starts_.back(), &message, sizeof message);
  append(header, header_size);
}

void MessageBuffer::put(std::uint16_t attribute, const void* data, std::size_t size) {
  assert(sizeof(nlattr) + size <= kMaxAttribute);
  const nlattr header{static_cast<std::uint16_t>(sizeof(nlattr) + size), attribute};
  const std::size_t at = bytes_.size();
  bytes_.resize(at + align(sizeof header + size));  // padding is zero
  std::memcpy(bytes_.data() + at, &header, sizeof header);
  if (size > 0) std::memcpy(bytes_.data() + at + sizeof header, data, size);
  last()->nlmsg_len = static_cast<std::uint32_t>(bytes_.size() - starts_.back());
}

void MessageBuffer::put_string(std::uint16_t attribute, const std::string& value) {
  put(attribute, value.c_str(), value.size() + 1);
}

std::size_t MessageBuffer::open_nest(std::uint16_t attribute) {
  const std::size_t nest = bytes_.size();
  put(static_cast<std::uint16_t>(attribute | NLA_F_NESTED), nullptr, 0);
  return nest;
}

void MessageBuffer::close_nest(std::size_t nest) {
  const std::size_t size = bytes_.size() - nest;
  assert(size <= kMaxAttribute);
  const auto length = static_cast<std::uint16_t>(size);
  std::memcpy(bytes_.data() + nest + offsetof(nlattr, nla_len), &length, sizeof length);
}

void MessageBuffer::append(const void* data, std::size_t size) {
  const std::size_t at = bytes_.size();
  bytes_.resize(at + align(size));
  if (size > 0) std::memcpy(bytes_.data() + at, data, size);
  last()->nlmsg_len = static_cast<std::uint32_t>(bytes_.size() - starts_.back());
}

void MessageBuffer::add(const nlmsghdr* message) {
  starts_.push_back(bytes_.size());
  bytes_.resize(bytes_.size() + align(message->nlmsg_len));
  std::memcpy(bytes_.data() + starts_.back(), message, message->nlmsg_len);
}

void MessageBuffer::clear() {
  bytes_.clear();
  starts_.clear();
}

nlmsghdr* MessageBuffer::last() {
  assert(!starts_.empty());
  return reinterpret_cast<nlmsghdr*>(bytes_.data() + starts_.back());
}

}  // namespace netjail
