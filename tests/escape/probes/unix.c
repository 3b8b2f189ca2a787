// Unix sockets that are bound outside the jail: a network namespace does not confine those with a path, and a
// descriptor that comes through one of them can be anything. Rows of THREATS.md section 2.
#include <libgen.h>
#include <sys/mount.h>
#include <sys/stat.h>

#include "probe.h"

// needs = "stream:PATH", "late-dgram:PATH" ...
static int type_of(const struct probe* p) {
  const char* colon = strchr(p->needs, ':');
  const size_t size = (size_t)(colon - p->needs);
  if (size >= 5 && strncmp(colon - 5, "dgram", 5) == 0) return SOCK_DGRAM;
  if (size >= 9 && strncmp(colon - 9, "seqpacket", 9) == 0) return SOCK_SEQPACKET;
  return SOCK_STREAM;
}

static void connect_there(const struct probe* p) { unix_token(type_of(p), argument(p)); }

static int dgram_socket(void) { return (int)must(socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0)); }

static int dgram_pair(void) {
  int pair[2];
  must(socketpair(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0, pair));
  return pair[0];
}

static void send_to(int fd, const char* path) {
  const struct unix_name to = unix_name(path);
  must(sendto(fd, token(), strlen(token()), 0, (const struct sockaddr*)&to.address, to.size));
  said("sent to %s", path);
}

static void dgram_sendto(const struct probe* p) { send_to(dgram_socket(), argument(p)); }
static void pair_sendto(const struct probe* p) { send_to(dgram_pair(), argument(p)); }

static void pair_connect(const struct probe* p) {
  const int fd = dgram_pair();
  const struct unix_name to = unix_name(argument(p));
  must(connect(fd, (const struct sockaddr*)&to.address, to.size));
  send_token(fd);
}

static void send_message(int fd, const char* path, bool many) {
  struct unix_name to = unix_name(path);
  struct iovec part = {.iov_base = (void*)(uintptr_t)token(), .iov_len = strlen(token())};
  struct mmsghdr message = {
      .msg_hdr = {.msg_name = &to.address, .msg_namelen = to.size, .msg_iov = &part, .msg_iovlen = 1}};
  if (many)
    must(syscall(SYS_sendmmsg, fd, &message, 1, 0));
  else
    must(sendmsg(fd, &message.msg_hdr, 0));
}
static void dgram_sendmsg(const struct probe* p) { send_message(dgram_socket(), argument(p), false); }
static void dgram_sendmmsg(const struct probe* p) { send_message(dgram_socket(), argument(p), true); }

// A domain that is AF_UNIX only in its lower half: filters that compare 64 bits do not see it.
static void high_bits(const struct probe* p) {
  const int fd = (int)must(syscall(SYS_socket, 0x100000000L | AF_UNIX, SOCK_STREAM, 0));
  const struct unix_name to = unix_name(argument(p));
  must(connect(fd, (const struct sockaddr*)&to.address, to.size));
  send_token(fd);
}

static void relative(const struct probe* p) {
  const char* path = argument(p);
  must(chdir(dirname(strdup(path))));
  unix_token(SOCK_STREAM, basename(strdup(path)));
}

static void by_folder(const struct probe* p) {
  const char* path = argument(p);
  const int folder = (int)must(open(dirname(strdup(path)), O_PATH | O_DIRECTORY));
  char through[64];
  snprintf(through, sizeof through, "/proc/self/fd/%d/%s", folder, basename(strdup(path)));
  unix_token(SOCK_STREAM, through);
}

static void by_o_path(const struct probe* p) {
  char through[64];
  snprintf(through, sizeof through, "/proc/self/fd/%ld", must(open(argument(p), O_PATH)));
  unix_token(SOCK_STREAM, through);
}

static void through(const char* prefix, const struct probe* p) {
  char path[256];
  snprintf(path, sizeof path, "%s%s", prefix, argument(p));
  unix_token(SOCK_STREAM, path);
}
static void by_self_root(const struct probe* p) { through("/proc/self/root", p); }
static void by_first_root(const struct probe* p) { through("/proc/1/root", p); }
static void by_parent_root(const struct probe* p) {
  char prefix[64];
  snprintf(prefix, sizeof prefix, "/proc/%d/root", getppid());
  through(prefix, p);
}
static void by_self_cwd(const struct probe* p) {
  const char* path = argument(p);
  char through_cwd[128];
  must(chdir(dirname(strdup(path))));
  snprintf(through_cwd, sizeof through_cwd, "/proc/self/cwd/%s", basename(strdup(path)));
  unix_token(SOCK_STREAM, through_cwd);
}

// The folder in which the launcher was started.
static void from_cwd(const struct probe* p) { unix_token(SOCK_STREAM, basename(strdup(argument(p)))); }

// needs = "env-stream:PATH NAME": the variable that the environment has of it.
static void by_variable(const struct probe* p) {
  const char* name = strrchr(p->needs, '=') + 1;
  const char* text = getenv(name);
  if (text == NULL) said("no: there is no %s", name);
  if (strncmp(text, "unix:path=", 10) == 0) text += 10;
  unix_token(SOCK_STREAM, text);
}

// A socket bound in here, in a folder that the outside has too: an accomplice connects and hands a connection
// of the host's over.
static void listen_for_accomplice(const struct probe* p) {
  const bool stream = type_of(p) == SOCK_STREAM;
  int fd = (int)must(socket(AF_UNIX, type_of(p) | SOCK_CLOEXEC, 0));
  const struct unix_name here = unix_name(argument(p));
  must(bind(fd, (const struct sockaddr*)&here.address, here.size));
  must(chmod(argument(p), 0777));
  if (stream) {
    must(listen(fd, 1));
    if (!readable(fd, 1000)) said("no: nobody came");
    fd = (int)must(accept(fd, NULL, NULL));
  }
  const int given = receive_fd(fd);
  if (given < 0) said("no: nothing was handed over");
  send_token(given);
}

// The daemon hands a connection over to whoever connects.
static void take_from_server(const struct probe* p) {
  const int fd = (int)must(socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
  const struct unix_name to = unix_name(argument(p));
  must(connect(fd, (const struct sockaddr*)&to.address, to.size));
  const int given = receive_fd(fd);
  if (given < 0) said("no: nothing was handed over");
  send_token(given);
}

// A cover lies on the file in its folder: it has to move with it.
static void move_folder(const struct probe* p) {
  const char* path = argument(p);
  char moved[256];
  snprintf(moved, sizeof moved, "%s-%s", dirname(strdup(path)), token());
  must(rename(dirname(strdup(path)), moved));
  snprintf(moved + strlen(moved), sizeof moved - strlen(moved), "/%s", basename(strdup(path)));
  unix_token(SOCK_STREAM, moved);
}

static void unmount(const struct probe* p) {
  const char* path = argument(p);
  must(umount2(dirname(strdup(path)), MNT_DETACH));
  unix_token(SOCK_STREAM, path);
}

static void after_mount(const struct probe* p) {
  char path[256];
  snprintf(path, sizeof path, "%s/service", argument(p));
  unix_token(SOCK_STREAM, path);
}

static void write_fifo(const struct probe* p) {
  send_token((int)must(open(argument(p), O_WRONLY | O_NONBLOCK)));
}

// What programs do among themselves has to work.
static void exchange(int a, int b) {
  char got[64] = "";
  send_token(a);
  if (!readable(b, 1000) || read(b, got, sizeof got - 1) < 0 || strcmp(got, token()) != 0)
    failed("read it back");
  works();
}

static void own_pair(const struct probe* p) {
  int pair[2];
  must(socketpair(AF_UNIX, type_of(p) | SOCK_CLOEXEC, 0, pair));
  exchange(pair[0], pair[1]);
}

static void own_server(const struct probe* p) {
  const char* place = argument(p);
  if (strcmp(place, "runtime") == 0 && (place = getenv("XDG_RUNTIME_DIR")) == NULL)
    said("no: there is no XDG_RUNTIME_DIR");
  char path[128];
  snprintf(path, sizeof path, "%s/own-%d", place, getpid());
  const struct unix_name here = unix_name(path);
  const int type = type_of(p);
  int server = (int)must(socket(AF_UNIX, type, 0));
  const int client = (int)must(socket(AF_UNIX, type, 0));
  must(bind(server, (const struct sockaddr*)&here.address, here.size));
  if (type != SOCK_DGRAM) must(listen(server, 1));
  must(connect(client, (const struct sockaddr*)&here.address, here.size));
  if (type != SOCK_DGRAM) server = (int)must(accept(server, NULL, NULL));
  unlink(path);
  exchange(client, server);
}

static void allowed_tcp(const struct probe* p) {
  (void)p;
  const int fd = (int)must(socket(AF_INET, SOCK_STREAM, 0));
  const struct sockaddr_in to = ipv4(ALLOWED, 443);
  must(connect_now(fd, (const struct sockaddr*)&to, sizeof to));
  send_token(fd);
  said(readable(fd, 1000) ? "sent, and the other end closed" : "sent, without an answer");
}

// Bound while the program runs, in a folder that both see.
#define LATE(name, needs_, attempt_, text_)                                                                 \
  {                                                                                                         \
    .id = "unix." name, .kind = 'A', .promise = "P13", .needs = needs_, .attempt = attempt_, .text = text_, \
    .note = "choice: before Linux 7.1; a profile whose seccomp.families has no unix shuts it"               \
  }
#define P(name, needs_, attempt_, text_) \
  { .id = "unix." name, .kind = 'A', .promise = "P13", .text = text_, .needs = needs_, .attempt = attempt_ }
#define DAEMON(name, needs_, text_) P(name, needs_, connect_there, text_)
#define CONTROL(name, needs_, attempt_, text_) \
  { .id = "unix." name, .kind = '=', .promise = "P13", .text = text_, .needs = needs_, .attempt = attempt_ }

const struct probe probes[] = {
    // The three types, wherever a daemon may have its socket.
    P("run-stream", "stream:/run/escape/stream", connect_there, "stream in /run"),
    P("run-seqpacket", "seqpacket:/run/escape/seqpacket", connect_there, "seqpacket in /run"),
    P("run-dgram", "dgram:/run/escape/dgram", connect_there, "datagram in /run, connected"),
    P("dgram-sendto", "dgram:/run/escape/sendto", dgram_sendto, "datagram in /run by sendto"),
    P("dgram-sendmsg", "dgram:/run/escape/sendmsg", dgram_sendmsg, "datagram in /run by sendmsg with a name"),
    P("dgram-sendmmsg", "dgram:/run/escape/sendmmsg", dgram_sendmmsg, "datagram in /run by sendmmsg"),
    P("pair-sendto", "dgram:/run/escape/pair", pair_sendto, "end of a socketpair, sendto a path in /run"),
    P("pair-connect", "dgram:/run/escape/pair2", pair_connect, "end of a socketpair, connected to a path"),
    P("pair-home", "dgram:~/pair", pair_sendto, "end of a socketpair, sendto a path in the home folder"),
    P("high-bits", "stream:/run/escape/high", high_bits,
      "AF_UNIX with bits in the upper half of the argument"),
    P("var-run", "stream:/var/run/escape/var-run", connect_there, "stream by /var/run"),
    P("run-user", "stream:/run/user/%u/service", connect_there, "stream in /run/user/UID"),
    P("tmp", "stream:/tmp/escape-service", connect_there, "stream in /tmp"),
    P("tmp-dgram", "dgram:/tmp/escape-dgram", dgram_sendto, "datagram in /tmp"),
    P("var-tmp", "stream:/var/tmp/escape-service", connect_there, "stream in /var/tmp"),
    P("dev-shm", "stream:/dev/shm/escape-service", connect_there, "stream in /dev/shm"),
    P("dev", "stream:/dev/escape-service", connect_there, "stream in /dev"),
    P("home", "stream:~/service", connect_there, "stream in the home folder"),
    P("home-seqpacket", "seqpacket:~/seqpacket", connect_there, "seqpacket in the home folder"),
    P("home-dgram", "dgram:~/dgram", dgram_sendto, "datagram in the home folder"),
    P("home-deep", "stream:~/.cache/a/b/c/service", connect_there, "stream deep below the home folder"),
    P("cwd-home", "stream:~/work/service cwd:~/work", from_cwd,
      "stream in the working directory, below home"),
    P("cwd-run", "stream:/run/escape/cwd/service cwd:/run/escape/cwd", from_cwd,
      "stream in the working directory, which a jail hides"),
    P("srv", "stream:/srv/app/service", connect_there, "stream in /srv"),
    P("opt", "stream:/opt/app/service", connect_there, "stream in /opt"),
    P("var-lib", "stream:/var/lib/app/service", connect_there, "stream in /var/lib"),
    P("var-spool", "dgram:/var/spool/app/log", dgram_sendto, "datagram in /var/spool"),
    P("mount", "stream:/mnt/volume/service", connect_there, "stream on a file system mounted in /mnt"),
    // Ways to the same name.
    P("symlink", "symlink-stream:~/link", connect_there, "symbolic link to a stream in /run"),
    P("hardlink", "hardlink-stream:~/hard", connect_there,
      "hard link to a socket, under a name that nobody bound"),
    P("renamed", "renamed-stream:~/renamed", connect_there, "socket that was renamed after bind"),
    P("bind-mount", "mounted-stream:/opt/app/mounted", connect_there, "socket mounted on a file elsewhere"),
    P("alias", "aliased-stream:/mnt/alias/service", connect_there,
      "socket in a folder that is mounted at two places"),
    P("moved-folder", "stream:~/moved/service", move_folder, "socket whose folder the program renames"),
    {.id = "unix.unmount",
     .kind = 'A',
     .promise = "P6",
     .needs = "masked-stream:/opt/masked/service",
     .text = "unmounts what hides a folder with a socket",
     .attempt = unmount,
     .note = "root: to unmount asks for CAP_SYS_ADMIN"},
    P("relative", "stream:/srv/app/relative", relative, "relative path after chdir"),
    P("folder", "stream:/srv/app/folder", by_folder, "/proc/self/fd/N/name of a folder"),
    P("o-path", "stream:/srv/app/o-path", by_o_path, "/proc/self/fd/N of an O_PATH descriptor"),
    P("self-root", "stream:/run/escape/self-root", by_self_root, "/proc/self/root"),
    P("self-cwd", "stream:/run/escape/self-cwd", by_self_cwd, "/proc/self/cwd"),
    P("parent-root", "stream:/run/escape/parent-root", by_parent_root, "/proc/PPID/root"),
    {.id = "unix.first-root",
     .kind = 'A',
     .promise = "P13",
     .text = "/proc/1/root",
     .needs = "stream:/run/escape/first-root",
     .attempt = by_first_root,
     .note = "root: process 1 is root's, the links of its /proc are closed to others"},
    // What was not there when the jail was made.
    P("late-run", "late-stream:/run/escape-late", connect_there, "stream bound in /run after the launch"),
    P("late-tmp", "late-stream:/tmp/escape-late", connect_there, "stream bound in /tmp after the launch"),
    LATE("late-home", "late-stream:~/late", connect_there,
         "stream bound in the home folder after the launch"),
    LATE("late-home-seqpacket", "late-seqpacket:~/late-seqpacket", connect_there,
         "seqpacket, after the launch"),
    LATE("late-home-dgram", "late-dgram:~/late-dgram", dgram_sendto,
         "datagram in the home folder after the launch"),
    LATE("late-home-pair", "late-dgram:~/late-pair", pair_sendto,
         "socketpair to a path bound after the launch"),
    LATE("late-srv", "late-stream:/srv/app/late", connect_there, "stream bound in /srv after the launch"),
    LATE("restart-home", "restart-stream:~/restart", connect_there,
         "daemon that binds again while the jail runs"),
    LATE("restart-srv", "restart-stream:/srv/app/restart", connect_there, "the same in /srv"),
    P("restart-run", "restart-stream:/run/escape/restart", connect_there, "the same in /run"),
    P("late-mount", "late-mount:/mnt/late", after_mount,
      "file system mounted after the launch, a socket in it"),
    // Abstract names.
    P("abstract-stream", "stream:@escape-stream", connect_there, "abstract stream"),
    P("abstract-seqpacket", "seqpacket:@escape-seqpacket", connect_there, "abstract seqpacket"),
    P("abstract-dgram", "dgram:@escape-dgram", dgram_sendto, "abstract datagram"),
    P("abstract-pair", "dgram:@escape-pair", pair_sendto, "end of a socketpair, sendto an abstract name"),
    // Descriptors that come through a socket.
    P("handover", "handover:/run/escape/handover", take_from_server,
      "daemon in /run that hands a connection over"),
    P("handover-home", "handover:~/handover", take_from_server,
      "daemon in home that hands a connection over"),
    {.id = "unix.accomplice-tmp",
     .kind = 'C',
     .promise = "P13",
     .needs = "accomplice-stream:/tmp/escape-inside",
     .text = "listener bound inside in /tmp, a process outside connects and hands a connection over",
     .attempt = listen_for_accomplice},
    {.id = "unix.accomplice-run",
     .kind = 'C',
     .promise = "P13",
     .needs = "accomplice-dgram:/run/user/%u/inside",
     .text = "datagram socket bound inside in /run/user/UID, handed a connection",
     .attempt = listen_for_accomplice},
    {.id = "unix.accomplice-home",
     .kind = 'C',
     .promise = "P13",
     .needs = "accomplice-stream:~/inside",
     .text = "listener bound inside in the home folder, a process outside hands a connection over",
     .attempt = listen_for_accomplice,
     .note = "choice: needs an accomplice outside that connects into a folder which both can write"},
    {.id = "unix.fifo-run",
     .kind = 'C',
     .promise = "P13",
     .needs = "fifo:/run/escape/fifo",
     .text = "FIFO in /run that somebody outside reads",
     .attempt = write_fifo},
    {.id = "unix.fifo-home",
     .kind = 'C',
     .promise = "P13",
     .needs = "fifo:~/fifo",
     .text = "FIFO in the home folder that somebody outside reads",
     .attempt = write_fifo,
     .note = "choice: files that both can write are shared; needs an accomplice"},
    // Well-known daemons by name.
    DAEMON("dbus-system", "stream:/run/dbus/system_bus_socket", "D-Bus system bus"),
    DAEMON("dbus-session", "stream:/run/user/%u/bus", "D-Bus session bus"),
    P("dbus-variable", "env-stream:/tmp/dbus-escape env=DBUS_SESSION_BUS_ADDRESS", by_variable,
      "session bus that DBUS_SESSION_BUS_ADDRESS names, in /tmp"),
    DAEMON("systemd-private", "stream:/run/systemd/private", "systemd's own socket"),
    DAEMON("systemd-user", "stream:/run/user/%u/systemd/private", "the user's systemd"),
    DAEMON("resolved", "stream:/run/systemd/resolve/io.systemd.Resolve", "systemd-resolved, varlink"),
    DAEMON("nscd", "stream:/run/nscd/socket", "nscd"),
    DAEMON("avahi", "stream:/run/avahi-daemon/socket", "avahi"),
    DAEMON("docker", "stream:/run/docker.sock", "Docker"),
    DAEMON("docker-var-run", "stream:/var/run/docker.sock", "Docker by /var/run"),
    DAEMON("podman", "stream:/run/user/%u/podman/podman.sock", "podman of the user"),
    DAEMON("containerd", "stream:/run/containerd/containerd.sock", "containerd"),
    DAEMON("libvirt", "stream:/run/libvirt/libvirt-sock", "libvirt"),
    DAEMON("nix", "stream:/var/lib/nix/daemon-socket/socket", "a daemon of /nix's kind"),
    P("ssh-agent", "env-stream:/tmp/ssh-XXescape/agent.1 env=SSH_AUTH_SOCK", by_variable,
      "ssh-agent that SSH_AUTH_SOCK names"),
    DAEMON("ssh-master", "stream:~/.ssh/cm-host", "ssh ControlMaster"),
    DAEMON("gpg-agent", "stream:~/.gnupg/S.gpg-agent", "gpg-agent"),
    DAEMON("dirmngr", "stream:/run/user/%u/gnupg/S.dirmngr", "dirmngr, which fetches URLs"),
    DAEMON("tmux", "stream:/tmp/tmux-%u/default", "tmux"),
    DAEMON("screen", "stream:/run/screen/S-user/1.tty", "screen"),
    DAEMON("x11", "stream:/tmp/.X11-unix/X0", "X11"),
    DAEMON("x11-abstract", "stream:@/tmp/.X11-unix/X0", "X11, abstract"),
    DAEMON("wayland", "stream:/run/user/%u/wayland-0", "wayland"),
    DAEMON("pulse", "stream:/run/user/%u/pulse/native", "PulseAudio"),
    DAEMON("pipewire", "stream:/run/user/%u/pipewire-0", "pipewire"),
    P("syslog", "dgram:/dev/log", dgram_sendto, "syslog"),
    P("journal", "dgram:/run/systemd/journal/socket", dgram_sendto, "journald, datagram"),
    DAEMON("journal-stdout", "stream:/run/systemd/journal/stdout", "journald, stdout stream"),
    DAEMON("cups", "stream:/run/cups/cups.sock", "cups"),
    // What has to work.
    CONTROL("own-tmp-stream", "own-stream:/tmp", own_server, "own stream in /tmp"),
    CONTROL("own-tmp-seqpacket", "own-seqpacket:/tmp", own_server, "own seqpacket in /tmp"),
    CONTROL("own-tmp-dgram", "own-dgram:/tmp", own_server, "own datagram in /tmp"),
    CONTROL("own-runtime-stream", "own-stream:runtime", own_server, "own stream in $XDG_RUNTIME_DIR"),
    CONTROL("own-runtime-dgram", "own-dgram:runtime", own_server, "own datagram in $XDG_RUNTIME_DIR"),
    CONTROL("own-cwd-stream", "own-stream:.", own_server, "own stream in the working directory"),
    CONTROL("own-cwd-seqpacket", "own-seqpacket:.", own_server, "own seqpacket in the working directory"),
    CONTROL("own-cwd-dgram", "own-dgram:.", own_server, "own datagram in the working directory"),
    CONTROL("own-abstract", "own-stream:@escape-own", own_server, "own abstract stream"),
    CONTROL("own-pair-stream", "own-stream:", own_pair, "own stream pair"),
    CONTROL("own-pair-seqpacket", "own-seqpacket:", own_pair, "own seqpacket pair"),
    CONTROL("own-pair-dgram", "own-dgram:", own_pair, "own datagram pair"),
    {.id = "unix.allowed-tcp",
     .kind = '=',
     .promise = "P1",
     .needs = "arrives",
     .text = "what the policy allows: tcp to " ALLOWED " port 443",
     .attempt = allowed_tcp},
    {0}};
