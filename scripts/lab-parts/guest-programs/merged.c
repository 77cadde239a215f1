/*
 * `merged PAGES`: has that many pages of equal content that the kernel may merge (KSM), prints `ready PAGES`
 * once all of them are merged, and keeps them until it is killed. A child shares them.
 */
#define _GNU_SOURCE
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

static unsigned long figure(const char *path)
{
	unsigned long value = 0;
	FILE *file = fopen(path, "r");

	if (file == NULL || fscanf(file, "%lu", &value) != 1) {
		perror(path);
		exit(1);
	}
	fclose(file);
	return value;
}

int main(int count, char **words)
{
	unsigned long pages = count > 1 ? strtoul(words[1], NULL, 10) : 0;
	unsigned long page = sysconf(_SC_PAGESIZE);
	char *at = mmap(NULL, pages * page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (at == MAP_FAILED || madvise(at, pages * page, MADV_MERGEABLE) != 0) {
		perror("merged");
		return 1;
	}
	memset(at, 7, pages * page);
	while (figure("/sys/kernel/mm/ksm/pages_shared") + figure("/sys/kernel/mm/ksm/pages_sharing") < pages)
		usleep(50000);
	if (fork() != 0) {
		printf("ready %lu\n", pages);
		fflush(stdout);
	}
	for (;;)
		pause();
}
