/*
 * Registered buffers of known sizes: `pins rdma|uring|vfio MIB [TIMES]` registers as much memory as often, and has as much
 * beside it that is not registered. RDMA: ibv_reg_mr by the write() commands of /dev/infiniband/uverbs0 (rdma/ib_user_verbs.h).
 * VFIO: the first group whose device has the driver vfio-pci. Prints its pid.
 */
#include <fcntl.h>
#include <glob.h>
#include <linux/io_uring.h>
#include <linux/vfio.h>
#include <rdma/ib_user_verbs.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

static char *memory(size_t bytes)
{
	char *all = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (all == MAP_FAILED)
		exit(1);
	memset(all, 'x', bytes);
	return all;
}

/* Each command begins with the address of its response. */
static void verbs(int device, __u32 number, void *command, size_t bytes, void *response, size_t response_bytes)
{
	char all[256] = { 0 };
	struct ib_uverbs_cmd_hdr header = {
		.command = number,
		.in_words = (__u16)((sizeof(header) + bytes) / 4),
		.out_words = (__u16)(response_bytes / 4),
	};
	__u64 address = (__u64)(unsigned long)response;

	memcpy(command, &address, sizeof(address));
	memcpy(all, &header, sizeof(header));
	memcpy(all + sizeof(header), command, bytes);
	if (write(device, all, sizeof(header) + bytes) < 0) {
		perror("uverbs");
		exit(1);
	}
}

static void by_rdma(char *at, size_t bytes, int times)
{
	int device = open("/dev/infiniband/uverbs0", O_RDWR);
	struct ib_uverbs_get_context context = { 0 };
	struct ib_uverbs_get_context_resp of_context;
	struct ib_uverbs_alloc_pd domain = { 0 };
	struct ib_uverbs_alloc_pd_resp of_domain;
	struct ib_uverbs_reg_mr region = { .start = (__u64)(unsigned long)at, .length = bytes, .access_flags = 1 };
	struct ib_uverbs_reg_mr_resp of_region;

	verbs(device, IB_USER_VERBS_CMD_GET_CONTEXT, &context, sizeof(context), &of_context, sizeof(of_context));
	verbs(device, IB_USER_VERBS_CMD_ALLOC_PD, &domain, sizeof(domain), &of_domain, sizeof(of_domain));
	region.hca_va = region.start;
	region.pd_handle = of_domain.pd_handle;
	while (times-- > 0)
		verbs(device, IB_USER_VERBS_CMD_REG_MR, &region, sizeof(region), &of_region, sizeof(of_region));
}

static void by_uring(char *at, size_t bytes, int times)
{
	struct iovec halves[] = { { at, bytes / 2 }, { at + bytes / 2, bytes / 2 } };

	while (times-- > 0) {
		struct io_uring_params params = { 0 };
		long ring = syscall(SYS_io_uring_setup, 8, &params);

		if (ring < 0 || syscall(SYS_io_uring_register, ring, IORING_REGISTER_BUFFERS, halves, 2) != 0) {
			perror("io_uring");
			exit(1);
		}
	}
}

static void by_vfio(char *at, size_t bytes, int times)
{
	glob_t groups;
	int container = open("/dev/vfio/vfio", O_RDWR);
	int group = glob("/dev/vfio/[0-9]*", 0, NULL, &groups) == 0 ? open(groups.gl_pathv[0], O_RDWR) : -1;
	struct vfio_iommu_type1_dma_map map = {
		.argsz = sizeof(map),
		.flags = VFIO_DMA_MAP_FLAG_READ | VFIO_DMA_MAP_FLAG_WRITE,
		.vaddr = (__u64)(unsigned long)at,
		.iova = 1ULL << 36,
		.size = bytes,
	};
	int failed = group < 0 || ioctl(group, VFIO_GROUP_SET_CONTAINER, &container) != 0 ||
		     ioctl(container, VFIO_SET_IOMMU, VFIO_TYPE1_IOMMU) != 0;

	for (; !failed && times-- > 0; map.iova += bytes)
		failed = ioctl(container, VFIO_IOMMU_MAP_DMA, &map) != 0;
	if (failed) {
		perror("vfio");
		exit(1);
	}
}

int main(int count, char **words)
{
	size_t bytes;
	int times;

	if (count < 3)
		return 2;
	bytes = strtoul(words[2], NULL, 10) << 20;
	times = count > 3 ? atoi(words[3]) : 1;
	if (strcmp(words[1], "vfio") == 0)
		by_vfio(memory(bytes), bytes, times);
	else
		(strcmp(words[1], "rdma") == 0 ? by_rdma : by_uring)(memory(bytes), bytes, times);
	memory(bytes);
	printf("%d\n", getpid());
	fflush(stdout);
	for (;;)
		pause();
}
