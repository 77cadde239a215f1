/*
 * `insmod trouble.ko what=WHAT`: does one thing that kernels complain about, or die of:
 *
 *   warn     WARN_ON                       null     a NULL pointer is followed
 *   bug      BUG()                         hang     a task waits for what never comes
 *   lockup   a CPU is kept for 12 seconds  stack    recursion without end
 *   alloc    an order that fails           twice    an object is freed twice
 *   corrupt  a list's node is overwritten
 */
#include <linux/delay.h>
#include <linux/gfp.h>
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
	int second;

	preempt_disable();
	for (second = 0; second < 12; second++)
		mdelay(1000);
	preempt_enable();
}

static noinline void trouble_list(void)
{
	static LIST_HEAD(head);
	static struct list_head node;

	list_add(&node, &head);
	node.prev = &node;
	list_del(&node);
}

static int __init trouble(void)
{
	char here = 1;

	if (strcmp(what, "warn") == 0)
		WARN_ON(here);
	else if (strcmp(what, "null") == 0)
		*(volatile int *)(long)(here - 1) = 1;
	else if (strcmp(what, "bug") == 0)
		BUG();
	else if (strcmp(what, "hang") == 0)
		kthread_run(trouble_sleep, NULL, "trouble-hang");
	else if (strcmp(what, "lockup") == 0)
		trouble_lockup();
	else if (strcmp(what, "stack") == 0)
		return trouble_recurse(&here);
	else if (strcmp(what, "alloc") == 0)
		while (alloc_pages(GFP_KERNEL | __GFP_NORETRY, 9))
			cond_resched();
	else if (strcmp(what, "twice") == 0) {
		void *object = kmalloc(64, GFP_KERNEL);

		kfree(object);
		kfree(object);
	} else if (strcmp(what, "corrupt") == 0)
		trouble_list();
	else
		return -EINVAL;
	return 0;
}

module_init(trouble);
MODULE_DESCRIPTION("Does what kernels complain about, or die of");
MODULE_LICENSE("GPL");
