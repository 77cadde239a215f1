// What the files of this program have in common.
#ifndef FAMILIES_H
#define FAMILIES_H

#include <netinet/in.h>
#include <stddef.h>

// Says what is known of a socket: `"name": number` pairs after its name and descriptor.
void tell(const char *role, int fd, const char *format, ...);

// Says on stderr that this kernel lacks something, and why (errno).
void missing(const char *what);

// Writes a number to a file of /proc/sys/net.
void set(const char *name, long value);

// 127.0.0.1 and a port.
struct sockaddr_in loopback(int port);

// Two ends of a connection over loopback. 0: this kernel lacks the protocol.
int connected(int protocol, int port, int *server, int *client);

// Writes until nothing more is taken. Gives the bytes written.
long stuff(int fd, size_t piece);

void multicast(void);
void udplite(void);
void l2tp(void);
void alg(void);
void sockmap(void);
void sctp(void);
void held(void);
void fragments(void);
void neighbours(void);
void tap(void);

#endif
