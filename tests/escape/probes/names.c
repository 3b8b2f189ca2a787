// DNS by whatever resolver the program is given. The profile allows three exact names, or none ("dns" without
// "allow="); the world's server answers for all of them. THREATS.md section 5, rows on names.
#include <arpa/inet.h>

#include "net.h"

static int resolver(int type) {
  char text[4096] = "", address[64] = "";
  const int file = (int)must(open("/etc/resolv.conf", O_RDONLY));
  must(read(file, text, sizeof text - 1));
  const char* found = strstr(text, "nameserver");
  if (found == NULL || sscanf(found, "nameserver %63s", address) != 1) said("no: no resolver");
  struct place to = place(address);
  set_port(&to, 53);
  const int fd = (int)must(socket(to.address.ss_family, type, 0));
  must(connect_now(fd, (const struct sockaddr*)&to.address, to.size));
  return fd;
}

static size_t add_name(uint8_t* out, const char* name) {
  size_t size = 0;
  while (*name != 0) {
    const size_t label = strcspn(name, ".");
    out[size] = (uint8_t)label;
    memcpy(out + size + 1, name, label);
    size += label + 1;
    name += label + (name[label] == '.');
  }
  out[size] = 0;
  return size + 1;
}
static size_t question(uint8_t* out, const char* name, int type) {
  const uint8_t head[12] = {0x12, 0x34, 1, 0, 0, 1};
  memcpy(out, head, 12);
  const size_t end = 12 + add_name(out + 12, name);
  memcpy(out + end, (uint8_t[4]){0, (uint8_t)type, 0, 1}, 4);
  return end + 4;
}
// The first address of the answer in `got`, or none.
static bool ask(const uint8_t* asked, size_t size, struct in_addr* got) {
  uint8_t answer[1024];
  const int fd = resolver(SOCK_DGRAM);
  must(send(fd, asked, size, 0));
  if (!readable(fd, 250)) return false;
  const ssize_t came = recv(fd, answer, sizeof answer, 0);
  if (came < 16 || (answer[3] & 15) != 0 || answer[7] == 0) return false;
  memcpy(got, answer + came - 4, 4);
  return true;
}

static const char* with_token(const char* format) {
  static char name[256];
  snprintf(name, sizeof name, format, token());
  return name;
}
static void ask_name(const char* name, int type) {
  uint8_t message[512];
  struct in_addr got;
  said(ask(message, question(message, name, type), &got) ? "answered" : "no: no answer");
}
static void by_name(const struct probe* p) { ask_name(with_token("%s.example.org"), atoi(argument(p))); }
static void below(const struct probe* p) {
  ask_name(with_token("%s.public.example.test"), atoi(argument(p)));
}
static void by_tcp(const struct probe* p) {
  uint8_t message[512];
  const size_t size = question(message + 2, with_token("%s.example.org"), 1);
  (void)p;
  message[1] = (uint8_t)size;
  must(write(resolver(SOCK_STREAM), message, size + 2));
}
// The name is allowed; what comes with it is ours: an option, octets behind the message, another class.
static void with_option(const struct probe* p) {
  uint8_t message[512];
  size_t size = question(message, "public.example.test", 1);
  const uint8_t head[] = {0, 0, 41, 4, 0, 0, 0, 0, 0, 0, 26, 0xfd, 0xe9, 0, 22};
  struct in_addr got;
  (void)p;
  message[11] = 1;
  memcpy(message + size, head, sizeof head);
  memcpy(message + size + sizeof head, token(), 22);
  said(ask(message, size + sizeof head + 22, &got) ? "answered" : "no: no answer");
}
static void with_tail(const struct probe* p) {
  uint8_t message[512];
  const size_t size = question(message, "public.example.test", 1);
  struct in_addr got;
  (void)p;
  memcpy(message + size, token(), 22);
  said(ask(message, size + 22, &got) ? "answered" : "no: no answer");
}
static void two_questions(const struct probe* p) {
  uint8_t message[512], second[512];
  const size_t size = question(message, "public.example.test", 1);
  const size_t more = question(second, with_token("%s.example.org"), 1) - 12;
  struct in_addr got;
  (void)p;
  message[5] = 2;
  memcpy(message + size, second + 12, more);
  said(ask(message, size + more, &got) ? "answered" : "no: no answer");
}
static struct in_addr address_of(const char* name) {
  uint8_t message[512];
  struct in_addr got;
  if (!ask(message, question(message, name, 1), &got)) said("no: no answer");
  return got;
}
// "to:NAME,PORT": where the name leads.
static void go_there(const struct probe* p) {
  char name[128], text[32];
  snprintf(name, sizeof name, "%.*s", (int)strcspn(argument(p), ","), argument(p));
  const struct in_addr got = address_of(name);
  inet_ntop(AF_INET, &got, text, sizeof text);
  tcp_token((int)must(socket(AF_INET, SOCK_STREAM, 0)), text, atoi(strchr(argument(p), ',') + 1));
}
// The address without having asked for the name.
static void unasked(const struct probe* p) {
  (void)p;
  tcp_token((int)must(socket(AF_INET, SOCK_STREAM, 0)), FORBIDDEN, 443);
}
static void opened(const struct probe* p) {
  const struct in_addr got = address_of(argument(p));
  const struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons(443), .sin_addr = got};
  must(connect_now((int)must(socket(AF_INET, SOCK_STREAM, 0)), (const struct sockaddr*)&to, sizeof to));
  works();
}

#define RULES \
  " allow=public.example.test:443/tcp allow=metadata.example.test:80/tcp allow=host.example.test:22/tcp"
#define P(name, promise_, needs_, attempt_, text_)                                         \
  {                                                                                        \
    .id = "names." name, .kind = 'A', .promise = promise_, .text = text_, .needs = needs_, \
    .attempt = attempt_                                                                    \
  }

const struct probe probes[] = {
    P("none", "P10", "dns:1", by_name, "a name that carries data; no rule has a name"),
    P("none-text", "P10", "dns:16", by_name, "the same, for TXT"),
    P("none-tcp", "P10", "dns:1", by_tcp, "the same by tcp"),
    P("other", "P10", "dns:1" RULES, by_name, "a name that no rule allows"),
    P("below", "P10", "dns:1" RULES, below, "a name below one that is allowed"),
    P("below-text", "P10", "dns:16" RULES, below, "the same, for TXT"),
    P("tcp", "P10", "dns:1" RULES, by_tcp, "a name that no rule allows, by tcp"),
    P("option", "P10", "dns:1" RULES, with_option, "an allowed name, with an option that carries data"),
    P("tail", "P10", "dns:1" RULES, with_tail, "an allowed name, with octets behind the message"),
    P("two-questions", "P10", "dns:1" RULES, two_questions, "an allowed name and another in one message"),
    P("metadata", "P10a", "to:metadata.example.test,80" RULES, go_there,
      "allowed name that leads to 169.254.169.254"),
    P("host", "P10a", "to:host.example.test,22" RULES, go_there, "allowed name that leads to the host"),
    P("port", "P10a", "to:public.example.test,80" RULES, go_there,
      "allowed name, another port of its address"),
    P("unasked", "P10a", "dns:1 allow=unasked.example.test:443/tcp", unasked,
      "the address of an allowed name that nobody asked for"),
    {.id = "names.opened",
     .kind = '=',
     .promise = "P10a",
     .needs = "to:public.example.test" RULES,
     .text = "an allowed name, its own service",
     .attempt = opened},
    {0}};
