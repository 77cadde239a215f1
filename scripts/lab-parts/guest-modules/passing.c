/*
 * `insmod passing.ko pages=N`: takes so many pages and forgets them; `rmmod passing` ends it, and nothing of
 * them goes back.
 */
#include <linux/gfp.h>
#include <linux/module.h>

static unsigned int pages, taken;
module_param(pages, uint, 0444);
module_param(taken, uint, 0444);

static noinline void leak_passing(void)
{
	/* What is done after it keeps this function in the stack. */
	if (alloc_pages(GFP_KERNEL, 0))
		WRITE_ONCE(taken, taken + 1);
}

/* Not among what the kernel forgets once a module has begun (__init): it names no symbols of that. */
static noinline int passing(void)
{
	unsigned int i;

	for (i = 0; i < pages; i++)
		leak_passing();
	return 0;
}

static void passed(void)
{
}

module_init(passing);
module_exit(passed);
MODULE_DESCRIPTION("Takes pages, and goes");
MODULE_LICENSE("GPL");
