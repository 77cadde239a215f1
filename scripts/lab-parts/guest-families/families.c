// Sockets of the rarer families, each with something in the queue that only its family has. Stays
// alive with all of them open; what is known of each is printed as JSON, one object a line.
#include "families.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <linux/if_xdp.h>
#include <linux/tls.h>
#include <linux/vm_sockets.h>
#include <net/if.h>
#include <netinet/tcp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#ifndef IPPROTO_MPTCP
#define IPPROTO_MPTCP 262
#endif
#ifndef SOL_TLS
#define SOL_TLS 282
#endif
#ifndef SOL_XDP
#define SOL_XDP 283
#endif
#ifndef TCP_ULP
#define TCP_ULP 31
#endif

void tell(const char *role, int fd, const char *format, ...) {
  va_list values;
  va_start(values, format);
  printf("{\"role\": \"%s\", \"pid\": %d, \"fd\": %d", role, getpid(), fd);
  if (*format != '\0') printf(", ");
  vprintf(format, values);
  printf("}\n");
  va_end(values);
}

void missing(const char *role) {
  fprintf(stderr, "families: no %s: %s\n", role, strerror(errno));
}

void set(const char *name, long value) {
  char path[128];
  snprintf(path, sizeof path, "/proc/sys/net/%s", name);
  FILE *file = fopen(path, "w");
  if (file == NULL || fprintf(file, "%ld\n", value) < 0 || fclose(file) != 0) missing(name);
}

static int packet_socket(void) {
  int fd = socket(AF_PACKET, SOCK_RAW, htons(ETH_P_ALL));
  struct sockaddr_ll lo = {.sll_family = AF_PACKET,
                           .sll_protocol = htons(ETH_P_ALL),
                           .sll_ifindex = (int)if_nametoindex("lo")};
  if (fd < 0 || bind(fd, (struct sockaddr *)&lo, sizeof lo) != 0) {
    perror("families: AF_PACKET");
    exit(1);
  }
  return fd;
}

static void ring(int fd, int which, unsigned block, unsigned blocks, unsigned frame) {
  struct tpacket_req request = {.tp_block_size = block,
                                .tp_block_nr = blocks,
                                .tp_frame_size = frame,
                                .tp_frame_nr = block / frame * blocks};
  if (setsockopt(fd, SOL_PACKET, which, &request, sizeof request) != 0) {
    perror("families: PACKET ring");
    exit(1);
  }
}

static void packet_rings(void) {
  int rx = packet_socket();
  ring(rx, PACKET_RX_RING, 65536, 16, 2048);
  tell("packet-ring", rx, "\"rxBlocks\": 16, \"rxBlockBytes\": 65536, \"txBlocks\": 0");

  int both = packet_socket();
  ring(both, PACKET_RX_RING, 4096, 32, 2048);
  ring(both, PACKET_TX_RING, 32768, 4, 2048);
  if (mmap(NULL, 32 * 4096 + 4 * 32768, PROT_READ, MAP_SHARED, both, 0) == MAP_FAILED) {
    missing("mapping of a ring");
  }
  tell("packet-mapped", both,
       "\"rxBlocks\": 32, \"rxBlockBytes\": 4096, \"txBlocks\": 4, \"txBlockBytes\": 32768");
}

struct sockaddr_in loopback(int port) {
  return (struct sockaddr_in){.sin_family = AF_INET,
                              .sin_port = htons((unsigned short)port),
                              .sin_addr = {htonl(INADDR_LOOPBACK)}};
}

int connected(int protocol, int port, int *server, int *client) {
  struct sockaddr_in at = loopback(port);
  int one = 1, listener = socket(AF_INET, SOCK_STREAM, protocol);
  if (listener < 0) return 0;
  setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
  *client = socket(AF_INET, SOCK_STREAM, protocol);
  if (bind(listener, (struct sockaddr *)&at, sizeof at) != 0 || listen(listener, 4) != 0 ||
      connect(*client, (struct sockaddr *)&at, sizeof at) != 0) {
    return 0;
  }
  *server = accept(listener, NULL, NULL);
  close(listener);
  return *server >= 0;
}

long stuff(int fd, size_t piece) {
  static char bytes[65536];
  long sent = 0;
  fcntl(fd, F_SETFL, O_NONBLOCK);
  // What was in the way may still be going out: several tries without success end it.
  for (int idle = 0; idle < 20;) {
    ssize_t more = send(fd, bytes, piece, MSG_NOSIGNAL);
    if (more > 0) {
      sent += more;
      idle = 0;
    } else {
      idle++;
      usleep(20000);
    }
  }
  return sent;
}

static void mptcp(void) {
  int server, client;
  char bytes[1000] = {0};
  if (!connected(IPPROTO_MPTCP, 9101, &server, &client)) {
    missing("MPTCP");
    return;
  }
  for (int i = 0; i < 50; i++) send(client, bytes, sizeof bytes, 0);
  usleep(200000);
  ssize_t consumed = recv(server, bytes, 10, 0);
  tell("mptcp-reader", server, "\"unread\": %ld", 50000 - (long)consumed);
  tell("mptcp-sender", client, "\"sent\": 50000");

  if (!connected(IPPROTO_MPTCP, 9102, &server, &client)) return;
  long sent = stuff(client, 4000);
  tell("mptcp-stuffed-reader", server, "\"sent\": %ld", sent);
  tell("mptcp-stuffed-sender", client, "\"sent\": %ld", sent);
}

static int tls_on(int fd, int direction) {
  struct tls12_crypto_info_aes_gcm_128 keys = {
      .info = {.version = TLS_1_2_VERSION, .cipher_type = TLS_CIPHER_AES_GCM_128}};
  return setsockopt(fd, SOL_TLS, direction, &keys, sizeof keys);
}

static int tls_pair(int port, int *server, int *client) {
  if (!connected(IPPROTO_TCP, port, server, client)) return 0;
  return setsockopt(*server, IPPROTO_TCP, TCP_ULP, "tls", 4) == 0 &&
         setsockopt(*client, IPPROTO_TCP, TCP_ULP, "tls", 4) == 0 && tls_on(*server, TLS_RX) == 0 &&
         tls_on(*client, TLS_TX) == 0;
}

static void tls(void) {
  int server, client;
  char bytes[8000] = {0};
  if (!tls_pair(9103, &server, &client)) {
    missing("kTLS");
    return;
  }
  for (int i = 0; i < 20; i++) send(client, bytes, 1000, 0);
  usleep(200000);
  // Looking decrypts: the records wait in the list of those decrypted.
  ssize_t seen = recv(server, bytes, 8000, MSG_PEEK);
  send(client, bytes, 700, MSG_MORE);
  tell("tls-reader", server, "\"seen\": %ld", (long)seen);
  tell("tls-sender", client, "\"open\": 700");
}

static void vsock(void) {
  struct sockaddr_vm at = {.svm_family = AF_VSOCK, .svm_cid = 1, .svm_port = 9104};
  char bytes[3000] = {0};
  int listener = socket(AF_VSOCK, SOCK_STREAM, 0), client = socket(AF_VSOCK, SOCK_STREAM, 0);
  if (listener < 0 || client < 0 || bind(listener, (struct sockaddr *)&at, sizeof at) != 0 ||
      listen(listener, 4) != 0 || connect(client, (struct sockaddr *)&at, sizeof at) != 0) {
    missing("AF_VSOCK");
    return;
  }
  int server = accept(listener, NULL, NULL);
  for (int i = 0; i < 30; i++) send(client, bytes, i % 2 ? 3000 : 500, 0);
  usleep(100000);
  tell("vsock-reader", server, "\"unread\": 52500");
}

// A page of hugetlb, of which the kernel may have given back most of what describes it (HVO).
static void xdp_huge(void) {
  int fd = socket(AF_XDP, SOCK_RAW, 0);
  const size_t length = 2 << 20;
  char *area = mmap(NULL, length, PROT_READ | PROT_WRITE,
                    MAP_PRIVATE | MAP_ANONYMOUS | MAP_HUGETLB, -1, 0);
  if (area == MAP_FAILED) {
    missing("page of hugetlb");
    return;
  }
  memset(area, 1, length);
  struct xdp_umem_reg umem = {
      .addr = (unsigned long)area, .len = length, .chunk_size = 4096, .headroom = 0};
  if (fd < 0 || setsockopt(fd, SOL_XDP, XDP_UMEM_REG, &umem, sizeof umem) != 0) {
    missing("AF_XDP of hugetlb");
    return;
  }
  tell("xdp-huge", fd, "\"umemBytes\": %zu", length);
}

// Two of a socket that is bound to lo, and its umem's two; of another that is not bound one to come.
static void xdp_rings(int fd) {
  const int names[] = {XDP_RX_RING, XDP_TX_RING, XDP_UMEM_FILL_RING, XDP_UMEM_COMPLETION_RING};
  int entries = 512, unbound = socket(AF_XDP, SOCK_RAW, 0);
  struct sockaddr_xdp lo = {.sxdp_family = AF_XDP,
                            .sxdp_flags = XDP_COPY,
                            .sxdp_ifindex = if_nametoindex("lo")};
  for (int i = 0; i < 4; i++, entries *= 2) {
    if (setsockopt(fd, SOL_XDP, names[i], &entries, sizeof entries) != 0) missing("ring of AF_XDP");
  }
  if (bind(fd, (struct sockaddr *)&lo, sizeof lo) != 0) missing("AF_XDP on lo");
  if (setsockopt(unbound, SOL_XDP, XDP_UMEM_FILL_RING, &entries, sizeof entries) != 0) {
    missing("ring of AF_XDP");
  }
  tell("xdp-rings", unbound, "\"rings\": 5");
}

static void xdp(void) {
  int fd = socket(AF_XDP, SOCK_RAW, 0);
  const size_t length = 64 * 4096;
  char *area = mmap(NULL, length, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  memset(area, 1, length);
  struct xdp_umem_reg umem = {
      .addr = (unsigned long)area, .len = length, .chunk_size = 4096, .headroom = 0};
  if (fd < 0 || setsockopt(fd, SOL_XDP, XDP_UMEM_REG, &umem, sizeof umem) != 0) {
    missing("AF_XDP");
    return;
  }
  xdp_rings(fd);
  tell("xdp", fd, "\"umemPages\": 64");
}

int main(void) {
  // First: it changes the MTU of lo for a moment.
  multicast();
  packet_rings();
  mptcp();
  tls();
  vsock();
  xdp();
  xdp_huge();
  udplite();
  l2tp();
  alg();
  sockmap();
  sctp();
  held();
  fragments();
  neighbours();
  tap();
  tell("end", -1, "");
  fflush(stdout);
  for (;;) pause();
}
