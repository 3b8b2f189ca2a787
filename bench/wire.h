// Netlink messages written straight into one buffer: no library, nothing checked.
//
// A batch is a run of messages that is sent with one call. The kernel answers only to those that carry
// NLM_F_ACK (and to those that fail), so the last one alone asks for an answer: one sendmsg, one recv.
#pragma once
#include <arpa/inet.h>
#include <linux/netlink.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

struct wire {
  uint32_t used;
  struct nlmsghdr* last;  // the message being written
  uint8_t bytes[32768] __attribute__((aligned(8)));
};

static inline void* wire_take(struct wire* w, uint32_t n) {
  void* at = w->bytes + w->used;
  w->used += (n + 3U) & ~3U;  // the buffer is static, so the padding is zero already
  w->last->nlmsg_len = (uint32_t)(w->bytes + w->used - (uint8_t*)w->last);
  return at;
}

static inline void* wire_message(struct wire* w, uint16_t type, uint16_t flags, const void* head,
                                 uint32_t n) {
  w->last = (struct nlmsghdr*)(void*)(w->bytes + w->used);
  wire_take(w, sizeof(struct nlmsghdr));
  w->last->nlmsg_type = type;
  w->last->nlmsg_flags = (uint16_t)(NLM_F_REQUEST | flags);
  return memcpy(wire_take(w, n), head, n);
}

static inline void put(struct wire* w, uint16_t type, const void* data, uint32_t n) {
  struct nlattr* a = wire_take(w, NLA_HDRLEN + n);
  a->nla_type = type;
  a->nla_len = (uint16_t)(NLA_HDRLEN + n);
  memcpy((uint8_t*)a + NLA_HDRLEN, data, n);
}
static inline void put_str(struct wire* w, uint16_t type, const char* s) {
  put(w, type, s, (uint32_t)strlen(s) + 1);
}
static inline void put_u32(struct wire* w, uint16_t type, uint32_t v) { put(w, type, &v, 4); }
static inline void put_be32(struct wire* w, uint16_t type, uint32_t v) { put_u32(w, type, htonl(v)); }
static inline void put_u8(struct wire* w, uint16_t type, uint8_t v) { put(w, type, &v, 1); }

static inline struct nlattr* nest(struct wire* w, uint16_t type) {
  struct nlattr* a = wire_take(w, NLA_HDRLEN);
  a->nla_type = (uint16_t)(type | NLA_F_NESTED);
  return a;
}
static inline void nest_end(struct wire* w, struct nlattr* a) {
  a->nla_len = (uint16_t)(w->bytes + w->used - (uint8_t*)a);
}

// The batch leaves in one call; one answer says that it has been worked off (rtnetlink and nf_tables work in
// the caller's context, so it is there when send returns).
static inline void wire_send(int fd, struct wire* w) {
  static uint8_t answer[4096];
  w->last->nlmsg_flags |= NLM_F_ACK;
  send(fd, w->bytes, w->used, 0);
  recv(fd, answer, sizeof answer, 0);
  memset(w->bytes, 0, w->used);  // padding is expected to be zero
  w->used = 0;
#ifdef FLOOR_STEPS
  for (ssize_t n = 1; n > 0; n = recv(fd, answer, sizeof answer, MSG_DONTWAIT)) {
    const struct nlmsgerr* e = NLMSG_DATA((struct nlmsghdr*)(void*)answer);
    if (((struct nlmsghdr*)(void*)answer)->nlmsg_type == NLMSG_ERROR && e->error != 0)
      fprintf(stderr, "floor: message %u of %u bytes refused: %s\n", e->msg.nlmsg_type, e->msg.nlmsg_len,
              strerror(-e->error));
  }
#endif
}
