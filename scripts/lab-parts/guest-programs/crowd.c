/*
 * `crowd`: many sockets with many skbs that nobody reads, in several processes; prints how many
 * sockets and messages, when all are at rest, and keeps them until it is killed.
 */
#define _GNU_SOURCE
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#ifndef SO_RCVBUFFORCE
#define SO_RCVBUFFORCE 33
#define SO_SNDBUFFORCE 32
#endif

#define PROCESSES 10

static int must(int result, const char *what)
{
	if (result < 0) {
		perror(what);
		exit(1);
	}
	return result;
}

static void deep(int fd)
{
	int bytes = 64 << 20;

	must(setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &bytes, sizeof(bytes)), "SO_RCVBUFFORCE");
	must(setsockopt(fd, SOL_SOCKET, SO_SNDBUFFORCE, &bytes, sizeof(bytes)), "SO_SNDBUFFORCE");
}

/* A socket bound to a free port of loopback. */
static int bound(int type, struct sockaddr_in *address)
{
	socklen_t length = sizeof(*address);
	int fd = must(socket(AF_INET, type, 0), "socket");

	deep(fd);
	*address = (struct sockaddr_in){ .sin_family = AF_INET,
					 .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	must(bind(fd, (struct sockaddr *)address, length), "bind");
	must(getsockname(fd, (struct sockaddr *)address, &length), "getsockname");
	return fd;
}

static int connected(int type, const struct sockaddr_in *address)
{
	int fd = must(socket(AF_INET, type, 0), "socket");

	deep(fd);
	must(connect(fd, (const struct sockaddr *)address, sizeof(*address)), "connect");
	return fd;
}

static void send_all(int fd, int count, size_t size)
{
	static char message[65536];

	for (int i = 0; i < count; i++)
		if (send(fd, message, size, MSG_DONTWAIT) != (ssize_t)size) {
			perror("send");
			exit(1);
		}
}

static void udp(int count, size_t size)
{
	struct sockaddr_in address;

	bound(SOCK_DGRAM, &address);
	send_all(connected(SOCK_DGRAM, &address), count, size);
}

static void local(int count, size_t size)
{
	int ends[2];

	must(socketpair(AF_UNIX, SOCK_STREAM, 0, ends), "socketpair");
	deep(ends[0]);
	send_all(ends[0], count, size);
}

static void tcp(int count, size_t size)
{
	struct sockaddr_in address;
	int listener = bound(SOCK_STREAM, &address), fd;

	must(listen(listener, 1), "listen");
	fd = connected(SOCK_STREAM, &address);
	must(accept(listener, NULL, NULL), "accept");
	close(listener);
	send_all(fd, count, size);
}

static void one_process(int number)
{
	char name[16];

	snprintf(name, sizeof(name), "crowd-%d", number);
	prctl(PR_SET_NAME, name);
	for (int i = 0; i < 30; i++)
		udp(500, 100);
	for (int i = 0; i < 5; i++)
		udp(200, 9000);
	for (int i = 0; i < 15; i++)
		local(400, 300);
	for (int i = 0; i < 15; i++)
		tcp(40, 20000);
}

int main(void)
{
	struct rlimit many = { 65536, 65536 };
	int done[2];
	char one;

	must(setrlimit(RLIMIT_NOFILE, &many), "RLIMIT_NOFILE");
	must(pipe(done), "pipe");
	for (int i = 0; i < PROCESSES; i++) {
		if (must(fork(), "fork") != 0)
			continue;
		one_process(i);
		must(write(done[1], "", 1), "write");
		close(done[1]);
		for (;;)
			pause();
	}
	close(done[1]);
	for (int i = 0; i < PROCESSES; i++)
		if (read(done[0], &one, 1) != 1) {
			fprintf(stderr, "crowd: a process ended before it was ready\n");
			return 1;
		}
	printf("%d sockets\n", PROCESSES * 2 * (30 + 5 + 15 + 15));
	return 0;
}
