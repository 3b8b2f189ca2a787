// work: what a program does that the jail must not make dearer. Prints its microseconds a piece.
//   work connect COUNT   connections to a unix stream socket of its own, an octet there and back each
//   work message COUNT   sendmsg and recvmsg of 256 octets with a descriptor over a socket pair, as X11,
//                        Wayland and D-Bus send them
//   work spawn COUNT     processes that execute this program and end at once, as a build starts them
//   work open COUNT      files opened and closed below /usr
#define _GNU_SOURCE
#include <fcntl.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static double now(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return (double)t.tv_sec * 1e6 + (double)t.tv_nsec * 1e-3;
}

static void must(int good, const char* what) {
  if (good) return;
  perror(what);
  exit(1);
}

static void connect_all(int count) {
  struct sockaddr_un address = {.sun_family = AF_UNIX};
  snprintf(address.sun_path, sizeof address.sun_path, "/tmp/netjail-bench.%d", getpid());
  const int server = socket(AF_UNIX, SOCK_STREAM, 0);
  unlink(address.sun_path);
  must(bind(server, (struct sockaddr*)&address, sizeof address) == 0 && listen(server, 8) == 0, "bind");
  // One process at both ends: what is measured are the calls, not who runs when.
  for (int i = 0; i < count; i++) {
    char octet = 'x';
    const int client = socket(AF_UNIX, SOCK_STREAM, 0);
    must(connect(client, (struct sockaddr*)&address, sizeof address) == 0, "connect");
    const int accepted = accept(server, NULL, NULL);
    must(write(client, &octet, 1) == 1 && read(accepted, &octet, 1) == 1, "write");
    must(write(accepted, &octet, 1) == 1 && read(client, &octet, 1) == 1, "read");
    close(accepted);
    close(client);
  }
  unlink(address.sun_path);
}

static void message_all(int count) {
  int pair[2];
  must(socketpair(AF_UNIX, SOCK_STREAM, 0, pair) == 0, "socketpair");
  for (int i = 0; i < count; i++) {
    char octets[256] = {0};
    union {
      struct cmsghdr header;
      char space[CMSG_SPACE(sizeof(int))];
    } control = {.header = {CMSG_LEN(sizeof(int)), SOL_SOCKET, SCM_RIGHTS}};
    memcpy(CMSG_DATA(&control.header), &pair[0], sizeof(int));
    struct iovec part = {octets, sizeof octets};
    struct msghdr message = {
        .msg_iov = &part, .msg_iovlen = 1, .msg_control = &control, .msg_controllen = sizeof control};
    must(sendmsg(pair[0], &message, 0) == sizeof octets, "sendmsg");
    must(recvmsg(pair[1], &message, 0) == sizeof octets, "recvmsg");
    int got;
    memcpy(&got, CMSG_DATA(&control.header), sizeof got);
    close(got);
  }
}

static void spawn_all(int count, char* self) {
  char* argv[] = {self, "nothing", "0", NULL};
  for (int i = 0; i < count; i++) {
    pid_t pid;
    int status;
    must(posix_spawn(&pid, self, NULL, NULL, argv, NULL) == 0 && waitpid(pid, &status, 0) == pid &&
             status == 0,
         "spawn");
  }
}

static void open_all(int count) {
  for (int i = 0; i < count; i++) {
    const int fd = open("/usr/bin/env", O_RDONLY);
    must(fd >= 0, "open");
    close(fd);
  }
}

int main(int argc, char** argv) {
  if (argc != 3) return 2;
  const int count = atoi(argv[2]);
  const double begin = now();
  if (strcmp(argv[1], "nothing") == 0) return 0;
  if (strcmp(argv[1], "connect") == 0)
    connect_all(count);
  else if (strcmp(argv[1], "message") == 0)
    message_all(count);
  else if (strcmp(argv[1], "spawn") == 0)
    spawn_all(count, argv[0]);
  else if (strcmp(argv[1], "open") == 0)
    open_all(count);
  else
    return 2;
  printf("%.4f\n", (now() - begin) / count);
  return 0;
}
