/*
 * `insmod trouble.ko what=WHAT,…`: does things that kernels complain about, or die of:
 *
 *   warn     WARN_ON                       null     a NULL pointer is followed
 *   bug      BUG()                         hang     a task waits for what never comes
 *   lockup   a CPU is kept for 12 seconds  stack    recursion without end
 *   alloc    an order that fails           twice    an object is freed twice
 *   corrupt  a list's node is overwritten, after 8 seconds
 */
#include <linux/delay.h>
#include <linux/gfp.h>
#include <linux/jiffies.h>
#include <linux/kthread.h>
#include <linux/list.h>
#include <linux/mm.h>
#include <linux/module.h>
#include <linux/slab.h>

static char *what = "";
module_param(what, charp, 0);

static noinline int trouble_sleep(void *unused)
{
	set_current_state(TASK_UNINTERRUPTIBLE);
	schedule();
	return 0;
}

static noinline int trouble_recurse(volatile char *from)
{
	volatile char here[512];

	here[0] = from[0];
	return trouble_recurse(here) + here[0];
}

static noinline void trouble_lockup(void)
{
	unsigned long end = jiffies + 12 * HZ;

	preempt_disable();
	while (time_before(jiffies, end))
		cpu_relax();
	preempt_enable();
}

static noinline int trouble_list(void *unused)
{
	static LIST_HEAD(head);
	static struct list_head node;

	/* After a BUG nobody looks for tasks that hang. */
	msleep_interruptible(8000);
	list_add(&node, &head);
	node.prev = &node;
	list_del(&node);
	return 0;
}

static noinline void trouble_allocate(void)
{
	struct page *block;
	LIST_HEAD(blocks);

	while ((block = alloc_pages(GFP_KERNEL | __GFP_NORETRY, 9)))
		list_add(&block->lru, &blocks);
	while (!list_empty(&blocks)) {
		block = list_first_entry(&blocks, struct page, lru);
		list_del(&block->lru);
		__free_pages(block, 9);
	}
}

/* Of each: whether a thread of the module's own does it, which then stays. */
static int trouble_one(const char *what)
{
	char here = 1;

	if (strcmp(what, "warn") == 0)
		WARN_ON(here);
	else if (strcmp(what, "null") == 0)
		*(volatile int *)(long)(here - 1) = 1;
	else if (strcmp(what, "bug") == 0)
		BUG();
	else if (strcmp(what, "lockup") == 0)
		trouble_lockup();
	else if (strcmp(what, "stack") == 0)
		trouble_recurse(&here);
	else if (strcmp(what, "alloc") == 0)
		trouble_allocate();
	else if (strcmp(what, "twice") == 0) {
		void *object = kmalloc(64, GFP_KERNEL);

		kfree(object);
		kfree(object);
	} else if (strcmp(what, "hang") == 0)
		return !IS_ERR(kthread_run(trouble_sleep, NULL, "trouble-hang"));
	else if (strcmp(what, "corrupt") == 0)
		return !IS_ERR(kthread_run(trouble_list, NULL, "trouble-list"));
	return 0;
}

static int __init trouble(void)
{
	const char *one;
	int stays = 0;

	while ((one = strsep(&what, ",")))
		stays |= trouble_one(one);
	/* Else it is gone again, and can be loaded for the next. */
	return stays ? 0 : -ECANCELED;
}

module_init(trouble);
MODULE_DESCRIPTION("Does what kernels complain about, or die of");
MODULE_LICENSE("GPL");
