#include "netlink_verdict.h"

#include <cerrno>

#include "attribute.h"
#include "netjail/base/format.h"

namespace netjail {
namespace {

Octets octets_of(const nlmsghdr* message) {
  return {reinterpret_cast<const std::byte*>(message), message->nlmsg_len};
}

// A number in the host's order.
std::optional<std::uint32_t> number(std::optional<Octets> payload) {
  std::uint32_t value = 0;
  if (!payload || payload->size() != sizeof value) return std::nullopt;
  std::memcpy(&value, payload->data(), sizeof value);
  return value;
}

// The kernel's own words: the text of the extended ack and the attribute of `request` that it points at.
std::string extended_ack(Octets attributes, Octets request) {
  std::string text(text_of(find_attribute(attributes, NLMSGERR_ATTR_MSG).value_or(Octets{})));
  const auto add = [&text](const std::string& more) { text += text.empty() ? more : ", " + more; };
  const auto offset = number(find_attribute(attributes, NLMSGERR_ATTR_OFFS));
  if (offset && *offset >= sizeof(nlmsghdr) && *offset + sizeof(nlattr) <= request.size()) {
    nlattr bad;
    std::memcpy(&bad, request.data() + *offset, sizeof bad);
    add(fmt::format("attribute {} at octet {} of the message", bad.nla_type & NLA_TYPE_MASK, *offset));
  }
  if (const auto missing = number(find_attribute(attributes, NLMSGERR_ATTR_MISS_TYPE)))
    add(fmt::format("attribute {} is missing", *missing));
  return text;
}

}  // namespace

Error parse_verdict(const nlmsghdr* answer, const nlmsghdr* request) {
  const Octets octets = octets_of(answer);
  int code = 0;
  if (octets.size() >= sizeof(nlmsghdr) + sizeof code)
    std::memcpy(&code, octets.data() + sizeof(nlmsghdr), sizeof code);
  else if (answer->nlmsg_type == NLMSG_ERROR)
    code = -EBADMSG;
  Error error;
  if (code == 0) return error;
  error.code = code < 0 ? -code : EBADMSG;
  if (answer->nlmsg_flags & NLM_F_ACK_TLVS) {
    std::size_t skip = NLMSG_ALIGN(sizeof(nlmsghdr) + sizeof code);
    if (answer->nlmsg_type == NLMSG_ERROR) {
      skip += sizeof(nlmsghdr);  // the request's header, and unless it is cut off, the rest of it
      if (!(answer->nlmsg_flags & NLM_F_CAPPED)) skip += NLMSG_ALIGN(request->nlmsg_len) - sizeof(nlmsghdr);
    }
    if (skip <= octets.size()) error.kernel = extended_ack(octets.subspan(skip), octets_of(request));
  }
  return error;
}

}  // namespace netjail
