/*
 * `insmod lost.ko [count=N]`: allocates memory and keeps or loses the pointers to it, each in a function of its own. The
 * log has a line for each: `lost: NAME ALLOCATIONS BYTES`. Names that begin with `lost` have no reference from memory in
 * use; those that begin with `kept` have one. Pages that a process maps from /dev/lost have only the reference of its page
 * table.
 */
#include <asm/io.h>
#include <linux/gfp.h>
#include <linux/kthread.h>
#include <linux/list.h>
#include <linux/miscdevice.h>
#include <linux/mm.h>
#include <linux/module.h>
#include <linux/sched.h>
#include <linux/slab.h>
#include <linux/vmalloc.h>
#include <linux/xarray.h>

static unsigned int count = 256;
module_param(count, uint, 0444);

/* Nodes of a cycle. */
#define CYCLE 8

struct node {
	struct list_head link;
	struct page *page;
	char rest[1024 - sizeof(struct list_head) - sizeof(struct page *)];
};

static LIST_HEAD(kept_nodes);
static struct page **kept_pages;
static unsigned long kept_tagged;
static void *kept_area;
static DEFINE_XARRAY(kept_entries);

/* As a driver keeps its receive buffers. */
static struct slot {
	struct page *page;
	dma_addr_t device;
	unsigned int offset;
} *kept_ring;

static void note(const char *name, unsigned int allocations, unsigned long bytes)
{
	pr_info("lost: %s %u %lu\n", name, allocations, bytes);
}

static struct node *new_node(struct list_head *head, unsigned int order)
{
	struct node *node = kzalloc(sizeof(*node), GFP_KERNEL);

	if (!node)
		return NULL;
	node->page = alloc_pages(GFP_KERNEL | __GFP_COMP | __GFP_ZERO, order);
	list_add_tail(&node->link, head);
	return node;
}

/* More pages than the image of this module has. */
#define RECENT 1024

/*
 * Takes the pages that were freed last. The kernel frees the module's image just before it is initialized, and the array of
 * its pages is freed too, but not cleared: an object that reuses it would make its pages look as if they were in use. Of
 * 256 lost pages 91 once looked so; an image has 102. That this is the reason was inferred from the numbers.
 */
static noinline void take_recent(struct list_head *pages)
{
	unsigned int i;

	for (i = 0; i < RECENT; i++) {
		struct page *page = alloc_page(GFP_KERNEL);

		if (!page)
			return;
		list_add(&page->lru, pages);
	}
}

static noinline void return_recent(struct list_head *pages)
{
	struct page *page, *next;

	list_for_each_entry_safe(page, next, pages, lru) {
		list_del(&page->lru);
		__free_page(page);
	}
}

static noinline void lost_pages(void)
{
	unsigned int i;

	for (i = 0; i < count; i++)
		alloc_pages(GFP_KERNEL | __GFP_ZERO, 0);
	note("lost_pages", count, count * PAGE_SIZE);
}

static noinline void lost_blocks(void)
{
	unsigned int i;

	for (i = 0; i < count; i++)
		alloc_pages(GFP_KERNEL | __GFP_COMP | __GFP_ZERO, 2);
	note("lost_blocks", count, count * (PAGE_SIZE << 2));
}

/*
 * Nodes that refer to each other, and to a block each. There are many cycles: one stale pointer to a node makes its whole
 * cycle look as if it were in use.
 */
static noinline void lost_cycles(void)
{
	unsigned int i, j;

	for (i = 0; i < count / CYCLE; i++) {
		struct node *first = kzalloc(sizeof(*first), GFP_KERNEL);

		if (!first)
			return;
		INIT_LIST_HEAD(&first->link);
		for (j = 1; j < CYCLE; j++)
			new_node(&first->link, 1);
	}
	note("lost_cycles", count, count * sizeof(struct node));
	note("lost_cycle_blocks", count / CYCLE * (CYCLE - 1),
	     count / CYCLE * (CYCLE - 1) * (PAGE_SIZE << 1));
}

static noinline void lost_areas(void)
{
	unsigned int i;

	for (i = 0; i < count; i++)
		vzalloc(3 * PAGE_SIZE);
	note("lost_areas", count, count * (3 * PAGE_SIZE));
}

static noinline void lost_objects(void)
{
	unsigned int i;

	for (i = 0; i < count; i++)
		kzalloc(512, GFP_KERNEL);
	note("lost_objects", count, count * 512UL);
}

/* kmalloc takes pages where it has no cache for a size. */
static noinline void lost_large(void)
{
	unsigned int i;

	for (i = 0; i < count / 8; i++)
		kzalloc(8 * PAGE_SIZE, GFP_KERNEL);
	note("lost_large", count / 8, count / 8 * (PAGE_SIZE << 3));
}

static noinline void keep_list(void)
{
	unsigned int i;

	for (i = 0; i < count; i++)
		new_node(&kept_nodes, 0);
	note("kept_list", count, count * PAGE_SIZE);
}

static noinline void keep_array(void)
{
	unsigned int i;

	kept_pages = vzalloc(count * sizeof(*kept_pages));
	for (i = 0; kept_pages && i < count; i++)
		kept_pages[i] = alloc_pages(GFP_KERNEL | __GFP_COMP | __GFP_ZERO, 3);
	note("kept_array", count, count * (PAGE_SIZE << 3));
}

static noinline void keep_ring(void)
{
	unsigned int i;

	kept_ring = kcalloc(count, sizeof(*kept_ring), GFP_KERNEL);
	for (i = 0; kept_ring && i < count; i++) {
		kept_ring[i].page = alloc_pages(GFP_KERNEL | __GFP_ZERO, 0);
		kept_ring[i].device = page_to_phys(kept_ring[i].page);
	}
	note("kept_ring", count, count * PAGE_SIZE);
}

/* Low bits of the pointer, and of entries of an xarray, are tags. */
static noinline void keep_tagged(void)
{
	void *area = vzalloc(7 * PAGE_SIZE);
	unsigned int i;

	WRITE_ONCE(kept_tagged, (unsigned long)area | 3);
	for (i = 0; i < count; i++)
		xa_store(&kept_entries, i * 7, xa_tag_pointer(kzalloc(600, GFP_KERNEL), 1), GFP_KERNEL);
	note("kept_tagged", count + 1, count * 600UL + 7 * PAGE_SIZE);
}

/* Keeps the address of a page that is not its own on its stack, as an earlier user of a stack leaves it. */
static int keep_word(void *frame)
{
	void *volatile left = page_address(pfn_to_page((unsigned long)frame));

	while (!kthread_should_stop())
		schedule_timeout_interruptible(MAX_SCHEDULE_TIMEOUT);
	return left == NULL;
}

/* Only the page tables of the area have its pages. */
static noinline void keep_vmap(void)
{
	struct page **pages = kcalloc(count, sizeof(*pages), GFP_KERNEL);
	unsigned int i;

	for (i = 0; pages && i < count; i++)
		pages[i] = alloc_pages(GFP_KERNEL | __GFP_ZERO, 0);
	WRITE_ONCE(kept_area, vmap(pages, count, VM_MAP, PAGE_KERNEL));
	if (pages && pages[0])
		kthread_run(keep_word, (void *)page_to_pfn(pages[0]), "lost-word");
	/* kfree leaves most of it as it is. */
	memset(pages, 0, count * sizeof(*pages));
	kfree(pages);
	note("kept_vmap", count, count * PAGE_SIZE);
}

static int map_pages(struct file *file, struct vm_area_struct *vma)
{
	unsigned long at;
	int failed = 0;

	for (at = vma->vm_start; at < vma->vm_end && !failed; at += PAGE_SIZE) {
		struct page *page = alloc_pages(GFP_KERNEL | __GFP_ZERO, 0);

		if (!page)
			return -ENOMEM;
		failed = vm_insert_page(vma, at, page);
		put_page(page);
	}
	return failed;
}

static const struct file_operations mapping = {
	.owner = THIS_MODULE,
	.mmap = map_pages,
};

static struct miscdevice device = {
	.minor = MISC_DYNAMIC_MINOR,
	.name = "lost",
	.fops = &mapping,
};

/* The next thread that gets this stack would have the pointers that are left on it. */
static noinline void wipe_stack(unsigned int depth)
{
	char left[1024];

	memset(left, 0, sizeof(left));
	barrier_data(left);
	if (depth > 0)
		wipe_stack(depth - 1);
	barrier_data(left);
}

static int __init lost(void)
{
	LIST_HEAD(recent);

	take_recent(&recent);
	lost_pages();
	lost_blocks();
	lost_cycles();
	lost_areas();
	lost_objects();
	lost_large();
	wipe_stack(8);
	keep_list();
	keep_array();
	keep_ring();
	keep_tagged();
	keep_vmap();
	return_recent(&recent);
	return misc_register(&device);
}

module_init(lost);
MODULE_DESCRIPTION("Allocates memory, and loses some of the pointers to it");
MODULE_LICENSE("GPL");
