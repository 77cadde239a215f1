/*
 * What the scenario's processes know of themselves, in a file that all of them map: which process
 * holds which descriptor, and what must be in its queue.
 */
#ifndef TABLE_H
#define TABLE_H

#include <stdatomic.h>
#include <sys/types.h>

#define TABLE_PATH "/run/scenario.table"
#define MAX_ROLES 64
#define MAX_HOLDERS 8
#define UNKNOWN (-1)

enum kind { A_SOCKET, NOT_A_SOCKET, NOT_OPEN };

struct holder {
	pid_t pid, tid;
	int fd;
};

/* Of a queue other than the receive queue. */
struct content {
	long skbs, bytes;
};

struct role {
	char name[32];
	char note[160];
	enum kind kind;
	pid_t pid;
	int fd;
	/* FIONREAD moves a UDP socket's datagrams to another queue: not to be asked. */
	int untouched;
	/* What is known of the queues by construction. */
	long skbs, bytes;
	struct content out_of_order, retransmit, error;
	_Atomic long consumed;
	_Atomic int holders;
	struct holder holder[MAX_HOLDERS];
};

struct table {
	_Atomic int count;
	_Atomic int ready;
	char failure[256];
	struct role role[MAX_ROLES];
};

extern struct table *table;

void table_create(void);
void table_open(void);

/* A new entry for this process: not open, nothing known. */
struct role *role_add(const char *name, const char *note);

/* `fd` of the calling process (or thread) is the one that the role is about. */
void role_holds(struct role *role, int fd);

/* This process shows itself as `comm` from now on. */
void set_comm(const char *comm);

/* Says why, to the scenario's starter, and ends this process. */
void fail(const char *what) __attribute__((noreturn));
int must(int result, const char *what);

#endif
