#define _GNU_SOURCE
#include "table.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <unistd.h>

struct table *table;

static void map(int flags)
{
	int fd = open(TABLE_PATH, flags, 0600);

	if (fd < 0 || ((flags & O_CREAT) && ftruncate(fd, sizeof(*table)) < 0)) {
		perror(TABLE_PATH);
		exit(1);
	}
	table = mmap(NULL, sizeof(*table), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (table == MAP_FAILED) {
		perror("mmap");
		exit(1);
	}
	close(fd);
}

void table_create(void)
{
	map(O_RDWR | O_CREAT | O_TRUNC);
}

void table_open(void)
{
	map(O_RDWR);
}

struct role *role_add(const char *name, const char *note)
{
	int index = atomic_fetch_add(&table->count, 1);
	struct role *role = &table->role[index];

	if (index >= MAX_ROLES)
		fail("MAX_ROLES is too small");
	snprintf(role->name, sizeof(role->name), "%s", name);
	snprintf(role->note, sizeof(role->note), "%s", note);
	role->kind = A_SOCKET;
	role->pid = getpid();
	role->fd = UNKNOWN;
	role->skbs = UNKNOWN;
	role->bytes = UNKNOWN;
	role->out_of_order = role->retransmit = role->error = (struct content){ UNKNOWN, UNKNOWN };
	return role;
}

void role_holds(struct role *role, int fd)
{
	int index = atomic_fetch_add(&role->holders, 1);

	if (index >= MAX_HOLDERS)
		fail("MAX_HOLDERS is too small");
	role->holder[index] = (struct holder){ getpid(), gettid(), fd };
	if (role->fd == UNKNOWN && role->pid == getpid())
		role->fd = fd;
}

void set_comm(const char *comm)
{
	must(prctl(PR_SET_NAME, comm), "PR_SET_NAME");
}

void fail(const char *what)
{
	char comm[16] = "";

	prctl(PR_GET_NAME, comm);
	snprintf(table->failure, sizeof(table->failure), "%s: %s: %s", comm, what, strerror(errno));
	_exit(1);
}

int must(int result, const char *what)
{
	if (result < 0)
		fail(what);
	return result;
}
