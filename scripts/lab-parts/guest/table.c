#define _GNU_SOURCE
#include "table.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
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

struct hidden *hidden_add(const char *name, const char *how, const char *note)
{
	int index = atomic_fetch_add(&table->hidden_count, 1);
	struct hidden *hidden = &table->hidden[index];

	if (index >= MAX_HIDDEN)
		fail("MAX_HIDDEN is too small");
	snprintf(hidden->name, sizeof(hidden->name), "%s", name);
	snprintf(hidden->how, sizeof(hidden->how), "%s", how);
	snprintf(hidden->note, sizeof(hidden->note), "%s", note);
	hidden->pid = getpid();
	hidden->bytes = hidden->unsent = UNKNOWN;
	return hidden;
}

/* "1.2.3.4:5", or nothing for another family. */
static void write_address(char *text, size_t size, const struct sockaddr_in *address)
{
	char host[INET_ADDRSTRLEN];

	if (address->sin_family != AF_INET)
		return;
	inet_ntop(AF_INET, &address->sin_addr, host, sizeof(host));
	snprintf(text, size, "%s:%d", host, ntohs(address->sin_port));
}

static void write_addresses(int fd, char *own, char *other, size_t size)
{
	struct sockaddr_in address = { 0 };
	socklen_t length = sizeof(address);

	if (getsockname(fd, (struct sockaddr *)&address, &length) == 0)
		write_address(own, size, &address);
	memset(&address, 0, sizeof(address));
	length = sizeof(address);
	if (getpeername(fd, (struct sockaddr *)&address, &length) == 0)
		write_address(other, size, &address);
}

void hidden_is(struct hidden *hidden, int fd)
{
	hidden->inode = inode_of(fd);
	write_addresses(fd, hidden->local, hidden->peer, sizeof(hidden->local));
}

void hidden_is_peer_of(struct hidden *hidden, int fd)
{
	write_addresses(fd, hidden->peer, hidden->local, sizeof(hidden->local));
}

unsigned long inode_of(int fd)
{
	struct stat status;

	must(fstat(fd, &status), "fstat");
	return status.st_ino;
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
