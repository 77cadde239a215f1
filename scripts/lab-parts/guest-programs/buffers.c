/*
 * dma-bufs of known sizes: `buffers system MIB` allocates one from the system heap, `buffers udmabuf MIB` makes one of a
 * memfd, which it closes. A child has the same buffer open, and the parent has it twice. `buffers /dev/dri/CARD MIB`
 * opens a DRM device, twice the same, with a dumb buffer of MIB and one of half as much, which the child has too,
 * as a client of its own. Prints its pid and that of the child.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <linux/types.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

struct heap_allocation {
	__u64 len;
	__u32 fd;
	__u32 fd_flags;
	__u64 heap_flags;
};
struct udmabuf {
	__u32 memfd;
	__u32 flags;
	__u64 offset;
	__u64 size;
};
struct dumb_buffer {
	__u32 height, width, bpp, flags, handle, pitch;
	__u64 size;
};
struct prime {
	__u32 handle, flags;
	__s32 fd;
};
#define HEAP_ALLOC _IOWR('H', 0x0, struct heap_allocation)
#define UDMABUF_CREATE _IOW('u', 0x42, struct udmabuf)
#define CREATE_DUMB _IOWR('d', 0xb2, struct dumb_buffer)
#define TO_DMABUF _IOWR('d', 0x2d, struct prime)
#define FROM_DMABUF _IOWR('d', 0x2e, struct prime)

static int fail(const char *what)
{
	perror(what);
	return -1;
}

static int from_heap(size_t bytes)
{
	struct heap_allocation one = { .len = bytes, .fd_flags = O_RDWR | O_CLOEXEC };
	int heap = open("/dev/dma_heap/system", O_RDONLY);

	if (heap < 0 || ioctl(heap, HEAP_ALLOC, &one) != 0)
		return fail("dma_heap");
	close(heap);
	return (int)one.fd;
}

static int from_memfd(size_t bytes)
{
	int memfd = memfd_create("scene", MFD_ALLOW_SEALING), device = open("/dev/udmabuf", O_RDWR), buffer;
	struct udmabuf one = { .memfd = (__u32)memfd, .size = bytes };
	char *pages;

	if (memfd < 0 || device < 0 || ftruncate(memfd, (off_t)bytes) != 0)
		return fail("memfd");
	pages = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, memfd, 0);
	if (pages == MAP_FAILED)
		return fail("mmap");
	memset(pages, 1, bytes);
	munmap(pages, bytes);
	if (fcntl(memfd, F_ADD_SEALS, F_SEAL_SHRINK) != 0)
		return fail("seal");
	buffer = ioctl(device, UDMABUF_CREATE, &one);
	close(memfd);
	close(device);
	return buffer;
}

/* A client of a DRM device; *shared becomes the buffer for the child. */
static int from_card(const char *card, size_t bytes, struct prime *shared)
{
	struct dumb_buffer own = { .width = 1024, .height = bytes >> 12, .bpp = 32 }, half = own;
	int client = open(card, O_RDWR);

	half.height /= 2;
	if (client < 0 || ioctl(client, CREATE_DUMB, &own) != 0 || ioctl(client, CREATE_DUMB, &half) != 0)
		return fail(card);
	shared->handle = half.handle;
	if (ioctl(client, TO_DMABUF, shared) != 0)
		return fail("dma-buf");
	return client;
}

int main(int count, char **words)
{
	struct prime shared = { .fd = -1 };
	size_t bytes;
	int buffer, twice;
	pid_t child;

	if (count != 3)
		return 2;
	bytes = strtoul(words[2], NULL, 10) << 20;
	if (words[1][0] == '/')
		buffer = from_card(words[1], bytes, &shared);
	else
		buffer = strcmp(words[1], "system") == 0 ? from_heap(bytes) : from_memfd(bytes);
	twice = dup(buffer);
	if (buffer < 0 || twice < 0)
		return 1;
	child = fork();
	if (child < 0)
		return 1;
	if (child == 0 && shared.fd >= 0) {
		close(buffer);
		close(twice);
		buffer = open(words[1], O_RDWR);
		if (buffer < 0 || ioctl(buffer, FROM_DMABUF, &shared) != 0)
			return fail("import");
	}
	close(shared.fd);
	if (child > 0)
		printf("%d %d\n", getpid(), child);
	fflush(stdout);
	for (;;)
		pause();
}
