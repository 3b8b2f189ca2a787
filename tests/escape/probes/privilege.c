// What is left of privilege inside: capabilities, root's files without any, devices, limits. Rows of
// THREATS.md section
// 8. Nothing is written to what belongs to the machine: to have it open for writing is enough.
#include <grp.h>
#include <linux/capability.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/wait.h>

#include "net.h"

// "capability:CapEff": not empty, in the child that the launcher started.
static void look(const struct probe* p, const char* name) {
  char text[8192] = "", key[32];
  const int fd = (int)must(open("/proc/self/status", O_RDONLY));
  (void)p;
  must(read(fd, text, sizeof text - 1));
  snprintf(key, sizeof key, "\n%s:\t", name);
  const char* found = strstr(text, key);
  if (found == NULL) said("no: no %s", name);
  const unsigned long long all = strtoull(found + strlen(key), NULL, 16);
  said(all != 0 ? "has it: %llx" : "no: %llx", all);
}
static void set_of(const struct probe* p) { look(p, argument(p)); }
// A set that is empty can still be filled from another one.
static void fill_inheritable(void) {
  struct __user_cap_header_struct head = {.version = _LINUX_CAPABILITY_VERSION_3};
  struct __user_cap_data_struct data[2] = {0};
  must(syscall(SYS_capget, &head, data));
  for (int i = 0; i < 2; ++i) data[i].inheritable = data[i].effective = data[i].permitted;
  must(syscall(SYS_capset, &head, data));
}
static void inheritable(const struct probe* p) {
  fill_inheritable();
  look(p, "CapInh");
}
static void ambient(const struct probe* p) {
  fill_inheritable();
  for (unsigned long i = 0; i < 41; ++i) prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, i, 0, 0);
  look(p, "CapAmb");
}
static void privileges(const struct probe* p) {
  (void)p;
  said(must(prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0)) == 0 ? "has it: may gain privileges"
                                                         : "no: no_new_privs");
}
static void run_program(const struct probe* p) {
  const char* program = value(p, "program");
  const pid_t child = fork();
  if (child == 0) {
    execl(program, program, "capable", NULL);
    _exit(127);
  }
  int status = 0;
  waitpid(child, &status, 0);
  said(status == 0 ? "has it" : "no: %d", WEXITSTATUS(status));
}
static void become_root(const struct probe* p) {
  (void)p;
  must(setresuid(0, 0, 0));
  must(setresuid(61998, 61998, 61998));
  said("has it: any user id");
}
static void any_group(const struct probe* p) {
  const gid_t group = 6;
  (void)p;
  must(setgroups(1, &group));
  said("has it: any group");
}

static void open_it(const struct probe* p) {
  must(open(argument(p), O_WRONLY | O_NONBLOCK | O_CLOEXEC));
  said("has it");
}
static void open_device(const struct probe* p) {
  char path[64];
  snprintf(path, sizeof path, "/dev/%.*s", (int)strcspn(argument(p), ","), argument(p));
  must(open(path, O_RDWR | O_NONBLOCK | O_CLOEXEC));
  said("has it");
}
static void write_sysctl(const struct probe* p) {
  const int fd = (int)must(open(argument(p), O_WRONLY));
  must(write(fd, "61\n", 3));
}
// "node:KIND,MAJOR,MINOR"
static void make_node(const struct probe* p) {
  char kind = 0;
  unsigned first = 0, second = 0;
  sscanf(argument(p), "%c,%u,%u", &kind, &first, &second);
  char path[] = "/tmp/node-XXXXXX";
  if (mkdtemp(path) == NULL) failed("mkdtemp");
  must(chdir(path));
  must(mknod("node", (kind == 'b' ? S_IFBLK : S_IFCHR) | 0600, makedev(first, second)));
  must(open("node", O_RDWR | O_NONBLOCK));
  said("has it");
}
static void make_cgroup(const struct probe* p) {
  (void)p;
  must(mkdir("/sys/fs/cgroup/escape-made", 0755));
  rmdir("/sys/fs/cgroup/escape-made");
  said("has it");
}

// The kernel hands a dump to a handler outside, unless the limit is 1; it is 0 that does not help.
static void core_limit(const struct probe* p) {
  struct rlimit limit = {0};
  (void)p;
  must(getrlimit(RLIMIT_CORE, &limit));
  said(limit.rlim_cur == 1 && limit.rlim_max == 1 ? "no: it is 1" : "has it");
}
static void set_core(const struct probe* p) {
  const struct rlimit limit = {0};
  (void)p;
  must(setrlimit(RLIMIT_CORE, &limit));
  core_limit(p);  // success may have been told and not be so
}
static void set_core_of(const struct probe* p) {
  const struct rlimit limit = {0};
  (void)p;
  must(syscall(SYS_prlimit64, 0, 0xf00000000L | RLIMIT_CORE, &limit, NULL));
  core_limit(p);
}

#define P(name, kind_, promise_, needs_, attempt_, text_)                                                   \
  {                                                                                                         \
    .id = "privilege." name, .kind = kind_, .promise = promise_, .text = text_, .needs = needs_ " surface", \
    .attempt = attempt_                                                                                     \
  }
#define ROOT(name, kind_, promise_, needs_, attempt_, text_, why_)                                          \
  {                                                                                                         \
    .id = "privilege." name, .kind = kind_, .promise = promise_, .text = text_, .needs = needs_ " surface", \
    .attempt = attempt_, .note = "root: " why_                                                              \
  }
#define FILE_OF_ROOT(name, path_) ROOT(name, 'B', "P9", "opens:" path_, open_it, path_, "it is root's file")
#define DEVICE(name, which_, text_) P(name, 'B', "P9", "device:" which_, open_device, text_)
#define NONE "an ordinary user has none"

const struct probe probes[] = {
    ROOT("effective", 'B', "P6", "capability:CapEff", set_of, "effective capabilities", NONE),
    ROOT("permitted", 'B', "P6", "capability:CapPrm", set_of, "permitted capabilities", NONE),
    ROOT("inheritable", 'B', "P6", "capability:CapInh", inheritable, "inheritable capabilities", NONE),
    ROOT("ambient", 'B', "P6", "capability:CapAmb", ambient, "ambient capabilities", NONE),
    P("bounding", 'S', "P6", "capability:CapBnd", set_of, "bounding set"),
    P("no-new-privs", 'S', "P6", "-", privileges, "may gain privileges by what it runs"),
    P("set-uid", 'B', "P6", "privileged:set-uid", run_program, "runs a set-uid program of root's"),
    P("file-capabilities", 'B', "P6", "privileged:capable", run_program,
      "runs a program with file capabilities"),
    ROOT("user-ids", 'S', "P6", "-", become_root, "becomes another user", "asks for CAP_SETUID"),
    ROOT("groups", 'S', "P6", "-", any_group, "joins the group disk", "asks for CAP_SETGID"),
    FILE_OF_ROOT("core-pattern", "/proc/sys/kernel/core_pattern"),
    FILE_OF_ROOT("core-pattern-second", "/srv/proc/sys/kernel/core_pattern"),
    FILE_OF_ROOT("sysrq", "/proc/sysrq-trigger"),
    FILE_OF_ROOT("sysrq-second", "/srv/proc/sysrq-trigger"),
    FILE_OF_ROOT("poweroff", "/proc/sys/kernel/poweroff_cmd"),
    FILE_OF_ROOT("modprobe", "/proc/sys/kernel/modprobe"),
    FILE_OF_ROOT("drop-caches", "/proc/sys/vm/drop_caches"),
    FILE_OF_ROOT("interrupts", "/proc/irq/default_smp_affinity"),
    FILE_OF_ROOT("uevent-helper", "/sys/kernel/uevent_helper"),
    FILE_OF_ROOT("uevent", "/sys/devices/virtual/mem/null/uevent"),
    FILE_OF_ROOT("power", "/sys/power/state"),
    FILE_OF_ROOT("cgroup-procs", "/sys/fs/cgroup/cgroup.procs"),
    FILE_OF_ROOT("cgroup-control", "/sys/fs/cgroup/cgroup.subtree_control"),
    ROOT("cgroup-folder", 'B', "P9", "-", make_cgroup, "makes a cgroup", "it is root's folder"),
    {.id = "privilege.sysctl",
     .kind = 'D',
     .promise = "P11",
     .needs = "sysctl:/proc/sys/net/ipv4/tcp_fin_timeout",
     .text = "writes a setting of the host's network",
     .attempt = write_sysctl,
     .note = "root: it is root's file"},
    {.id = "privilege.sysctl-second",
     .kind = 'D',
     .promise = "P11",
     .needs = "sysctl:/srv/proc/sys/net/ipv4/igmp_max_msf",
     .text = "the same by another procfs",
     .attempt = write_sysctl,
     .note = "root: it is root's file"},
    DEVICE("tun", "net/tun,c,10,200", "/dev/net/tun"),
    ROOT("kmsg", 'B', "P9", "device:kmsg,c,1,11", open_device,
         "/dev/kmsg: the kernel's log, which may go to the network", "asks for CAP_SYSLOG"),
    DEVICE("mem", "mem,c,1,1", "/dev/mem"),
    DEVICE("fuse", "fuse,c,10,229", "/dev/fuse"),
    DEVICE("loop-control", "loop-control,c,10,237", "/dev/loop-control"),
    DEVICE("loop", "loop7,b,7,7", "/dev/loop7"),
    DEVICE("disk", "disk,disk", "the machine's disk"),
    DEVICE("vsock", "vsock,misc", "/dev/vsock"),
    DEVICE("vhost-net", "vhost-net,misc", "/dev/vhost-net"),
    DEVICE("kvm", "kvm,misc", "/dev/kvm"),
    DEVICE("hpet", "hpet,misc", "/dev/hpet"),
    DEVICE("serial", "ttyS0,c,4,64", "/dev/ttyS0: a serial line"),
    DEVICE("console", "tty0,c,4,0", "/dev/tty0: the machine's console"),
    ROOT("make-disk", 'B', "P6", "node:b,7,7", make_node, "makes a node of a block device",
         "asks for CAP_MKNOD"),
    ROOT("make-tun", 'B', "P6", "node:c,10,200", make_node, "makes /dev/net/tun", "asks for CAP_MKNOD"),
    P("core-limit", 'B', "P9", "-", core_limit, "the limit of core dumps lets a handler outside have them"),
    P("core-set", 'B', "P9", "-", set_core, "sets the limit of core dumps"),
    P("core-set-high-bits", 'B', "P9", "-", set_core_of, "the same, bits in the upper half"),
    {0}};
