#include "net.h"

#include <arpa/inet.h>
#include <netinet/ip.h>

#define SOCK_DCCP_ 6
#define IPPROTO_MPTCP_ 262

static const struct protocol {
  const char* name;
  int type, number;
} kProtocols[] = {{"tcp", SOCK_STREAM, 0},
                  {"udp", SOCK_DGRAM, 0},
                  {"mptcp", SOCK_STREAM, IPPROTO_MPTCP_},
                  {"udplite", SOCK_DGRAM, IPPROTO_UDPLITE},
                  {"sctp", SOCK_STREAM, IPPROTO_SCTP},
                  {"dccp", SOCK_DCCP_, IPPROTO_DCCP},
                  {"echo", SOCK_DGRAM, IPPROTO_ICMP}};

const char* first_word(const struct probe* p) {
  static char word[32];
  snprintf(word, sizeof word, "%.*s", (int)strcspn(p->needs, ": "), p->needs);
  return word;
}

void set_port(struct place* where, int port) {
  // At the same offset in both families.
  ((struct sockaddr_in*)&where->address)->sin_port = htons((uint16_t)port);
}

struct place place(const char* text) {
  struct place made = {.size = sizeof(struct sockaddr_in)};
  struct sockaddr_in* four = (struct sockaddr_in*)&made.address;
  struct sockaddr_in6* six = (struct sockaddr_in6*)&made.address;
  char* words = strdup(text);
  char* comma = strchr(words, ',');
  if (comma != NULL) *comma = 0;
  char* scope = strchr(words, '%');
  if (scope != NULL) *scope = 0;
  if (inet_pton(AF_INET, words, &four->sin_addr) == 1) {
    four->sin_family = AF_INET;
  } else if (inet_pton(AF_INET6, words, &six->sin6_addr) == 1) {
    six->sin6_family = AF_INET6;
    made.size = sizeof *six;
    if (scope != NULL) six->sin6_scope_id = if_nametoindex(scope + 1);
  } else {
    said("no: %s is no address", words);
  }
  set_port(&made, comma != NULL ? atoi(comma + 1) : 0);
  return made;
}

int links(int indices[16]) {
  struct if_nameindex* all = if_nameindex();
  int count = 0;
  for (const struct if_nameindex* i = all; i != NULL && i->if_index != 0 && count < 16; ++i)
    if (strcmp(i->if_name, "lo") != 0) indices[count++] = (int)i->if_index;
  return count;
}

int flow_socket(const struct probe* p, const struct place* to) {
  const char* word = first_word(p);
  for (size_t i = 0; i < sizeof kProtocols / sizeof *kProtocols; ++i) {
    const struct protocol* one = &kProtocols[i];
    if (strcmp(word, one->name) != 0) continue;
    const int six = to->address.ss_family == AF_INET6;
    const int number = one->number == IPPROTO_ICMP && six ? IPPROTO_ICMPV6 : one->number;
    const int fd = (int)must(socket(to->address.ss_family, one->type, number));
    const int one_bit = 1;
    setsockopt(fd, SOL_SOCKET, SO_BROADCAST, &one_bit, sizeof one_bit);
    return fd;
  }
  said("no: unknown protocol %s", word);
}

void send_to_place(int fd, const struct place* to) {
  must(sendto(fd, token(), strlen(token()), 0, (const struct sockaddr*)&to->address, to->size));
}

static int connect_and_send(int fd, const struct place* to) {
  if (connect_now(fd, (const struct sockaddr*)&to->address, to->size) != 0) return -1;
  return send(fd, token(), strlen(token()), MSG_NOSIGNAL) < 0 ? -1 : 0;
}

// An echo request, whose sum the kernel makes: type, code, sum, id, sequence, and what it carries.
static int send_echo(int fd, const struct place* to) {
  uint8_t packet[64] = {to->address.ss_family == AF_INET6 ? 128 : 8};
  memcpy(packet + 8, token(), strlen(token()));
  return (int)sendto(fd, packet, sizeof packet, 0, (const struct sockaddr*)&to->address, to->size);
}

static int send_once(const struct probe* p, int fd, const struct place* to) {
  int type = 0;
  socklen_t size = sizeof type;
  getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &size);
  if (strcmp(first_word(p), "echo") == 0) return send_echo(fd, to);
  if (type != SOCK_DGRAM) return connect_and_send(fd, to);
  return (int)sendto(fd, token(), strlen(token()), 0, (const struct sockaddr*)&to->address, to->size);
}

void send_flow(const struct probe* p, int fd, const char* where) {
  struct place to = place(where);
  struct sockaddr_in6* six = (struct sockaddr_in6*)&to.address;
  int indices[16], result = -1;
  const int count = links(indices);
  if (strstr(where, "%*") != NULL) {
    if (count == 0) errno = ENETUNREACH;
    for (int i = 0; i < count; ++i) {
      six->sin6_scope_id = (uint32_t)indices[i];
      if (send_once(p, fd, &to) >= 0) result = 0;
    }
  } else {
    const uint8_t first = ((const uint8_t*)&((struct sockaddr_in*)&to.address)->sin_addr)[0];
    const int rounds =
        to.address.ss_family == AF_INET && first >= 224 && first < 240 && count > 0 ? count : 1;
    for (int i = 0; i < rounds; ++i) {
      const struct ip_mreqn link = {.imr_ifindex = indices[i]};
      if (first >= 224 && first < 240) setsockopt(fd, SOL_IP, IP_MULTICAST_IF, &link, sizeof link);
      if (send_once(p, fd, &to) >= 0) result = 0;
    }
  }
  if (result < 0) failed(where);
  said("sent to %s", where);
}

void flow(const struct probe* p) {
  const char* where = argument(p);
  const struct place to = place(where);
  send_flow(p, flow_socket(p, &to), where);
}

int raw_socket(int family, int protocol) { return (int)must(socket(family, SOCK_RAW, protocol)); }

void raw_flow(const struct probe* p) {
  const char* text = argument(p);
  const struct place to = place(strchr(text, ',') + 1);
  uint8_t payload[64] = {0};
  memcpy(payload + 8, token(), strlen(token()));
  must(sendto(raw_socket(to.address.ss_family, atoi(text)), payload, sizeof payload, 0,
              (const struct sockaddr*)&to.address, to.size));
}

uint16_t checksum(const uint8_t* data, size_t size) {
  uint32_t sum = 0;
  for (size_t i = 0; i + 1 < size; i += 2) sum += (uint32_t)(data[i] << 8 | data[i + 1]);
  while (sum >> 16 != 0) sum = (sum & 0xffff) + (sum >> 16);
  return (uint16_t)~sum;
}

size_t ipv4_packet(uint8_t* out, const char* from, const char* to, int protocol, const uint8_t* payload,
                   size_t size) {
  memset(out, 0, 20);
  out[0] = 0x45, out[3] = (uint8_t)(20 + size), out[5] = 1, out[8] = 64, out[9] = (uint8_t)protocol;
  inet_pton(AF_INET, from, out + 12);
  inet_pton(AF_INET, to, out + 16);
  const uint16_t sum = checksum(out, 20);
  out[10] = (uint8_t)(sum >> 8), out[11] = (uint8_t)sum;
  memcpy(out + 20, payload, size);
  return 20 + size;
}

size_t udp_payload(uint8_t* out, int port) {
  const size_t size = 8 + strlen(token());
  memset(out, 0, 8);
  out[0] = 0x30, out[1] = 0x39, out[2] = (uint8_t)(port >> 8), out[3] = (uint8_t)port, out[5] = (uint8_t)size;
  memcpy(out + 8, token(), strlen(token()));
  return size;
}
