// Fragments of IP packets whose other fragments never come.
#include "families.h"

#include <linux/bpf.h>
#include <netinet/ip.h>
#include <netinet/ip6.h>
#include <stdint.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

// Of `bytes` from `offset` of a packet, of which more is to come; both are multiples of 8.
typedef int send_fragment(int fd, int packet, int offset, size_t bytes);

static int send4(int fd, int packet, int offset, size_t bytes) {
  static struct {
    struct iphdr ip;
    char payload[16384];
  } fragment;
  fragment.ip = (struct iphdr){.version = 4,
                               .ihl = 5,
                               .id = htons((unsigned short)packet),
                               .frag_off = htons((unsigned short)(IP_MF | offset / 8)),
                               .ttl = 64,
                               .protocol = IPPROTO_UDP,
                               .saddr = htonl(INADDR_LOOPBACK),
                               .daddr = htonl(INADDR_LOOPBACK)};
  struct sockaddr_in to = loopback(0);
  return sendto(fd, &fragment, sizeof fragment.ip + bytes, 0, (void *)&to, sizeof to) > 0;
}

static int send6(int fd, int packet, int offset, size_t bytes) {
  static struct {
    struct ip6_frag header;
    char payload[16384];
  } fragment;
  fragment.header = (struct ip6_frag){.ip6f_nxt = IPPROTO_UDP,
                                      .ip6f_offlg = htons((unsigned short)offset) | IP6F_MORE_FRAG,
                                      .ip6f_ident = htonl((unsigned)packet)};
  struct sockaddr_in6 to = {.sin6_family = AF_INET6, .sin6_addr = IN6ADDR_LOOPBACK_INIT};
  return sendto(fd, &fragment, sizeof fragment.header + bytes, 0, (void *)&to, sizeof to) > 0;
}

static void send_all(const char *role, int fd, send_fragment *send_one) {
  int sent = 0, packet = 1;
  // One after the other, out of order with gaps between them, and in many packets.
  for (int i = 0; i < 5; i++) sent += send_one(fd, packet, i * 1000, 1000);
  packet++;
  for (int i = 2; i >= 0; i--) {
    sent += send_one(fd, packet, i * 20000, 12000);
    sent += send_one(fd, packet, i * 20000 + 12000, 400);
  }
  while (packet++ < 40) sent += send_one(fd, packet, 0, 1480);
  if (sent == 0) missing(role);
  usleep(200000);
  tell(role, -1, "\"skbs\": %d", sent);
  close(fd);
}

// A program of netfilter's that wants packets whole, so that netfilter puts those of IPv6 together: since
// 6.6, and unknown to older headers.
static int netfilter_takes_fragments(void) {
  enum { PROG_TYPE_NETFILTER = 32, ATTACH_NETFILTER = 45, IP_DEFRAG = 1 };
  const struct bpf_insn accept[] = {
      {.code = BPF_ALU64 | BPF_MOV | BPF_K, .dst_reg = BPF_REG_0, .imm = 1},
      {.code = BPF_JMP | BPF_EXIT},
  };
  union bpf_attr load = {.prog_type = PROG_TYPE_NETFILTER,
                         .expected_attach_type = ATTACH_NETFILTER,
                         .insns = (uintptr_t)accept,
                         .insn_cnt = 2,
                         .license = (uintptr_t) "GPL"};
  struct {
    uint32_t program, target, attach_type, flags;
    uint32_t family, hook;
    int32_t priority;
    uint32_t netfilter_flags;
  } link = {.attach_type = ATTACH_NETFILTER, .family = PF_INET6, .netfilter_flags = IP_DEFRAG};
  link.program = (uint32_t)syscall(SYS_bpf, BPF_PROG_LOAD, &load, sizeof load);
  return (int)link.program >= 0 && syscall(SYS_bpf, BPF_LINK_CREATE, &link, sizeof link) >= 0;
}

void fragments(void) {
  set("ipv4/ipfrag_time", 3600);
  set("ipv6/ip6frag_time", 3600);
  send_all("fragments-v4", socket(AF_INET, SOCK_RAW, IPPROTO_RAW), send4);
  send_all("fragments-v6", socket(AF_INET6, SOCK_RAW, IPPROTO_FRAGMENT), send6);
  set("netfilter/nf_conntrack_frag6_timeout", 3600);
  if (netfilter_takes_fragments()) {
    send_all("fragments-netfilter", socket(AF_INET6, SOCK_RAW, IPPROTO_FRAGMENT), send6);
  } else {
    missing("netfilter that takes fragments");
  }
}
