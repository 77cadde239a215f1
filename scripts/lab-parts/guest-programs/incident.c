/*
 * `incident KIND AMOUNT`: makes one memory problem of a known amount, prints "ready BYTES" and waits until it is
 * killed. AMOUNT is in bytes, or a count for kinds that have no size.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <linux/bpf.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <linux/sock_diag.h>
#include <netinet/in.h>
#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/inotify.h>
#include <sys/mman.h>
#include <sys/msg.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/shm.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#define PAGE 4096UL
#define TABLE (2UL << 20)

static char data[1 << 16];

static long must(long result, const char *what)
{
	if (result < 0) {
		perror(what);
		exit(1);
	}
	return result;
}

static void *pages(size_t bytes)
{
	void *at = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (at == MAP_FAILED)
		must(-1, "mmap");
	return at;
}

/* Writes until nothing more fits. */
static size_t fill(int fd, size_t most, size_t chunk)
{
	size_t sent = 0;
	must(fcntl(fd, F_SETFL, O_NONBLOCK), "O_NONBLOCK");
	while (sent < most) {
		ssize_t some = write(fd, data, most - sent < chunk ? most - sent : chunk);
		if (some <= 0)
			break;
		sent += some;
	}
	return sent;
}

/* The reader is a child, so that data is not of the process that wrote it. Returns the writer's end. */
static size_t streams(size_t bytes, size_t each)
{
	struct sockaddr_in to = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	socklen_t length = sizeof to;
	int listener = must(socket(AF_INET, SOCK_STREAM, 0), "socket");
	size_t sent = 0;
	must(bind(listener, (void *)&to, length), "bind");
	must(listen(listener, 128), "listen");
	must(getsockname(listener, (void *)&to, &length), "getsockname");
	while (sent < bytes) {
		int writer = must(socket(AF_INET, SOCK_STREAM, 0), "socket");
		must(connect(writer, (void *)&to, sizeof to), "connect");
		must(accept(listener, NULL, NULL), "accept");
		size_t some = fill(writer, each, sizeof data);
		if (some == 0)
			break;
		sent += some;
	}
	return sent;
}

static size_t backlog(size_t count)
{
	struct sockaddr_in to = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	socklen_t length = sizeof to;
	int listener = must(socket(AF_INET, SOCK_STREAM, 0), "socket");
	size_t sent = 0;
	must(bind(listener, (void *)&to, length), "bind");
	must(listen(listener, count), "listen");
	must(getsockname(listener, (void *)&to, &length), "getsockname");
	for (size_t i = 0; i < count; i++) {
		int writer = must(socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0), "socket");
		connect(writer, (void *)&to, sizeof to);
		sent += fill(writer, 1 << 16, 1 << 14);
	}
	return sent;
}

/* Returns what the kernel charges to the socket, which is more than the payload. */
static size_t datagrams(size_t bytes)
{
	struct sockaddr_in to = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	socklen_t length = sizeof to;
	int reader = must(socket(AF_INET, SOCK_DGRAM, 0), "socket");
	int writer = must(socket(AF_INET, SOCK_DGRAM, 0), "socket");
	int room = bytes / 2;
	must(setsockopt(reader, SOL_SOCKET, SO_RCVBUFFORCE, &room, sizeof room), "SO_RCVBUFFORCE");
	must(bind(reader, (void *)&to, length), "bind");
	must(getsockname(reader, (void *)&to, &length), "getsockname");
	must(connect(writer, (void *)&to, length), "connect");
	/* A datagram that finds no room is dropped without an error. */
	for (unsigned before = 0;;) {
		unsigned figures[SK_MEMINFO_VARS];
		socklen_t size = sizeof figures;
		if (send(writer, data, 4000, MSG_DONTWAIT) < 0)
			return before;
		must(getsockopt(reader, SOL_SOCKET, SO_MEMINFO, figures, &size), "SO_MEMINFO");
		if (figures[SK_MEMINFO_RMEM_ALLOC] <= before)
			return before;
		before = figures[SK_MEMINFO_RMEM_ALLOC];
	}
}

static size_t unix_sockets(size_t bytes, int type)
{
	int pair[2], room = 8 << 20;
	size_t sent = 0;
	while (sent < bytes) {
		must(socketpair(AF_UNIX, type, 0, pair), "socketpair");
		must(setsockopt(pair[0], SOL_SOCKET, SO_SNDBUFFORCE, &room, sizeof room), "SO_SNDBUFFORCE");
		sent += fill(pair[0], bytes - sent, 1 << 15);
	}
	return sent;
}

static size_t pipes(size_t bytes)
{
	int pair[2];
	size_t sent = 0;
	while (sent < bytes) {
		must(pipe(pair), "pipe");
		must(fcntl(pair[1], F_SETPIPE_SZ, 1 << 20), "F_SETPIPE_SZ");
		sent += fill(pair[1], 1 << 20, sizeof data);
	}
	return sent;
}

static size_t deleted(size_t bytes, const char *path)
{
	int fd = must(open(path, O_RDWR | O_CREAT | O_EXCL, 0600), path);
	must(unlink(path), "unlink");
	must(posix_fallocate(fd, 0, bytes) == 0 ? 0 : -1, "fallocate");
	return bytes;
}

/* No process has the file open: only its name keeps it. */
static size_t named(size_t bytes, const char *path)
{
	int fd = must(open(path, O_RDWR | O_CREAT | O_EXCL, 0600), path);
	must(posix_fallocate(fd, 0, bytes) == 0 ? 0 : -1, "fallocate");
	close(fd);
	return bytes;
}

static size_t memfd(size_t bytes)
{
	must(posix_fallocate(must(memfd_create("incident", 0), "memfd_create"), 0, bytes) == 0 ? 0 : -1, "fallocate");
	return bytes;
}

/* The segment is removed once nobody is attached: it ends with this process. */
static size_t segment(size_t bytes)
{
	int id = must(shmget(IPC_PRIVATE, bytes, IPC_CREAT | 0600), "shmget");
	char *at = shmat(id, NULL, 0);
	if (at == (void *)-1)
		must(-1, "shmat");
	memset(at, 1, bytes);
	must(shmctl(id, IPC_RMID, NULL), "IPC_RMID");
	return bytes;
}

static size_t tables(size_t bytes)
{
	size_t count = bytes / PAGE;
	volatile char *at = pages(count * TABLE);
	madvise((void *)at, count * TABLE, MADV_NOHUGEPAGE);
	/* Reading maps the zero page: a table costs nothing else. */
	for (size_t i = 0; i < count; i++)
		(void)at[i * TABLE];
	return bytes;
}

static void *wait_forever(void *unused)
{
	for (;;)
		pause();
	return unused;
}

static size_t threads(size_t count)
{
	pthread_attr_t small;
	pthread_t thread;
	pthread_attr_init(&small);
	pthread_attr_setstacksize(&small, 64 << 10);
	for (size_t i = 0; i < count; i++)
		must(-pthread_create(&thread, &small, wait_forever, NULL), "pthread_create");
	return count;
}

/* The parent of a vfork() is in state D until its child calls exec or exits. */
static void wait_for_vfork(void)
{
	if (vfork() == 0)
		for (;;)
			pause();
}

static size_t children(size_t count, int vforked)
{
	for (size_t i = 0; i < count; i++) {
		pid_t child = must(fork(), "fork");
		if (child != 0)
			continue;
		if (!vforked)
			_exit(0);
		wait_for_vfork();
	}
	usleep(100000);
	return count;
}

static size_t descriptors(size_t count)
{
	struct rlimit limit = { count, count };
	must(setrlimit(RLIMIT_NOFILE, &limit), "setrlimit");
	size_t opened = 0;
	while (eventfd(0, 0) >= 0)
		opened++;
	return opened;
}

static size_t watchers(size_t count)
{
	for (size_t i = 0; i < count; i++)
		must(inotify_init(), "inotify_init");
	return count;
}

static size_t unreclaimable(void)
{
	char text[8192];
	int fd = must(open("/proc/meminfo", O_RDONLY), "meminfo");
	ssize_t length = must(read(fd, text, sizeof text - 1), "meminfo");
	close(fd);
	text[length] = 0;
	const char *line = strstr(text, "SUnreclaim:");
	return line ? strtoull(line + 11, NULL, 10) << 10 : 0;
}

/*
 * System V messages, until the kernel counts so much more. Returns its count. The queues are gone with their namespace,
 * when this process ends.
 */
static size_t objects(size_t bytes)
{
	struct { long type; char text[4048]; } message = { .type = 1 };
	size_t before = unreclaimable(), now = before;
	must(unshare(CLONE_NEWIPC), "CLONE_NEWIPC");
	while (now < before + bytes) {
		for (int i = 0; i < 64; i++) {
			int queue = must(msgget(IPC_PRIVATE, IPC_CREAT | 0600), "msgget");
			while (msgsnd(queue, &message, sizeof message.text, IPC_NOWAIT) == 0)
				;
		}
		now = unreclaimable();
	}
	return now - before;
}

/* Keys of a user, who has a small limit. */
static size_t keys(size_t count)
{
	char name[32];
	must(setresuid(12345, 12345, 12345), "setresuid");
	for (size_t i = 0; i < count; i++) {
		snprintf(name, sizeof name, "incident:%zu", i);
		must(syscall(SYS_add_key, "user", name, "x", 1, -2 /* KEY_SPEC_PROCESS_KEYRING */), "add_key");
	}
	return count;
}

static size_t bpf_map(size_t bytes)
{
	union bpf_attr map = { .map_type = BPF_MAP_TYPE_ARRAY, .key_size = 4, .value_size = PAGE, .max_entries = bytes / PAGE };
	must(syscall(SYS_bpf, BPF_MAP_CREATE, &map, sizeof map), "bpf");
	return bytes;
}

static size_t packet_ring(size_t bytes)
{
	int fd = must(socket(AF_PACKET, SOCK_RAW, 0), "AF_PACKET");
	struct tpacket_req ring = { .tp_block_size = 1 << 20, .tp_block_nr = bytes >> 20, .tp_frame_size = 2048 };
	ring.tp_frame_nr = ring.tp_block_nr * (ring.tp_block_size / ring.tp_frame_size);
	must(setsockopt(fd, SOL_PACKET, PACKET_RX_RING, &ring, sizeof ring), "PACKET_RX_RING");
	return bytes;
}

static size_t anonymous(size_t bytes)
{
	memset(pages(bytes), 1, bytes);
	return bytes;
}

int main(int count, char **words)
{
	if (count < 3)
		return 2;
	const char *kind = words[1];
	size_t amount = strtoull(words[2], NULL, 10), made = 0;
	struct rlimit most = { 1 << 20, 1 << 20 };
	setrlimit(RLIMIT_NOFILE, &most);
	/* The file has another name. */
	prctl(PR_SET_NAME, "incident");
	memset(data, 'x', sizeof data);
	if (!strcmp(kind, "tcp"))
		made = streams(amount, 1UL << 30);
	else if (!strcmp(kind, "tcp-small"))
		made = streams(amount, 400 << 10);
	else if (!strcmp(kind, "backlog"))
		made = backlog(amount);
	else if (!strcmp(kind, "udp"))
		made = datagrams(amount);
	else if (!strcmp(kind, "unix"))
		made = unix_sockets(amount, SOCK_STREAM);
	else if (!strcmp(kind, "unix-dgram"))
		made = unix_sockets(amount, SOCK_DGRAM);
	else if (!strcmp(kind, "pipes"))
		made = pipes(amount);
	else if (!strcmp(kind, "tmpfs"))
		made = named(amount, words[3]);
	else if (!strcmp(kind, "objects"))
		made = objects(amount);
	else if (!strcmp(kind, "keys"))
		made = keys(amount);
	else if (!strcmp(kind, "memfd"))
		made = memfd(amount);
	else if (!strcmp(kind, "deleted"))
		made = deleted(amount, words[3]);
	else if (!strcmp(kind, "sysv"))
		made = segment(amount);
	else if (!strcmp(kind, "tables"))
		made = tables(amount);
	else if (!strcmp(kind, "threads"))
		made = threads(amount);
	else if (!strcmp(kind, "zombies"))
		made = children(amount, 0);
	else if (!strcmp(kind, "vforks"))
		made = children(amount, 1);
	else if (!strcmp(kind, "fds"))
		made = descriptors(amount);
	else if (!strcmp(kind, "inotify"))
		made = watchers(amount);
	else if (!strcmp(kind, "bpf"))
		made = bpf_map(amount);
	else if (!strcmp(kind, "ring"))
		made = packet_ring(amount);
	else if (!strcmp(kind, "anon"))
		made = anonymous(amount);
	else
		return 2;
	printf("ready %zu\n", made);
	fflush(stdout);
	for (;;)
		pause();
}
