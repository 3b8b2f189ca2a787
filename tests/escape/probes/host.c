// The host itself as a destination, and the program as one: addresses, loopbacks, forwarded ports, other
// jails, and what comes in. Rows of THREATS.md section 6.
#include <arpa/inet.h>
#include <ifaddrs.h>

#include "net.h"

// The next hop, whatever it is: a host, a router of the launcher's.
static void to_gateway(const struct probe* p) {
  char line[256], address[32] = "";
  FILE* file = fopen("/proc/net/route", "r");
  while (file != NULL && fgets(line, sizeof line, file) != NULL) {
    unsigned destination = 1;
    struct in_addr gateway = {0};
    if (sscanf(line, "%*s %x %x", &destination, &gateway.s_addr) == 2 && destination == 0 &&
        gateway.s_addr != 0)
      inet_ntop(AF_INET, &gateway, address, sizeof address);
  }
  if (address[0] == 0) said("no: no gateway");
  if (strcmp(argument(p), "udp") == 0) udp_token((int)must(socket(AF_INET, SOCK_DGRAM, 0)), address, 9);
  tcp_token((int)must(socket(AF_INET, SOCK_STREAM, 0)), address, 22);
}

// Where the runner says that another jail listens: every address of it.
static void to_jail(const struct probe* p) {
  char* words = strdup(value(p, "jail"));
  int sent = 0;
  for (char* word = strtok(words, " "); word != NULL; word = strtok(NULL, " ")) {
    const struct place to = place(word);
    const int fd = socket(to.address.ss_family, SOCK_STREAM, 0);
    if (connect_now(fd, (const struct sockaddr*)&to.address, to.size) != 0) continue;
    sent += write(fd, token(), strlen(token())) > 0;
  }
  said("sent %d times", sent);
}

// Somebody outside tries every address that we have, and every address of the host, with our port: a listener
// that he reaches gives him the token. The runner tells when he has done so.
static const char* port_and_addresses(int port) {
  static char text[1024];
  char one[64];
  struct ifaddrs* all = NULL;
  snprintf(text, sizeof text, "%d", port);
  getifaddrs(&all);
  for (const struct ifaddrs* i = all; i != NULL; i = i->ifa_next) {
    if (i->ifa_addr == NULL) continue;
    const void* raw = i->ifa_addr->sa_family == AF_INET
                          ? (const void*)&((const struct sockaddr_in*)i->ifa_addr)->sin_addr
                          : (const void*)&((const struct sockaddr_in6*)i->ifa_addr)->sin6_addr;
    if (inet_ntop(i->ifa_addr->sa_family, raw, one, sizeof one) == NULL) continue;
    snprintf(text + strlen(text), sizeof text - strlen(text), " %s", one);
  }
  return text;
}
static void serve(const struct probe* p) {
  const bool stream = strcmp(argument(p), "tcp") == 0;
  struct sockaddr_in6 here = {.sin6_family = AF_INET6};
  socklen_t size = sizeof here;
  const int fd = (int)must(socket(AF_INET6, stream ? SOCK_STREAM : SOCK_DGRAM, 0)), no = 0;
  setsockopt(fd, SOL_IPV6, IPV6_V6ONLY, &no, sizeof no);
  must(bind(fd, (const struct sockaddr*)&here, size));
  must(getsockname(fd, (struct sockaddr*)&here, &size));
  if (stream) must(listen(fd, 64));
  tell(p, "addresses", "%s", port_and_addresses(ntohs(here.sin6_port)));
  for (int served = 0;;) {
    if (!readable(fd, 20)) {
      if (access(value(p, "done"), F_OK) == 0) said("%d came", served);
      continue;
    }
    char data[64];
    struct sockaddr_storage who;
    socklen_t length = sizeof who;
    ++served;
    if (stream) {
      const int connection = accept(fd, NULL, NULL);
      send(connection, token(), strlen(token()), MSG_NOSIGNAL);
      close(connection);
    } else if (recvfrom(fd, data, sizeof data, 0, (struct sockaddr*)&who, &length) >= 0) {
      sendto(fd, token(), strlen(token()), 0, (const struct sockaddr*)&who, length);
    }
  }
}

// Flows that are refused: what is kept of each, outside?
static void many_flows(const struct probe* p) {
  for (int i = 0; i < 400; ++i) {
    struct place to = place(argument(p));
    const int fd = flow_socket(p, &to);
    fcntl(fd, F_SETFL, O_NONBLOCK);
    if (strcmp(first_word(p), "udp") == 0) set_port(&to, 20000 + i);
    connect(fd, (const struct sockaddr*)&to.address, to.size);
    send(fd, token(), strlen(token()), MSG_NOSIGNAL);
    close(fd);
  }
  said("400 flows");
}

static void reach(const struct probe* p) {
  const struct place to = place(argument(p));
  must(connect_now(flow_socket(p, &to), (const struct sockaddr*)&to.address, to.size));
  works();
}

#define P(name, needs_, attempt_, text_) \
  { .id = "host." name, .kind = 'A', .promise = "P3", .text = text_, .needs = needs_, .attempt = attempt_ }
#define TO(name, needs_, text_) P(name, needs_, flow, text_)
#define CONTROL(name, needs_, text_) \
  { .id = "host." name, .kind = '=', .promise = "P1", .text = text_, .needs = needs_, .attempt = reach }
// Rules that are as wide as can be, and such that name what is local: the host is in none of them.
#define WIDE " allow=0.0.0.0/0 allow=::/0"
#define NAMED \
  WIDE " allow=192.168.77.0/24 allow=192.168.99.0/24 allow=172.16.0.0/12 allow=10.0.0.0/8 allow=fd77::/64"

const struct probe probes[] = {
    TO("uplink", "tcp:198.51.100.2,22", "tcp to the host's address on the uplink"),
    TO("uplink-high", "tcp:198.51.100.2,8080", "the same, a high port"),
    TO("uplink-mapped", "tcp:::ffff:198.51.100.2,22", "the same, by an IPv6 socket"),
    TO("uplink-udp", "udp:198.51.100.2,9", "udp to the host's address on the uplink"),
    TO("uplink-dns", "udp:198.51.100.2,53", "DNS server of the host, on the uplink"),
    TO("uplink6", "tcp:2001:db8:1::2,22", "tcp to the host's IPv6 address on the uplink"),
    TO("lan", "tcp:192.168.77.2,5432", "tcp to the host's address on the local network"),
    TO("lan-udp", "udp:192.168.77.2,123", "udp to the host's address on the local network"),
    TO("lan6", "tcp:fd77::2,22", "tcp to the host's unique local address"),
    TO("link6", "tcp:fe80::99%*,22 own-link-local", "tcp to the host's link-local address"),
    TO("loopback", "tcp:127.0.0.1,5432", "tcp to 127.0.0.1"),
    TO("loopback-udp", "udp:127.0.0.1,123", "udp to 127.0.0.1"),
    TO("loopback-stub", "udp:127.0.0.53,53", "the host's stub resolver on 127.0.0.53"),
    TO("loopback-stub-tcp", "tcp:127.0.0.53,53", "the same by tcp"),
    TO("loopback-other", "tcp:127.1.2.3,80", "tcp to another address of the loopback"),
    TO("loopback-mapped", "tcp:::ffff:127.0.0.1,80", "tcp to 127.0.0.1 by an IPv6 socket"),
    TO("loopback6", "tcp:::1,22", "tcp to ::1"),
    TO("loopback6-udp", "udp:::1,9", "udp to ::1"),
    TO("any", "tcp:0.0.0.0,22", "tcp to 0.0.0.0"),
    TO("any6", "tcp:::,22", "tcp to ::"),
    TO("any-udp", "udp:0.0.0.0,9", "udp to 0.0.0.0"),
    TO("bridge", "tcp:172.17.0.1,22 address:172.17.0.1/16",
       "tcp to the host's address on a bridge of containers"),
    TO("public", "tcp:203.0.113.77,22 address:203.0.113.77/32", "tcp to a public address of the host"),
    TO("routed", "tcp:192.0.2.9,22 local-route:192.0.2.0/28",
       "tcp to a range that is the host's by a route alone"),
    TO("late", "tcp:203.0.113.88,22 late-address:203.0.113.88/32",
       "tcp to an address that the host gets while it runs"),
    TO("late-lan", "udp:192.168.99.1,9 late-address:192.168.99.1/24",
       "udp to a private address that the host gets"),
    TO("late6", "tcp:2001:db8:9::1,22 late-address:2001:db8:9::1/128",
       "tcp to an IPv6 address that the host gets"),
    TO("forwarded", "tcp:198.51.100.2,8443 forward:8443",
       "port of the host that is forwarded to the local network"),
    TO("forwarded-lan", "tcp:192.168.77.2,8443 forward:8443", "the same by the host's other address"),
    TO("forwarded-udp", "udp:198.51.100.2,8443 forward:8443", "the same by udp"),
    TO("own-broadcast", "udp:127.255.255.255,9", "broadcast of the loopback"),
    P("gateway", "gateway:tcp", to_gateway, "tcp to the next router, whatever it is"),
    P("gateway-udp", "gateway:udp", to_gateway, "udp to the next router"),
    P("jail", "jail:4443", to_jail, "tcp to a listener in another jail"),
    TO("wide-uplink", "tcp:198.51.100.2,22" WIDE, "every address is allowed: the host's on the uplink"),
    TO("wide-uplink-udp", "udp:198.51.100.2,9" WIDE, "the same by udp"),
    TO("wide-uplink6", "tcp:2001:db8:1::2,22" WIDE, "the same by IPv6"),
    TO("wide-public", "tcp:203.0.113.77,22 address:203.0.113.77/32" WIDE, "the host's public address"),
    TO("wide-routed", "tcp:192.0.2.9,22 local-route:192.0.2.0/28" WIDE,
       "a range that is the host's by a route"),
    TO("wide-late", "tcp:203.0.113.89,22 late-address:203.0.113.89/32" WIDE, "an address that the host gets"),
    TO("wide-late-udp", "udp:203.0.113.90,9 late-address:203.0.113.90/32" WIDE, "the same by udp"),
    TO("wide-late6", "tcp:2001:db8:9::2,22 late-address:2001:db8:9::2/128" WIDE, "the same by IPv6"),
    TO("wide-forwarded", "tcp:198.51.100.2,8443 forward:8443" WIDE, "a port that the host forwards"),
    TO("wide-loopback", "tcp:127.0.0.1,5432" WIDE, "127.0.0.1"),
    TO("wide-broadcast", "udp:198.51.100.255,9" WIDE, "the broadcast address of the uplink"),
    TO("wide-multicast", "udp:224.0.0.251,9" WIDE, "multicast"),
    TO("wide-local", "tcp:192.168.77.10,80" WIDE, "a local address that no rule names"),
    TO("wide-metadata", "tcp:169.254.169.254,80" WIDE, "the metadata service"),
    TO("wide-shared", "udp:100.64.0.1,9" WIDE, "a shared address"),
    TO("wide-ula", "tcp:fd77::1,80" WIDE, "a unique local address"),
    TO("wide-mapped", "tcp:::ffff:192.168.77.10,80" WIDE, "a local address by an IPv6 socket"),
    TO("named-lan", "tcp:192.168.77.2,22" NAMED, "the local network is allowed: the host's address in it"),
    TO("named-lan6", "tcp:fd77::2,22" NAMED, "the same by IPv6"),
    TO("named-bridge", "tcp:172.17.0.1,22 address:172.17.0.1/16" NAMED, "the host's address on a bridge"),
    TO("named-late", "tcp:192.168.99.2,22 late-address:192.168.99.2/24" NAMED,
       "an address that the host gets"),
    TO("named-broadcast", "udp:192.168.77.255,9" NAMED, "the broadcast address of the local network"),
    TO("named-forwarded", "tcp:192.168.77.2,8443 forward:8443" NAMED, "a port that the host forwards"),
    P("named-jail", "jail:4444" NAMED, to_jail, "every address is allowed: another jail"),
    {.id = "host.tracked",
     .kind = 'D',
     .promise = "P3a",
     .needs = "tcp:198.51.100.10,80 tracked alone",
     .text = "400 refused connections fill the host's table of connections",
     .attempt = many_flows},
    {.id = "host.tracked-udp",
     .kind = 'D',
     .promise = "P3a",
     .needs = "udp:203.0.113.10,9 tracked alone",
     .text = "400 refused datagrams fill it",
     .attempt = many_flows},
    P("inbound", "inbound:tcp", serve, "listener inside: somebody outside connects"),
    P("inbound-udp", "inbound:udp", serve, "udp socket inside: somebody outside asks it"),
    CONTROL("wide-works", "tcp:203.0.113.10,443" WIDE, "every address is allowed: one"),
    CONTROL("wide-works6", "tcp:2001:db8:2::10,443" WIDE, "the same by IPv6"),
    CONTROL("named-works", "tcp:192.168.77.10,80" NAMED, "the local network is allowed: a host in it"),
    {0}};
