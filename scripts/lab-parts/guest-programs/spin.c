/* Processes that never sleep: three of the fair class, and one of the real-time class. Prints their pids. */
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

int main(void)
{
	for (int number = 0; number < 4; number++) {
		int ready[2];
		char byte;
		pid_t child;

		if (pipe(ready) != 0)
			return 1;
		child = fork();
		if (child < 0)
			return 1;
		if (child == 0) {
			struct sched_param first = { .sched_priority = 10 };

			if (number == 3 && sched_setscheduler(0, SCHED_FIFO, &first) != 0)
				exit(1);
			if (write(ready[1], "x", 1) != 1)
				exit(1);
			for (;;)
				;
		}
		close(ready[1]);
		if (read(ready[0], &byte, 1) != 1)
			return 1;
		close(ready[0]);
		printf("%d\n", child);
		fflush(stdout);
	}
	return 0;
}
