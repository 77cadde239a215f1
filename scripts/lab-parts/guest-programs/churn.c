/*
 * `churn SECONDS FOLDER`: goes into the background and, for so long, starts processes that touch memory,
 * run a program and end, as a compiler's do, and writes, reads and removes files of FOLDER.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define MEMORY (2UL << 20)
#define FILE_BYTES (256UL << 10)
/* Few at a time: what was written before a recording is gone soon after it begins, in a slow guest too. */
#define FILES 4

static char buffer[65536];

/* A process with memory of its own, which then becomes another program. */
static void job(void)
{
	char *memory = mmap(NULL, MEMORY, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	int ends[2];

	if (memory != MAP_FAILED)
		memset(memory, 1, MEMORY);
	if (pipe(ends) == 0 && write(ends[1], buffer, 4096) == 4096)
		if (read(ends[0], buffer, 4096) < 0)
			_exit(1);
	execl("/bin/busybox", "true", NULL);
	_exit(1);
}

static void jobs(time_t end)
{
	prctl(PR_SET_NAME, "jobs");
	while (time(NULL) < end) {
		for (int i = 0; i < 4; i++)
			if (fork() == 0)
				job();
		while (wait(NULL) > 0)
			;
	}
}

static void files(time_t end, const char *folder)
{
	char name[256];

	prctl(PR_SET_NAME, "files");
	for (int round = 0; time(NULL) < end; round++) {
		int fd;

		snprintf(name, sizeof(name), "%s/%d", folder, round % FILES);
		fd = open(name, O_RDWR | O_CREAT | O_TRUNC, 0600);
		if (fd < 0) {
			perror(name);
			_exit(1);
		}
		for (unsigned long done = 0; done < FILE_BYTES; done += sizeof(buffer))
			if (write(fd, buffer, sizeof(buffer)) < 0)
				break;
		lseek(fd, 0, SEEK_SET);
		while (read(fd, buffer, sizeof(buffer)) > 0)
			;
		close(fd);
		snprintf(name, sizeof(name), "%s/%d", folder, (round + FILES / 2) % FILES);
		unlink(name);
		usleep(20000);
	}
}

int main(int argc, char **argv)
{
	time_t end = time(NULL) + (argc == 3 ? atoi(argv[1]) : 0);

	if (argc != 3) {
		fputs("churn SECONDS FOLDER\n", stderr);
		return 2;
	}
	if (daemon(1, 1) < 0)
		return 1;
	if (fork() == 0)
		files(end, argv[2]);
	else
		jobs(end);
	return 0;
}
