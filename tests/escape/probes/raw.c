// Packets that a program makes itself, as the owner of CAP_NET_RAW can: protocols without ports, forged
// sources, frames. Rows of THREATS.md sections 5 and 6.
#include <arpa/inet.h>
#include <linux/if_packet.h>

#include "net.h"

#define US "198.51.100.2"  // the host: in a jail as false as any other
#define SOMEBODY "198.51.100.11"

static void send_packet(const uint8_t* packet, size_t size, const char* to_address) {
  const struct place to = place(to_address);
  must(sendto(raw_socket(AF_INET, IPPROTO_RAW), packet, size, 0, (const struct sockaddr*)&to.address,
              to.size));
}
static void send_udp(const struct probe* p, const char* from, bool more) {
  uint8_t packet[128], payload[64];
  const size_t size = ipv4_packet(packet, from, argument(p), IPPROTO_UDP, payload, udp_payload(payload, 443));
  if (more) packet[6] = 0x20;  // a first fragment, for which no other comes
  send_packet(packet, size, argument(p));
}
static void own_header(const struct probe* p) { send_udp(p, US, false); }
static void spoofed(const struct probe* p) { send_udp(p, SOMEBODY, false); }
static void first_fragment(const struct probe* p) { send_udp(p, US, true); }
static void later_fragment(const struct probe* p) {
  uint8_t packet[128], payload[64] = "";
  memcpy(payload, token(), strlen(token()));
  const size_t size = ipv4_packet(packet, US, argument(p), IPPROTO_UDP, payload, sizeof payload);
  packet[7] = 100;  // its place
  send_packet(packet, size, argument(p));
}

// "ADDRESS,PORT", flags: a segment of a connection that there is not.
static void segment(const struct probe* p, uint8_t flags) {
  uint8_t packet[128], payload[64] = {0x30, 0x39};
  const struct place to = place(argument(p));
  const struct sockaddr_in* four = (const struct sockaddr_in*)&to.address;
  memcpy(payload + 2, &four->sin_port, 2);
  payload[12] = 0x50, payload[13] = flags, payload[14] = 0xff;
  memcpy(payload + 20, token(), strlen(token()));
  char text[32];
  inet_ntop(AF_INET, &four->sin_addr, text, sizeof text);
  send_packet(packet, ipv4_packet(packet, US, text, IPPROTO_TCP, payload, sizeof payload), text);
}
static void acknowledgment(const struct probe* p) { segment(p, 0x18); }
static void reset(const struct probe* p) { segment(p, 0x04); }
static void no_flags(const struct probe* p) { segment(p, 0); }

// An error that speaks of a flow which was admitted, and carries the token.
static void forged_error(const struct probe* p) {
  uint8_t message[128] = {3, 1}, inner[64] = {0x30, 0x39, 1, 0xbb};
  const struct place to = place(argument(p));
  memcpy(inner + 20, token(), strlen(token()));
  const size_t size = 8 + ipv4_packet(message + 8, ALLOWED, US, IPPROTO_TCP, inner, sizeof inner);
  const uint16_t sum = checksum(message, size);
  message[2] = (uint8_t)(sum >> 8), message[3] = (uint8_t)sum;
  must(sendto(raw_socket(AF_INET, IPPROTO_ICMP), message, size, 0, (const struct sockaddr*)&to.address,
              to.size));
}
static void redirect(const struct probe* p) {
  uint8_t message[64] = {5, 1, 0, 0, 198, 51, 100, 2};
  const struct place to = place(argument(p));
  memcpy(message + 28, token(), strlen(token()));
  const uint16_t sum = checksum(message, sizeof message);
  message[2] = (uint8_t)(sum >> 8), message[3] = (uint8_t)sum;
  must(sendto(raw_socket(AF_INET, IPPROTO_ICMP), message, sizeof message, 0,
              (const struct sockaddr*)&to.address, to.size));
}
static void advertisement(const struct probe* p) {
  uint8_t message[64] = {134, 0, 0, 0, 64, 0, 7, 8};
  struct place to = place(argument(p));
  int indices[16], sent = 0;
  const int fd = raw_socket(AF_INET6, IPPROTO_ICMPV6), hops = 255;
  setsockopt(fd, SOL_IPV6, IPV6_MULTICAST_HOPS, &hops, sizeof hops);
  memcpy(message + 16, token(), strlen(token()));
  for (int i = links(indices) - 1; i >= 0; --i) {
    ((struct sockaddr_in6*)&to.address)->sin6_scope_id = (uint32_t)indices[i];
    sent += sendto(fd, message, sizeof message, 0, (const struct sockaddr*)&to.address, to.size) > 0;
  }
  if (sent == 0) failed("advertise");
}

// "frame:TYPE": on every link, from an address that is nobody's, with the token in it.
static void frame(const struct probe* p) {
  const int type = (int)strtol(argument(p), NULL, 16);
  uint8_t made[160] = {0xff,         0xff, 0xff, 0xff, 0xff, 0xff, 2, 0, 0, 0, 0, 7, (uint8_t)(type >> 8),
                       (uint8_t)type};
  uint8_t* body = made + 14;
  int indices[16], sent = 0;
  if (type == 0x8100) body[1] = 7, body[2] = 8, body += 4;  // a tag, and IPv4 in it
  uint8_t payload[64];
  const size_t size = udp_payload(payload, 443);
  if (type == 0x0800 || type == 0x8100)
    ipv4_packet(body, SOMEBODY, FORBIDDEN, IPPROTO_UDP, payload, size);
  else
    memcpy(body + 40, token(), strlen(token()));
  const int fd = (int)must(socket(AF_PACKET, SOCK_RAW, 0));
  for (int i = links(indices) - 1; i >= 0; --i) {
    const struct sockaddr_ll to = {.sll_family = AF_PACKET, .sll_ifindex = indices[i], .sll_halen = 6};
    sent += sendto(fd, made, 128, 0, (const struct sockaddr*)&to, sizeof to) > 0;
  }
  if (sent == 0) failed("send a frame");
}
// The older name of the same.
static void old_packet_socket(const struct probe* p) {
  uint8_t made[128] = {0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 2, 0, 0, 0, 0, 7, 0x88, 0xb5};
  int indices[16], sent = 0;
  (void)p;
  memcpy(made + 14, token(), strlen(token()));
  const int fd = (int)must(socket(AF_INET, SOCK_PACKET, 0));
  for (int i = links(indices) - 1; i >= 0; --i) {
    struct sockaddr to = {.sa_family = AF_INET};
    char name[IF_NAMESIZE] = "";
    if_indextoname((unsigned)indices[i], name);
    memcpy(to.sa_data, name, sizeof to.sa_data);
    sent += sendto(fd, made, sizeof made, 0, &to, sizeof to) > 0;
  }
  if (sent == 0) failed("send a frame");
}

#define ROOT(name, promise_, needs_, attempt_, text_)                                    \
  {                                                                                      \
    .id = "raw." name, .kind = 'A', .promise = promise_, .text = text_, .needs = needs_, \
    .attempt = attempt_, .note = "root: asks for CAP_NET_RAW"                            \
  }
#define PROTOCOL(name, needs_, text_) ROOT(name, "P1", needs_, raw_flow, text_)

const struct probe probes[] = {
    ROOT("own-header", "P1", "packet:203.0.113.10", own_header, "udp with an IP header of one's own"),
    ROOT("spoofed", "P1", "packet:203.0.113.10", spoofed, "the same, from the address of a neighbour"),
    ROOT("spoofed-lan", "P3", "packet:192.168.77.10", spoofed, "the same to the local network"),
    ROOT("first-fragment", "P1", "packet:203.0.113.10", first_fragment,
         "first fragment of a datagram, alone"),
    ROOT("later-fragment", "P1", "packet:203.0.113.10", later_fragment, "later fragment, alone"),
    ROOT("later-fragment-allowed", "P1", "packet:198.51.100.10", later_fragment,
         "the same to the allowed host"),
    ROOT("ack", "P4", "packet:203.0.113.10,443", acknowledgment, "data of a connection that there is not"),
    ROOT("ack-port", "P4", "packet:198.51.100.10,80", acknowledgment,
         "the same to another port of the allowed host"),
    ROOT("reset", "P4", "packet:198.51.100.10,80", reset, "a reset that carries data"),
    ROOT("no-flags", "P4", "packet:198.51.100.10,80", no_flags, "a segment without any flag"),
    ROOT("error", "P4", "packet:203.0.113.10", forged_error, "ICMP error about a flow that is allowed"),
    ROOT("error-allowed", "P4", "packet:198.51.100.10", forged_error, "the same to the allowed host"),
    ROOT("redirect", "P4", "packet:198.51.100.1", redirect, "ICMP redirect to the router"),
    ROOT("advertisement", "P3", "packet:ff02::1", advertisement, "IPv6 router advertisement to all nodes"),
    PROTOCOL("gre", "raw:47,203.0.113.10", "GRE"),
    PROTOCOL("gre-allowed", "raw:47,198.51.100.10", "GRE to the allowed host"),
    PROTOCOL("ipip", "raw:4,198.51.100.10", "IP in IP to the allowed host"),
    PROTOCOL("six-in-four", "raw:41,198.51.100.10", "IPv6 in IP to the allowed host"),
    PROTOCOL("esp", "raw:50,198.51.100.10", "ESP to the allowed host"),
    PROTOCOL("sctp", "raw:132,198.51.100.10", "SCTP by hand, to the allowed host"),
    PROTOCOL("igmp", "raw:2,203.0.113.10", "IGMP, unicast"),
    PROTOCOL("experiment", "raw:253,203.0.113.10", "protocol 253"),
    PROTOCOL("six-experiment", "raw:253,2001:db8:2::10", "protocol 253 by IPv6"),
    PROTOCOL("no-next-header", "raw:59,2001:db8:2::10", "IPv6 without a next header, with data"),
    ROOT("frame-ip", "P1", "frame:0800", frame, "frame: IP, false source and hardware address"),
    ROOT("frame-tagged", "P1", "frame:8100", frame, "frame: 802.1Q"),
    ROOT("frame-arp", "P3", "frame:0806", frame, "frame: ARP"),
    ROOT("frame-ip6", "P1", "frame:86dd", frame, "frame: IPv6"),
    ROOT("frame-other", "P1", "frame:88b5", frame, "frame: an ethertype that is for experiments"),
    ROOT("frame-old", "P7", "frame:88b5", old_packet_socket, "the same by SOCK_PACKET, the older name"),
    {0}};
