// Socket families that no network namespace confines, or that load a module; and the ways around a filter of
// system calls: io_uring, the numbers of other ABIs, bits that only the filter sees. Rows of THREATS.md
// section 4. "surface": what is had leads nowhere by itself, the program says whether it has it.
#include <linux/io_uring.h>
#include <sched.h>
#include <sys/mman.h>

#include "net.h"

#define HAS(call) (must(call), said("has it"))

// "family:FAMILY,TYPE,PROTOCOL"
static void family(const struct probe* p) {
  int domain = 0, type = 0, protocol = 0;
  sscanf(argument(p), "%d,%d,%d", &domain, &type, &protocol);
  HAS(socket(domain, type, protocol));
}
static void family_high_bits(const struct probe* p) {
  int domain = 0, type = 0;
  sscanf(argument(p), "%d,%d", &domain, &type);
  HAS(syscall(SYS_socket, 0x100000000L | domain, 0xf00000000L | type, 0));
}
static void family_pair(const struct probe* p) {
  int pair[2];
  socketpair(atoi(argument(p)), SOCK_STREAM, 0, pair);
  // The kernel has asked the family, and found that it has no pairs.
  if (errno == EOPNOTSUPP) said("has it");
  failed("socketpair");
}
// --- io_uring

static long ring_call(int ring, const struct io_uring_params* params, struct io_uring_sqe entry) {
  static char *submission, *completion;
  static struct io_uring_sqe* entries;
  if (submission == NULL) {
    submission = mmap(NULL, 8192, PROT_READ | PROT_WRITE, MAP_SHARED, ring, IORING_OFF_SQ_RING);
    completion = mmap(NULL, 8192, PROT_READ | PROT_WRITE, MAP_SHARED, ring, IORING_OFF_CQ_RING);
    entries = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, ring, IORING_OFF_SQES);
  }
  entries[0] = entry;
  *(uint32_t*)(submission + params->sq_off.array) = 0;
  uint32_t* tail = (uint32_t*)(submission + params->sq_off.tail);
  // The array's other place is the same entry.
  ((uint32_t*)(submission + params->sq_off.array))[*tail & 1] = 0;
  __atomic_fetch_add(tail, 1, __ATOMIC_RELEASE);
  must(syscall(SYS_io_uring_enter, ring, 1, 1, IORING_ENTER_GETEVENTS, NULL, 0));
  uint32_t* head = (uint32_t*)(completion + params->cq_off.head);
  const uint32_t mask = *(uint32_t*)(completion + params->cq_off.ring_mask);
  const struct io_uring_cqe* results = (const struct io_uring_cqe*)(completion + params->cq_off.cqes);
  const int result = results[*head & mask].res;
  __atomic_fetch_add(head, 1, __ATOMIC_RELEASE);
  if (result >= 0) return result;
  errno = -result;
  return -1;
}
static void ring_setup(const struct probe* p) {
  struct io_uring_params params = {0};
  (void)p;
  HAS(syscall(SYS_io_uring_setup, 2, &params));
}
static void ring_to(int domain, const void* address, size_t size) {
  struct io_uring_params params = {0};
  const int ring = (int)must(syscall(SYS_io_uring_setup, 2, &params));
  const int fd = (int)must(ring_call(
      ring, &params, (struct io_uring_sqe){.opcode = 45 /* SOCKET */, .fd = domain, .off = SOCK_STREAM}));
  must(ring_call(
      ring, &params,
      (struct io_uring_sqe){.opcode = IORING_OP_CONNECT, .fd = fd, .addr = (uintptr_t)address, .off = size}));
  must(ring_call(
      ring, &params,
      (struct io_uring_sqe){
          .opcode = IORING_OP_SEND, .fd = fd, .addr = (uintptr_t)token(), .len = (uint32_t)strlen(token())}));
}
static void ring_tcp(const struct probe* p) {
  const struct place to = place(argument(p));
  ring_to(AF_INET, &to.address, to.size);
}
static void ring_unix(const struct probe* p) {
  const struct unix_name to = unix_name(argument(p));
  ring_to(AF_UNIX, &to.address, to.size);
}

// --- other numbers of the same calls

#ifdef __x86_64__
// This program lies below 4 GiB, so its variables have addresses of 32 bits.
static uint32_t low(const void* at) { return (uint32_t)(uintptr_t)at; }
static long int80(long number, long a, long b, long c, long d, long e) {
  long result = 0;
  __asm__ volatile("int $0x80"
                   : "=a"(result)
                   : "a"(number), "b"(a), "c"(b), "d"(c), "S"(d), "D"(e)
                   : "memory", "r8", "r9", "r10", "r11");
  if ((int)result >= 0) return (int)result;
  errno = -(int)result;
  return -1;
}
static uint32_t g_words[6];
static struct sockaddr_in g_to;
static char g_text[32];
static long socketcall(int which, uint32_t a, uint32_t b, uint32_t c, uint32_t d, uint32_t e, uint32_t f) {
  const uint32_t words[6] = {a, b, c, d, e, f};
  memcpy(g_words, words, sizeof words);
  return int80(102, which, low(g_words), 0, 0, 0);
}
static void i386_socketcall(const struct probe* p) {
  const struct place to = place(argument(p));
  memcpy(&g_to, &to.address, sizeof g_to);
  strcpy(g_text, token());
  const int fd = (int)must(socketcall(1, AF_INET, SOCK_DGRAM, 0, 0, 0, 0));
  must(socketcall(11, (uint32_t)fd, low(g_text), (uint32_t)strlen(g_text), 0, low(&g_to), sizeof g_to));
}
static void i386_socket(const struct probe* p) { HAS(int80(359, atoi(argument(p)), SOCK_STREAM, 0, 0, 0)); }
static void i386_unshare(const struct probe* p) {
  (void)p;
  HAS(int80(310, CLONE_NEWUSER, 0, 0, 0, 0));
}
static void x32_socket(const struct probe* p) {
  (void)p;
  HAS(syscall(0x40000000 | SYS_socket, AF_INET, SOCK_DGRAM, 0));
}
#else
static void other_machine(void) { said("no: another machine"); }
#define i386_socketcall other
#define i386_socket other
#define i386_unshare other
#define x32_socket other
static void other(const struct probe* p) {
  (void)p;
  other_machine();
}
#endif

#define P(name, kind_, promise_, needs_, attempt_, text_)                                       \
  {                                                                                             \
    .id = "families." name, .kind = kind_, .promise = promise_, .text = text_, .needs = needs_, \
    .attempt = attempt_                                                                         \
  }
#define S(name, needs_, attempt_, text_) P(name, 'S', "P7", needs_ " surface", attempt_, text_)
#define FAMILY(name, number, text_) S(name, "family:" number, family, text_)
#define ROOT(name, kind_, promise_, needs_, attempt_, text_, why_)                              \
  {                                                                                             \
    .id = "families." name, .kind = kind_, .promise = promise_, .text = text_, .needs = needs_, \
    .attempt = attempt_, .note = "root: " why_                                                  \
  }

const struct probe probes[] = {
    FAMILY("vsock", "40,1,0", "vsock: the hypervisor"),
    FAMILY("vsock-dgram", "40,2,0", "vsock, datagram"),
    S("vsock-high-bits", "family:40,1,0", family_high_bits, "vsock, bits in the upper halves"),
    S("vsock-pair", "family:40,1,0", family_pair, "vsock by socketpair"),
    ROOT("packet", 'S', "P7", "family:17,3,0 surface", family, "packet", "asks for CAP_NET_RAW"),
    ROOT("xdp", 'S', "P7", "family:44,3,0 surface", family, "xdp", "asks for CAP_NET_RAW"),
    ROOT("raw-inet", 'S', "P6", "family:2,3,255 surface", family, "raw IP", "asks for CAP_NET_RAW"),
    ROOT("raw-inet6", 'S', "P6", "family:10,3,255 surface", family, "raw IPv6", "asks for CAP_NET_RAW"),
    FAMILY("alg", "38,5,0", "crypto"),
    FAMILY("bluetooth", "31,3,1", "bluetooth, HCI"),
    FAMILY("can", "29,3,1", "CAN bus"),
    FAMILY("tipc", "30,4,0", "TIPC"),
    FAMILY("smc", "43,1,0", "SMC"),
    FAMILY("smc-inet", "2,1,256", "SMC as a protocol of inet"),
    FAMILY("rds", "21,5,0", "RDS"),
    FAMILY("qipcrtr", "42,2,0", "QIPCRTR: modems"),
    FAMILY("nfc", "39,5,1", "NFC"),
    FAMILY("ieee802154", "36,2,0", "IEEE 802.15.4"),
    FAMILY("rxrpc", "33,2,2", "RxRPC"),
    FAMILY("kcm", "41,2,0", "KCM"),
    FAMILY("mctp", "45,2,0", "MCTP"),
    FAMILY("phonet", "35,2,0", "Phonet: modems"),
    FAMILY("pppox", "24,1,0", "PPPoX"),
    FAMILY("ax25", "3,5,0", "AX.25"),
    ROOT("key", 'S', "P7", "family:15,3,2 surface", family, "PF_KEY", "asks for CAP_NET_ADMIN"),
    ROOT("llc", 'S', "P7", "family:26,2,0 surface", family, "LLC", "asks for CAP_NET_RAW"),
    FAMILY("netfilter", "16,3,12", "netlink: netfilter"),
    FAMILY("audit", "16,3,9", "netlink: audit"),
    FAMILY("uevent", "16,3,15", "netlink: uevents, which a device manager believes"),
    FAMILY("generic", "16,3,16", "netlink: generic"),
    FAMILY("diag", "16,3,4", "netlink: sock_diag"),
    FAMILY("xfrm", "16,3,6", "netlink: xfrm"),
    FAMILY("connector", "16,3,11", "netlink: connector"),
    S("io-uring", "-", ring_setup, "io_uring_setup"),
    P("io-uring-tcp", 'A', "P7", "tcp:203.0.113.10,443", ring_tcp, "socket, connect and send by io_uring"),
    P("io-uring-unix", 'A', "P13", "stream:/run/escape/ring", ring_unix, "unix socket in /run by io_uring"),
    P("i386-socketcall", 'A', "P7", "udp:203.0.113.10,443 machine:x86_64", i386_socketcall,
      "socketcall of i386"),
    S("i386-vsock", "number:40 machine:x86_64", i386_socket, "vsock by i386's socket"),
    S("i386-unshare", "number:0 machine:x86_64", i386_unshare, "unshare of i386"),
    S("x32", "machine:x32", x32_socket, "socket of x32"),
    {0}};
