/*
 * `takekernel WHAT BYTES [FOLDER]`: has the kernel take memory for itself in one known way, prints how
 * many bytes of it there are, and keeps them until it is killed.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <linux/bpf.h>
#include <linux/dma-heap.h>
#include <linux/if_packet.h>
#include <linux/io_uring.h>
#include <linux/perf_event.h>
#include <netinet/in.h>
#include <linux/sockios.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/ipc.h>
#include <sys/mman.h>
#include <sys/msg.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#define PAGE 4096UL
/* A message of so many bytes has all of them in pages (UNIX_SKB_FRAGS_SZ). */
#define CHUNK (32UL << 10)

/* Slots of a pipe: their array still comes from a slab. */
#define PIPE (256UL << 10)

static char chunk[CHUNK];

static void must(int good, const char *what)
{
	if (good)
		return;
	perror(what);
	exit(1);
}

static unsigned long pipes(unsigned long bytes)
{
	for (unsigned long done = 0; done < bytes; done += PIPE) {
		int ends[2];

		must(pipe(ends) == 0, "pipe");
		must(fcntl(ends[1], F_SETPIPE_SZ, PIPE) == PIPE, "F_SETPIPE_SZ");
		for (unsigned long written = 0; written < PIPE; written += CHUNK)
			must(write(ends[1], chunk, CHUNK) == CHUNK, "write");
	}
	return bytes;
}

/* Each takes a page with its header (struct msg_msg, 48 bytes). */
static unsigned long messages(unsigned long bytes)
{
	struct {
		long type;
		char text[PAGE - 48];
	} message = { .type = 1 };
	struct msqid_ds settings;
	int queue = msgget(IPC_PRIVATE, 0600);

	must(queue >= 0 && msgctl(queue, IPC_STAT, &settings) == 0, "msgget");
	settings.msg_qbytes = bytes;
	must(msgctl(queue, IPC_SET, &settings) == 0, "IPC_SET");
	for (unsigned long done = 0; done < bytes; done += PAGE)
		must(msgsnd(queue, &message, sizeof(message.text), IPC_NOWAIT) == 0, "msgsnd");
	return bytes;
}

/* Each takes 32 KiB of kmalloc with its header. */
static unsigned long keys(unsigned long bytes)
{
	const int process_keyring = -2;
	char name[32];

	for (unsigned long done = 0; done < bytes; done += 32 << 10) {
		snprintf(name, sizeof(name), "take:%lu", done);
		must(syscall(SYS_add_key, "user", name, chunk, 32000, process_keyring) > 0, "add_key");
	}
	return bytes;
}

/* Names that are not there: the kernel remembers that, an object of one cache each. */
static unsigned long dentries(unsigned long bytes, const char *folder)
{
	unsigned long slabs, each = 0, pages = 0;
	char line[512], name[64];
	FILE *caches = fopen("/proc/slabinfo", "r");
	struct stat status;

	must(caches != NULL && chdir(folder) == 0, folder);
	while (each == 0 && fgets(line, sizeof(line), caches))
		sscanf(line, "dentry %*u %*u %*u %lu %lu", &each, &pages);
	fclose(caches);
	must(each > 0, "slabinfo");
	slabs = bytes / (pages * PAGE);
	for (unsigned long i = 0; i < slabs * each; i++) {
		snprintf(name, sizeof(name), "none%lu", i);
		must(stat(name, &status) < 0, name);
	}
	return slabs * pages * PAGE;
}

/* One value is a page, or of a map for each CPU a quarter of what an allocation of its kind may be. */
static unsigned long map(unsigned long bytes, int type, unsigned int value)
{
	unsigned long cpus = type == BPF_MAP_TYPE_PERCPU_ARRAY ? sysconf(_SC_NPROCESSORS_CONF) : 1;
	union bpf_attr attributes = { .map_type = type, .key_size = 4, .value_size = value };

	attributes.max_entries = bytes / value / cpus;
	must(syscall(SYS_bpf, BPF_MAP_CREATE, &attributes, sizeof(attributes)) >= 0, "bpf");
	return bytes;
}

/* Its size is a power of two; a page of it is the kernel's own, two are the process's. */
static unsigned long ring_map(unsigned long bytes)
{
	union bpf_attr attributes = { .map_type = BPF_MAP_TYPE_RINGBUF, .max_entries = bytes };

	must(syscall(SYS_bpf, BPF_MAP_CREATE, &attributes, sizeof(attributes)) >= 0, "bpf");
	return bytes;
}

/* Bound to no protocol: nothing arrives. */
static unsigned long packet(unsigned long bytes)
{
	const unsigned long size = 64 << 10;
	struct tpacket_req ring = { .tp_block_size = size, .tp_frame_size = 2048 };
	int fd = socket(AF_PACKET, SOCK_RAW, 0);

	ring.tp_block_nr = bytes / size;
	ring.tp_frame_nr = bytes / 2048;
	must(fd >= 0, "AF_PACKET");
	must(setsockopt(fd, SOL_PACKET, PACKET_RX_RING, &ring, sizeof(ring)) == 0, "PACKET_RX_RING");
	return bytes;
}

static void fill(int writer, int reader, unsigned long bytes)
{
	unsigned int room = 4 * bytes;

	must(setsockopt(writer, SOL_SOCKET, SO_SNDBUFFORCE, &room, sizeof(room)) == 0, "SO_SNDBUFFORCE");
	must(fcntl(reader, F_GETFD) >= 0, "reader");
	for (unsigned long done = 0; done < bytes; done += CHUNK)
		must(send(writer, chunk, CHUNK, 0) == CHUNK, "send");
}

static unsigned long local(unsigned long bytes)
{
	int ends[2];

	must(socketpair(AF_UNIX, SOCK_STREAM, 0, ends) == 0, "socketpair");
	fill(ends[1], ends[0], bytes);
	return bytes;
}

static unsigned long tcp(unsigned long bytes)
{
	struct sockaddr_in address = { .sin_family = AF_INET,
				       .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	struct sockaddr *any = (struct sockaddr *)&address;
	socklen_t length = sizeof(address);
	unsigned int room = 4 * bytes;
	int listener = socket(AF_INET, SOCK_STREAM, 0), writer = socket(AF_INET, SOCK_STREAM, 0);
	int reader, unsent;

	must(setsockopt(listener, SOL_SOCKET, SO_RCVBUFFORCE, &room, sizeof(room)) == 0, "SO_RCVBUF");
	must(bind(listener, any, length) == 0 && getsockname(listener, any, &length) == 0, "bind");
	must(listen(listener, 1) == 0 && connect(writer, any, length) == 0, "connect");
	reader = accept(listener, NULL, NULL);
	fill(writer, reader, bytes);
	do {
		usleep(10000);
		must(ioctl(writer, SIOCOUTQ, &unsent) == 0, "SIOCOUTQ");
	} while (unsent > 0);
	return bytes;
}

/* A page more for each, and of the first the pages are mapped by use, as by whoever reads them. */
static unsigned long perf(unsigned long bytes)
{
	const unsigned long each = 8UL << 20;
	struct perf_event_attr event = { .type = PERF_TYPE_SOFTWARE, .size = sizeof(event) };
	unsigned long taken = 0;

	event.config = PERF_COUNT_SW_DUMMY;
	for (; bytes >= each; bytes -= each) {
		int fd = syscall(SYS_perf_event_open, &event, 0, -1, -1, 0);
		char *ring;

		must(fd >= 0, "perf_event_open");
		ring = mmap(NULL, each + PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
		must(ring != MAP_FAILED, "mmap of a perf event");
		for (unsigned long at = 0; taken == 0 && at < each + PAGE; at += PAGE)
			*(volatile char *)(ring + at);
		taken += each + PAGE;
	}
	return taken;
}

/* The kernel takes blocks of the buddy allocator for what there is of each. */
static unsigned long block(unsigned long bytes)
{
	unsigned long size = PAGE;

	while (size < bytes)
		size *= 2;
	return size;
}

static unsigned long uring(unsigned long bytes)
{
	unsigned long taken = 0;

	while (taken < bytes) {
		struct io_uring_params settings = { 0 };
		long fd = syscall(SYS_io_uring_setup, 32768, &settings);

		must(fd >= 0, "io_uring_setup");
		taken += block(settings.sq_entries * sizeof(struct io_uring_sqe));
		taken += block(settings.sq_off.array + settings.sq_entries * 4);
	}
	return taken;
}

/* Two: of one the pages are mapped by use, as by whoever draws. */
static unsigned long dma_buffers(unsigned long bytes)
{
	int heap = open("/dev/dma_heap/system", O_RDWR);

	must(heap >= 0, "/dev/dma_heap/system");
	for (int i = 0; i < 2; i++) {
		struct dma_heap_allocation_data wanted = { .len = bytes / 2, .fd_flags = O_RDWR };
		char *start;

		must(ioctl(heap, DMA_HEAP_IOCTL_ALLOC, &wanted) == 0, "DMA_HEAP_IOCTL_ALLOC");
		if (i == 0)
			continue;
		start = mmap(NULL, bytes / 2, PROT_READ | PROT_WRITE, MAP_SHARED, wanted.fd, 0);
		must(start != MAP_FAILED, "mmap of a dma-buf");
		memset(start, 1, bytes / 2);
	}
	return bytes;
}

int main(int count, char **words)
{
	const char *what = count > 2 ? words[1] : "";
	unsigned long bytes = count > 2 ? strtoul(words[2], NULL, 10) : 0;
	struct rlimit all = { RLIM_INFINITY, RLIM_INFINITY };

	setrlimit(RLIMIT_MEMLOCK, &all);
	memset(chunk, 1, sizeof(chunk));
	if (strcmp(what, "pipes") == 0)
		bytes = pipes(bytes);
	else if (strcmp(what, "messages") == 0)
		bytes = messages(bytes);
	else if (strcmp(what, "keys") == 0)
		bytes = keys(bytes);
	else if (strcmp(what, "dentries") == 0 && count > 3)
		bytes = dentries(bytes, words[3]);
	else if (strcmp(what, "map") == 0)
		bytes = map(bytes, BPF_MAP_TYPE_ARRAY, PAGE);
	else if (strcmp(what, "percpu") == 0)
		bytes = map(bytes, BPF_MAP_TYPE_PERCPU_ARRAY, 2 * PAGE);
	else if (strcmp(what, "ringmap") == 0)
		bytes = ring_map(bytes);
	else if (strcmp(what, "packet") == 0)
		bytes = packet(bytes);
	else if (strcmp(what, "unix") == 0)
		bytes = local(bytes);
	else if (strcmp(what, "tcp") == 0)
		bytes = tcp(bytes);
	else if (strcmp(what, "perf") == 0)
		bytes = perf(bytes);
	else if (strcmp(what, "uring") == 0)
		bytes = uring(bytes);
	else if (strcmp(what, "dmabuf") == 0)
		bytes = dma_buffers(bytes);
	else {
		fprintf(stderr, "takekernel: what is %s?\n", what);
		return 2;
	}
	printf("ready %lu\n", bytes);
	fflush(stdout);
	for (;;)
		pause();
}
