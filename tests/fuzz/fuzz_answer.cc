// What an answer teaches and what of it is passed on.
//
// The first octet chooses the question's type and the octet that a refused address ends in; the rest is an
// answer that is made to begin like one to that question (id, flags, one question), so that the fuzzer gets
// behind match_answer's first checks at once. Counts and rcode are the input's.
#include <algorithm>
#include <array>
#include <cstdint>
#include <cstdlib>
#include <vector>

#include "../unit/dns_scan.h"
#include "dns_answer.h"
#include "dns_question.h"

using namespace netjail;
using namespace netjail::dns;

namespace {

void require(bool truth) {
  if (!truth) std::abort();
}

constexpr std::array<std::uint16_t, 8> kTypes{kTypeA,  kTypeAaaa, kTypeHttps, kTypeCname,
                                              kTypeMx, kTypeSrv,  kTypeTxt,   kTypePtr};

// What match_answer may take for chains of pointers: there it refuses by chance what is harmless.
bool may_look_like_chains(Octets message) {
  return std::ranges::count_if(message, [](std::uint8_t octet) { return octet >= kPointer; }) > 32;
}

void read_and_pass_on(std::uint8_t how, Octets rest) {
  const std::uint16_t type = kTypes[how & 7];
  const std::uint8_t last = how >> 4;
  const auto permitted = [last](const Ip& ip) { return ip.octets().back() != last; };
  const Data asked = make_question(Name{std::string("\1a\4test\0", 8)}, type, 0x1234, {});
  const Query query = check_question(asked);
  require(query.fate == Query::Fate::forward);
  const Question& question = *query.question;

  std::vector<std::uint8_t> message(rest.begin(), rest.end());
  if (message.size() < question.end) return;
  std::copy_n(asked.begin(), 2, message.begin());
  message[2] = static_cast<std::uint8_t>(0x80 | (message[2] & 0x07));
  message[4] = 0, message[5] = 1;
  std::copy_n(asked.begin() + kHeader, question.end - kHeader, message.begin() + kHeader);
  // It must survive what match_answer has not seen, too.
  const auto unseen = read_answer(message, question);
  if (!repeats_spelling(message, asked, question)) return;
  const auto matched = match_answer(message, asked, question);
  if (!matched) return;
  const auto answer = read_answer(*matched, question);
  if (!answer) return;
  require(answer->chain.size() <= kMaxLinks + 1 && answer->ttl <= kMaxTtl);
  if (matched->size() == message.size() && unseen) require(*unseen == *answer);

  const auto filtered = filter_answer(*answer, permitted, (how & 8) != 0 ? Ech::strip : Ech::keep);
  auto told = make_reply(filtered, asked, question);
  require(told.size() <= kMaxMessage);
  const auto addresses = test::scan_addresses(told);
  require(addresses.has_value());
  const auto known = told_addresses(filtered.answer);
  for (const Ip& ip : *addresses) require(passes(ip, permitted) && std::ranges::binary_search(known, ip));
  for (const auto& service : filtered.answer.services) require((how & 8) == 0 || !service.ech);
  require(repeats_spelling(told, asked, question));
  const auto rematched = match_answer(told, asked, question);
  require(rematched || may_look_like_chains(told));
  const auto again = read_answer(told, question);
  require(again && *again == filtered.answer);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size > 0) read_and_pass_on(data[0], {data + 1, std::min<std::size_t>(size - 1, kMaxMessage)});
  return 0;
}
