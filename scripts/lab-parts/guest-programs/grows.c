/*
 * `grows KIND BYTES MILLISECONDS`: takes so many bytes more each time, without end, in one known way. Until the kernel has
 * no more: it never frees any.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ipc.h>
#include <sys/mman.h>
#include <sys/msg.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#define PAGE 4096UL
#define LARGE (2UL << 20)
#define CHUNK (64UL << 10)

static char chunk[CHUNK];

static void must(int good, const char *what)
{
	if (good)
		return;
	perror(what);
	exit(1);
}

static void anonymous(unsigned long bytes)
{
	char *at = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	must(at != MAP_FAILED, "mmap");
	for (unsigned long done = 0; done < bytes; done += PAGE)
		at[done] = 1;
}

static void tmpfs(unsigned long bytes)
{
	static int fd = -1;

	if (fd < 0)
		fd = open("/dev/shm/grows", O_CREAT | O_WRONLY, 0600);
	must(fd >= 0, "/dev/shm/grows");
	for (unsigned long done = 0; done < bytes; done += CHUNK)
		must(write(fd, chunk, CHUNK) == CHUNK, "write");
}

/* A page table of the lowest level for each page: reading maps the zero page. */
static void tables(unsigned long bytes)
{
	static char *at;
	static unsigned long used;

	if (!at) {
		at = mmap(NULL, 1UL << 44, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
		must(at != MAP_FAILED && madvise(at, 1UL << 44, MADV_NOHUGEPAGE) == 0, "mmap");
	}
	for (unsigned long done = 0; done < bytes; done += PAGE, used += LARGE)
		chunk[0] += *(volatile char *)(at + used);
}

static void pipes(unsigned long bytes)
{
	for (unsigned long done = 0; done < bytes; done += CHUNK) {
		int ends[2];

		must(pipe(ends) == 0 && write(ends[1], chunk, CHUNK) == CHUNK, "pipe");
	}
}

/* Messages of System V: a buffer of the slab for each page. */
static void slab(unsigned long bytes)
{
	static struct { long type; char text[2 * PAGE - 100]; } message = { .type = 1 };
	struct msqid_ds settings;
	int queue = msgget(IPC_PRIVATE, 0600);

	must(queue >= 0 && msgctl(queue, IPC_STAT, &settings) == 0, "msgget");
	settings.msg_qbytes = 2 * bytes;
	must(msgctl(queue, IPC_SET, &settings) == 0, "msgctl");
	for (unsigned long done = 0; done < bytes; done += 2 * PAGE)
		must(msgsnd(queue, &message, sizeof(message.text), IPC_NOWAIT) == 0, "msgsnd");
}

static void sockets(unsigned long bytes)
{
	for (unsigned long done = 0; done < bytes; done += CHUNK) {
		int ends[2];

		must(socketpair(AF_UNIX, SOCK_STREAM, 0, ends) == 0 && send(ends[1], chunk, CHUNK, 0) == CHUNK, "socketpair");
	}
}

static const struct { const char *name; void (*take)(unsigned long); } KINDS[] = {
	{ "anonymous", anonymous }, { "tmpfs", tmpfs }, { "page-tables", tables },
	{ "pipes", pipes }, { "slab", slab }, { "sockets", sockets },
};

int main(int count, char **words)
{
	struct rlimit files = { 1 << 20, 1 << 20 };

	setrlimit(RLIMIT_NOFILE, &files);
	memset(chunk, 1, sizeof(chunk));
	for (unsigned long kind = 0; count > 3 && kind < sizeof(KINDS) / sizeof(KINDS[0]); kind++)
		while (strcmp(words[1], KINDS[kind].name) == 0) {
			KINDS[kind].take(strtoul(words[2], NULL, 10));
			usleep(1000 * strtoul(words[3], NULL, 10));
		}
	fprintf(stderr, "usage: grows KIND BYTES MILLISECONDS\n");
	return 2;
}
