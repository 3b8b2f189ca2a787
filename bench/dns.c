// dns: the two ends of the bench's questions. One static program, so that it runs in any jail.
//
//   dns serve ADDRESS    answers every question with one A record at once: the first number in the name added
//   to
//                        16.0.0.0, or the bench's server when there is none
//   dns ask ADDRESS ZONE NAMES COUNT OUTSTANDING RCODE
//                        COUNT questions for the A records of n0.ZONE … n(NAMES-1).ZONE, OUTSTANDING at a
//                        time; prints answers per second and the median ns from question to answer, then
//                        waits for the end of its standard input. Another answer than RCODE (with an address
//                        when that is 0), or none, is an error.
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { kHeader = 12, kMost = 1232, kTtl = 300 };

static int64_t now(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

static void need(int ok, const char* what) {
  if (ok) return;
  perror(what);
  exit(1);
}

static struct sockaddr_in endpoint(const char* address) {
  struct sockaddr_in end = {.sin_family = AF_INET, .sin_port = htons(53)};
  need(inet_pton(AF_INET, address, &end.sin_addr) == 1, address);
  return end;
}

static void serve(const char* address) {
  const struct sockaddr_in end = endpoint(address);
  const int s = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0), room = 4 << 20;
  setsockopt(s, SOL_SOCKET, SO_RCVBUF, &room, sizeof room);
  need(bind(s, (const struct sockaddr*)&end, sizeof end) == 0, "bind");
  puts("ready");
  fflush(stdout);
  for (;;) {
    unsigned char message[kMost];
    struct sockaddr_in from;
    socklen_t size = sizeof from;
    const ssize_t got = recvfrom(s, message, sizeof message, 0, (struct sockaddr*)&from, &size);
    if (got < kHeader + 5) continue;
    size_t at = kHeader;
    uint32_t number = 0;
    int digits = 0;
    for (; at < (size_t)got && message[at] != 0; at += 1U + message[at])
      for (size_t i = at + 1; at == kHeader && i <= at + message[at] && i < (size_t)got; i++)
        if (message[i] >= '0' && message[i] <= '9') digits = 1, number = number * 10 + message[i] - '0';
    at += 5;  // the root, type and class
    if (at > (size_t)got || at + 16 > sizeof message) continue;
    const uint32_t found = htonl(digits ? (16U << 24) + number : 0xc6336402U);
    const unsigned char record[12] = {0xc0, kHeader, 0, 1, 0, 1, 0, 0, kTtl >> 8, kTtl & 0xff, 0, 4};
    memcpy(message + at, record, sizeof record);
    memcpy(message + at + sizeof record, &found, sizeof found);
    memcpy(message + 2, "\x85\x80\0\1\0\1\0\0\0", 10);  // authoritative; one question, one answer
    sendto(s, message, at + 16, 0, (const struct sockaddr*)&from, size);
  }
}

static size_t question(unsigned char* message, unsigned id, const char* label, const char* zone) {
  const unsigned char header[kHeader] = {(unsigned char)(id >> 8), (unsigned char)id, 1, 0, 0, 1};
  memcpy(message, header, kHeader);
  char name[256];
  snprintf(name, sizeof name, "%s.%s", label, zone);
  size_t at = kHeader;
  for (char *rest = name, *part; (part = strsep(&rest, ".")) != NULL;) {
    const size_t size = strlen(part);
    message[at++] = (unsigned char)size;
    memcpy(message + at, part, size);
    at += size;
  }
  memcpy(message + at, "\0\0\1\0\1", 5);
  return at + 5;
}

static int compare(const void* a, const void* b) {
  const int64_t x = *(const int64_t*)a, y = *(const int64_t*)b;
  return (x > y) - (x < y);
}

static void ask(const char* address, const char* zone, long names, long count, long outstanding, int rcode) {
  const struct sockaddr_in end = endpoint(address);
  const int s = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  const struct timeval patience = {.tv_sec = 5};
  setsockopt(s, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
  need(connect(s, (const struct sockaddr*)&end, sizeof end) == 0, "connect");
  int64_t* times = calloc((size_t)count, sizeof *times);
  unsigned char message[kMost];
  long asked = 0, answered = 0;
  // Sockets, neighbours and caches are warm, whatever is answered.
  need(send(s, message, question(message, 0xffff, "server", zone), 0) > 0, "send");
  need(recv(s, message, sizeof message, 0) > 0, "no answer");
  const int64_t start = now();
  while (answered < count) {
    for (; asked < count && asked - answered < outstanding; asked++) {
      char label[24];
      snprintf(label, sizeof label, "n%ld", asked % names);
      const size_t size = question(message, (unsigned)asked & 0xffff, label, zone);
      times[asked] = now();
      need(send(s, message, size, 0) > 0, "send");
    }
    const ssize_t got = recv(s, message, sizeof message, 0);
    need(got >= kHeader, "no answer");
    // The number of the question, of which the id has 16 bits: they are answered in about their order.
    const long back = (asked - 1 - ((long)message[0] << 8 | message[1])) & 0xffff;
    const long number = asked - 1 - back;
    if (number < 0 || (message[3] & 15) != rcode || (rcode == 0 && message[7] == 0)) {
      fprintf(stderr, "answer %ld: rcode %d, %d records\n", number, message[3] & 15, message[7]);
      exit(1);
    }
    times[number] = now() - times[number];
    answered++;
  }
  const int64_t took = now() - start;
  qsort(times, (size_t)count, sizeof *times, compare);
  printf("%.0f %lld\n", (double)count * 1e9 / (double)took, (long long)times[count / 2]);
  fflush(stdout);
  while (read(0, message, sizeof message) > 0) {
  }
}

int main(int argc, char** argv) {
  if (argc == 3 && strcmp(argv[1], "serve") == 0) serve(argv[2]);
  if (argc != 8 || strcmp(argv[1], "ask") != 0) return 2;
  ask(argv[2], argv[3], atol(argv[4]), atol(argv[5]), atol(argv[6]), atoi(argv[7]));
  return 0;
}
