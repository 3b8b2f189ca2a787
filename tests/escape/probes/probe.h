// What the groups of probes share. A probe is one attempt to bring its token to a sink outside the jail (or
// to bring a secret from outside to its own output). It says what it believes happened; the runner and its
// sinks decide. A group is one program: a table `probes`, and probe.c around it.
#pragma once

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/types.h>
#include <sys/un.h>
#include <unistd.h>

struct probe {
  const char* id;  // "group.name"
  char kind;       // class of THREATS.md: 'A' 'B' 'C' 'S' 'D'; '=' is a control, which has to work in a jail
  const char* promise;  // of SECURITY.md: "P5"
  const char* text;     // what is tried, one line
  const char* needs;    // what the runner makes for it, words "kind" or "kind:argument"; see providers.py
  // Why it does not escape everywhere: "root: why" (bare only as root), "never: why" (not even bare, on this
  // kernel), "choice: why" (SECURITY.md leaves it open by choice). Absent for most.
  const char* note;
  void (*attempt)(const struct probe*);
};

// Defined by each group; the last entry has no id.
extern const struct probe probes[];

// Addresses of the fake world. Only kAllowed, port 443/tcp, is what the policy opens.
#define ALLOWED "198.51.100.10"
#define FORBIDDEN "203.0.113.10"

// What the runner wrote for this probe ("ID.KEY VALUE" in the configuration), or for all ("KEY VALUE"). A
// value that is not there ends the attempt.
const char* value(const struct probe* p, const char* key);
int number(const struct probe* p, const char* key);
// The argument of the first word of `needs`, with ~ and %u replaced by the home folder and the user id.
const char* argument(const struct probe* p);
const char* expand(const char* path);
// The token of the running probe; that of any, for code that runs before main.
const char* token(void);
const char* token_of(const char* prefix, const char* id);

// Ends the attempt; what it says is for people, except that the runner looks for secrets in it.
_Noreturn void said(const char* format, ...) __attribute__((format(printf, 1, 2)));
_Noreturn void failed(const char* what);  // says `what` and errno
#define must(expression)                  \
  ({                                      \
    const long got_ = (long)(expression); \
    if (got_ < 0) failed(#expression);    \
    got_;                                 \
  })
// While it runs: the runner sees it at once, as if said by "ID.KEY".
void tell(const struct probe* p, const char* key, const char* format, ...)
    __attribute__((format(printf, 3, 4)));
// A control: it did what it has to do.
_Noreturn void works(void);

struct sockaddr_in ipv4(const char* address, int port);
struct unix_name {
  struct sockaddr_un address;
  socklen_t size;
};
struct unix_name unix_name(const char* path);  // "@name" is abstract
void send_token(int fd);                       // writes it, or ends the attempt
void tcp_token(int fd, const char* address, int port);
void udp_token(int fd, const char* address, int port);
void unix_token(int type, const char* path);
int receive_fd(int socket);                                               // by SCM_RIGHTS; -1 without
bool readable(int fd, int deadline);                                      // milliseconds
int connect_now(int fd, const struct sockaddr* address, socklen_t size);  // with a deadline of a second
