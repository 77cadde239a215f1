#define _GNU_SOURCE
#include "net.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "table.h"

union address {
	struct sockaddr any;
	struct sockaddr_in v4;
	struct sockaddr_in6 v6;
};

static socklen_t loopback(union address *address, int family, uint16_t port)
{
	memset(address, 0, sizeof(*address));
	address->any.sa_family = family;
	if (family == AF_INET6) {
		address->v6.sin6_addr = in6addr_loopback;
		address->v6.sin6_port = htons(port);
		return sizeof(address->v6);
	}
	address->v4.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	address->v4.sin_port = htons(port);
	return sizeof(address->v4);
}

int tcp_listen(int family, uint16_t port, int backlog)
{
	union address address;
	socklen_t length = loopback(&address, family, port);
	int fd = must(socket(family, SOCK_STREAM, 0), "socket"), one = 1;

	/* A given port is one that the machine outside forwards to. */
	if (port != 0 && family == AF_INET)
		address.v4.sin_addr.s_addr = htonl(INADDR_ANY);
	must(setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one)), "SO_REUSEADDR");
	must(bind(fd, &address.any, length), "bind");
	must(listen(fd, backlog), "listen");
	return fd;
}

int tcp_connect(int family, uint16_t port)
{
	union address address;
	socklen_t length = loopback(&address, family, port);
	int fd = must(socket(family, SOCK_STREAM, 0), "socket"), one = 1;

	must(connect(fd, &address.any, length), "connect");
	must(setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one)), "TCP_NODELAY");
	return fd;
}

uint16_t port_of(int fd)
{
	union address address;
	socklen_t length = sizeof(address);

	must(getsockname(fd, &address.any, &length), "getsockname");
	return ntohs(address.any.sa_family == AF_INET6 ? address.v6.sin6_port
						       : address.v4.sin_port);
}

struct pair tcp_pair(int family)
{
	int listener = tcp_listen(family, 0, 1);
	struct pair pair = { .writer = tcp_connect(family, port_of(listener)) };

	pair.reader = must(accept(listener, NULL, NULL), "accept");
	close(listener);
	return pair;
}

struct pair udp_pair(void)
{
	union address address;
	socklen_t length = loopback(&address, AF_INET, 0);
	struct pair pair = {
		.reader = must(socket(AF_INET, SOCK_DGRAM, 0), "socket"),
		.writer = must(socket(AF_INET, SOCK_DGRAM, 0), "socket"),
	};

	must(bind(pair.reader, &address.any, length), "bind");
	must(bind(pair.writer, &address.any, length), "bind");
	loopback(&address, AF_INET, port_of(pair.reader));
	must(connect(pair.writer, &address.any, length), "connect");
	return pair;
}

struct pair unix_pair(int type)
{
	int fds[2];

	must(socketpair(AF_UNIX, type, 0, fds), "socketpair");
	return (struct pair){ fds[0], fds[1] };
}

void send_messages(int fd, int count, size_t size)
{
	static char bytes[1 << 17];

	if (size > sizeof(bytes))
		fail("a message is too large");
	memset(bytes, 'm', size);
	for (int i = 0; i < count; i++)
		if (send(fd, bytes, size, MSG_NOSIGNAL) != (ssize_t)size)
			fail("send");
}

long send_until_full(int fd, size_t size)
{
	static char bytes[1 << 16];
	long total = 0;

	memset(bytes, 's', sizeof(bytes));
	for (int refused = 0; refused < 20;) {
		ssize_t taken = send(fd, bytes, size, MSG_NOSIGNAL | MSG_DONTWAIT);

		if (taken > 0) {
			total += taken;
			refused = 0;
		} else if (errno == EAGAIN) {
			refused++;
			usleep(10000);
		} else {
			fail("send");
		}
	}
	return total;
}

void wait_unread(int fd, int bytes)
{
	for (int tries = 0; tries < 500; tries++) {
		int unread = 0;

		must(ioctl(fd, FIONREAD, &unread), "FIONREAD");
		if (unread >= bytes)
			return;
		usleep(10000);
	}
	fail("the bytes sent did not arrive");
}

int settled_unread(int fd)
{
	int unread = -1, still = 0;

	for (int tries = 0; tries < 500 && still < 30; tries++) {
		int now = 0;

		must(ioctl(fd, FIONREAD, &now), "FIONREAD");
		still = now == unread ? still + 1 : 0;
		unread = now;
		usleep(10000);
	}
	return unread;
}
