// traffic: the two ends of the bench's connections. One static program, so that it runs in any jail.
//
//   traffic sink PORT                  TCP: takes one connection after the other, discards, closes when the
//   peer has traffic source PORT                TCP: takes one after the other, sends until the peer closes
//   traffic echo PORT                  UDP: answers every datagram traffic hole PORT UDP: a bound
//   socket that nobody reads traffic stream ADDRESS PORT MS     TCP: one stream for MS milliseconds; prints
//   bits per second traffic drain ADDRESS PORT MS      TCP: the other direction
//   traffic connect ADDRESS PORT COUNT TCP: connections one after the other; prints connections per second
//   traffic ping ADDRESS PORT COUNT    UDP: round trips, one at a time; prints the median in
//   ns traffic send ADDRESS PORT COUNT    UDP: one flow; prints the median ns that a datagram keeps the
//   sender busy traffic fresh ADDRESS PORT COUNT   UDP: the same, every datagram to a port of its own (a new
//   flow each)
//
// On veths a datagram is carried all the way to the other socket inside the sender's own send call, so the
// time of the call is the cost of the path: both hops, the router's rules, the host's NAT.
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { kChunk = 32, kStreamBytes = 256 * 1024 };

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

static int compare(const void* a, const void* b) {
  const int64_t x = *(const int64_t*)a, y = *(const int64_t*)b;
  return (x > y) - (x < y);
}
static int64_t median(int64_t* values, long count) {
  qsort(values, (size_t)count, sizeof *values, compare);
  return values[count / 2];
}

static struct sockaddr_in endpoint(const char* address, int port) {
  struct sockaddr_in end = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
  need(inet_pton(AF_INET, address, &end.sin_addr) == 1, address);
  return end;
}

static int serve(int type, int port) {
  const struct sockaddr_in end = endpoint("0.0.0.0", port);
  const int s = socket(AF_INET, type | SOCK_CLOEXEC, 0), on = 1;
  setsockopt(s, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
  need(bind(s, (const struct sockaddr*)&end, sizeof end) == 0, "bind");
  if (type == SOCK_STREAM) need(listen(s, 16) == 0, "listen");
  puts("ready");
  fflush(stdout);
  return s;
}

static void sink(int port) {
  static char buffer[kStreamBytes];
  const int s = serve(SOCK_STREAM, port);
  for (;;) {
    const int c = accept(s, NULL, NULL);
    while (recv(c, buffer, sizeof buffer, 0) > 0) {
    }
    close(c);
  }
}

static void source(int port) {
  static char buffer[kStreamBytes];
  const int s = serve(SOCK_STREAM, port);
  for (;;) {
    const int c = accept(s, NULL, NULL);
    while (send(c, buffer, sizeof buffer, MSG_NOSIGNAL) > 0) {
    }
    close(c);
  }
}

static void echo(int port) {
  char buffer[2048];
  const int s = serve(SOCK_DGRAM, port);
  for (;;) {
    struct sockaddr_in from;
    socklen_t size = sizeof from;
    const ssize_t n = recvfrom(s, buffer, sizeof buffer, 0, (struct sockaddr*)&from, &size);
    if (n >= 0) sendto(s, buffer, (size_t)n, 0, (const struct sockaddr*)&from, size);
  }
}

static void stream(const char* address, int port, long ms) {
  static char buffer[kStreamBytes];
  const struct sockaddr_in end = endpoint(address, port);
  const int s = socket(AF_INET, SOCK_STREAM, 0);
  need(connect(s, (const struct sockaddr*)&end, sizeof end) == 0, "connect");
  const int64_t start = now(), stop = start + ms * 1000000;
  int64_t bytes = 0;
  const struct timeval patience = {.tv_sec = 10};
  setsockopt(s, SOL_SOCKET, SO_SNDTIMEO, &patience,
             sizeof patience);  // a path that stops carrying is an error
  while (now() < stop) {
    const ssize_t n = send(s, buffer, sizeof buffer, 0);
    need(n > 0, "send");
    bytes += n;
  }
  shutdown(s, SHUT_WR);
  while (recv(s, buffer, sizeof buffer, 0) > 0) {  // the other side closes when it has read everything
  }
  printf("%.0f\n", (double)bytes * 8e9 / (double)(now() - start));
}

static void drain(const char* address, int port, long ms) {
  static char buffer[kStreamBytes];
  const struct sockaddr_in end = endpoint(address, port);
  const int s = socket(AF_INET, SOCK_STREAM, 0);
  need(connect(s, (const struct sockaddr*)&end, sizeof end) == 0, "connect");
  const struct timeval patience = {.tv_sec = 10};
  setsockopt(s, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
  const int64_t start = now(), stop = start + ms * 1000000;
  int64_t bytes = 0;
  while (now() < stop) {
    const ssize_t n = recv(s, buffer, sizeof buffer, 0);
    need(n > 0, "recv");
    bytes += n;
  }
  printf("%.0f\n", (double)bytes * 8e9 / (double)(now() - start));
}

static void connects(const char* address, int port, long count) {
  const struct sockaddr_in end = endpoint(address, port);
  char byte;
  const int64_t start = now();
  for (long i = 0; i < count; i++) {
    const int s = socket(AF_INET, SOCK_STREAM, 0);
    need(connect(s, (const struct sockaddr*)&end, sizeof end) == 0, "connect");
    shutdown(s, SHUT_WR);
    need(recv(s, &byte, 1, 0) == 0, "recv");  // the server closes: one round trip of data
    close(s);
  }
  printf("%.0f\n", (double)count * 1e9 / (double)(now() - start));
}

static void datagrams(const char* how, const char* address, int port, long count) {
  const int ping = strcmp(how, "ping") == 0, fresh = strcmp(how, "fresh") == 0;
  struct sockaddr_in end = endpoint(address, port);
  char bytes[64] = {0};
  const int s = socket(AF_INET, SOCK_DGRAM, 0);
  const struct timeval patience = {.tv_sec = 1};
  setsockopt(s, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
  if (!fresh) need(connect(s, (const struct sockaddr*)&end, sizeof end) == 0, "connect");
  const long chunk = ping ? 1 : kChunk, chunks = count / chunk;
  int64_t* times = calloc((size_t)chunks, sizeof *times);
  long lost = 0;
  for (long warm = 0; warm < 4 && !fresh; warm++) {  // neighbours, conntrack entry, caches
    need(send(s, bytes, sizeof bytes, 0) > 0, "send");
    while (ping &&
           recv(s, bytes, sizeof bytes, 0) < 0) {  // a jail that is not ready yet loses its first packets
      need(++lost < 10, "no answer");
      need(send(s, bytes, sizeof bytes, 0) > 0, "send");
    }
  }
  for (long c = 0; c < chunks; c++) {
    const int64_t start = now();
    for (long i = 0; i < chunk; i++) {
      if (fresh) {
        end.sin_port = htons((uint16_t)port++);
        need(sendto(s, bytes, sizeof bytes, 0, (const struct sockaddr*)&end, sizeof end) > 0, "sendto");
      } else {
        need(send(s, bytes, sizeof bytes, 0) > 0, "send");
      }
      if (ping) need(recv(s, bytes, sizeof bytes, 0) > 0, "no answer");
    }
    times[c] = (now() - start) / chunk;
  }
  printf("%lld %ld\n", (long long)median(times, chunks), lost);
}

int main(int argc, char** argv) {
  const char* mode = argc > 2 ? argv[1] : "";
  if (argc == 3 && strcmp(mode, "sink") == 0) sink(atoi(argv[2]));
  if (argc == 3 && strcmp(mode, "source") == 0) source(atoi(argv[2]));
  if (argc == 3 && strcmp(mode, "echo") == 0) echo(atoi(argv[2]));
  if (argc == 3 && strcmp(mode, "hole") == 0) serve(SOCK_DGRAM, atoi(argv[2]));
  if (argc == 3 && strcmp(mode, "hole") == 0) pause();
  if (argc != 5) return 2;
  if (strcmp(mode, "stream") == 0)
    stream(argv[2], atoi(argv[3]), atol(argv[4]));
  else if (strcmp(mode, "drain") == 0)
    drain(argv[2], atoi(argv[3]), atol(argv[4]));
  else if (strcmp(mode, "connect") == 0)
    connects(argv[2], atoi(argv[3]), atol(argv[4]));
  else
    datagrams(mode, argv[2], atoi(argv[3]), atol(argv[4]));
  return 0;
}
