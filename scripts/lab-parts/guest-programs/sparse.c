/*
 * `sparse HUGE TOUCHED`: has that many transparent huge pages of 2 MiB, writes one byte to each of the first TOUCHED base
 * pages of each, prints `ready` and its pid, and keeps them until it is killed.
 */
#define _GNU_SOURCE
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#define LARGE (2UL << 20)

int main(int count, char **words)
{
	unsigned long many = count > 2 ? strtoul(words[1], NULL, 10) : 0;
	unsigned long touched = count > 2 ? strtoul(words[2], NULL, 10) : 0;
	char *at = mmap(NULL, (many + 1) * LARGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (at == MAP_FAILED)
		return 1;
	at = (char *)(((unsigned long)at + LARGE - 1) & ~(LARGE - 1));
	if (madvise(at, many * LARGE, MADV_HUGEPAGE) != 0)
		return 1;
	for (unsigned long page = 0; page < many; page++)
		for (unsigned long base = 0; base < touched; base++)
			at[page * LARGE + base * 4096 + 4095] = 1;
	printf("ready %d\n", getpid());
	fflush(stdout);
	for (;;)
		pause();
}
