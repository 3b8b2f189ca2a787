// floor: the cheapest program that could make what `netjail run -- CMD` makes, and nothing else.
//
// A router and a jail network namespace, two veths created in place (the peer by IFLA_NET_NS_FD, one queue
// each), addresses, routes and forwarding of both families, the router's nf_tables batch, a child in its own
// pid, mount and IPC namespaces with fresh /proc and /sys, no privileges, exec, wait. Statically linked, raw
// netlink, nothing checked: it is the denominator of the bars in README.md. It is a floor of work, done in
// one straight line, not a clever program: what could run on another core at the same time does not.
//
// Both ends of each veth have the same MAC and no ARP, so there is no neighbour to resolve. The address and
// the link names come from the process id: several floors may run at once.
//
// Called without root it does the same in a user namespace, with the jail in another below, and without the
// host's veth: what a profile that opens nothing cannot do without.
//
// Built with -DFLOOR_STEPS it prints the time of each step to stderr.
#define _GNU_SOURCE
#include "rules.h"

#include <fcntl.h>
#include <linux/capability.h>
#include <linux/if_addr.h>
#include <linux/if_link.h>
#include <linux/rtnetlink.h>
#include <linux/veth.h>
#include <net/if.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>

#ifdef FLOOR_STEPS
// Shared with the child; printed as absolute times, so that they can be set beside what `stamp` prints.
static struct steps {
  int count;
  struct {
    const char* name;
    struct timespec at;
  } step[40];
} * steps;
static void step(const char* name) {
  if (steps == NULL)
    steps = mmap(NULL, sizeof *steps, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  const int i = __atomic_fetch_add(&steps->count, 1, __ATOMIC_RELAXED);
  steps->step[i].name = name;
  clock_gettime(CLOCK_MONOTONIC, &steps->step[i].at);
}
static void print_steps(void) {
  for (int i = 0; i < steps->count; i++)
    fprintf(stderr, "%ld%09ld %s\n", (long)steps->step[i].at.tv_sec, steps->step[i].at.tv_nsec,
            steps->step[i].name);
}
#else
#define step(name) ((void)0)
#define print_steps() ((void)0)
#endif

static struct wire host_wire, router_wire, jail_wire, rules_wire;
static const uint8_t mac[6] = {0x02, 0x6e, 0x6a, 0, 0, 1};
static char host_link[IFNAMSIZ];
static uint32_t host_index;
static uint8_t jail4[4] = {10, 200, 0, 0};
static uint8_t jail6[16] = {0xfd, 0x6e, 0x6a};
static const uint8_t router4[4] = {192, 0, 0, 8};  // RFC 7600: the address of a router that has none
static const uint8_t router6[16] = {0xfd, 0x6e, 0x6a, [15] = 1};

static void link_attributes(struct wire* w, const char* name) {
  put_str(w, IFLA_IFNAME, name);
  put(w, IFLA_ADDRESS, mac, 6);
  put_u32(w, IFLA_NUM_TX_QUEUES, 1);
  put_u32(w, IFLA_NUM_RX_QUEUES, 1);
}

// The end that stays is up at once; the peer cannot be (veth_open wants both ends to exist).
static void create_veth(struct wire* w, int index, const char* name, int peer_ns, uint32_t peer_index,
                        const char* peer_name) {
  const struct ifinfomsg near = {
      .ifi_index = index, .ifi_flags = IFF_UP | IFF_NOARP, .ifi_change = IFF_UP | IFF_NOARP};
  const struct ifinfomsg far = {
      .ifi_index = (int)peer_index, .ifi_flags = IFF_NOARP, .ifi_change = IFF_NOARP};
  wire_message(w, RTM_NEWLINK, NLM_F_CREATE | NLM_F_EXCL, &near, sizeof near);
  link_attributes(w, name);
  struct nlattr* info = nest(w, IFLA_LINKINFO);
  put(w, IFLA_INFO_KIND, "veth", 4);
  struct nlattr* data = nest(w, IFLA_INFO_DATA);
  struct nlattr* peer = nest(w, VETH_INFO_PEER);
  memcpy(wire_take(w, sizeof far), &far, sizeof far);
  link_attributes(w, peer_name);
  put_u32(w, IFLA_NET_NS_FD, (uint32_t)peer_ns);
  nest_end(w, peer);
  nest_end(w, data);
  nest_end(w, info);
}

// Up, and forwarding of IPv4 for this link alone: in the message that is sent anyway, no sysctl file to open.
static void set_up(struct wire* w, int index, int forwarding) {
  const struct ifinfomsg head = {.ifi_index = index, .ifi_flags = IFF_UP, .ifi_change = IFF_UP};
  wire_message(w, RTM_NEWLINK, 0, &head, sizeof head);
  if (!forwarding) return;
  struct nlattr* spec = nest(w, IFLA_AF_SPEC);
  struct nlattr* inet = nest(w, AF_INET);
  struct nlattr* conf = nest(w, IFLA_INET_CONF);
  put_u32(w, 1 /* IPV4_DEVCONF_FORWARDING */, 1);
  nest_end(w, conf);
  nest_end(w, inet);
  nest_end(w, spec);
}

static void ask_for_link(struct wire* w, int index) {
  const struct ifinfomsg head = {.ifi_index = index};
  wire_message(w, RTM_GETLINK, 0, &head, sizeof head);
  put_u32(w, IFLA_EXT_MASK, RTEXT_FILTER_SKIP_STATS);
}

static void add_address(struct wire* w, uint32_t index, int family, const void* address) {
  const uint8_t bits = family == AF_INET ? 32 : 128;
  const struct ifaddrmsg head = {
      .ifa_family = (uint8_t)family, .ifa_prefixlen = bits, .ifa_flags = IFA_F_NODAD, .ifa_index = index};
  wire_message(w, RTM_NEWADDR, NLM_F_CREATE | NLM_F_EXCL, &head, sizeof head);
  put(w, IFA_LOCAL, address, bits / 8U);
  put(w, IFA_ADDRESS, address, bits / 8U);
}

static void add_route(struct wire* w, uint32_t index, int family, const void* address) {
  const uint8_t bits = family == AF_INET ? 32 : 128;
  const struct rtmsg head = {.rtm_family = (uint8_t)family,
                             .rtm_dst_len = address ? bits : 0,
                             .rtm_table = RT_TABLE_MAIN,
                             .rtm_protocol = RTPROT_STATIC,
                             .rtm_scope = family == AF_INET ? RT_SCOPE_LINK : RT_SCOPE_UNIVERSE,
                             .rtm_type = RTN_UNICAST};
  wire_message(w, RTM_NEWROUTE, NLM_F_CREATE | NLM_F_EXCL, &head, sizeof head);
  if (address) put(w, RTA_DST, address, bits / 8U);
  put_u32(w, RTA_OIF, index);
}

static void both_families(struct wire* w, void (*add)(struct wire*, uint32_t, int, const void*),
                          uint32_t index, const void* v4, const void* v6) {
  add(w, index, AF_INET, v4);
  add(w, index, AF_INET6, v6);
}

static void write_file(const char* path, const char* text) {
  const int fd = open(path, O_WRONLY | O_CLOEXEC);
  write(fd, text, 1);
  close(fd);
}

static int open_netlink(int protocol) { return socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, protocol); }
static int open_netns(void) { return open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC); }

static void write_text(const char* path, const char* format, unsigned id) {
  char text[64];
  const int size = snprintf(text, sizeof text, format, id, id);
  const int fd = open(path, O_WRONLY | O_CLOEXEC);
  write(fd, text, (size_t)size);
  close(fd);
}
static void map_caller(unsigned uid, unsigned gid) {
  write_text("/proc/self/setgroups", "deny", 0);
  write_text("/proc/self/gid_map", "%u %u 1", gid);
  write_text("/proc/self/uid_map", "%u %u 1", uid);
}

static void child(char** command) {
  step("child runs");
  mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL);
  step("child: private /");
  mount("proc", "/proc", "proc", MS_NOSUID | MS_NODEV | MS_NOEXEC, NULL);
  step("child: /proc");
  mount("sysfs", "/sys", "sysfs", MS_NOSUID | MS_NODEV | MS_NOEXEC | MS_RDONLY, NULL);
  step("child: /sys");
  syscall(SYS_close_range, 3, ~0U, 0);
  prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
  struct __user_cap_header_struct head = {_LINUX_CAPABILITY_VERSION_3, 0};
  struct __user_cap_data_struct none[2] = {{0, 0, 0}, {0, 0, 0}};
  syscall(SYS_capset, &head, none);
  step("child: exec begins");
  execv(command[0], command);
  _exit(127);
}

int main(int argc, char** argv) {
  if (argc < 2) return 125;
  const uint32_t id = (uint32_t)getpid();
  snprintf(host_link, sizeof host_link, "fl%u", id);
  host_index = 0x40000000U + id;  // chosen here, so that nobody has to ask for it
  jail4[2] = jail6[14] = (uint8_t)(id >> 8);
  jail4[3] = jail6[15] = (uint8_t)id;
  jail6[13] = 1;

  step("start");
  const unsigned uid = geteuid(), gid = getegid();
  const int rootless = uid != 0;
  if (rootless) {
    unshare(CLONE_NEWUSER);
    map_caller(uid, gid);
  }
  const int host_ns = open_netns();
  const int host = open_netlink(NETLINK_ROUTE);
  step("host fds");
  unshare(CLONE_NEWNET);
  step("router netns");
  const int router = open_netlink(NETLINK_ROUTE);
  const int filter = open_netlink(NETLINK_NETFILTER);
  write_file("/proc/sys/net/ipv4/ip_forward", "1");
  write_file("/proc/sys/net/ipv6/conf/all/forwarding", "1");
  step("router sysctls");
  write_rules(&rules_wire, jail4, jail6);
  step("encode rules");
  wire_send(filter, &rules_wire);
  step("load rules");
  unshare(CLONE_NEWNET);
  step("jail netns");
  const int jail_ns = open_netns();
  const int jail = open_netlink(NETLINK_ROUTE);

  create_veth(&router_wire, kJailLink, "jail", jail_ns, kJailLink, "eth0");
#ifdef FLOOR_STEPS
  wire_send(router, &router_wire);
  step("veth jail");
#endif
  if (!rootless) create_veth(&router_wire, kUplinkLink, "uplink", host_ns, host_index, host_link);
#ifdef FLOOR_STEPS
  wire_send(router, &router_wire);
  step("veth uplink");
#endif
  both_families(&router_wire, add_address, kJailLink, router4, router6);
  both_families(&router_wire, add_route, kJailLink, jail4, jail6);
  both_families(&router_wire, add_route, rootless ? kJailLink : kUplinkLink, NULL, NULL);
  wire_send(router, &router_wire);
  step("router links");

  set_up(&jail_wire, 1, 0);
  set_up(&jail_wire, kJailLink, 0);
  both_families(&jail_wire, add_address, kJailLink, jail4, jail6);
  both_families(&jail_wire, add_route, kJailLink, NULL, NULL);
  wire_send(jail, &jail_wire);
  step("jail links");

  if (!rootless) {
    set_up(&host_wire, (int)host_index, 1);
    both_families(&host_wire, add_route, host_index, jail4, jail6);
    wire_send(host, &host_wire);
  }
  step("host links");

  // The end that was opened first has carrier now, but a qdisc that drops until the kernel's link watch has
  // run. Asking for the link runs it for that link (Linux 6.8): without, one jail in six loses its first
  // packet.
  ask_for_link(&router_wire, kJailLink);
  if (!rootless) ask_for_link(&router_wire, kUplinkLink);
  wire_send(router, &router_wire);
  step("router links ready");

  const long own_user = rootless ? CLONE_NEWUSER : 0;
  const long pid =
      syscall(SYS_clone, own_user | CLONE_NEWPID | CLONE_NEWNS | CLONE_NEWIPC | SIGCHLD, 0, 0, 0, 0);
  if (pid == 0) {
    if (rootless) map_caller(uid, gid);
    child(argv + 1);
  }
  step("clone child");
  if (!rootless) setns(host_ns, CLONE_NEWNET);
  step("setns host");
  int status = 0;
  waitpid((pid_t)pid, &status, 0);
  step("reaped");
  print_steps();
  return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}
