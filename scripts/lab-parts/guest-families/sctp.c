// SCTP: what has come and is not read, what is more than the peer takes, and a message in parts.
#include "families.h"

#include <stdio.h>
#include <sys/socket.h>
#include <unistd.h>

#ifndef IPPROTO_SCTP
#define IPPROTO_SCTP 132
#endif

void sctp(void) {
  static char bytes[65536];
  int server, client;
  if (!connected(IPPROTO_SCTP, 9111, &server, &client)) {
    missing("SCTP");
    return;
  }
  for (int i = 0; i < 20; i++) send(client, bytes, 1000, 0);
  usleep(200000);
  tell("sctp-reader", server, "\"unread\": 20000");

  if (!connected(IPPROTO_SCTP, 9112, &server, &client)) return;
  long sent = stuff(client, 3000);
  tell("sctp-stuffed-reader", server, "\"sent\": %ld", sent);
  tell("sctp-stuffed-sender", client, "\"sent\": %ld", sent);

  // Fragments of one message, until the reader's window is full.
  if (!connected(IPPROTO_SCTP, 9113, &server, &client)) return;
  int fragment = 1200, whole = (int)sizeof bytes;
  setsockopt(client, IPPROTO_SCTP, 13 /* SCTP_MAXSEG */, &fragment, sizeof fragment);
  setsockopt(client, SOL_SOCKET, SO_SNDBUF, &whole, sizeof whole);
  setsockopt(server, SOL_SOCKET, SO_RCVBUF, &fragment, sizeof fragment);
  sent = send(client, bytes, sizeof bytes, MSG_DONTWAIT | MSG_NOSIGNAL);
  usleep(500000);
  tell("sctp-part-reader", server, "\"sent\": %ld", sent);
  tell("sctp-part-sender", client, "\"sent\": %ld", sent);
}
