/*
 * `scenario start` makes the processes and returns when all of them are ready; `scenario truth`
 * prints what is true of them now, as JSON.
 */
#define _GNU_SOURCE
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "roles.h"
#include "table.h"
#include "truth.h"

static void (*const roles[])(void) = {
	starving,	 starving_large, healthy,   udp_fed,	    loopback,	     loopback_large,
	loopback_v6,	 stuffed,	 empty,	    one_skb,	    sent_file,	     listener,
	other_namespace, linear,	 udp,	    errors,	    unix_stream,     unix_datagrams,
	forked,		 duplicated,	 threaded,  hostile_escape, hostile_newline, hostile_bytes,
	without_sockets, lossy,		 rights,    nested_rights,  own_rights,	     unix_listener,
	orphan,		 ring,
};
#define ROLES (int)(sizeof(roles) / sizeof(roles[0]))
/* forked and threaded count once more for each child and thread. */
#define READY (ROLES + 3)

void ready(void)
{
	atomic_fetch_add(&table->ready, 1);
}

static int start(void)
{
	table_create();
	for (int i = 0; i < ROLES; i++) {
		if (must(fork(), "fork") != 0)
			continue;
		signal(SIGHUP, SIG_IGN);
		roles[i]();
		for (;;)
			pause();
	}
	for (int tries = 0; tries < 3000; tries++) {
		if (table->failure[0] != '\0') {
			fprintf(stderr, "scenario: %s\n", table->failure);
			return 1;
		}
		if (table->ready == READY)
			return 0;
		usleep(10000);
	}
	fprintf(stderr, "scenario: only %d of %d were ready in 30 s\n", table->ready, READY);
	return 1;
}

int main(int argc, char **argv)
{
	if (argc == 2 && strcmp(argv[1], "start") == 0)
		return start();
	if (argc == 2 && strcmp(argv[1], "truth") == 0) {
		table_open();
		print_truth();
		return 0;
	}
	fprintf(stderr, "usage: scenario start | truth\n");
	return 2;
}
