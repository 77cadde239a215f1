/* Sockets in few words. Everything that goes wrong ends the process through fail(). */
#ifndef NET_H
#define NET_H

#include <stddef.h>
#include <stdint.h>

struct pair {
	int reader, writer;
};

int tcp_listen(int family, uint16_t port, int backlog);
int tcp_connect(int family, uint16_t port);

/* Two ends of one TCP connection over loopback. */
struct pair tcp_pair(int family);

/* Two UDP sockets on loopback, connected to each other. */
struct pair udp_pair(void);

struct pair unix_pair(int type);

/* Sends `count` messages of `size` bytes, each with one call. */
void send_messages(int fd, int count, size_t size);

/* Sends until the kernel takes no more; returns the bytes taken. */
long send_until_full(int fd, size_t size);

/* Waits until `fd` has `bytes` to read (FIONREAD). */
void wait_unread(int fd, int bytes);

/* How many bytes `fd` has to read once nothing more arrives. */
int settled_unread(int fd);

uint16_t port_of(int fd);

#endif
