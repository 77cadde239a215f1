/* One socket, several holders: a fork, a dup, threads. */
#define _GNU_SOURCE
#include <pthread.h>
#include <sys/socket.h>
#include <unistd.h>

#include "net.h"
#include "roles.h"
#include "table.h"

static int reader_with(int bytes)
{
	struct pair pair = tcp_pair(AF_INET);

	send_messages(pair.writer, 1, bytes);
	wait_unread(pair.reader, bytes);
	return pair.reader;
}

void forked(void)
{
	struct role *role = role_add("forked", "2000 bytes unread; parent and child hold it");
	int fd = reader_with(2000);

	set_comm("forked-parent");
	role->bytes = 2000;
	role_holds(role, fd);
	if (must(fork(), "fork") == 0) {
		set_comm("forked-child");
		role_holds(role, fd);
	}
	ready();
}

void duplicated(void)
{
	struct role *role = role_add("duplicated", "3000 bytes unread; two descriptors hold it");
	int fd = reader_with(3000);

	set_comm("duplicated");
	role->bytes = 3000;
	role_holds(role, fd);
	role_holds(role, must(dup2(fd, 100), "dup2"));
	ready();
}

static struct role *threads_role;
static int threads_fd;

static void *thread(void *name)
{
	set_comm(name);
	role_holds(threads_role, threads_fd);
	ready();
	for (;;)
		pause();
	return NULL;
}

void threaded(void)
{
	static char *const names[] = { "thread-one", "thread-two" };
	pthread_t ignored;

	set_comm("threaded");
	threads_role = role_add("threaded", "4000 bytes unread; three threads hold it");
	threads_fd = reader_with(4000);
	threads_role->bytes = 4000;
	role_holds(threads_role, threads_fd);
	for (int i = 0; i < 2; i++)
		if (pthread_create(&ignored, NULL, thread, names[i]) != 0)
			fail("pthread_create");
	ready();
}
