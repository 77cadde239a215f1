// A tap device of this process's: packets that it has not read, and some that it wrote and that wait to
// be merged with more of their connection (GRO).
#include "families.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/if_packet.h>
#include <linux/if_tun.h>
#include <net/ethernet.h>
#include <net/if.h>
#include <net/if_arp.h>
#include <netinet/ip.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#define TAP "tap0"
#define PAYLOAD 1000

static int open_tap(void) {
  struct ifreq tap = {.ifr_name = TAP};
  int fd = open("/dev/net/tun", O_RDWR | O_NONBLOCK), control = socket(AF_INET, SOCK_DGRAM, 0);
  // IFF_NAPI: what is written is received by way of NAPI, and so by GRO.
  tap.ifr_flags = IFF_TAP | IFF_NO_PI | IFF_NAPI;
  if (fd < 0 || ioctl(fd, TUNSETIFF, &tap) != 0) return -1;
  set("ipv6/conf/" TAP "/disable_ipv6", 1);
  tap.ifr_flags = IFF_UP | IFF_BROADCAST;
  if (ioctl(control, SIOCSIFFLAGS, &tap) != 0) return -1;
  struct sockaddr_in *address = (void *)&tap.ifr_addr;
  *address = (struct sockaddr_in){.sin_family = AF_INET};
  inet_pton(AF_INET, "198.51.100.1", &address->sin_addr);
  if (ioctl(control, SIOCSIFADDR, &tap) != 0) return -1;
  struct arpreq known = {.arp_flags = ATF_COM | ATF_PERM, .arp_dev = TAP};
  *(struct sockaddr_in *)&known.arp_pa = *address;
  inet_pton(AF_INET, "198.51.100.9", &((struct sockaddr_in *)&known.arp_pa)->sin_addr);
  known.arp_ha.sa_family = ARPHRD_ETHER;
  if (ioctl(control, SIOCSARP, &known) != 0) return -1;
  close(control);
  return fd;
}

// What is read is forgotten by the ring only when there is more of it.
static void fill_ring(int tap) {
  char bytes[2000] = {0};
  int sent = 0, taken = 0, fd = socket(AF_INET, SOCK_DGRAM, 0);
  struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons(9)};
  inet_pton(AF_INET, "198.51.100.9", &to.sin_addr);
  for (int i = 0; i < 20; i++) sent += sendto(fd, bytes, PAYLOAD, 0, (void *)&to, sizeof to) > 0;
  usleep(100000);
  for (int i = 0; i < 3; i++) taken += read(tap, bytes, sizeof bytes) > 0;
  close(fd);
  tell("tun", -1, "\"skbs\": %d", sent - taken);
}

static unsigned sum(const void *data, size_t length, unsigned total) {
  const unsigned char *byte = data;
  for (size_t i = 0; i < length; i++) total += i % 2 ? byte[i] : (unsigned)byte[i] << 8;
  return total;
}

static unsigned short folded(unsigned total) {
  while (total >> 16) total = (total & 0xffff) + (total >> 16);
  return htons((unsigned short)~total);
}

// A segment in the middle of a connection, without PSH, which would end the waiting.
static int write_segment(int tap, int port, int index) {
  static struct __attribute__((packed)) {
    struct ether_header ether;
    struct iphdr ip;
    struct tcphdr tcp;
    char payload[PAYLOAD];
  } frame;
  const size_t length = sizeof frame.tcp + PAYLOAD;
  frame.ether.ether_type = htons(ETHERTYPE_IP);
  frame.ip = (struct iphdr){.version = 4,
                            .ihl = 5,
                            .tot_len = htons((unsigned short)(sizeof frame.ip + length)),
                            .frag_off = htons(IP_DF),
                            .ttl = 64,
                            .protocol = IPPROTO_TCP};
  inet_pton(AF_INET, "198.51.100.9", &frame.ip.saddr);
  inet_pton(AF_INET, "198.51.100.1", &frame.ip.daddr);
  frame.ip.check = folded(sum(&frame.ip, sizeof frame.ip, 0));
  frame.tcp = (struct tcphdr){.source = htons((unsigned short)port),
                              .dest = htons(9),
                              .seq = htonl((unsigned)(1 + index * PAYLOAD)),
                              .ack_seq = htonl(1),
                              .doff = 5,
                              .ack = 1,
                              .window = htons(1000)};
  unsigned total = sum(&frame.ip.saddr, 8, IPPROTO_TCP + (unsigned)length);
  frame.tcp.check = folded(sum(&frame.tcp, length, total));
  return write(tap, &frame, sizeof frame) == sizeof frame;
}

// Whether any segment from this port has been received.
static int came_through(int watcher, int port) {
  char frame[2000];
  int found = 0;
  usleep(50000);
  for (ssize_t length; (length = recv(watcher, frame, sizeof frame, MSG_DONTWAIT)) > 0;) {
    struct iphdr *ip = (void *)(frame + sizeof(struct ether_header));
    struct tcphdr *tcp = (void *)(ip + 1);
    if (length > 54 && ip->protocol == IPPROTO_TCP) found |= ntohs(tcp->source) == port;
  }
  return found;
}

// They wait until the timer ends if all come within one jiffy: it takes some tries.
static void fill_gro(int tap) {
  const int segments = 3;
  FILE *timeout = fopen("/sys/class/net/" TAP "/gro_flush_timeout", "w");
  int watcher = socket(AF_PACKET, SOCK_RAW, htons(ETH_P_IP));
  struct sockaddr_ll on = {.sll_family = AF_PACKET,
                           .sll_protocol = htons(ETH_P_IP),
                           .sll_ifindex = (int)if_nametoindex(TAP)};
  if (timeout == NULL || fprintf(timeout, "3600000000000\n") < 0 || fclose(timeout) != 0 ||
      bind(watcher, (void *)&on, sizeof on) != 0) {
    missing("GRO that waits");
    return;
  }
  for (int port = 10000; port < 10100; port += 2) {
    int written = 0;
    for (int i = 0; i < segments; i++) {
      written += write_segment(tap, port, i) + write_segment(tap, port + 1, i);
    }
    if (written == 2 * segments && !came_through(watcher, port) && !came_through(watcher, port + 1)) {
      tell("gro", -1, "\"skbs\": 2, \"segments\": %d", written);
      close(watcher);
      return;
    }
  }
  errno = ETIMEDOUT;
  missing("GRO that waits");
}

void tap(void) {
  int fd = open_tap();
  if (fd < 0) {
    missing("tap device");
    return;
  }
  fill_ring(fd);
  fill_gro(fd);
}
