/*
 * `insmod leak.ko rates=N,M,… [keep=N] [paused=1]`: a thread takes memory so many times a second in ways
 * that are leaks, and in ways that are not, each in a function of its own. The order of `rates` is that
 * of the table at the end. /proc/leak says of each what it holds: its name, allocations, bytes.
 * /sys/module/leak/parameters/paused and rates may be written.
 */
#include <linux/delay.h>
#include <linux/gfp.h>
#include <linux/kthread.h>
#include <linux/mm.h>
#include <linux/module.h>
#include <linux/proc_fs.h>
#include <linux/seq_file.h>
#include <linux/slab.h>
#include <linux/version.h>
#include <linux/vmalloc.h>
#if LINUX_VERSION_CODE >= KERNEL_VERSION(6, 6, 0)
#include <net/page_pool/helpers.h>
#else
#include <net/page_pool.h>
#endif

#define KINDS 16
#define RING 64
#define BULK 8
/* kmallocs: of caches of 1024 and 512 bytes. */
#define OBJECT 1024
#define OTHER_OBJECT 512
#define AREA (2 * PAGE_SIZE)
#define TICK_MS 10

static unsigned int rates[KINDS], keep = 256;
static bool paused;
module_param_array(rates, uint, NULL, 0644);
module_param(keep, uint, 0444);
module_param(paused, bool, 0644);

struct amount {
	long blocks, bytes;
};

static struct task_struct *thread;

static void took(struct amount *held, long blocks, long bytes)
{
	WRITE_ONCE(held->bytes, held->bytes + bytes);
	WRITE_ONCE(held->blocks, held->blocks + blocks);
}

/* What follows is never freed, and nothing points to it. */

static noinline void leak_single(struct amount *held)
{
	if (alloc_pages(GFP_KERNEL, 0))
		took(held, 1, PAGE_SIZE);
}

static noinline void leak_third(struct amount *held)
{
	if (alloc_pages(GFP_KERNEL, 3))
		took(held, 1, PAGE_SIZE << 3);
}

static noinline void leak_fifth(struct amount *held)
{
	if (alloc_pages(GFP_KERNEL | __GFP_COMP, 5))
		took(held, 1, PAGE_SIZE << 5);
}

/* Half of each block goes back. */
static noinline void leak_parts(struct amount *held)
{
	struct page *page = alloc_pages(GFP_KERNEL, 3);
	int i;

	if (!page)
		return;
	split_page(page, 3);
	for (i = 0; i < 8; i += 2)
		__free_page(page + i);
	took(held, 1, PAGE_SIZE << 2);
}

static noinline void leak_bulk(struct amount *held)
{
#if LINUX_VERSION_CODE >= KERNEL_VERSION(5, 13, 0)
	struct page *pages[BULK] = {};
	unsigned long count;

#if LINUX_VERSION_CODE >= KERNEL_VERSION(6, 14, 0)
	count = alloc_pages_bulk(GFP_KERNEL, BULK, pages);
#else
	count = alloc_pages_bulk_array(GFP_KERNEL, BULK, pages);
#endif
	took(held, count, count * PAGE_SIZE);
#endif
}

static noinline void leak_object(struct amount *held)
{
	if (kmalloc(OBJECT, GFP_KERNEL))
		took(held, 1, OBJECT);
}

static noinline void leak_area(struct amount *held)
{
	if (vmalloc(AREA))
		took(held, 1, AREA);
}

/* Caches: they fill, and then stay as they are. */

static noinline void keep_page(struct amount *held)
{
	if (held->blocks < keep && alloc_pages(GFP_KERNEL, 0))
		took(held, 1, PAGE_SIZE);
}

static noinline void keep_object(struct amount *held)
{
	if (held->blocks < keep && kmalloc(OTHER_OBJECT, GFP_KERNEL))
		took(held, 1, OTHER_OBJECT);
}

/* Rings: what was taken first goes back. */

static noinline void ring_page(struct amount *held)
{
	static struct page *ring[RING];
	static unsigned int at;
	struct page **slot = &ring[at++ % RING];

	if (*slot) {
		__free_pages(*slot, 2);
		took(held, -1, -(PAGE_SIZE << 2));
	}
	*slot = alloc_pages(GFP_KERNEL, 2);
	if (*slot)
		took(held, 1, PAGE_SIZE << 2);
}

/* A block is split, and its pages go back in two halves. */
static noinline void ring_split(struct amount *held)
{
	static struct page *ring[RING];
	static unsigned int at;
	struct page **slot = &ring[at++ % RING], *half = ring[(at + RING / 2) % RING];
	int i;

	if (half) {
		for (i = 1; i < 16; i += 2)
			__free_page(half + i);
		took(held, 0, -8 * PAGE_SIZE);
	}
	if (*slot) {
		for (i = 0; i < 16; i += 2)
			__free_page(*slot + i);
		took(held, -1, -8 * PAGE_SIZE);
	}
	*slot = alloc_pages(GFP_KERNEL, 4);
	if (*slot) {
		split_page(*slot, 4);
		took(held, 1, 16 * PAGE_SIZE);
	}
}

/* Five pages of a block of eight: three go back at once. */
static noinline void ring_exact(struct amount *held)
{
	static void *ring[RING];
	static unsigned int at;
	void **slot = &ring[at++ % RING];

	if (*slot) {
		free_pages_exact(*slot, 5 * PAGE_SIZE);
		took(held, -1, -5 * PAGE_SIZE);
	}
	*slot = alloc_pages_exact(5 * PAGE_SIZE, GFP_KERNEL);
	if (*slot)
		took(held, 1, 5 * PAGE_SIZE);
}

static noinline void ring_object(struct amount *held)
{
	static void *ring[RING];
	static unsigned int at;
	void **slot = &ring[at++ % RING];

	if (*slot) {
		kfree(*slot);
		took(held, -1, -OTHER_OBJECT);
	}
	*slot = kmalloc(OTHER_OBJECT, GFP_KERNEL);
	if (*slot)
		took(held, 1, OTHER_OBJECT);
}

static noinline void ring_area(struct amount *held)
{
	static void *ring[RING];
	static unsigned int at;
	void **slot = &ring[at++ % RING];

	if (*slot) {
		vfree(*slot);
		took(held, -1, -AREA);
	}
	*slot = vmalloc(AREA);
	if (*slot)
		took(held, 1, AREA);
}

/* As ring_object, but the kernel frees later, many at once (kfree_rcu). */
static noinline void ring_rcu(struct amount *held)
{
	static struct later {
		struct rcu_head rcu;
		char rest[OTHER_OBJECT - sizeof(struct rcu_head)];
	} *ring[RING];
	static unsigned int at;
	struct later **slot = &ring[at++ % RING];

	if (*slot) {
		kfree_rcu(*slot, rcu);
		took(held, -1, -OTHER_OBJECT);
	}
	*slot = kmalloc(sizeof(**slot), GFP_KERNEL);
	if (*slot)
		took(held, 1, OTHER_OBJECT);
}

#if IS_ENABLED(CONFIG_PAGE_POOL)
static struct page_pool *pool;
#endif

/*
 * Pages of a pool, as a driver takes them that forgets them. The pool takes more at once than it gives, and
 * counts itself what it has taken.
 */
static noinline void leak_pool(struct amount *held)
{
#if IS_ENABLED(CONFIG_PAGE_POOL)
	long before;

	if (!pool) {
		struct page_pool_params params = { .pool_size = 1024, .nid = NUMA_NO_NODE };

		pool = page_pool_create(&params);
		if (IS_ERR(pool))
			pool = NULL;
		if (!pool)
			return;
	}
	before = READ_ONCE(pool->pages_state_hold_cnt);
	page_pool_alloc_pages(pool, GFP_KERNEL);
	before = READ_ONCE(pool->pages_state_hold_cnt) - before;
	took(held, before, before * PAGE_SIZE);
#endif
}

static struct {
	const char *name;
	void (*once)(struct amount *held);
	unsigned int credit;
	struct amount held;
} kinds[KINDS] = {
	{ "leak_single", leak_single },
	{ "leak_third", leak_third },
	{ "leak_fifth", leak_fifth },
	{ "leak_parts", leak_parts },
	{ "leak_bulk", leak_bulk },
	{ "leak_object", leak_object },
	{ "leak_area", leak_area },
	{ "keep_page", keep_page },
	{ "keep_object", keep_object },
	{ "ring_page", ring_page },
	{ "ring_split", ring_split },
	{ "ring_exact", ring_exact },
	{ "ring_object", ring_object },
	{ "ring_area", ring_area },
	{ "ring_rcu", ring_rcu },
	{ "leak_pool", leak_pool },
};

static int leak_thread(void *unused)
{
	u64 before = ktime_get_ns() / NSEC_PER_MSEC;
	int i;

	while (!kthread_should_stop()) {
		u64 now = ktime_get_ns() / NSEC_PER_MSEC;
		/* A guest that was starved catches up: each rate is per second, not per wakeup. */
		unsigned int passed = min_t(u64, now - before, MSEC_PER_SEC);

		before = now;
		for (i = 0; i < KINDS && !READ_ONCE(paused); i++)
			for (kinds[i].credit += READ_ONCE(rates[i]) * passed;
			     kinds[i].credit >= MSEC_PER_SEC; kinds[i].credit -= MSEC_PER_SEC)
				kinds[i].once(&kinds[i].held);
		msleep(TICK_MS);
	}
	return 0;
}

static int leak_show(struct seq_file *file, void *unused)
{
	int i;

	for (i = 0; i < KINDS; i++)
		seq_printf(file, "%s %ld %ld\n", kinds[i].name, READ_ONCE(kinds[i].held.blocks),
			   READ_ONCE(kinds[i].held.bytes));
	return 0;
}

/* It stays: there is nothing to give back. */
static int __init leak(void)
{
	if (!proc_create_single("leak", 0444, NULL, leak_show))
		return -ENOMEM;
	thread = kthread_run(leak_thread, NULL, "leak");
	return PTR_ERR_OR_ZERO(thread);
}

module_init(leak);
MODULE_DESCRIPTION("Takes memory at known rates, in ways that leak and in ways that do not");
MODULE_LICENSE("GPL");
