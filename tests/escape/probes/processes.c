// Processes and other objects outside that belong to the program's user: what may be traced, signalled,
// entered or shared. Each probe that needs a victim has one of its own. Rows of THREATS.md section 3.
#include <dirent.h>
#include <linux/keyctl.h>
#include <mqueue.h>
#include <sched.h>
#include <signal.h>
#include <sys/file.h>
#include <sys/ioctl.h>
#include <sys/ipc.h>
#include <sys/mman.h>
#include <sys/msg.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/sem.h>
#include <sys/shm.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <time.h>

#include "probe.h"

// Absent from the headers of Debian 12.
#define PIDFD_GET_NET_NAMESPACE _IO(0xff, 4)
#define PIDFD_GET_USER_NAMESPACE _IO(0xff, 9)

static pid_t victim(const struct probe* p) { return number(p, "pid"); }
static uintptr_t address(const struct probe* p, const char* key) { return strtoul(value(p, key), NULL, 0); }

static const char* in_proc(const struct probe* p, const char* proc, const char* name) {
  static char path[256];
  snprintf(path, sizeof path, "%s/%d/%s", proc, victim(p), name);
  return path;
}

// --- memory

static void poke(pid_t pid, uintptr_t where) {
  for (size_t i = 0; i <= strlen(token()); i += sizeof(long)) {
    long word = 0;
    memcpy(&word, token() + i, sizeof word);
    must(ptrace(PTRACE_POKEDATA, pid, where + i, word));
  }
  ptrace(PTRACE_DETACH, pid, 0, 0);
}

static void attach(const struct probe* p) {
  must(ptrace(PTRACE_ATTACH, victim(p), 0, 0));
  must(waitpid(victim(p), NULL, __WALL));
  poke(victim(p), address(p, "buffer"));
}

static void seize(const struct probe* p) {
  must(ptrace(PTRACE_SEIZE, victim(p), 0, 0));
  must(ptrace(PTRACE_INTERRUPT, victim(p), 0, 0));
  must(waitpid(victim(p), NULL, __WALL));
  poke(victim(p), address(p, "buffer"));
}

static void vm_write(const struct probe* p) {
  const struct iovec own = {.iov_base = (void*)(uintptr_t)token(), .iov_len = strlen(token())};
  const struct iovec theirs = {.iov_base = (void*)address(p, "buffer"), .iov_len = strlen(token())};
  must(process_vm_writev(victim(p), &own, 1, &theirs, 1, 0));
}

static void vm_read(const struct probe* p) {
  char text[32] = "";
  const struct iovec own = {.iov_base = text, .iov_len = 23};
  const struct iovec theirs = {.iov_base = (void*)address(p, "secret"), .iov_len = 23};
  must(process_vm_readv(victim(p), &own, 1, &theirs, 1, 0));
  said("in its memory: %s", text);
}

static void write_memory(const struct probe* p, const char* proc) {
  const int fd = (int)must(open(in_proc(p, proc, "mem"), O_RDWR));
  must(pwrite(fd, token(), strlen(token()), (off_t)address(p, "buffer")));
}
static void proc_mem(const struct probe* p) { write_memory(p, "/proc"); }
static void second_mem(const struct probe* p) { write_memory(p, "/srv/proc"); }

static void read_secret(const char* path) {
  static char text[65536];
  const int fd = (int)must(open(path, O_RDONLY));
  const long size = must(read(fd, text, sizeof text - 1));
  const char* found = memmem(text, (size_t)size, "secret-", 7);
  if (found == NULL) said("no: no secret in %s", path);
  said("in %s: %.23s", path, found);
}
static void environment(const struct probe* p) { read_secret(in_proc(p, "/proc", "environ")); }
static void command_line(const struct probe* p) { read_secret(in_proc(p, "/proc", "cmdline")); }
static void second_environment(const struct probe* p) { read_secret(in_proc(p, "/srv/proc", "environ")); }

// Does not know the number: whoever is in /proc.
static void scan_environment(const struct probe* p) {
  (void)p;
  DIR* folder = opendir("/proc");
  const struct dirent* entry = NULL;
  static char text[65536];
  int seen = 0;
  while (folder != NULL && (entry = readdir(folder)) != NULL) {
    char path[300];
    snprintf(path, sizeof path, "/proc/%s/environ", entry->d_name);
    const int fd = atoi(entry->d_name) > 0 ? open(path, O_RDONLY) : -1;
    if (fd < 0) continue;
    ++seen;
    const ssize_t size = read(fd, text, sizeof text);
    close(fd);
    const char* found = size > 0 ? memmem(text, (size_t)size, "scan=secret-", 12) : NULL;
    if (found != NULL) said("in %s: %.23s", path, found + 5);
  }
  said("no: %d processes, without a secret", seen);
}

// --- its files

static void through_root(const struct probe* p, const char* proc) {
  char path[300];
  snprintf(path, sizeof path, "%s%s", in_proc(p, proc, "root"), value(p, "socket"));
  unix_token(SOCK_STREAM, path);
}
static void root_link(const struct probe* p) { through_root(p, "/proc"); }
static void second_root(const struct probe* p) { through_root(p, "/srv/proc"); }

static void cwd_link(const struct probe* p) {
  char path[300];
  snprintf(path, sizeof path, "%s%s", in_proc(p, "/proc", "cwd"), value(p, "below"));
  unix_token(SOCK_STREAM, path);
}

static void open_pipe(const struct probe* p, const char* proc) {
  char name[32];
  snprintf(name, sizeof name, "fd/%d", number(p, "pipe"));
  send_token((int)must(open(in_proc(p, proc, name), O_WRONLY | O_NONBLOCK)));
}
static void fd_link(const struct probe* p) { open_pipe(p, "/proc"); }
static void second_fd(const struct probe* p) { open_pipe(p, "/srv/proc"); }

static int pidfd(const struct probe* p) { return (int)must(syscall(SYS_pidfd_open, victim(p), 0)); }

static void take_fd(const struct probe* p) {
  send_token((int)must(syscall(SYS_pidfd_getfd, pidfd(p), number(p, "their"), 0)));
}

// --- signals and settings

static void by_kill(const struct probe* p) { must(kill(victim(p), SIGUSR1)); }
static void by_tgkill(const struct probe* p) { must(syscall(SYS_tgkill, victim(p), victim(p), SIGUSR1)); }
static void by_queue(const struct probe* p) {
  must(sigqueue(victim(p), SIGUSR1, (union sigval){.sival_int = 7}));
}
static void by_pidfd(const struct probe* p) {
  must(syscall(SYS_pidfd_send_signal, pidfd(p), SIGUSR1, NULL, 0));
}
// Signals that do nothing to those who did not ask for them.
static void to_group(const struct probe* p) {
  (void)p;
  must(kill(0, SIGWINCH));
}
static void to_all(const struct probe* p) {
  (void)p;
  must(kill(-1, SIGURG));
}
static void to_named_group(const struct probe* p) { must(kill(-victim(p), SIGUSR1)); }

// The kernel sends the signal, in the name of whoever set the owner of the pipe.
static void by_owner(const struct probe* p) {
  int ends[2];
  must(pipe(ends));
  must(fcntl(ends[0], F_SETOWN, victim(p)));
  must(fcntl(ends[0], F_SETSIG, SIGUSR1));
  must(fcntl(ends[0], F_SETFL, O_ASYNC));
  send_token(ends[1]);
}

static void by_prlimit(const struct probe* p) {
  const struct rlimit limit = {.rlim_cur = 555, .rlim_max = 777};
  must(prlimit(victim(p), RLIMIT_NOFILE, &limit, NULL));
}
static void by_priority(const struct probe* p) { must(setpriority(PRIO_PROCESS, (id_t)victim(p), 7)); }
static void by_affinity(const struct probe* p) {
  cpu_set_t set;
  CPU_ZERO(&set);
  CPU_SET(0, &set);
  must(sched_setaffinity(victim(p), sizeof set, &set));
}
static void by_scheduler(const struct probe* p) {
  must(sched_setscheduler(victim(p), SCHED_BATCH, &(struct sched_param){0}));
}
static void by_io_priority(const struct probe* p) {
  must(syscall(SYS_ioprio_set, 1, victim(p), 2 << 13 | 5));
}

// Whoever launched us and whatever belongs to the launcher, as far as it can be seen. Alone: it may end our
// own jail.
static void kill_launcher(const struct probe* p) {
  (void)p;
  static const char* const kNames[] = {"netjail", "bwrap", "firejail", "unshare", "escape-outside", "pasta"};
  DIR* folder = opendir("/proc");
  const struct dirent* entry = NULL;
  int killed = 0;
  while (folder != NULL && (entry = readdir(folder)) != NULL) {
    char path[300], name[32] = "";
    snprintf(path, sizeof path, "/proc/%s/comm", entry->d_name);
    const int fd = atoi(entry->d_name) > 0 ? open(path, O_RDONLY) : -1;
    if (fd < 0) continue;
    if (read(fd, name, sizeof name - 1) > 0) name[strcspn(name, "\n")] = 0;
    close(fd);
    for (size_t i = 0; i < sizeof kNames / sizeof *kNames; ++i)
      if (strcmp(name, kNames[i]) == 0) killed += kill(atoi(entry->d_name), SIGKILL) == 0;
  }
  said("%d processes", killed);
}

// --- namespaces

static void tcp_out(void) { tcp_token((int)must(socket(AF_INET, SOCK_STREAM, 0)), FORBIDDEN, 443); }
static void udp_there(void) { udp_token((int)must(socket(AF_INET, SOCK_DGRAM, 0)), "127.0.0.1", 9); }

static void enter_net(const struct probe* p, const char* proc) {
  must(setns((int)must(open(in_proc(p, proc, "ns/net"), O_RDONLY)), CLONE_NEWNET));
  tcp_out();
}
static void net_link(const struct probe* p) { enter_net(p, "/proc"); }
static void second_net(const struct probe* p) { enter_net(p, "/srv/proc"); }

// A process of the same user in a user namespace of its own, as every rootless container is: whoever joins it
// has every capability over its network.
static void enter_user(const struct probe* p, const char* proc) {
  const int user = (int)must(open(in_proc(p, proc, "ns/user"), O_RDONLY));
  const int net = (int)must(open(in_proc(p, proc, "ns/net"), O_RDONLY));
  must(setns(user, CLONE_NEWUSER));
  must(setns(net, CLONE_NEWNET));
  udp_there();
}
static void user_link(const struct probe* p) { enter_user(p, "/proc"); }
static void second_user(const struct probe* p) { enter_user(p, "/srv/proc"); }
static void user_by_pidfd(const struct probe* p) {
  must(setns(pidfd(p), CLONE_NEWUSER | CLONE_NEWNET));
  udp_there();
}
static void user_by_ioctl(const struct probe* p) {
  const int process = pidfd(p);
  const int user = (int)must(ioctl(process, PIDFD_GET_USER_NAMESPACE, 0));
  const int net = (int)must(ioctl(process, PIDFD_GET_NET_NAMESPACE, 0));
  must(setns(user, CLONE_NEWUSER));
  must(setns(net, CLONE_NEWNET));
  udp_there();
}
static void net_by_pidfd(const struct probe* p) {
  must(setns(pidfd(p), CLONE_NEWNET));
  tcp_out();
}
static void named_net(const struct probe* p) {
  must(setns((int)must(open(argument(p), O_RDONLY)), CLONE_NEWNET));
  udp_there();
}

// Handles of nsfs are numbers that can be guessed, from Linux 6.18 on.
static int open_handle(uint64_t id, uint32_t inode) {
  struct {
    struct file_handle head;
    uint64_t id;
    uint32_t type, inode;
  } __attribute__((packed)) handle = {.head = {.handle_bytes = 16, .handle_type = 0xf1}};
  handle.id = id, handle.type = CLONE_NEWNET, handle.inode = inode;
  const int kNsfsRoot = -10003;  // FD_NSFS_ROOT
  return (int)must(syscall(SYS_open_by_handle_at, kNsfsRoot, &handle, O_RDONLY));
}
static void first_net_by_handle(const struct probe* p) {
  must(setns(open_handle(3, 0xeffffff9), CLONE_NEWNET));
  unix_token(SOCK_STREAM, value(p, "socket"));
}
static void net_by_handle(const struct probe* p) {
  must(setns(open_handle(strtoull(value(p, "id"), NULL, 0), (uint32_t)strtoul(value(p, "inode"), NULL, 0)),
             CLONE_NEWNET));
  tcp_out();
}

// The time that it takes is accounted there: that is how the runner sees it.
static void join_cgroup(const struct probe* p) {
  must(write((int)must(open(value(p, "procs"), O_WRONLY)), "0", 1));
  const clock_t end = clock() + CLOCKS_PER_SEC / 50;
  while (clock() < end) {
  }
}

// --- IPC

static void sysv_memory(const struct probe* p) {
  char* memory = shmat((int)must(shmget(number(p, "key"), 0, 0)), NULL, 0);
  if (memory == (char*)-1) failed("shmat");
  strcpy(memory, token());
}
static void sysv_message(const struct probe* p) {
  struct {
    long type;
    char text[32];
  } message = {.type = 1};
  strcpy(message.text, token());
  must(msgsnd((int)must(msgget(number(p, "key"), 0)), &message, sizeof message.text, IPC_NOWAIT));
}
static void sysv_semaphore(const struct probe* p) {
  must(semctl((int)must(semget(number(p, "key"), 1, 0)), 0, SETVAL, 77));
}
static void posix_queue(const struct probe* p) {
  const mqd_t queue = (mqd_t)must(mq_open(argument(p), O_WRONLY | O_NONBLOCK));
  must(mq_send(queue, token(), strlen(token()), 0));
}
static void mounted_queue(const struct probe* p) {
  // A descriptor of the file system of queues is one of the queue.
  char path[64];
  snprintf(path, sizeof path, "/dev/mqueue%s", argument(p));
  must(mq_send((mqd_t)must(open(path, O_WRONLY | O_NONBLOCK)), token(), strlen(token()), 0));
}
static void posix_memory(const struct probe* p) { send_token((int)must(open(argument(p), O_RDWR))); }

// --- keys

static long keyctl(int what, unsigned long a, unsigned long b, unsigned long c, unsigned long d) {
  return syscall(SYS_keyctl, what, a, b, c, d);
}
static void read_key(const struct probe* p, long ring) {
  char text[64] = "";
  const char* name = value(p, "name");
  const long key = must(keyctl(KEYCTL_SEARCH, (unsigned long)ring, (uintptr_t) "user", (uintptr_t)name, 0));
  must(keyctl(KEYCTL_READ, (unsigned long)key, (uintptr_t)text, sizeof text - 1, 0));
  said("in the key: %s", text);
}
static void session_key(const struct probe* p) { read_key(p, KEY_SPEC_SESSION_KEYRING); }
static void user_key(const struct probe* p) { read_key(p, KEY_SPEC_USER_KEYRING); }
static void key_by_number(const struct probe* p) {
  char text[64] = "";
  must(keyctl(KEYCTL_READ, (unsigned long)number(p, "serial"), (uintptr_t)text, sizeof text - 1, 0));
  said("in the key: %s", text);
}
static void change_key(const struct probe* p) {
  must(keyctl(KEYCTL_UPDATE, (unsigned long)number(p, "serial"), (uintptr_t)token(), strlen(token()), 0));
}
static void plant_key(const struct probe* p) {
  (void)p;
  must(syscall(SYS_add_key, "user", token(), "x", 1ul, KEY_SPEC_USER_KEYRING));
}
// The kernel starts /sbin/request-key in the first namespaces; that there was none leaves a negative key.
static void ask_for_key(const struct probe* p) {
  (void)p;
  syscall(SYS_request_key, "user", token(), "callout", KEY_SPEC_USER_KEYRING);
  failed("request_key");
}

#define P(name, kind_, promise_, needs_, attempt_, text_)                                        \
  {                                                                                              \
    .id = "processes." name, .kind = kind_, .promise = promise_, .text = text_, .needs = needs_, \
    .attempt = attempt_                                                                          \
  }
#define ROOT(name, kind_, promise_, needs_, attempt_, text_, why_)                               \
  {                                                                                              \
    .id = "processes." name, .kind = kind_, .promise = promise_, .text = text_, .needs = needs_, \
    .attempt = attempt_, .note = "root: " why_                                                   \
  }
#define SETNS "setns to a namespace of the first user namespace asks for CAP_SYS_ADMIN there"
#define HANDLE "the kernel opens such handles for CAP_SYS_ADMIN only"

const struct probe probes[] = {
    P("ptrace-attach", 'B', "P8", "victim", attach, "PTRACE_ATTACH, writes its memory"),
    P("ptrace-seize", 'B', "P8", "victim", seize, "PTRACE_SEIZE, writes its memory"),
    P("vm-write", 'B', "P8", "victim", vm_write, "process_vm_writev"),
    P("vm-read", 'B', "P8", "victim", vm_read, "process_vm_readv of a secret"),
    P("mem", 'B', "P8", "victim", proc_mem, "/proc/PID/mem"),
    P("environ", 'B', "P8", "victim", environment, "/proc/PID/environ"),
    P("environ-scan", 'B', "P8", "victim", scan_environment, "/proc/*/environ, number not known"),
    P("cmdline", 'S', "P8", "victim", command_line, "/proc/PID/cmdline"),
    P("root", 'A', "P8", "victim", root_link, "/proc/PID/root to a socket in /run"),
    P("cwd", 'A', "P8", "victim", cwd_link, "/proc/PID/cwd to a socket"),
    P("fd", 'A', "P8", "victim", fd_link, "/proc/PID/fd, a pipe of the victim's"),
    P("pidfd-getfd", 'A', "P8", "victim", take_fd, "pidfd_getfd of a connection"),
    P("kill", 'D', "P8", "victim:USR1", by_kill, "kill by number"),
    P("tgkill", 'D', "P8", "victim:USR1", by_tgkill, "tgkill"),
    P("sigqueue", 'D', "P8", "victim:USR1", by_queue, "sigqueue"),
    P("pidfd-signal", 'D', "P8", "victim:USR1", by_pidfd, "pidfd_send_signal"),
    P("kill-group", 'D', "P8", "victim:WINCH leader", to_group,
      "kill(0): the group that the launcher was started in"),
    P("kill-named-group", 'D', "P8", "victim:USR1", to_named_group, "kill(-PID)"),
    P("kill-all", 'D', "P8", "victim:URG", to_all, "kill(-1)"),
    P("sigio", 'D', "P8", "victim:USR1", by_owner, "F_SETOWN on a pipe of one's own"),
    P("kill-launcher", 'D', "P8", "launcher-dies", kill_launcher,
      "SIGKILL to the launcher and what belongs to it"),
    P("prlimit", 'D', "P8", "victim check=nofile", by_prlimit, "prlimit"),
    P("priority", 'D', "P8", "victim check=nice", by_priority, "setpriority"),
    P("affinity", 'D', "P8", "victim check=affinity", by_affinity, "sched_setaffinity"),
    P("scheduler", 'D', "P8", "victim check=scheduler", by_scheduler, "sched_setscheduler"),
    P("io-priority", 'D', "P8", "victim check=io", by_io_priority, "ioprio_set"),
    ROOT("setns-net", 'A', "P7", "victim", net_link, "setns to /proc/PID/ns/net", SETNS),
    ROOT("setns-pidfd", 'A', "P7", "victim", net_by_pidfd, "setns to a pidfd", SETNS),
    ROOT("setns-named", 'A', "P7", "netns:/run/netns/escape", named_net, "setns to /run/netns/NAME", SETNS),
    P("setns-user", 'A', "P7", "victim userns", user_link, "setns to /proc/PID/ns/user and its network"),
    P("setns-user-pidfd", 'A', "P7", "victim userns", user_by_pidfd, "the same by pidfd"),
    P("setns-user-ioctl", 'A', "P7", "victim userns linux:6.11", user_by_ioctl,
      "the same by PIDFD_GET_NET_NAMESPACE"),
    ROOT("handle-first", 'A', "P7", "first-net linux:6.18", first_net_by_handle,
         "constant handle of the first network namespace", HANDLE),
    ROOT("handle-host", 'A', "P7", "host-handle linux:6.18", net_by_handle,
         "handle of the host's network namespace", HANDLE),
    P("second-mem", 'B', "P8", "victim", second_mem, "/srv/proc/PID/mem: a second procfs of the host's"),
    P("second-environ", 'B', "P8", "victim", second_environment, "/srv/proc/PID/environ"),
    P("second-root", 'A', "P8", "victim", second_root, "/srv/proc/PID/root to a socket in /run"),
    P("second-fd", 'A', "P8", "victim", second_fd, "/srv/proc/PID/fd, a pipe of the victim's"),
    ROOT("second-net", 'A', "P7", "victim", second_net, "setns to /srv/proc/PID/ns/net", SETNS),
    P("second-user", 'A', "P7", "victim userns", second_user,
      "setns to /srv/proc/PID/ns/user and its network"),
    P("cgroup", 'S', "P9", "cgroup", join_cgroup, "moves to another cgroup of the user's"),
    P("sysv-memory", 'C', "P8", "sysv:memory", sysv_memory, "SysV shared memory made outside"),
    P("sysv-message", 'C', "P8", "sysv:message", sysv_message, "SysV message queue made outside"),
    P("sysv-semaphore", 'C', "P8", "sysv:semaphore", sysv_semaphore, "SysV semaphore made outside"),
    P("posix-queue", 'C', "P8", "mqueue:/escape-queue", posix_queue, "POSIX message queue made outside"),
    P("mounted-queue", 'C', "P8", "mqueue:/escape-mounted", mounted_queue, "the same by /dev/mqueue"),
    P("posix-memory", 'C', "P13", "file:/dev/shm/escape-memory", posix_memory,
      "POSIX shared memory made outside"),
    P("session-key", 'B', "P7", "key:session", session_key, "key in the caller's session keyring"),
    P("user-key", 'B', "P7", "key:user", user_key, "key in the user's keyring"),
    P("key-by-number", 'B', "P7", "key:user", key_by_number, "key of the user's by its number"),
    P("key-update", 'B', "P7", "key:user", change_key, "changes a key of the user's"),
    P("add-key", 'C', "P7", "key:plant", plant_key, "adds a key to the user's keyring"),
    P("request-key", 'A', "P7", "key:plant", ask_for_key, "request_key: the upcall to /sbin/request-key"),
    {0}};
