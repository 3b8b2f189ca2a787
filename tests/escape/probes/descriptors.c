// Descriptors that the launcher inherits: a socket belongs for ever to the network namespace it was made in,
// and a folder, a namespace or a ring leads back to what is outside. Rows of THREATS.md section 1. "as=stdin"
// and the like: the descriptor is one of the three that every launcher passes on; a launch of its own.
#include <dirent.h>
#include <linux/if_packet.h>
#include <linux/io_uring.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <sched.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include "probe.h"

static int fd_of(const struct probe* p) { return number(p, "fd"); }

static void write_it(const struct probe* p) {
  send_token(fd_of(p));
  said("written to %d", fd_of(p));
}

// connect(AF_UNSPEC) dissolves a connection, and ends listening: then the socket is as good as new.
static void reaim_tcp(const struct probe* p) {
  const struct sockaddr nowhere = {.sa_family = AF_UNSPEC};
  must(connect(fd_of(p), &nowhere, sizeof nowhere));
  tcp_token(fd_of(p), FORBIDDEN, 80);
}

static void send_udp(const struct probe* p) { udp_token(fd_of(p), FORBIDDEN, 443); }

static void send_frame(const struct probe* p) {
  uint8_t frame[128] = {0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 2,
                        0,    0,    0,    0,    1,    0x88, 0xb5};  // local experiments
  const struct sockaddr_ll to = {.sll_family = AF_PACKET,
                                 .sll_ifindex = number(p, "index"),
                                 .sll_halen = 6,
                                 .sll_addr = {0xff, 0xff, 0xff, 0xff, 0xff, 0xff}};
  memcpy(frame + 14, token(), strlen(token()));
  must(sendto(fd_of(p), frame, 80, 0, (const struct sockaddr*)&to, sizeof to));
}

static uint16_t checksum(const uint8_t* data, size_t size) {
  uint32_t sum = 0;
  for (size_t i = 0; i + 1 < size; i += 2) sum += (uint32_t)(data[i] << 8 | data[i + 1]);
  while (sum >> 16 != 0) sum = (sum & 0xffff) + (sum >> 16);
  return (uint16_t)~sum;
}

static void send_echo(const struct probe* p) {
  uint8_t packet[64] = {8};
  const struct sockaddr_in to = ipv4(FORBIDDEN, 0);
  memcpy(packet + 8, token(), strlen(token()));
  const uint16_t sum = checksum(packet, sizeof packet);
  packet[2] = (uint8_t)(sum >> 8), packet[3] = (uint8_t)sum;
  must(sendto(fd_of(p), packet, sizeof packet, 0, (const struct sockaddr*)&to, sizeof to));
}

// A packet that the host takes for one from its tap, to a service of its own.
static void write_tap(const struct probe* p) {
  uint8_t packet[128] = {0x45, 0,  0, 0, 0,  1,  0, 0, 64,   17,   0, 0,
                         10,   99, 0, 2, 10, 99, 0, 1, 0x30, 0x39, 0, 7};
  const size_t payload = strlen(token()), size = 28 + payload;
  packet[3] = (uint8_t)size, packet[25] = (uint8_t)(8 + payload);
  memcpy(packet + 28, token(), payload);
  const uint16_t sum = checksum(packet, 20);
  packet[10] = (uint8_t)(sum >> 8), packet[11] = (uint8_t)sum;
  must(write(fd_of(p), packet, size));
}

static void read_it(const struct probe* p) {
  char got = 0;
  if (!readable(fd_of(p), 1000) || read(fd_of(p), &got, 1) != 1 || got != 'x') failed("read it");
  works();
}

static void ask_netlink(const struct probe* p) {
  struct {
    struct nlmsghdr head;
    struct ifinfomsg link;
  } ask = {.head = {.nlmsg_len = sizeof ask,
                    .nlmsg_type = RTM_GETLINK,
                    .nlmsg_flags = NLM_F_REQUEST | NLM_F_DUMP}};
  static char answer[65536];
  must(send(fd_of(p), &ask, sizeof ask, 0));
  while (readable(fd_of(p), 500)) {
    const long got = must(recv(fd_of(p), answer, sizeof answer - 1, 0));
    const char* found = memmem(answer, (size_t)got, "secret-", 7);
    if (found != NULL) said("an alias of the host's links: %.23s", found);
  }
  said("no: no alias");
}

static void reaim_dgram(const struct probe* p) {
  const struct unix_name to = unix_name(value(p, "path"));
  must(sendto(fd_of(p), token(), strlen(token()), 0, (const struct sockaddr*)&to.address, to.size));
  said("sent to %s", value(p, "path"));
}

static void take_handed(const struct probe* p) {
  const int fd = receive_fd(fd_of(p));
  if (fd < 0) said("no: nothing was handed over");
  send_token(fd);
}

// What /proc/self/fd/N leads to: a folder with a socket in it, or the socket itself.
static void through_folder(const struct probe* p) {
  char path[128];
  snprintf(path, sizeof path, "/proc/self/fd/%d/%s", fd_of(p), value(p, "name"));
  unix_token(SOCK_STREAM, path);
}
static void enter_folder(const struct probe* p) {
  must(fchdir(fd_of(p)));
  unix_token(SOCK_STREAM, value(p, "name"));
}
static void open_below(const struct probe* p) {
  char path[64];
  snprintf(path, sizeof path, "/proc/self/fd/%ld", must(openat(fd_of(p), value(p, "name"), O_PATH)));
  unix_token(SOCK_STREAM, path);
}
static void through_o_path(const struct probe* p) {
  char path[64];
  snprintf(path, sizeof path, "/proc/self/fd/%d", fd_of(p));
  unix_token(SOCK_STREAM, path);
}

static void tcp_out(void) { tcp_token((int)must(socket(AF_INET, SOCK_STREAM, 0)), FORBIDDEN, 443); }

static void enter_network(const struct probe* p) {
  must(setns(fd_of(p), CLONE_NEWNET));
  tcp_out();
}
// With the user namespace comes every capability over the network namespace that it owns.
static void enter_user(const struct probe* p) {
  must(setns(fd_of(p), CLONE_NEWUSER));
  must(setns(number(p, "net"), CLONE_NEWNET));
  udp_token((int)must(socket(AF_INET, SOCK_DGRAM, 0)), "127.0.0.1", 9);
}
static void take_by_pidfd(const struct probe* p) {
  send_token((int)must(syscall(SYS_pidfd_getfd, fd_of(p), number(p, "their"), 0)));
}

// A ring knows the files that were registered with it, here a connection of the host's.
static void submit(const struct probe* p) {
  char* ring = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd_of(p), IORING_OFF_SQ_RING);
  struct io_uring_sqe* entry =
      mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd_of(p), IORING_OFF_SQES);
  if (ring == MAP_FAILED || entry == MAP_FAILED) failed("map the ring");
  *entry = (struct io_uring_sqe){.opcode = IORING_OP_SEND,
                                 .flags = IOSQE_FIXED_FILE,
                                 .fd = 0,
                                 .addr = (uintptr_t)token(),
                                 .len = (uint32_t)strlen(token())};
  *(uint32_t*)(ring + number(p, "array")) = 0;
  __atomic_fetch_add((uint32_t*)(ring + number(p, "tail")), 1, __ATOMIC_RELEASE);
  must(syscall(SYS_io_uring_enter, fd_of(p), 1, 1, IORING_ENTER_GETEVENTS, NULL, 0));
}

// The parent's parent and so on, as far as /proc shows them: a shell, the launcher, its supervisor. Our own
// parent is the program that runs the probes, and has what was passed on.
static int next_parent(int pid) {
  char path[64], text[512] = "";
  snprintf(path, sizeof path, "/proc/%d/stat", pid);
  const int fd = open(path, O_RDONLY);
  if (fd < 0 || read(fd, text, sizeof text - 1) <= 0) return 0;
  close(fd);
  int parent = 0;
  sscanf(strrchr(text, ')') + 1, " %*c %d", &parent);
  return parent;
}

static void take_from_parents(const struct probe* p) {
  (void)p;
  int sent = 0;
  for (int pid = next_parent(getppid()); pid > 0; pid = next_parent(pid)) {
    const int process = (int)syscall(SYS_pidfd_open, pid, 0);
    for (int n = 3; process >= 0 && n < 1024; ++n) {
      struct sockaddr_storage peer;
      socklen_t size = sizeof peer;
      const int fd = (int)syscall(SYS_pidfd_getfd, process, n, 0);
      if (fd < 0 || getpeername(fd, (struct sockaddr*)&peer, &size) != 0 || peer.ss_family != AF_INET)
        continue;
      sent += write(fd, token(), strlen(token())) > 0;
    }
  }
  said(sent > 0 ? "sent" : "no: no connection of a parent's");
}

static void open_of_parents(const struct probe* p) {
  (void)p;
  int sent = 0;
  for (int pid = next_parent(getppid()); pid > 0; pid = next_parent(pid)) {
    for (int n = 3; n < 1024; ++n) {
      char path[64];
      struct stat status;
      snprintf(path, sizeof path, "/proc/%d/fd/%d", pid, n);
      const int fd = open(path, O_WRONLY | O_NONBLOCK);
      if (fd >= 0 && fstat(fd, &status) == 0 && S_ISFIFO(status.st_mode))
        sent += write(fd, token(), strlen(token())) > 0;
    }
  }
  said(sent > 0 ? "sent" : "no: no pipe of a parent's");
}

#define P(name, kind_, needs_, attempt_, text_)                                                \
  {                                                                                            \
    .id = "descriptors." name, .kind = kind_, .promise = "P5", .text = text_, .needs = needs_, \
    .attempt = attempt_                                                                        \
  }
#define ROOT(name, needs_, attempt_, text_, why_)                                            \
  {                                                                                          \
    .id = "descriptors." name, .kind = 'B', .promise = "P5", .text = text_, .needs = needs_, \
    .attempt = attempt_, .note = "root: " why_                                               \
  }
#define SETNS "setns to a namespace of the first user namespace asks for CAP_SYS_ADMIN there"

const struct probe probes[] = {
    P("tcp", 'A', "fd:tcp-forbidden", write_it, "connection to a peer that the policy refuses"),
    P("tcp-reaimed", 'A', "fd:tcp-allowed", reaim_tcp,
      "connection to the allowed peer, dissolved and made anew"),
    P("tcp-listening", 'A', "fd:tcp-listening", reaim_tcp, "listening socket, dissolved and connected"),
    P("udp", 'A', "fd:udp", send_udp, "udp socket"),
    P("packet", 'A', "fd:packet", send_frame, "packet socket on the host's uplink"),
    P("icmp", 'A', "fd:icmp", send_echo, "raw socket for ICMP"),
    P("netlink", 'A', "fd:netlink", ask_netlink, "netlink socket: reads the host's links"),
    P("unix-stream", 'A', "fd:unix-stream", write_it, "connected unix stream"),
    P("unix-seqpacket", 'A', "fd:unix-seqpacket", write_it, "connected unix seqpacket"),
    P("unix-dgram", 'A', "fd:unix-dgram", write_it, "connected unix datagram"),
    P("unix-dgram-path", 'A', "fd:unix-dgram-path", reaim_dgram, "unix datagram socket, re-aimed at a path"),
    P("unix-dgram-abstract", 'A', "fd:unix-dgram-abstract", reaim_dgram, "the same, at an abstract name"),
    P("unix-handed", 'A', "fd:unix-handed", take_handed, "unix stream by which a connection is handed over"),
    P("folder", 'B', "fd:folder", through_folder, "folder that a jail hides: /proc/self/fd/N/name"),
    P("folder-fchdir", 'B', "fd:folder", enter_folder, "the same, fchdir"),
    P("folder-openat", 'B', "fd:folder", open_below, "the same, openat of the socket"),
    P("mount", 'B', "fd:mount", through_folder, "detached copy of a mount"),
    P("o-path", 'B', "fd:o-path", through_o_path, "O_PATH descriptor of a socket"),
    ROOT("netns", "fd:netns", enter_network, "network namespace of the host, setns", SETNS),
    P("userns", 'B', "fd:userns", enter_user,
      "user and network namespace of another process of the user, setns"),
    P("pidfd", 'B', "fd:pidfd", take_by_pidfd, "pidfd of a process outside, pidfd_getfd of its connection"),
    ROOT("pidfd-setns", "fd:pidfd", enter_network, "pidfd of a process outside, setns to its network", SETNS),
    P("memfd", 'C', "fd:memfd", write_it, "memory shared with a process outside"),
    P("pipe", 'A', "fd:pipe", write_it, "pipe to a process outside"),
    P("file", 'B', "fd:file", write_it, "file that only root can open, open for writing"),
    P("io-uring", 'A', "fd:io-uring", submit, "io_uring that has a connection registered"),
    P("tap", 'A', "fd:tun", write_tap, "the host's end of a tap"),
    P("above-limit", 'A', "fd:tcp-forbidden as=high", write_it,
      "connection at 900, RLIMIT_NOFILE lowered to 256"),
    P("parent-getfd", 'B', "parent", take_from_parents,
      "connection of the launcher's parent, by pidfd_getfd"),
    P("parent-fd", 'B', "parent", open_of_parents, "pipe of the launcher's parent, by /proc/PID/fd"),
    // What the launcher is told to pass on, where it can be told.
    P("kept-tcp", 'A', "fd:tcp-forbidden as=kept", write_it, "connection that the launcher is told to keep"),
    P("kept-udp", 'A', "fd:udp as=kept", send_udp, "udp socket, kept"),
    P("kept-dgram", 'A', "fd:unix-dgram-path as=kept", reaim_dgram, "unix datagram socket, kept"),
    P("kept-stream", 'A', "fd:unix-handed as=kept", take_handed,
      "unix stream, kept: a connection is handed over"),
    P("kept-folder", 'B', "fd:folder as=kept", through_folder, "folder that a jail hides, kept"),
    P("kept-o-path", 'B', "fd:o-path as=kept", through_o_path, "O_PATH descriptor of a socket, kept"),
    P("kept-pidfd", 'B', "fd:pidfd as=kept", take_by_pidfd, "pidfd, kept"),
    P("kept-io-uring", 'A', "fd:io-uring as=kept", submit, "io_uring, kept"),
    P("kept-tap", 'A', "fd:tun as=kept", write_tap, "the host's end of a tap, kept"),
    // Standard streams.
    P("stdin-tcp", 'A', "fd:tcp-allowed as=stdin", reaim_tcp, "stdin: connection, re-aimed"),
    P("stdout-tcp", 'A', "fd:tcp-allowed as=stdout", reaim_tcp, "stdout: connection, re-aimed"),
    P("stderr-tcp", 'A', "fd:tcp-allowed as=stderr", reaim_tcp, "stderr: connection, re-aimed"),
    P("stdin-listening", 'A', "fd:tcp-listening as=stdin", reaim_tcp, "stdin: listening socket, re-aimed"),
    P("stdin-udp", 'A', "fd:udp as=stdin", send_udp, "stdin: udp socket"),
    P("stderr-udp", 'A', "fd:udp as=stderr", send_udp, "stderr: udp socket"),
    P("stdin-dgram-path", 'A', "fd:unix-dgram-path as=stdin", reaim_dgram, "stdin: unix datagram, to a path"),
    P("stdin-dgram-abstract", 'A', "fd:unix-dgram-abstract as=stdin", reaim_dgram,
      "stdin: unix datagram, to an abstract name"),
    P("stdout-dgram-abstract", 'A', "fd:unix-dgram-abstract as=stdout", reaim_dgram,
      "stdout: unix datagram, to an abstract name"),
    P("stdin-handed", 'A', "fd:unix-handed as=stdin", take_handed,
      "stdin: unix stream, a connection is handed over"),
    P("stdout-handed", 'A', "fd:unix-handed as=stdout", take_handed, "stdout: the same"),
    P("stdin-handed-seqpacket", 'A', "fd:unix-handed-seqpacket as=stdin", take_handed,
      "stdin: unix seqpacket, a connection is handed over"),
    P("stdin-packet", 'A', "fd:packet as=stdin", send_frame, "stdin: packet socket"),
    P("stdin-netlink", 'A', "fd:netlink as=stdin", ask_netlink, "stdin: netlink socket"),
    P("stdin-folder", 'B', "fd:folder as=stdin", through_folder, "stdin: folder that a jail hides"),
    P("stdin-o-path", 'B', "fd:o-path as=stdin", through_o_path, "stdin: O_PATH descriptor of a socket"),
    P("stdin-pidfd", 'B', "fd:pidfd as=stdin", take_by_pidfd, "stdin: pidfd, pidfd_getfd of a connection"),
    ROOT("stdin-netns", "fd:netns as=stdin", enter_network, "stdin: the host's network namespace, setns",
         SETNS),
    P("stdin-io-uring", 'A', "fd:io-uring as=stdin", submit,
      "stdin: io_uring that has a connection registered"),
    // Refusing everything is no art.
    P("kept-pipe", '=', "fd:harmless as=kept", read_it, "pipe, kept"),
    P("stdin-pipe", '=', "fd:harmless as=stdin", read_it, "stdin: pipe"),
    {0}};
