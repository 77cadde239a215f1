/*
 * A process of a given size whose threads map, fault, lock and unmap 1,000 times a second. For each line of stdin it
 * prints what the time since the last one held: "SAMPLES P50 P99.9 LONGEST", in microseconds, and starts anew.
 *
 *   stall GIB 4k|thp
 */
#define _GNU_SOURCE
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>

enum { THREADS = 2, PERIOD_NS = 1000000, MAX_US = 4000000, PIECE = 65536 };

static unsigned counts[MAX_US + 1];
static pthread_mutex_t counting = PTHREAD_MUTEX_INITIALIZER, shared = PTHREAD_MUTEX_INITIALIZER;

static long long now_ns(void)
{
	struct timespec now;
	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec * 1000000000LL + now.tv_nsec;
}

static void *work(void *unused)
{
	(void)unused;
	for (long long next = now_ns();; next += PERIOD_NS) {
		struct timespec at = { next / 1000000000, next % 1000000000 };
		clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &at, NULL);
		long long start = now_ns();
		/* What it could not do on time is not done later all at once. */
		if (start - next > PERIOD_NS)
			next = start;
		pthread_mutex_lock(&shared);
		char *piece = mmap(NULL, PIECE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
		if (piece == MAP_FAILED) {
			perror("mmap");
			exit(1);
		}
		memset(piece, 1, PIECE);
		munmap(piece, PIECE);
		pthread_mutex_unlock(&shared);
		long long us = (now_ns() - start) / 1000;
		pthread_mutex_lock(&counting);
		counts[us > MAX_US ? MAX_US : us]++;
		pthread_mutex_unlock(&counting);
	}
}

static void report(void)
{
	unsigned long all = 0, seen = 0;
	long middle = -1, high = -1, longest = 0;
	pthread_mutex_lock(&counting);
	for (long us = 0; us <= MAX_US; us++)
		all += counts[us];
	for (long us = 0; us <= MAX_US; us++) {
		if (counts[us] == 0)
			continue;
		seen += counts[us];
		longest = us;
		if (middle < 0 && seen * 2 >= all)
			middle = us;
		if (high < 0 && seen * 1000 >= all * 999)
			high = us;
	}
	memset(counts, 0, sizeof(counts));
	pthread_mutex_unlock(&counting);
	printf("%lu %ld %ld %ld\n", all, middle, high, longest);
	fflush(stdout);
}

int main(int count, char **words)
{
	if (count != 3)
		return 2;
	size_t size = (size_t)(atof(words[1]) * (1L << 30));
	char *memory = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (memory == MAP_FAILED) {
		perror("mmap");
		return 1;
	}
	madvise(memory, size, strcmp(words[2], "thp") == 0 ? MADV_HUGEPAGE : MADV_NOHUGEPAGE);
	for (size_t at = 0; at < size; at += 4096)
		memory[at] = 1;
	pthread_t thread;
	for (int each = 0; each < THREADS; each++)
		if (pthread_create(&thread, NULL, work, NULL) != 0)
			return 1;
	for (int byte; (byte = getchar()) != EOF;)
		if (byte == '\n')
			report();
	return 0;
}
