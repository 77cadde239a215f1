// AF_ALG, which keeps what it is given in lists of pages of its own.
#include "families.h"

#include <linux/if_alg.h>
#include <string.h>
#include <sys/socket.h>

#ifndef SOL_ALG
#define SOL_ALG 279
#endif

// Bytes to be encrypted, which nobody asks for.
void alg(void) {
  struct sockaddr_alg cipher = {
      .salg_family = AF_ALG, .salg_type = "skcipher", .salg_name = "ctr(aes)"};
  static char bytes[60000];
  char control[CMSG_SPACE(4)] = {0}, key[16] = {0};
  struct iovec vector = {bytes, sizeof bytes};
  struct msghdr message = {.msg_iov = &vector,
                           .msg_iovlen = 1,
                           .msg_control = control,
                           .msg_controllen = sizeof control};
  struct cmsghdr *operation = CMSG_FIRSTHDR(&message);
  operation->cmsg_level = SOL_ALG;
  operation->cmsg_type = ALG_SET_OP;
  operation->cmsg_len = CMSG_LEN(4);
  *(unsigned *)CMSG_DATA(operation) = ALG_OP_ENCRYPT;
  int bound = socket(AF_ALG, SOCK_SEQPACKET, 0);
  if (bound < 0 || bind(bound, (struct sockaddr *)&cipher, sizeof cipher) != 0 ||
      setsockopt(bound, SOL_ALG, ALG_SET_KEY, key, sizeof key) != 0) {
    missing("AF_ALG");
    return;
  }
  int fd = accept(bound, NULL, NULL);
  long sent = sendmsg(fd, &message, MSG_MORE);
  if (sent < 0) missing("data for AF_ALG");
  tell("alg", fd, "\"sent\": %ld", sent);
  tell("alg-bound", bound, "\"sent\": 0");
}
