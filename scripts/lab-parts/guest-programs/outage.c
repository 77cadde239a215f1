/*
 * `outage KIND AMOUNT [NAME]`: what goes wrong in production, and what only looks like it, in processes named after
 * their work. AMOUNT is in bytes, or a count. Prints "ready" and waits until it is killed.
 *
 *   tcp BYTES        shipper sends to log-collector, which has accepted and does not read
 *   udp BYTES        statsd-client sends datagrams of 32 bytes to four sockets of metricsd, which does not read;
 *                    BYTES is what the kernel charges for them
 *   unix BYTES       desktop-app sends to session-bus, which does not read
 *   idle COUNT       a web server with so many open connections, all empty
 *   pipes COUNT      supervisor starts so many workers, and does not read their output, 1 MiB each
 *   postgres COUNT   so many processes, each of which has read all of 100 MiB of shared memory
 *   memfd BYTES NAME an unmapped file in memory
 *   anon BYTES NAME  anonymous memory
 *   threads COUNT NAME
 *   lookups COUNT    names that do not exist: the kernel remembers each of them
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <linux/sock_diag.h>
#include <netinet/in.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

static char data[1 << 16];
static int done[2];

static long must(long result, const char *what)
{
	if (result < 0) {
		perror(what);
		exit(1);
	}
	return result;
}

static void stay(void)
{
	for (;;)
		pause();
}

static void named(const char *name)
{
	prctl(PR_SET_NAME, name);
}

static void *memory(size_t bytes, int flags)
{
	void *at = mmap(NULL, bytes, PROT_READ | PROT_WRITE, flags | MAP_ANONYMOUS, -1, 0);

	if (at == MAP_FAILED)
		must(-1, "mmap");
	return at;
}

/* A child tells that it is ready. */
static void tell(void)
{
	must(write(done[1], "x", 1), "write");
}

static void await(size_t count)
{
	char byte;

	while (count-- > 0)
		if (read(done[0], &byte, 1) != 1)
			exit(1);
}

static int bound(int type, int room, struct sockaddr_in *to)
{
	socklen_t length = sizeof *to;
	int fd = must(socket(AF_INET, type, 0), "socket");

	if (room)
		must(setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &room, sizeof room), "SO_RCVBUFFORCE");
	*to = (struct sockaddr_in){ .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	must(bind(fd, (void *)to, length), "bind");
	must(getsockname(fd, (void *)to, &length), "getsockname");
	return fd;
}

static int connected(int type, const struct sockaddr_in *to)
{
	int fd = must(socket(AF_INET, type, 0), "socket");

	must(connect(fd, (void *)to, sizeof *to), "connect");
	return fd;
}

/* Sends until so much is sent, or nothing more fits for half a second. */
static void fill(int fd, size_t bytes)
{
	for (int failed = 0; bytes > 0 && failed < 50;) {
		ssize_t sent = send(fd, data, bytes < sizeof data ? bytes : sizeof data, MSG_DONTWAIT);

		if (sent <= 0) {
			failed++;
			usleep(10000);
			continue;
		}
		bytes -= sent;
	}
}

static void tcp(size_t bytes)
{
	struct sockaddr_in to;
	int listener = bound(SOCK_STREAM, bytes, &to);

	must(listen(listener, 8), "listen");
	if (must(fork(), "fork") == 0) {
		named("log-collector");
		must(accept(listener, NULL, NULL), "accept");
		tell();
		stay();
	}
	close(listener);
	named("shipper");
	int fd = connected(SOCK_STREAM, &to);
	await(1);
	fill(fd, bytes);
}

static void udp(size_t bytes)
{
	struct sockaddr_in to[4];
	int readers[4];

	for (int i = 0; i < 4; i++)
		readers[i] = bound(SOCK_DGRAM, bytes / 8, &to[i]);
	if (must(fork(), "fork") == 0) {
		named("metricsd");
		tell();
		stay();
	}
	await(1);
	named("statsd-client");
	for (int i = 0; i < 4; i++) {
		int fd = connected(SOCK_DGRAM, &to[i]);

		for (unsigned before = 0, now = 1; now > before;) {
			unsigned figures[SK_MEMINFO_VARS];
			socklen_t size = sizeof figures;

			before = now;
			for (int sent = 0; sent < 64; sent++)
				send(fd, data, 32, MSG_DONTWAIT);
			must(getsockopt(readers[i], SOL_SOCKET, SO_MEMINFO, figures, &size), "SO_MEMINFO");
			now = figures[SK_MEMINFO_RMEM_ALLOC];
		}
		close(readers[i]);
	}
}

static void unix_socket(size_t bytes)
{
	int pair[2], room = bytes;

	must(socketpair(AF_UNIX, SOCK_STREAM, 0, pair), "socketpair");
	must(setsockopt(pair[0], SOL_SOCKET, SO_SNDBUFFORCE, &room, sizeof room), "SO_SNDBUFFORCE");
	if (must(fork(), "fork") == 0) {
		named("session-bus");
		close(pair[0]);
		tell();
		stay();
	}
	await(1);
	named("desktop-app");
	close(pair[1]);
	fill(pair[0], bytes);
}

static void idle(size_t count)
{
	struct sockaddr_in to;
	int listener = bound(SOCK_STREAM, 0, &to);

	named("web");
	must(listen(listener, 128), "listen");
	while (count-- > 0) {
		connected(SOCK_STREAM, &to);
		must(accept(listener, NULL, NULL), "accept");
	}
}

static void pipes(size_t count)
{
	named("supervisor");
	for (size_t i = 0; i < count; i++) {
		int pair[2];

		must(pipe(pair), "pipe");
		must(fcntl(pair[1], F_SETPIPE_SZ, 1 << 20), "F_SETPIPE_SZ");
		if (must(fork(), "fork") == 0) {
			/* Its parent's other pipes were inherited, as by every program without O_CLOEXEC. */
			named("worker");
			close(pair[0]);
			for (size_t sent = 0; sent < 1 << 20; sent += sizeof data)
				must(write(pair[1], data, sizeof data), "write");
			tell();
			for (;;)
				must(write(pair[1], data, sizeof data), "write");
		}
		close(pair[1]);
	}
	await(count);
}

#define SHARED (100UL << 20)

static void postgres(size_t count)
{
	char *at = memory(SHARED, MAP_SHARED);

	named("postgres");
	memset(at, 1, SHARED);
	for (size_t i = 0; i < count; i++)
		if (must(fork(), "fork") == 0) {
			for (size_t page = 0; page < SHARED; page += 4096)
				(void)((volatile char *)at)[page];
			tell();
			stay();
		}
	await(count);
}

static void *forever(void *unused)
{
	stay();
	return unused;
}

static void threads(size_t count)
{
	pthread_attr_t small;
	pthread_t thread;

	pthread_attr_init(&small);
	pthread_attr_setstacksize(&small, 64 << 10);
	for (size_t i = 0; i < count; i++)
		must(-pthread_create(&thread, &small, forever, NULL), "pthread_create");
}

static void lookups(size_t count)
{
	char path[64];
	struct stat found;

	named("updatedb");
	while (count-- > 0) {
		snprintf(path, sizeof path, "/dev/shm/no-such-name-%zu", count);
		stat(path, &found);
	}
}

int main(int count, char **words)
{
	struct rlimit most = { 1 << 16, 1 << 16 };

	if (count < 3)
		return 2;
	const char *kind = words[1];
	size_t amount = strtoull(words[2], NULL, 10);

	setrlimit(RLIMIT_NOFILE, &most);
	must(pipe(done), "pipe");
	memset(data, 'x', sizeof data);
	if (count > 3)
		named(words[3]);
	if (!strcmp(kind, "tcp"))
		tcp(amount);
	else if (!strcmp(kind, "udp"))
		udp(amount);
	else if (!strcmp(kind, "unix"))
		unix_socket(amount);
	else if (!strcmp(kind, "idle"))
		idle(amount);
	else if (!strcmp(kind, "pipes"))
		pipes(amount);
	else if (!strcmp(kind, "postgres"))
		postgres(amount);
	else if (!strcmp(kind, "memfd"))
		must(-posix_fallocate(must(memfd_create("frames", 0), "memfd_create"), 0, amount), "fallocate");
	else if (!strcmp(kind, "anon"))
		memset(memory(amount, MAP_PRIVATE), 1, amount);
	else if (!strcmp(kind, "threads"))
		threads(amount);
	else if (!strcmp(kind, "lookups"))
		lookups(amount);
	else
		return 2;
	puts("ready");
	fflush(stdout);
	stay();
}
