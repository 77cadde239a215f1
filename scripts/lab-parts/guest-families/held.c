// Sockets that a reader holds: it sleeps in the fault of a page that never comes, right in the middle of
// taking data (userfaultfd). What arrives meanwhile goes to backlogs.
#include "families.h"

#include <fcntl.h>
#include <linux/userfaultfd.h>
#include <pthread.h>
#include <stdio.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#ifndef IPPROTO_MPTCP
#define IPPROTO_MPTCP 262
#endif

#define PAGE 4096

static void *never;

static void *take(void *server) {
  recv(*(int *)server, never, 10, 0);
  return NULL;
}

static int make_page_that_never_comes(void) {
  struct uffdio_api api = {.api = UFFD_API};
  int faults = (int)syscall(SYS_userfaultfd, O_CLOEXEC);
  never = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  struct uffdio_register range = {.range = {.start = (unsigned long)never, .len = PAGE},
                                  .mode = UFFDIO_REGISTER_MODE_MISSING};
  return faults >= 0 && ioctl(faults, UFFDIO_API, &api) == 0 &&
         ioctl(faults, UFFDIO_REGISTER, &range) == 0;
}

static void held_one(const char *role, int protocol, int port) {
  static char bytes[1000];
  static int servers[2], used;
  int client, *server = &servers[used++];
  pthread_t thread;
  if (!connected(protocol, port, server, &client)) {
    missing(role);
    return;
  }
  send(client, bytes, 100, 0);
  usleep(100000);
  pthread_create(&thread, NULL, take, server);
  usleep(100000);
  for (int i = 0; i < 20; i++) send(client, bytes, sizeof bytes, 0);
  usleep(200000);
  tell(role, *server, "\"unread\": 20100");
}

void held(void) {
  if (!make_page_that_never_comes()) {
    missing("userfaultfd");
    return;
  }
  held_one("tcp-held", 0, 9114);
  held_one("mptcp-held", IPPROTO_MPTCP, 9115);
}
