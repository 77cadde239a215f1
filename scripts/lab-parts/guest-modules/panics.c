/*
 * `insmod panics.ko what=WHAT [where=WHERE]`: does what a kernel dies of, or would with one of its sysctls.
 * It first says in the log who does it: `panics: WHAT by pid PID (COMM) on CPU CPU`.
 *
 *   null     writes to address 0            wild     to an address that no x86_64 has
 *   bug      BUG()                          divide   by zero (arm64 does not mind)
 *   stack    recursion without end          list     a list's node is overwritten
 *   twice    frees an object twice          warn     WARN_ON
 *   panic    panic()                        hang     a task of its own that waits for ever
 *   spin     without end, CPU kept          deaf     the same without interrupts
 *
 * WHERE: `task` (insmod itself, unless told), `irq` (an interrupt), `softirq` (a timer).
 */
#include <linux/delay.h>
#include <linux/irq_work.h>
#include <linux/jiffies.h>
#include <linux/kthread.h>
#include <linux/list.h>
#include <linux/module.h>
#include <linux/sched.h>
#include <linux/slab.h>
#include <linux/timer.h>

static char *what = "";
module_param(what, charp, 0);
static char *where = "task";
module_param(where, charp, 0);

static struct timer_list later;
static struct irq_work interrupt;

static noinline int panics_recurse(volatile char *from)
{
	volatile char here[512];

	here[0] = from[0];
	return panics_recurse(here) + here[0];
}

static noinline int panics_hang(void *unused)
{
	set_current_state(TASK_UNINTERRUPTIBLE);
	schedule();
	return 0;
}

static noinline void panics_list(void)
{
	static LIST_HEAD(head);
	static struct list_head node;

	list_add(&node, &head);
	node.prev = &node;
	list_del(&node);
}

static noinline void panics_twice(void)
{
	void *object = kmalloc(64, GFP_ATOMIC);

	kfree(object);
	kfree(object);
}

static noinline void panics_spin(bool deaf)
{
	if (deaf) {
		/* What was said is printed by a thread, which may need this CPU. */
		msleep(500);
		local_irq_disable();
	}
	preempt_disable();
	for (;;)
		cpu_relax();
}

static noinline void panics_do(void)
{
	volatile int zero = 0;
	char here = 0;

	pr_emerg("panics: %s by pid %d (%s) on CPU %d\n", what, current->pid, current->comm,
		 raw_smp_processor_id());
	if (strcmp(what, "null") == 0)
		*(volatile int *)(long)zero = 1;
	else if (strcmp(what, "wild") == 0)
		*(volatile int *)(0x1234567800000000UL + zero) = 1;
	else if (strcmp(what, "bug") == 0)
		BUG();
	else if (strcmp(what, "divide") == 0)
		here = (int)jiffies / zero;
	else if (strcmp(what, "stack") == 0)
		here = panics_recurse(&here);
	else if (strcmp(what, "list") == 0)
		panics_list();
	else if (strcmp(what, "twice") == 0)
		panics_twice();
	else if (strcmp(what, "warn") == 0)
		WARN_ON(!zero);
	else if (strcmp(what, "panic") == 0)
		panic("told to, by %s", where);
	else if (strcmp(what, "hang") == 0)
		kthread_run(panics_hang, NULL, "panics-hang");
	else if (strcmp(what, "spin") == 0)
		panics_spin(false);
	else if (strcmp(what, "deaf") == 0)
		panics_spin(true);
	/* What was done must not be the last, or it is no call but a jump. */
	WRITE_ONCE(*what, here ? '?' : *what);
}

static void panics_timer(struct timer_list *timer)
{
	panics_do();
}

static void panics_interrupt(struct irq_work *work)
{
	panics_do();
}

static int __init panics(void)
{
	if (strcmp(where, "softirq") == 0) {
		timer_setup(&later, panics_timer, 0);
		mod_timer(&later, jiffies + 1);
	} else if (strcmp(where, "irq") == 0) {
		init_irq_work(&interrupt, panics_interrupt);
		irq_work_queue(&interrupt);
	} else {
		panics_do();
	}
	return 0;
}

module_init(panics);
MODULE_DESCRIPTION("Does what a kernel dies of");
MODULE_LICENSE("GPL");
