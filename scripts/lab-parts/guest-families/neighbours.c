// Datagrams to neighbours that never say what their address is, on a link of nobody but us.
#include "families.h"

#include <arpa/inet.h>
#include <linux/ipv6.h>
#include <net/if.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#define LINK "dummy0"

static int link_up(void) {
  int four = socket(AF_INET, SOCK_DGRAM, 0), six = socket(AF_INET6, SOCK_DGRAM, 0);
  struct ifreq link = {.ifr_name = LINK};
  // It would send without asking for addresses: IFF_NOARP.
  link.ifr_flags = IFF_UP | IFF_BROADCAST;
  if (ioctl(four, SIOCSIFFLAGS, &link) != 0) return 0;
  // A neighbour that is asked and does not answer is given up after some tries.
  set("ipv4/neigh/" LINK "/retrans_time_ms", 3600000);
  set("ipv6/neigh/" LINK "/retrans_time_ms", 3600000);
  set("ipv6/conf/" LINK "/accept_dad", 0);
  struct sockaddr_in *address = (void *)&link.ifr_addr;
  *address = (struct sockaddr_in){.sin_family = AF_INET, .sin_addr = {htonl(0xc0000201)}};
  if (ioctl(four, SIOCSIFADDR, &link) != 0) return 0;
  struct in6_ifreq own = {.ifr6_prefixlen = 64, .ifr6_ifindex = (int)if_nametoindex(LINK)};
  inet_pton(AF_INET6, "2001:db8::1", &own.ifr6_addr);
  int done = ioctl(six, SIOCSIFADDR, &own) == 0;
  close(four);
  close(six);
  return done;
}

// Three datagrams to each of five.
static void ask(const char *role, const char *format, int family) {
  static char bytes[1400];
  int sent = 0, fd = socket(family, SOCK_DGRAM, 0);
  for (int i = 0; i < 15; i++) {
    struct sockaddr_in four = {.sin_family = AF_INET, .sin_port = htons(9)};
    struct sockaddr_in6 six = {.sin6_family = AF_INET6, .sin6_port = htons(9)};
    char name[INET6_ADDRSTRLEN];
    snprintf(name, sizeof name, format, 10 + i % 5);
    if (family == AF_INET) {
      inet_pton(family, name, &four.sin_addr);
      sent += sendto(fd, bytes, sizeof bytes, 0, (void *)&four, sizeof four) > 0;
    } else {
      inet_pton(family, name, &six.sin6_addr);
      sent += sendto(fd, bytes, sizeof bytes, 0, (void *)&six, sizeof six) > 0;
    }
  }
  if (sent < 15) missing(role);
  tell(role, fd, "\"skbs\": %d", sent);
}

void neighbours(void) {
  if (!link_up()) {
    missing("link " LINK);
    return;
  }
  ask("neighbours-v4", "192.0.2.%d", AF_INET);
  ask("neighbours-v6", "2001:db8::%d", AF_INET6);
}
