// The program around a group's table:
//   escape-GROUP --list                              id, class, promise, needs, note, text; by tabs
//   escape-GROUP --run CONFIG TOKENPREFIX [ID...]    tries each (or those named), a line "id TAB what it
//   says" each
// One process starts all of a group's probes, so that the launcher is called once: a child each, with an
// alarm.
#include "probe.h"

#include <arpa/inet.h>
#include <poll.h>
#include <stdarg.h>
#include <sys/mman.h>
#include <sys/wait.h>

static const struct probe* g_probe;  // the one that runs
static char* g_said;                 // shared with the child
static const size_t kSaid = 4096;
static char g_token[32];
static char* g_config;
static const char* g_home;

static const char* find(const char* key) {
  static char found[4096];
  const size_t size = strlen(key);
  for (const char* line = g_config; line != NULL && *line != 0; line = strchr(line, '\n')) {
    while (*line == '\n') ++line;
    if (strncmp(line, key, size) != 0 || line[size] != ' ') continue;
    snprintf(found, sizeof found, "%.*s", (int)strcspn(line + size + 1, "\n"), line + size + 1);
    return strdup(found);
  }
  return NULL;
}

const char* value(const struct probe* p, const char* key) {
  char own[256];
  snprintf(own, sizeof own, "%s.%s", p->id, key);
  const char* text = find(own);
  if (text == NULL) text = find(key);
  if (text == NULL) said("the runner gave no %s", own);
  return text;
}

int number(const struct probe* p, const char* key) { return (int)strtol(value(p, key), NULL, 0); }

const char* expand(const char* path) {
  static char made[512];
  made[0] = 0;
  for (; *path != 0; ++path) {
    char* end = made + strlen(made);
    const size_t left = sizeof made - (size_t)(end - made);
    if (*path == '~')
      snprintf(end, left, "%s", g_home);
    else if (path[0] == '%' && path[1] == 'u')
      snprintf(end, left, "%s", find("uid")), ++path;
    else
      snprintf(end, left, "%c", *path);
  }
  return strdup(made);
}

const char* argument(const struct probe* p) {
  char word[256];
  snprintf(word, sizeof word, "%.*s", (int)strcspn(p->needs, " "), p->needs);
  const char* colon = strchr(word, ':');
  return expand(colon == NULL ? "" : colon + 1);
}

const char* token(void) { return g_token; }

void said(const char* format, ...) {
  va_list list;
  va_start(list, format);
  vsnprintf(g_said, kSaid, format, list);
  va_end(list);
  _exit(0);
}

void tell(const struct probe* p, const char* key, const char* format, ...) {
  char text[2048];
  va_list list;
  va_start(list, format);
  vsnprintf(text, sizeof text, format, list);
  va_end(list);
  dprintf((int)strtol(find("report"), NULL, 10), "%s.%s\t%s\n", p->id, key, text);
}

void failed(const char* what) { said("no: %s: %s", what, strerrorname_np(errno)); }
void works(void) { said("works"); }

struct sockaddr_in ipv4(const char* address, int port) {
  struct sockaddr_in made = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
  inet_pton(AF_INET, address, &made.sin_addr);
  return made;
}

struct unix_name unix_name(const char* path) {
  struct unix_name made = {.address = {.sun_family = AF_UNIX}};
  const size_t length = strlen(path);
  if (length >= sizeof made.address.sun_path) said("no: the path is too long");
  memcpy(made.address.sun_path, path, length + 1);
  made.size = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + length);
  if (path[0] == '@')
    made.address.sun_path[0] = 0;
  else
    ++made.size;
  return made;
}

bool readable(int fd, int deadline) {
  struct pollfd watched = {.fd = fd, .events = POLLIN};
  return poll(&watched, 1, deadline) > 0;
}

int connect_now(int fd, const struct sockaddr* address, socklen_t size) {
  const int flags = fcntl(fd, F_GETFL);
  fcntl(fd, F_SETFL, flags | O_NONBLOCK);
  int result = connect(fd, address, size);
  if (result != 0 && errno == EINPROGRESS) {
    struct pollfd watched = {.fd = fd, .events = POLLOUT};
    int problem = ETIMEDOUT;
    socklen_t length = sizeof problem;
    if (poll(&watched, 1, 1000) > 0) getsockopt(fd, SOL_SOCKET, SO_ERROR, &problem, &length);
    result = problem == 0 ? 0 : -1;
    errno = problem;
  }
  const int problem = errno;
  fcntl(fd, F_SETFL, flags);
  errno = problem;
  return result;
}

void send_token(int fd) {
  if (write(fd, g_token, strlen(g_token)) != (ssize_t)strlen(g_token)) failed("write the token");
}

void tcp_token(int fd, const char* address, int port) {
  const struct sockaddr_in to = ipv4(address, port);
  must(connect_now(fd, (const struct sockaddr*)&to, sizeof to));
  send_token(fd);
  said("sent by tcp to %s port %d", address, port);
}

void udp_token(int fd, const char* address, int port) {
  const struct sockaddr_in to = ipv4(address, port);
  must(sendto(fd, g_token, strlen(g_token), 0, (const struct sockaddr*)&to, sizeof to));
  said("sent by udp to %s port %d", address, port);
}

void unix_token(int type, const char* path) {
  const int fd = (int)must(socket(AF_UNIX, type | SOCK_CLOEXEC, 0));
  const struct unix_name to = unix_name(path);
  must(connect_now(fd, (const struct sockaddr*)&to.address, to.size));
  send_token(fd);
  said("sent to %s", path);
}

int receive_fd(int socket) {
  char data[64], control[CMSG_SPACE(sizeof(int))];
  struct iovec part = {.iov_base = data, .iov_len = sizeof data};
  struct msghdr message = {
      .msg_iov = &part, .msg_iovlen = 1, .msg_control = control, .msg_controllen = sizeof control};
  if (!readable(socket, 1000) || recvmsg(socket, &message, 0) < 0) return -1;
  const struct cmsghdr* head = CMSG_FIRSTHDR(&message);
  if (head == NULL || head->cmsg_type != SCM_RIGHTS) return -1;
  int fd = -1;
  memcpy(&fd, CMSG_DATA(head), sizeof fd);
  return fd;
}

// The runner knows it too: FNV-1a of prefix and id.
const char* token_of(const char* prefix, const char* id) {
  uint64_t hash = 0xcbf29ce484222325u;
  for (const char* text = prefix; *text != 0; ++text) hash = (hash ^ (uint8_t)*text) * 0x100000001b3u;
  for (const char* text = id; *text != 0; ++text) hash = (hash ^ (uint8_t)*text) * 0x100000001b3u;
  snprintf(g_token, sizeof g_token, "token-%016lx", (unsigned long)hash);
  return g_token;
}

static void list_probes(void) {
  for (const struct probe* p = probes; p->id != NULL; ++p)
    printf("%s\t%c\t%s\t%s\t%s\t%s\n", p->id, p->kind, p->promise, p->needs ? p->needs : "",
           p->note ? p->note : "", p->text);
}

static void read_config(const char* path) {
  static char text[262144];
  const int fd = open(path, O_RDONLY | O_CLOEXEC);
  ssize_t size = 0, got = 0;
  while (fd >= 0 && (got = read(fd, text + size, sizeof text - 1 - (size_t)size)) > 0) size += got;
  if (fd < 0 || got < 0) {
    perror(path);
    exit(2);
  }
  close(fd);
  g_config = text;
}

static void try_one(const struct probe* p, const char* prefix, int report) {
  g_probe = p;
  token_of(prefix, p->id);
  snprintf(g_said, kSaid, "sent, or died");
  const pid_t child = fork();
  if (child == 0) {
    alarm(3);
    p->attempt(p);
    _exit(0);
  }
  int status = 0;
  while (waitpid(child, &status, 0) < 0 && errno == EINTR) {
  }
  if (WIFSIGNALED(status)) dprintf(report, "%s\tended by signal %d\n", p->id, WTERMSIG(status));
  if (WIFEXITED(status)) dprintf(report, "%s\t%s\n", p->id, g_said);
}

static bool is_named(const char* id, char** names) {
  if (*names == NULL) return true;
  for (; *names != NULL; ++names)
    if (strcmp(*names, id) == 0) return true;
  return false;
}

// What was sent may still be on its way when the last probe ends, through a process such as pasta, and the
// jail's end would be its end: a connection to the allowed address comes after it.
static void settle(void) {
  const struct sockaddr_in to = ipv4(ALLOWED, 443);
  const int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (fd >= 0) connect_now(fd, (const struct sockaddr*)&to, sizeof to);
}

int main(int argc, char** argv) {
  if (argc == 2 && strcmp(argv[1], "--list") == 0) {
    list_probes();
    return 0;
  }
  if (argc < 4 || strcmp(argv[1], "--run") != 0) {
    fprintf(stderr, "usage: %s --list | --run CONFIG TOKENPREFIX [ID...]\n", argv[0]);
    return 2;
  }
  read_config(argv[2]);
  g_home = find("home");
  g_said = mmap(NULL, kSaid, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  const int report = (int)strtol(find("report"), NULL, 10);
  dprintf(report, "started\n");
  // The runner changes the world now (binds sockets that were not there at the launch), and says when it is
  // done.
  char go = 0;
  if (find("wait") != NULL && (!readable(0, 5000) || read(0, &go, 1) != 1))
    dprintf(report, "nobody said go\n");
  for (const struct probe* p = probes; p->id != NULL; ++p)
    if (is_named(p->id, argv + 4)) try_one(p, argv[3], report);
  settle();
  dprintf(report, "finished\n");
  return 0;
}
