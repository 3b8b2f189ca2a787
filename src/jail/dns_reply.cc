// An Answer as octets. Names are compressed where it costs nothing to find out: an owner is a pointer to the
// question or to the alias that led to it, so that the reply is about as long as the server's.
#include "dns_reply.h"

#include <algorithm>

#include "dns_question.h"

namespace netjail::dns {
namespace {

constexpr std::size_t kPointerSize = 2;
constexpr std::uint16_t kOptionError = 15, kErrorBlocked = 15;  // RFC 8914 sections 2 and 4.16
constexpr std::size_t kBlockedOption = 6;                       // octets of option code, length and error
constexpr std::size_t kOpt = 1 + kRecordFixed;

void append(Data& to, Octets octets) { to.insert(to.end(), octets.begin(), octets.end()); }
void append(Data& to, const Name& name) { to.insert(to.end(), name.wire.begin(), name.wire.end()); }

class Reply {
 public:
  Reply(const Filtered& filtered, Octets query, const Question& question)
      : answer_(filtered.answer), blocked_(filtered.blocked), type_(question.type) {
    octets_.reserve(largest_reply(answer_));
    append(octets_, query.first(question.end));
    // A query is longer than its question when it has an OPT (read_query).
    edns_ = query.size() > question.end;
    octets_[2] = static_cast<std::uint8_t>(kResponse | (query[2] & kRecursionDesired) |
                                           (answer_.truncated ? kTruncated : 0));
    octets_[3] = static_cast<std::uint8_t>(kRecursionAvailable | (query[3] & kCheckingDisabled) |
                                           static_cast<std::uint8_t>(answer_.rcode));
    std::fill(octets_.begin() + kAnswerCount, octets_.begin() + kHeader, std::uint8_t{0});
    set_count(kQuestionCount, 1);
  }

  Data make() && {
    std::size_t count = 0, owner = kHeader;
    for (std::size_t link = 1; link < answer_.chain.size(); ++link, ++count) {
      const Name& target = answer_.chain[link];
      start(owner, kTypeCname, target.wire.size());
      owner = octets_.size();
      append(octets_, target);
    }
    const auto put = [&](Octets data) {
      start(owner, type_, data.size());
      append(octets_, data);
      ++count;
    };
    for (const Ip& ip : answer_.addresses) put(ip.octets());
    for (const auto& service : answer_.services) put(make_service_data(service));
    for (const auto& data : answer_.records) put(data);
    set_count(kAnswerCount, count);
    if (answer_.authority) put_authority(*answer_.authority);
    if (edns_) put_opt();
    return std::move(octets_);
  }

 private:
  void set_count(std::size_t offset, std::size_t count) {
    put_number(octets_, offset, static_cast<std::uint16_t>(count));
  }

  // All of a record but its data. `owner` is the offset of its name, below 0x4000: the aliases come first and
  // are few.
  void start(std::size_t owner, std::uint16_t type, std::size_t size) {
    append_number(octets_, std::size_t{kPointer} << 8 | owner);
    fixed(type, size);
  }

  void fixed(std::uint16_t type, std::size_t size) {
    append_number(octets_, type);
    append_number(octets_, kClassInternet);
    append_long(octets_, answer_.ttl);
    append_number(octets_, size);
  }

  void put_authority(const Authority& authority) {
    append(octets_, authority.owner);
    fixed(kTypeSoa, authority.data.size());
    append(octets_, authority.data);
    set_count(kAuthorityCount, 1);
  }

  void put_opt() {
    octets_.push_back(0);
    append_number(octets_, kTypeOpt);
    append_number(octets_, kOwnUdpSize);
    append_long(octets_, 0);  // version 0, no flags
    append_number(octets_, blocked_ ? kBlockedOption : 0);
    if (blocked_) {
      append_number(octets_, kOptionError);
      append_number(octets_, sizeof kErrorBlocked);
      append_number(octets_, kErrorBlocked);
    }
    set_count(kAdditionalCount, 1);
  }

  const Answer& answer_;
  Data octets_;
  bool blocked_;
  std::uint16_t type_;
  bool edns_ = false;
};

}  // namespace

std::size_t largest_reply(const Answer& answer) {
  const std::size_t record = kPointerSize + kRecordFixed;
  std::size_t size = kHeader + answer.chain.front().wire.size() + 4 + kOpt + kBlockedOption;
  for (std::size_t link = 1; link < answer.chain.size(); ++link)
    size += record + answer.chain[link].wire.size();
  for (const Ip& ip : answer.addresses) size += record + ip.octets().size();
  for (const auto& service : answer.services)
    size += record + 2 + service.target.wire.size() + service.parameters.size();
  for (const auto& data : answer.records) size += record + data.size();
  if (answer.authority)
    size += answer.authority->owner.wire.size() + kRecordFixed + answer.authority->data.size();
  return size;
}

Data make_reply(const Filtered& filtered, Octets query, const Question& question) {
  return Reply(filtered, query, question).make();
}

}  // namespace netjail::dns
