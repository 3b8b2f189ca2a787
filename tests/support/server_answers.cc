#include <algorithm>

#include "netjail/base/text.h"
#include "server_loop.h"

namespace netjail::test {

Servers::Loop::Answer Servers::Loop::look_up(std::string_view query, std::size_t limit) {
  const auto question = read_dns_question(query);
  const std::scoped_lock lock(mutex);
  if (question) {
    const auto name = dns.find(question->name);
    if (name != dns.end() && name->second.silent) return {};
    if (name != dns.end()) return {make_dns_answer(query, dns, limit), name->second.delay};
  }
  return {make_dns_answer(query, dns, limit)};
}

void Servers::Loop::answer_stream(Source& source) {
  if (source.serve == Serve::http) return answer_http(source);
  if (source.serve == Serve::tcp_dns) return answer_dns(source);
  source.out += source.in;
  source.in.clear();
}

void Servers::Loop::answer_http(Source& source) {
  if (source.in.find("\r\n\r\n") == std::string::npos) return;
  const auto words = split_words(std::string_view(source.in).substr(0, source.in.find("\r\n")));
  const std::string path(words.size() > 1 ? words[1] : "");
  std::string body, status = "200 OK";
  constexpr std::string_view kBytes = "/bytes/";
  if (path.starts_with(kBytes)) {
    source.filler = parse_number(std::string_view(path).substr(kBytes.size()), 1ull << 40).value_or(0);
  } else if (path == "/") {
    body =
        "server " + source.local + " port " + std::to_string(source.port) + " client " + source.peer + "\n";
  } else {
    status = "404 Not Found";
  }
  source.out += "HTTP/1.1 " + status +
                "\r\nContent-Type: text/plain\r\nConnection: close\r\nContent-Length: " +
                std::to_string(body.size() + source.filler) + "\r\n\r\n" + body;
  source.in.clear();
  source.ending = true;
}

void Servers::Loop::answer_dns(Source& source) {
  while (source.in.size() >= 2) {
    const std::size_t size = static_cast<std::size_t>(static_cast<unsigned char>(source.in[0]) << 8 |
                                                      static_cast<unsigned char>(source.in[1]));
    if (source.in.size() < size + 2) return;
    const std::string query = source.in.substr(2, size);
    source.in.erase(0, size + 2);
    if (const auto question = read_dns_question(query)) {
      record({.zone = source.zone,
              .protocol = "tcp",
              .address = source.local,
              .port = source.port,
              .peer = source.peer,
              .question = question->name + " " + std::to_string(question->type),
              .message = query});
    }
    Answer answer = look_up(query, 65535);
    if (answer.text.empty()) continue;
    std::string framed{static_cast<char>(answer.text.size() >> 8),
                       static_cast<char>(answer.text.size() & 0xff)};
    framed += answer.text;
    if (answer.delay.count() == 0)
      source.out += framed;
    else
      delayed.push_back({.due = std::chrono::steady_clock::now() + answer.delay,
                         .fd = source.fd.get(),
                         .datagram = {},
                         .text = framed});
  }
}

}  // namespace netjail::test
