// Processes outside the jail.
//   escape-outside caller FDS COMMAND...   whoever calls the launcher: a parent that has descriptors
//   (close-on-exec:
//                                          not passed on), and ends as COMMAND does
//   escape-outside victim SECRET [userns]  a process of the program's user, with a secret in its memory,
//   environment
//                                          and command line. Says "ready BUFFER SECRET"; when a line comes on
//                                          stdin it says what became of it, and ends.
//   escape-outside capable                 run by the program: 0 if it has capabilities
//   escape-outside listen PORT             in another jail: says which addresses it has, and what comes to
//   PORT
#include <arpa/inet.h>
#include <fcntl.h>
#include <ifaddrs.h>
#include <net/if.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

static volatile sig_atomic_t g_signals[65];
static void note_signal(int number) { g_signals[number] = 1; }

static volatile char g_buffer[64];  // for others to write
static char g_secret[64];           // for others to read

static int caller(char* descriptors, char** command) {
  for (char* word = strtok(descriptors, ","); word != NULL; word = strtok(NULL, ","))
    if (strcmp(word, "-") != 0) fcntl(atoi(word), F_SETFD, FD_CLOEXEC);
  if (isatty(0)) {  // a shell's terminal
    setsid();
    ioctl(0, TIOCSCTTY, 0);
  }
  const pid_t child = fork();
  if (child == 0) {
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    execvp(command[0], command);
    perror(command[0]);
    _exit(127);
  }
  int status = 0;
  waitpid(child, &status, 0);
  if (WIFSIGNALED(status)) kill(getpid(), WTERMSIG(status));
  return WEXITSTATUS(status);
}

// A user namespace with a network of its own, in which somebody listens: what a rootless container is.
static int own_network(void) {
  if (unshare(CLONE_NEWUSER | CLONE_NEWNET) != 0) return -1;
  const int fd = socket(AF_INET, SOCK_DGRAM | SOCK_NONBLOCK, 0);
  struct ifreq up = {.ifr_name = "lo", .ifr_flags = IFF_UP};
  const struct sockaddr_in here = {
      .sin_family = AF_INET, .sin_port = htons(9), .sin_addr = {htonl(INADDR_LOOPBACK)}};
  if (ioctl(fd, SIOCSIFFLAGS, &up) != 0) return -1;
  return bind(fd, (const struct sockaddr*)&here, sizeof here) == 0 ? fd : -1;
}

static int victim(int count, char** words) {
  int network = -1;
  snprintf(g_secret, sizeof g_secret, "%s", words[0]);
  prctl(PR_SET_PDEATHSIG, SIGKILL);
  prctl(PR_SET_PTRACER, PR_SET_PTRACER_ANY);  // Yama is no promise of a launcher's
  if (count > 1 && (network = own_network()) < 0) {
    perror("victim");
    return 1;
  }
  for (const int* number = (const int[]){SIGUSR1, SIGURG, SIGWINCH, 0}; *number != 0; ++number)
    sigaction(*number, &(struct sigaction){.sa_handler = note_signal, .sa_flags = SA_RESTART}, NULL);
  dprintf(1, "ready %p %p\n", (void*)(size_t)g_buffer, (void*)g_secret);
  char line = 0;
  while (read(0, &line, 1) < 0) {
  }
  dprintf(1, "memory %.63s\n", (const char*)(size_t)g_buffer);
  char got[128] = "";
  if (network >= 0 && recv(network, got, sizeof got - 1, 0) > 0) dprintf(1, "network %s\n", got);
  if (g_signals[SIGUSR1]) dprintf(1, "signal USR1\n");
  if (g_signals[SIGURG]) dprintf(1, "signal URG\n");
  if (g_signals[SIGWINCH]) dprintf(1, "signal WINCH\n");
  return 0;
}

static int listen_here(int port) {
  const int fd = socket(AF_INET6, SOCK_STREAM, 0), no = 0, yes = 1;
  const struct sockaddr_in6 here = {.sin6_family = AF_INET6, .sin6_port = htons((uint16_t)port)};
  char text[INET6_ADDRSTRLEN], data[256];
  struct ifaddrs* all = NULL;
  setsockopt(fd, SOL_IPV6, IPV6_V6ONLY, &no, sizeof no);
  setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof yes);
  if (bind(fd, (const struct sockaddr*)&here, sizeof here) != 0 || listen(fd, 8) != 0 ||
      getifaddrs(&all) != 0) {
    perror("listen");
    return 1;
  }
  dprintf(1, "addresses");
  for (; all != NULL; all = all->ifa_next) {
    if (all->ifa_addr == NULL || all->ifa_addr->sa_family != AF_INET) continue;
    const struct sockaddr_in* four = (const struct sockaddr_in*)all->ifa_addr;
    dprintf(1, " %s,%d", inet_ntop(AF_INET, &four->sin_addr, text, sizeof text), port);
  }
  dprintf(1, "\n");
  for (;;) {
    const int connection = accept(fd, NULL, NULL);
    const ssize_t got = read(connection, data, sizeof data);
    if (got > 0) dprintf(1, "%.*s\n", (int)got, data);
    close(connection);
  }
}

static int is_capable(void) {
  char text[8192] = "";
  const int fd = open("/proc/self/status", O_RDONLY);
  if (fd < 0 || read(fd, text, sizeof text - 1) <= 0) return 2;
  const char* found = strstr(text, "\nCapEff:\t");
  return found != NULL && strtoull(found + 9, NULL, 16) != 0 ? 0 : 1;
}

int main(int argc, char** argv) {
  if (argc >= 4 && strcmp(argv[1], "caller") == 0) return caller(argv[2], argv + 3);
  if (argc >= 3 && strcmp(argv[1], "victim") == 0) return victim(argc - 2, argv + 2);
  if (argc == 2 && strcmp(argv[1], "capable") == 0) return is_capable();
  if (argc == 3 && strcmp(argv[1], "listen") == 0) return listen_here(atoi(argv[2]));
  fprintf(stderr, "usage: see outside.c\n");
  return 2;
}
