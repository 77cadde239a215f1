// Datagrams that nobody reads: fragments that two sockets have in common, UDP-Lite's, L2TP's.
#include "families.h"

#include <linux/l2tp.h>
#include <net/if.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#ifndef IPPROTO_L2TP
#define IPPROTO_L2TP 115
#endif
#ifndef IPPROTO_UDPLITE
#define IPPROTO_UDPLITE 136
#endif

static void loopback_mtu(int fd, int mtu) {
  struct ifreq lo = {.ifr_name = "lo"};
  lo.ifr_mtu = mtu;
  if (ioctl(fd, SIOCSIFMTU, &lo) != 0) missing("other MTU of lo");
}

static int member(struct sockaddr_in *group) {
  int one = 1, fd = socket(AF_INET, SOCK_DGRAM, 0);
  struct ip_mreq join = {.imr_multiaddr = group->sin_addr, .imr_interface = {htonl(INADDR_LOOPBACK)}};
  setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
  if (bind(fd, (struct sockaddr *)group, sizeof *group) != 0 ||
      setsockopt(fd, IPPROTO_IP, IP_ADD_MEMBERSHIP, &join, sizeof join) != 0) {
    missing("multicast");
  }
  return fd;
}

// Both get a clone of each datagram, whose fragments hang in a frag_list that the clones share.
void multicast(void) {
  struct sockaddr_in group = loopback(9105);
  struct in_addr lo = {htonl(INADDR_LOOPBACK)};
  char bytes[8000] = {0};
  group.sin_addr.s_addr = htonl(0xefffff01);
  int first = member(&group), second = member(&group), sender = socket(AF_INET, SOCK_DGRAM, 0);
  setsockopt(sender, IPPROTO_IP, IP_MULTICAST_IF, &lo, sizeof lo);
  loopback_mtu(sender, 1500);
  for (int i = 0; i < 6; i++) sendto(sender, bytes, sizeof bytes, 0, (void *)&group, sizeof group);
  usleep(200000);
  loopback_mtu(sender, 65536);
  close(sender);
  tell("multicast-first", first, "\"least\": %d", 6 * 8000);
  tell("multicast-second", second, "\"least\": %d", 6 * 8000);
}

void udplite(void) {
  struct sockaddr_in at = loopback(9106);
  char bytes[700] = {0};
  int reader = socket(AF_INET, SOCK_DGRAM, IPPROTO_UDPLITE);
  int sender = socket(AF_INET, SOCK_DGRAM, IPPROTO_UDPLITE);
  if (reader < 0 || bind(reader, (struct sockaddr *)&at, sizeof at) != 0) {
    missing("UDP-Lite");
    return;
  }
  for (int i = 0; i < 40; i++) sendto(sender, bytes, sizeof bytes, 0, (void *)&at, sizeof at);
  usleep(100000);
  // Reading moves what waits to the reader's own queue.
  recv(reader, bytes, sizeof bytes, 0);
  for (int i = 0; i < 5; i++) sendto(sender, bytes, sizeof bytes, 0, (void *)&at, sizeof at);
  close(sender);
  tell("udplite", reader, "\"skbs\": 44, \"unread\": %d", 44 * 700);
}

static int l2tp_socket(unsigned connection) {
  struct sockaddr_l2tpip at = {.l2tp_family = AF_INET,
                               .l2tp_addr = {htonl(INADDR_LOOPBACK)},
                               .l2tp_conn_id = connection};
  int fd = socket(AF_INET, SOCK_DGRAM, IPPROTO_L2TP);
  return fd >= 0 && bind(fd, (struct sockaddr *)&at, sizeof at) == 0 ? fd : -1;
}

// Control messages of L2TPv3: they go to the socket of the connection that they name.
void l2tp(void) {
  struct sockaddr_l2tpip to = {.l2tp_family = AF_INET, .l2tp_addr = {htonl(INADDR_LOOPBACK)}};
  unsigned char bytes[500] = {0xc8, 3, 500 >> 8, 500 & 255, 0, 0, 0, 7};
  int reader = l2tp_socket(7), sender = l2tp_socket(8);
  if (reader < 0 || sender < 0) {
    missing("L2TP");
    return;
  }
  for (int i = 0; i < 10; i++) sendto(sender, bytes, sizeof bytes, 0, (void *)&to, sizeof to);
  usleep(100000);
  tell("l2tp", reader, "\"skbs\": 10");
}
