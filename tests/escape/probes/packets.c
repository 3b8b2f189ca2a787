// Packets that no rule allows, by the ordinary ways: addresses, protocols, ports, options of a socket. Rows
// of THREATS.md section 5. What asks for a capability is in raw.c, DNS in names.c.
#include "net.h"

#include <arpa/inet.h>
#include <ifaddrs.h>
#include <netinet/ip.h>
#include <netinet/tcp.h>
#include <netinet/udp.h>

#define TCP_FASTOPEN_NO_COOKIE_ 34

static int prepared(const struct probe* p, struct place* to) {
  *to = place(argument(p));
  return flow_socket(p, to);
}
static void set(int fd, int level, int name, int what) {
  must(setsockopt(fd, level, name, &what, sizeof what));
}
static void go(const struct probe* p, int fd) { send_flow(p, fd, argument(p)); }

// Data in the first packet of all.
static int open_fast(const struct place* to) {
  const int fd = (int)must(socket(to->address.ss_family, SOCK_STREAM, 0));
  set(fd, SOL_TCP, TCP_FASTOPEN_NO_COOKIE_, 1);
  return fd;
}
static void send_fast(int fd, const struct place* to) {
  // Not whether the other side answers: what the SYN has is gone.
  const long sent = sendto(fd, token(), strlen(token()), MSG_FASTOPEN | MSG_NOSIGNAL | MSG_DONTWAIT,
                           (const struct sockaddr*)&to->address, to->size);
  if (sent < 0 && errno != EINPROGRESS) failed("send in the SYN");
}
static void fast_open(const struct probe* p) {
  const struct place to = place(argument(p));
  send_fast(open_fast(&to), &to);
}

// A socket that is known to the other side of the filter, because of a flow that is allowed.
static int admitted(const struct probe* p, int port) {
  const struct sockaddr_in here = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
  const struct place to = place(argument(p));
  const int fd = (int)must(socket(AF_INET, SOCK_STREAM, 0));
  set(fd, SOL_SOCKET, SO_REUSEADDR, 1);
  must(bind(fd, (const struct sockaddr*)&here, sizeof here));
  must(connect_now(fd, (const struct sockaddr*)&to.address, to.size));
  return fd;
}
static void reuse_port(const struct probe* p) {
  const struct sockaddr_in here = {.sin_family = AF_INET, .sin_port = htons(20567)};
  const struct sockaddr_in allowed = ipv4(ALLOWED, 443);
  for (int i = 0; i < 2; ++i) {
    const int fd = (int)must(socket(AF_INET, SOCK_STREAM, 0));
    set(fd, SOL_SOCKET, SO_REUSEADDR, 1);
    must(bind(fd, (const struct sockaddr*)&here, sizeof here));
    if (i == 0) must(connect_now(fd, (const struct sockaddr*)&allowed, sizeof allowed));
    if (i == 1) go(p, fd);
  }
}
static void dissolve(const struct probe* p) {
  const struct sockaddr_in allowed = ipv4(ALLOWED, 443);
  const struct sockaddr nowhere = {.sa_family = AF_UNSPEC};
  const int fd = (int)must(socket(AF_INET, SOCK_STREAM, 0));
  must(connect_now(fd, (const struct sockaddr*)&allowed, sizeof allowed));
  must(connect(fd, &nowhere, sizeof nowhere));
  go(p, fd);
}
static void reaim(const struct probe* p) {
  struct place to;
  const int fd = prepared(p, &to);
  const struct sockaddr_in allowed = ipv4(ALLOWED, 443);
  must(connect(fd, (const struct sockaddr*)&allowed, sizeof allowed));
  go(p, fd);
}

// More than a packet holds: the token is in the last piece, which has no port.
static void fragments(const struct probe* p) {
  static char data[4000];
  struct place to;
  const int fd = prepared(p, &to);
  memset(data, '.', sizeof data);
  strcpy(data + sizeof data - 64, token());
  set(fd, SOL_IP, IP_MTU_DISCOVER, IP_PMTUDISC_DONT);
  must(sendto(fd, data, sizeof data, 0, (const struct sockaddr*)&to.address, to.size));
}
static void segments(const struct probe* p) {
  static char data[3000];
  struct place to;
  const int fd = prepared(p, &to);
  memset(data, '.', sizeof data);
  strcpy(data + 1500, token());
  set(fd, SOL_UDP, 103 /* UDP_SEGMENT */, 1000);
  must(sendto(fd, data, sizeof data, 0, (const struct sockaddr*)&to.address, to.size));
}

static void hops(const struct probe* p) {
  struct place to;
  const int fd = prepared(p, &to);
  set(fd, SOL_IP, IP_TTL, 1);
  go(p, fd);
}
static void hops6(const struct probe* p) {
  struct place to;
  const int fd = prepared(p, &to);
  set(fd, SOL_IPV6, IPV6_UNICAST_HOPS, 1);
  go(p, fd);
}

static void bind_each_link(const struct probe* p) {
  struct ifaddrs* all = NULL;
  int sent = 0;
  must(getifaddrs(&all));
  for (const struct ifaddrs* i = all; i != NULL; i = i->ifa_next) {
    const struct place to = place(argument(p));
    const int fd = flow_socket(p, &to);
    if (setsockopt(fd, SOL_SOCKET, SO_BINDTODEVICE, i->ifa_name, (socklen_t)strlen(i->ifa_name)) != 0)
      continue;
    sent += sendto(fd, token(), strlen(token()), 0, (const struct sockaddr*)&to.address, to.size) > 0;
  }
  said("sent %d times", sent);
}
static void bind_each_source(const struct probe* p) {
  struct ifaddrs* all = NULL;
  int sent = 0;
  must(getifaddrs(&all));
  for (const struct ifaddrs* i = all; i != NULL; i = i->ifa_next) {
    const struct place to = place(argument(p));
    if (i->ifa_addr == NULL || i->ifa_addr->sa_family != to.address.ss_family) continue;
    const int fd = flow_socket(p, &to);
    if (bind(fd, i->ifa_addr, to.size) != 0) continue;
    sent += sendto(fd, token(), strlen(token()), 0, (const struct sockaddr*)&to.address, to.size) > 0;
  }
  said("sent %d times", sent);
}

// Sources that are not ours.
static void free_bind(const struct probe* p) {
  struct place to, from = place("2001:db8:1::77");
  const int fd = prepared(p, &to);
  set(fd, SOL_IP, IP_FREEBIND, 1);
  must(bind(fd, (const struct sockaddr*)&from.address, from.size));
  go(p, fd);
}
static void transparent(const struct probe* p) {
  struct place to, from = place("198.51.100.11,0");
  const int fd = prepared(p, &to);
  set(fd, SOL_IP, IP_TRANSPARENT, 1);
  must(bind(fd, (const struct sockaddr*)&from.address, from.size));
  go(p, fd);
}
static void each_mark(const struct probe* p) {
  struct place to;
  const int fd = prepared(p, &to);
  for (int bit = 0; bit < 32; ++bit) {
    const unsigned mark = 1u << bit;
    must(setsockopt(fd, SOL_SOCKET, SO_MARK, &mark, sizeof mark));
    sendto(fd, token(), strlen(token()), 0, (const struct sockaddr*)&to.address, to.size);
  }
  said("sent with 32 marks");
}

// The allowed host is to pass it on: loose (0x83) and strict (0x89).
static void set_route(int fd, int kind, const char* by) {
  uint8_t option[8] = {(uint8_t)kind, 7, 4};
  inet_pton(AF_INET, by, option + 3);
  must(setsockopt(fd, SOL_IP, IP_OPTIONS, option, sizeof option));
}
static void source_route(const struct probe* p) {
  struct place to;
  const int fd = prepared(p, &to);
  set_route(fd, 0x83, ALLOWED);
  go(p, fd);
}
static void fast_route(const struct probe* p, int kind) {
  const struct place to = place(argument(p));
  const int fd = open_fast(&to);
  set_route(fd, kind, ALLOWED);
  send_fast(fd, &to);
}
static void loose_route(const struct probe* p) { fast_route(p, 0x83); }
static void strict_route(const struct probe* p) { fast_route(p, 0x89); }
static void record_route(const struct probe* p) {
  uint8_t option[40] = {7, 39, 4};
  struct place to;
  const int fd = prepared(p, &to);
  must(setsockopt(fd, SOL_IP, IP_OPTIONS, option, sizeof option));
  go(p, fd);
}

// A routing header of the kind that needs no capability: segments.
static void routing_header(const struct probe* p) {
  uint8_t header[40] = {0, 4, 4, 1, 1, 0, 0, 0};
  struct place to;
  const int fd = prepared(p, &to);
  inet_pton(AF_INET6, "2001:db8:1::10", header + 24);
  must(setsockopt(fd, SOL_IPV6, IPV6_RTHDR, header, sizeof header));
  go(p, fd);
}
static void options6(const struct probe* p, int which) {
  uint8_t header[32] = {0, 3, 0x1e, 24};  // an option that is for experiments, and carries the token
  struct place to;
  const int fd = prepared(p, &to);
  memcpy(header + 4, token(), strlen(token()));
  must(setsockopt(fd, SOL_IPV6, which, header, sizeof header));
  go(p, fd);
}
static void hop_options(const struct probe* p) { options6(p, IPV6_HOPOPTS); }
static void destination_options(const struct probe* p) { options6(p, IPV6_DSTOPTS); }

// --- what has to work

static void allowed_flow(const struct probe* p) {
  struct place to;
  const int fd = prepared(p, &to);
  must(connect_now(fd, (const struct sockaddr*)&to.address, to.size));
  send_token(fd);
  said(readable(fd, 1000) ? "sent, and the other end closed" : "sent, without an answer");
}
static void allowed_fast(const struct probe* p) {
  const struct place to = place(argument(p));
  const int fd = open_fast(&to);
  send_fast(fd, &to);
  said(readable(fd, 1000) ? "sent, and the other end closed" : "sent, without an answer");
}
static void again(const struct probe* p) {
  const int fd = admitted(p, 20568);
  send_token(fd);
  said(readable(fd, 1000) ? "sent, and the other end closed" : "sent, without an answer");
}
static void loopback(const struct probe* p) {
  struct place here = place(argument(p));
  char got[64] = "";
  const bool stream = strcmp(first_word(p), "tcp") == 0;
  int server = flow_socket(p, &here);
  const int client = flow_socket(p, &here);
  must(bind(server, (const struct sockaddr*)&here.address, here.size));
  must(getsockname(server, (struct sockaddr*)&here.address, &here.size));
  if (stream) must(listen(server, 1));
  must(connect(client, (const struct sockaddr*)&here.address, here.size));
  if (stream) server = (int)must(accept(server, NULL, NULL));
  send_token(client);
  if (!readable(server, 1000) || read(server, got, sizeof got - 1) < 0 || strcmp(got, token()) != 0)
    failed("read it back");
  works();
}

#define P(name, promise_, needs_, attempt_, text_)                                           \
  {                                                                                          \
    .id = "packets." name, .kind = 'A', .promise = promise_, .text = text_, .needs = needs_, \
    .attempt = attempt_                                                                      \
  }
#define TO(name, promise_, needs_, text_) P(name, promise_, needs_, flow, text_)
#define ROOT(name, promise_, needs_, attempt_, text_, why_)                                  \
  {                                                                                          \
    .id = "packets." name, .kind = 'A', .promise = promise_, .text = text_, .needs = needs_, \
    .attempt = attempt_, .note = "root: " why_                                               \
  }
#define CONTROL(name, needs_, attempt_, text_) \
  { .id = "packets." name, .kind = '=', .promise = "P1", .text = text_, .needs = needs_, .attempt = attempt_ }
#define ADMIN "asks for CAP_NET_ADMIN"
#define RAW "asks for CAP_NET_RAW"

const struct probe probes[] = {
    TO("tcp", "P1", "tcp:203.0.113.10,443", "tcp to an address that no rule names"),
    TO("tcp-neighbour", "P1", "tcp:198.51.100.11,443", "tcp to the address next to the allowed one"),
    TO("tcp-port", "P1", "tcp:198.51.100.10,80", "tcp to another port of the allowed address"),
    TO("tcp-dns", "P10", "tcp:198.51.100.53,53", "DNS by tcp to a server"),
    TO("tcp-dot", "P10", "tcp:198.51.100.53,853", "DNS over TLS"),
    TO("tcp-mapped", "P1", "tcp:::ffff:203.0.113.10,443", "tcp to an IPv4 address, by an IPv6 socket"),
    TO("tcp6", "P1", "tcp:2001:db8:2::10,443", "tcp to an IPv6 address"),
    TO("tcp6-allowed", "P1", "tcp:2001:db8:1::10,443", "tcp to the IPv6 address of the allowed host"),
    TO("tcp-lan", "P3", "tcp:192.168.77.10,80", "tcp to a host of the local network"),
    TO("tcp-lan-router", "P3", "tcp:192.168.77.1,22", "tcp to the local network's router"),
    TO("tcp-metadata", "P3", "tcp:169.254.169.254,80", "tcp to the metadata service of a cloud"),
    TO("tcp-metadata-mapped", "P3", "tcp:::ffff:169.254.169.254,80", "the same by an IPv6 socket"),
    TO("tcp-ula", "P3", "tcp:fd77::1,80", "tcp to a unique local address"),
    TO("tcp6-link", "P3", "tcp:fe80::77%*,80 link-local", "tcp to a link-local address of the next router"),
    TO("mptcp", "P1", "mptcp:203.0.113.10,443 protocol:2,1,262", "multipath tcp"),
    TO("sctp", "P1", "sctp:203.0.113.10,443 protocol:2,1,132", "SCTP"),
    TO("dccp", "P1", "dccp:203.0.113.10,443 protocol:2,6,33", "DCCP"),
    TO("udplite", "P1", "udplite:203.0.113.10,443 protocol:2,2,136", "UDP-Lite"),
    TO("udp", "P1", "udp:203.0.113.10,443", "udp to an address that no rule names"),
    TO("udp-allowed", "P1", "udp:198.51.100.10,443", "udp to the port that is allowed for tcp"),
    TO("udp-ntp", "P1", "udp:203.0.113.11,123", "udp to port 123"),
    TO("udp-dns", "P10", "udp:198.51.100.53,53", "udp to a DNS server"),
    TO("udp-dns-elsewhere", "P10", "udp:203.0.113.11,53", "udp to port 53 of any host"),
    TO("udp-mapped", "P1", "udp:::ffff:203.0.113.10,443", "udp to an IPv4 address, by an IPv6 socket"),
    TO("udp6", "P1", "udp:2001:db8:2::10,443", "udp to an IPv6 address"),
    TO("udp-lan", "P3", "udp:192.168.77.10,9", "udp to the local network"),
    TO("udp-metadata", "P3", "udp:169.254.169.254,123", "udp to a link-local IPv4 address"),
    TO("udp-shared", "P3", "udp:100.64.0.1,9", "udp to a shared address (carrier's NAT)"),
    TO("udp-private", "P3", "udp:10.1.2.3,9", "udp to a private address that the uplink routes"),
    TO("udp-ula", "P3", "udp:fd77::1,9", "udp to a unique local address"),
    TO("udp6-link", "P3", "udp:fe80::77%*,9 link-local", "udp to a link-local address of the next router"),
    TO("broadcast", "P3", "udp:255.255.255.255,9", "limited broadcast"),
    TO("broadcast-uplink", "P3", "udp:198.51.100.255,9", "broadcast of the uplink's subnet"),
    TO("broadcast-lan", "P3", "udp:192.168.77.255,9", "broadcast of the local network"),
    TO("multicast", "P3", "udp:224.0.0.251,9", "multicast, link-local (mDNS)"),
    TO("multicast-wide", "P1", "udp:239.255.255.250,9", "multicast, wider (SSDP)"),
    TO("multicast6", "P3", "udp:ff02::fb%*,9", "IPv6 multicast, link-local"),
    TO("multicast6-wide", "P1", "udp:ff0e::114%*,9", "IPv6 multicast, global"),
    TO("echo", "P1", "echo:203.0.113.10", "ICMP echo that carries data"),
    TO("echo-allowed", "P1", "echo:198.51.100.10", "ICMP echo to the allowed host"),
    TO("echo-lan", "P3", "echo:192.168.77.10", "ICMP echo to the local network"),
    TO("echo-router", "P3", "echo:198.51.100.1", "ICMP echo to the uplink's router"),
    TO("echo6", "P1", "echo:2001:db8:2::10", "ICMPv6 echo"),
    TO("echo6-all", "P3", "echo:ff02::1%*", "ICMPv6 echo to all nodes of the link"),
    P("fast-open", "P1", "tcp:203.0.113.10,443", fast_open, "data in the SYN, to an address without a rule"),
    P("fast-open-port", "P1", "tcp:198.51.100.10,80", fast_open,
      "data in the SYN, to another port of the allowed address"),
    P("reuse-port", "P4", "tcp:198.51.100.10,80", reuse_port, "from the port of a flow that was admitted"),
    P("dissolved", "P4", "tcp:203.0.113.10,443", dissolve, "the socket of an admitted flow, connected anew"),
    P("udp-reaimed", "P1", "udp:203.0.113.10,443", reaim, "connected udp socket, aimed elsewhere"),
    P("fragments", "P1", "udp:203.0.113.10,443", fragments,
      "the last fragment of a datagram, which has no port"),
    P("fragments-allowed", "P1", "udp:198.51.100.10,443", fragments, "the same to the allowed address"),
    P("segments", "P1", "udp:203.0.113.10,443", segments, "many datagrams by one call (UDP_SEGMENT)"),
    P("hops", "P1", "udp:203.0.113.10,443", hops, "time to live 1: as far as the first router"),
    P("hops6", "P1", "udp:2001:db8:2::10,443", hops6, "hop limit 1"),
    P("every-link", "P3", "udp:192.168.77.10,9", bind_each_link, "SO_BINDTODEVICE to every link"),
    P("every-source", "P1", "udp:203.0.113.10,443", bind_each_source, "bound to every address that there is"),
    P("free-bind", "P1", "udp:2001:db8:2::10,443", free_bind, "IP_FREEBIND: a source of somebody else"),
    ROOT("source-route", "P1", "udp:203.0.113.10,443", source_route,
         "udp, loose source route by the allowed host", RAW),
    ROOT("source-route-tcp", "P1", "tcp:203.0.113.10,443", loose_route,
         "data in a SYN to the allowed port, with a loose source route from there", RAW),
    ROOT("source-route-strict", "P1", "tcp:203.0.113.10,443", strict_route, "the same, strict", RAW),
    P("record-route", "P1", "udp:203.0.113.10,443", record_route, "record route"),
    P("routing-header", "P1", "udp:2001:db8:2::10,443", routing_header, "IPv6 segments by the allowed host"),
    ROOT("hop-options", "P1", "udp:2001:db8:2::10,443", hop_options, "hop-by-hop options that carry data",
         RAW),
    ROOT("destination-options", "P1", "udp:2001:db8:2::10,443", destination_options, "destination options",
         RAW),
    ROOT("transparent", "P1", "udp:203.0.113.10,443", transparent,
         "IP_TRANSPARENT: a source of somebody else", ADMIN),
    ROOT("marks", "P4", "udp:203.0.113.10,443", each_mark, "SO_MARK, each bit", RAW),
    CONTROL("allowed-mapped", "tcp:::ffff:198.51.100.10,443 arrives", allowed_flow,
            "what is allowed, by an IPv6 socket"),
    CONTROL("allowed-fast-open", "tcp:198.51.100.10,443 arrives", allowed_fast,
            "what is allowed, data in the SYN"),
    CONTROL("allowed-bound", "tcp:198.51.100.10,443 arrives", again,
            "what is allowed, from a port of one's own"),
    CONTROL("loopback-tcp", "tcp:127.0.0.1,0", loopback, "tcp on the loopback"),
    CONTROL("loopback-udp", "udp:127.0.0.1,0", loopback, "udp on the loopback"),
    CONTROL("loopback-tcp6", "tcp:::1,0", loopback, "tcp on the IPv6 loopback"),
    {0}};
