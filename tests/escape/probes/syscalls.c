// System calls that lead out of a namespace, to what is covered, or into parts of the kernel that a program
// needs not. "surface" as in families.c. Rows of THREATS.md sections 3, 4 and 8.
#include <linux/bpf.h>
#include <linux/filter.h>
#include <linux/keyctl.h>
#include <linux/perf_event.h>
#include <linux/rtnetlink.h>
#include <linux/sched.h>
#include <linux/seccomp.h>
#include <linux/userfaultfd.h>
#include <sched.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/wait.h>

#include "net.h"

#define HAS(call) (must(call), said("has it"))

static void bridge(const struct probe* p) {
  (void)p;
  ioctl((int)must(socket(AF_INET, SOCK_DGRAM, 0)), 0x89a0 /* SIOCBRADDBR */, "esc-br0");
}

// --- namespaces; "flags:NUMBER"

static unsigned long flags(const struct probe* p) { return strtoul(argument(p), NULL, 16); }
static void leave(const struct probe* p) { HAS(syscall(SYS_unshare, flags(p))); }
static void reap(long pid) {
  if (pid == 0) _exit(0);
  waitpid((pid_t)must(pid), NULL, 0);
  said("has it");
}
static void clone_old(const struct probe* p) { reap(syscall(SYS_clone, flags(p) | SIGCHLD, 0, 0, 0, 0)); }
static void clone_new(const struct probe* p) {
  struct clone_args arguments = {.flags = flags(p), .exit_signal = SIGCHLD};
  reap(syscall(SYS_clone3, &arguments, sizeof arguments));
}
static void join_own(const struct probe* p) {
  (void)p;
  HAS(setns((int)must(open("/proc/self/ns/net", O_RDONLY)), CLONE_NEWNET));
}

// --- what is covered

static void at(const char* folder, const struct probe* p) {
  char path[128];
  snprintf(path, sizeof path, "%s%s", folder, argument(p) + strlen("/opt"));
  unix_token(SOCK_STREAM, path);
}
static void bind_mount(const struct probe* p) {
  char folder[] = "/tmp/escape-XXXXXX";
  if (mkdtemp(folder) == NULL) failed("mkdtemp");
  must(unshare(CLONE_NEWNS));
  must(mount("/opt", folder, NULL, MS_BIND, NULL));
  at(folder, p);
}
static void open_tree_copy(const struct probe* p) {
  char through[64];
  const int kClone = 1;
  snprintf(through, sizeof through, "/proc/self/fd/%ld",
           must(syscall(SYS_open_tree, AT_FDCWD, "/opt", kClone)));
  at(through, p);
}
static void file_handle(const struct probe* p) {
  struct {
    struct file_handle head;
    uint8_t octets[128];
  } handle = {0};
  const char* hex = value(p, "handle");
  handle.head.handle_bytes = (unsigned)strlen(hex) / 2;
  handle.head.handle_type = number(p, "type");
  for (unsigned i = 0; i < handle.head.handle_bytes; ++i)
    sscanf(hex + 2 * i, "%2hhx", &handle.head.f_handle[i]);
  char text[64] = "";
  const int file = (int)must(open_by_handle_at((int)must(open("/opt", O_RDONLY)), &handle.head, O_RDONLY));
  must(read(file, text, sizeof text - 1));
  said("the file says %s", text);
}
static void new_procfs(const struct probe* p) {
  (void)p;
  const int fs = (int)must(syscall(SYS_fsopen, "proc", 0));
  must(syscall(SYS_fsconfig, fs, 6 /* CREATE */, NULL, NULL, 0));
  HAS(syscall(SYS_fsmount, fs, 0, 0));
}

// --- others

static void map_of_bpf(const struct probe* p) {
  union bpf_attr attributes = {
      .map_type = BPF_MAP_TYPE_ARRAY, .key_size = 4, .value_size = 4, .max_entries = 1};
  (void)p;
  HAS(syscall(SYS_bpf, BPF_MAP_CREATE, &attributes, sizeof attributes));
}
static void perf(const struct probe* p) {
  struct perf_event_attr attributes = {.type = PERF_TYPE_SOFTWARE,
                                       .size = sizeof attributes,
                                       .config = PERF_COUNT_SW_TASK_CLOCK,
                                       .exclude_kernel = 1,
                                       .exclude_hv = 1};
  (void)p;
  HAS(syscall(SYS_perf_event_open, &attributes, 0, -1, -1, 0));
}
static void user_faults(const struct probe* p) {
  (void)p;
  HAS(syscall(SYS_userfaultfd, UFFD_USER_MODE_ONLY));
}
static void own_fd(const struct probe* p) {
  (void)p;
  HAS(syscall(SYS_pidfd_getfd, must(syscall(SYS_pidfd_open, getpid(), 0)), 1, 0));
}
static void session(const struct probe* p) {
  (void)p;
  HAS(syscall(SYS_keyctl, KEYCTL_JOIN_SESSION_KEYRING, NULL));
}
static void listener(const struct probe* p) {
  struct sock_filter all[] = {BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW)};
  const struct sock_fprog program = {.len = 1, .filter = all};
  (void)p;
  must(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0));
  HAS(syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, SECCOMP_FILTER_FLAG_NEW_LISTENER, &program));
}
// Calls that whoever may do it makes wrong: another error than EPERM.
static void wrongly(long result, const char* what) {
  if (result < 0 && (errno == EPERM || errno == ENOSYS)) failed(what);
  said("has it");
}
static void kexec(const struct probe* p) {
  (void)p;
  wrongly(syscall(SYS_kexec_load, 0, 0, NULL, 0xff), "kexec_load");
}
static void module(const struct probe* p) {
  (void)p;
  wrongly(syscall(SYS_init_module, NULL, 0, ""), "init_module");
}
static void restart(const struct probe* p) {
  (void)p;
  wrongly(syscall(SYS_reboot, 0, 0, 0, NULL), "reboot");
}
static void host_name(const struct probe* p) {
  (void)p;
  must(sethostname(token(), strlen(token())));
}
static void add_route(const struct probe* p) {
  struct {
    struct nlmsghdr head;
    struct rtmsg route;
    struct rtattr to;
    uint8_t address[4];
  } message = {.head = {.nlmsg_len = sizeof message,
                        .nlmsg_type = RTM_NEWROUTE,
                        .nlmsg_flags = NLM_F_REQUEST | NLM_F_CREATE | NLM_F_ACK},
               .route = {.rtm_family = AF_INET,
                         .rtm_dst_len = 32,
                         .rtm_table = RT_TABLE_MAIN,
                         .rtm_protocol = RTPROT_STATIC,
                         .rtm_type = RTN_BLACKHOLE},
               .to = {.rta_len = 8, .rta_type = RTA_DST},
               .address = {9, 9, 9, 240}};
  (void)p;
  char answer[256];
  const int fd = (int)must(socket(AF_NETLINK, SOCK_RAW, NETLINK_ROUTE));
  must(send(fd, &message, sizeof message, 0));
  must(recv(fd, answer, sizeof answer, 0));
}

#define P(name, kind_, promise_, needs_, attempt_, text_)                                       \
  {                                                                                             \
    .id = "syscalls." name, .kind = kind_, .promise = promise_, .text = text_, .needs = needs_, \
    .attempt = attempt_                                                                         \
  }
#define S(name, needs_, attempt_, text_) P(name, 'S', "P7", needs_ " surface", attempt_, text_)
#define ROOT(name, kind_, promise_, needs_, attempt_, text_, why_)                              \
  {                                                                                             \
    .id = "syscalls." name, .kind = kind_, .promise = promise_, .text = text_, .needs = needs_, \
    .attempt = attempt_, .note = "root: " why_                                                  \
  }
#define ADMIN "asks for CAP_SYS_ADMIN"

const struct probe probes[] = {
    ROOT("bridge", 'D', "P6", "host-link:esc-br0", bridge, "makes a bridge, a module of its own",
         "asks for CAP_NET_ADMIN"),
    S("unshare-user", "flags:50000000", leave, "unshare: user and network namespace"),
    S("clone-user", "flags:50000000", clone_old, "clone: user and network namespace"),
    S("clone-high-bits", "flags:f00000050000000", clone_old, "clone, bits in the upper half"),
    S("clone3-user", "flags:50000000", clone_new, "clone3: user and network namespace"),
    ROOT("unshare-net", 'S', "P7", "flags:40000000 surface", leave, "unshare: network", ADMIN),
    ROOT("unshare-mount", 'S', "P7", "flags:00020000 surface", leave, "unshare: mounts", ADMIN),
    ROOT("unshare-cgroup", 'S', "P7", "flags:02000000 surface", leave, "unshare: cgroup", ADMIN),
    ROOT("setns", 'S', "P7", "- surface", join_own, "setns to its own network", ADMIN),
    ROOT("bind-mount", 'A', "P6", "masked-stream:/opt/bound/service", bind_mount,
         "mounts a folder elsewhere, without what covers a part of it", ADMIN),
    ROOT("open-tree", 'A', "P6", "masked-stream:/opt/copied/service", open_tree_copy, "the same by open_tree",
         ADMIN),
    ROOT("new-procfs", 'S', "P6", "- surface", new_procfs, "fsopen: a procfs of its own", ADMIN),
    ROOT("file-handle", 'B', "P7", "handle:/opt/handled", file_handle,
         "open_by_handle_at of a file that is covered", "asks for CAP_DAC_READ_SEARCH"),
    ROOT("bpf", 'S', "P7", "- surface", map_of_bpf, "bpf: a map", "kernel.unprivileged_bpf_disabled"),
    S("perf", "-", perf, "perf_event_open"),
    S("userfaultfd", "-", user_faults, "userfaultfd"),
    S("pidfd-getfd", "-", own_fd, "pidfd_getfd"),
    S("keyctl", "-", session, "a session keyring of its own"),
    S("listener", "-", listener, "a seccomp listener of its own"),
    ROOT("kexec", 'S', "P7", "- surface has:kexec_load", kexec, "kexec_load", "asks for CAP_SYS_BOOT"),
    ROOT("module", 'S', "P7", "- surface has:init_module", module, "init_module", "asks for CAP_SYS_MODULE"),
    ROOT("reboot", 'S', "P6", "- surface", restart, "reboot", "asks for CAP_SYS_BOOT"),
    ROOT("host-name", 'D', "P6", "unchanged:/proc/sys/kernel/hostname", host_name, "sethostname", ADMIN),
    ROOT("route", 'D', "P6", "host-route:F0090909", add_route, "adds a route", "asks for CAP_NET_ADMIN"),
    {0}};
