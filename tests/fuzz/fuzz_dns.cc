// The resolver's reading of DNS messages: of a client's question, and of a server's answer to it.
//
// The input is split: its first octet says how. 0: a question alone. Otherwise a well-formed question is
// taken, and the rest is an answer that is made to begin like one to it, as far as the octet's bits say, so
// that the fuzzer gets behind the first checks at once.
#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <vector>

#include "dns_message.h"

using namespace netjail::dns;

namespace {

void require(bool truth) {
  if (!truth) std::abort();
}

void read_question(Octets message) {
  const Query read = read_query(message);
  require(read == read_query(message));
  if (read.fate == Query::Fate::drop) return;
  require(message.size() >= kHeader);
  if (read.fate == Query::Fate::forward) {
    require(read.question && read.question->end <= message.size() && message.size() <= kMaxQuery);
    require(read.question->udp_size >= kPlainUdp);
  }
  if (read.question) {
    for (const char letter : printable_name(message)) require(letter > ' ' && letter < 0x7f);
  }
  // What we answer is a response to it that a client of the same making takes.
  auto answer = make_answer(message, read.question, Rcode::server_failure);
  if (read.question) require(match_answer(answer, message, *read.question).has_value());
}

void read_answer(std::uint8_t how, Octets rest) {
  static const std::vector<std::uint8_t> question{0x12, 0x34, 1,   0, 0,   1,   0,   0,   0, 0, 0, 0, 3,
                                                  'w',  'w',  'w', 4, 'T', 'e', 's', 't', 0, 0, 1, 0, 1};
  const Query read = read_query(question);
  require(read.fate == Query::Fate::forward);
  std::vector<std::uint8_t> answer(rest.begin(), rest.end());
  if ((how & 1) != 0 && answer.size() >= 2) std::copy_n(question.begin(), 2, answer.begin());
  if ((how & 2) != 0 && answer.size() >= kHeader) {
    answer[2] = static_cast<std::uint8_t>(0x80 | (answer[2] & 0x87));
    answer[4] = 0;
    answer[5] = 1;
  }
  if ((how & 4) != 0 && answer.size() >= question.size())
    std::copy(question.begin() + kHeader, question.end(), answer.begin() + kHeader);
  const auto matched = match_answer(answer, question, *read.question);
  if (!matched) return;
  require(matched->size() >= question.size() && matched->size() <= answer.size());
  require(std::equal(question.begin() + kHeader, question.end(), matched->begin() + kHeader));
  // It is still an answer, and so is what truncation leaves.
  std::vector<std::uint8_t> again(matched->begin(), matched->end());
  const auto second = match_answer(again, question, *read.question);
  require(second && std::ranges::equal(*second, *matched));
  const auto cut = truncate(again, *read.question, kPlainUdp);
  require(cut.size() <= std::max<std::size_t>(kPlainUdp, question.size()));
  require(match_answer(cut, question, *read.question).has_value());
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size == 0) return 0;
  const Octets rest(data + 1, std::min<std::size_t>(size - 1, kMaxMessage));
  if (data[0] == 0) {
    read_question(rest);
  } else {
    read_answer(data[0], rest);
  }
  return 0;
}
