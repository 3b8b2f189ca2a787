// What the groups share that send packets. Where one goes is said by the first word of `needs`:
// "PROTOCOL:ADDRESS,PORT", where the protocol is one of net.c's table; "%*" behind an IPv6 address is every
// link.
#pragma once

#include <net/if.h>

#include "probe.h"

struct place {
  struct sockaddr_storage address;
  socklen_t size;
};

struct place place(const char* text);  // "ADDRESS,PORT", "ADDRESS%LINK,PORT", or an address alone
void set_port(struct place* where, int port);
const char* first_word(const struct probe* p);  // "tcp" of "tcp:203.0.113.10,443"
int flow_socket(const struct probe* p, const struct place* to);
void send_flow(const struct probe* p, int fd, const char* where);  // "%*" and all; ends the attempt
void flow(const struct probe* p);                                  // an attempt: all of it
void raw_flow(const struct probe* p);                              // "raw:PROTOCOL,ADDRESS"
void send_to_place(int fd, const struct place* to);  // a datagram with the token; ends the attempt if refused
int links(int indices[16]);                          // all but the loopback
int raw_socket(int family, int protocol);
uint16_t checksum(const uint8_t* data, size_t size);
// An IPv4 packet with this payload; returns its size.
size_t ipv4_packet(uint8_t* out, const char* from, const char* to, int protocol, const uint8_t* payload,
                   size_t size);
size_t udp_payload(uint8_t* out, int port);  // header and token, without a checksum
