/*
 * Three processes: the second shares the memory of the first, but is no thread of it (CLONE_VM), and the third is a
 * fork. Prints their pids, and ends with stdin.
 */
#define _GNU_SOURCE
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <unistd.h>

#define RESIDENT (32UL << 20)
#define STACK (64UL << 10)

static int wait_for_end(void *unused)
{
	char byte;

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	while (read(0, &byte, 1) > 0)
		;
	return unused != NULL;
}

int main(void)
{
	char *memory = malloc(RESIDENT), *stack = malloc(STACK);
	int sharer, copy, ends[2];

	memset(memory, 1, RESIDENT);
	if (pipe(ends) < 0)
		return 1;
	copy = fork();
	if (copy == 0) {
		memset(memory, 2, RESIDENT);
		close(ends[1]);
		_exit(wait_for_end(NULL));
	}
	close(ends[1]);
	if (read(ends[0], stack, 1) != 0)
		return 1;
	sharer = clone(wait_for_end, stack + STACK, CLONE_VM | SIGCHLD, NULL);
	printf("%d %d %d\n", getpid(), sharer, copy);
	fflush(stdout);
	return wait_for_end(NULL);
}
