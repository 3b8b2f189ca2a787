#include <arpa/inet.h>
#include <poll.h>

#include <fstream>
#include <map>
#include <sstream>

#include "probe.h"
#include "probe_socket.h"

namespace probe {
namespace {

const std::map<std::string, int> kTypes{{"A", 1},    {"NS", 2},    {"CNAME", 5}, {"PTR", 12},   {"MX", 15},
                                        {"TXT", 16}, {"AAAA", 28}, {"SRV", 33},  {"HTTPS", 65}, {"ANY", 255}};

std::string make_query(const std::string& name, int type) {
  std::string query("\x4a\x61\x01\x00\x00\x01\x00\x00\x00\x00\x00\x00", 12);
  std::istringstream labels(name);
  for (std::string label; std::getline(labels, label, '.');) {
    query.push_back(static_cast<char>(label.size()));
    query += label;
  }
  query.push_back('\0');
  query.push_back(static_cast<char>(type >> 8));
  query.push_back(static_cast<char>(type & 0xff));
  query += std::string("\x00\x01", 2);
  return query;
}

int byte_at(const std::string& text, std::size_t at) {
  return at < text.size() ? static_cast<unsigned char>(text[at]) : 0;
}
int word_at(const std::string& text, std::size_t at) {
  return byte_at(text, at) << 8 | byte_at(text, at + 1);
}

void skip_name(const std::string& text, std::size_t& at) {
  while (at < text.size() && byte_at(text, at) != 0) {
    if ((byte_at(text, at) & 0xc0) == 0xc0) {
      at += 2;
      return;
    }
    at += static_cast<std::size_t>(byte_at(text, at)) + 1;
  }
  ++at;
}

Result read_answer(const std::string& answer) {
  static const char* const kCodes[] = {"NOERROR", "FORMERR", "SERVFAIL", "NXDOMAIN", "NOTIMP", "REFUSED"};
  if (answer.size() < 12 || word_at(answer, 0) != 0x4a61) return bad("not an answer");
  const int code = byte_at(answer, 3) & 15;
  std::string text = code < 6 ? kCodes[code] : "code " + std::to_string(code);
  if ((byte_at(answer, 2) & 2) != 0) text += " TC";
  const int count = word_at(answer, 6);
  if (count > 8) text += " " + std::to_string(count) + " records";
  std::size_t at = 12;
  skip_name(answer, at);
  at += 4;
  for (int i = 0; i < count && i < 8 && at < answer.size(); ++i) {
    skip_name(answer, at);
    const int type = word_at(answer, at);
    const auto size = static_cast<std::size_t>(word_at(answer, at + 8));
    at += 10;
    char address[INET6_ADDRSTRLEN];
    if (at + size > answer.size()) return bad(text + " cut off");
    if ((type == 1 && size == 4) || (type == 28 && size == 16))
      text += std::string(" ") +
              ::inet_ntop(type == 1 ? AF_INET : AF_INET6, &answer[at], address, sizeof address);
    else
      text += " type" + std::to_string(type);
    at += size;
  }
  return code == 0 ? good(text) : bad(text);
}

std::string first_nameserver() {
  std::ifstream file("/etc/resolv.conf");
  for (std::string word; file >> word;) {
    if (word == "nameserver" && file >> word) return word;
  }
  return "127.0.0.1";
}

}  // namespace

Result ask_dns(const Arguments& arguments) {
  const auto type = kTypes.find(arguments[1]);
  if (type == kTypes.end()) return bad("unknown type");
  const bool tcp = arguments.size() > 2 && arguments[2] == "tcp";
  const std::string server = arguments.size() > 3 ? arguments[3] : first_nameserver();
  Address address;
  if (!parse(server, "53", address)) return bad("not an address: " + server);
  const int fd = open_connected(address, tcp ? SOCK_STREAM : SOCK_DGRAM);
  if (fd < 0) return bad_errno();
  const std::string query = make_query(arguments[0], type->second);
  if (!tcp) {
    char answer[65536];
    if (!send_all(fd, query) || !wait_for(fd, POLLIN)) return bad_errno();
    const ssize_t got = ::recv(fd, answer, sizeof answer, 0);
    if (got < 0) return bad_errno();
    return read_answer({answer, static_cast<std::size_t>(got)});
  }
  const std::string frame{static_cast<char>(query.size() >> 8), static_cast<char>(query.size() & 0xff)};
  std::string size, answer;
  if (!send_all(fd, frame + query) || !read_some(fd, size, 2)) return bad_errno();
  if (size.size() < 2) return bad("closed without an answer");
  if (!read_some(fd, answer, static_cast<std::size_t>(word_at(size, 0)))) return bad_errno();
  return read_answer(answer);
}

}  // namespace probe
