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
#define MAX_HIDDEN 16
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

/* A socket that no process has open, as it was when it had a descriptor, or as its peer knows it. */
struct hidden {
	char name[32];
	char note[160];
	/* What keeps it: "scm", "accept", "orphan" or "io_uring". */
	char how[16];
	pid_t pid;
	/* 0: it has none, since it waits to be accepted or lost its descriptor. */
	unsigned long inode;
	/* Of the socket in whose queue it waits; 0: it is in none. */
	unsigned long carrier;
	/* Payload bytes of the receive queue, and of those that wait to be sent. */
	long bytes, unsent;
	char local[64], peer[64];
};

struct table {
	_Atomic int count;
	_Atomic int hidden_count;
	_Atomic int ready;
	char failure[256];
	struct role role[MAX_ROLES];
	struct hidden hidden[MAX_HIDDEN];
};

extern struct table *table;

void table_create(void);
void table_open(void);

/* A new entry for this process: not open, nothing known. */
struct role *role_add(const char *name, const char *note);

/* `fd` of the calling process (or thread) is the one that the role is about. */
void role_holds(struct role *role, int fd);

/* A new entry about a socket that will be, or is, without a descriptor. */
struct hidden *hidden_add(const char *name, const char *how, const char *note);

/* Writes into an entry what `fd`, its socket, tells of itself. */
void hidden_is(struct hidden *hidden, int fd);

/* The same of a socket without a descriptor, from the other end of its connection. */
void hidden_is_peer_of(struct hidden *hidden, int fd);

unsigned long inode_of(int fd);

/* This process shows itself as `comm` from now on. */
void set_comm(const char *comm);

/* Says why, to the scenario's starter, and ends this process. */
void fail(const char *what) __attribute__((noreturn));
int must(int result, const char *what);

#endif
