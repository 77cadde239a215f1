/*
 * `insmod plant.ko orders=A,B,… counts=N,M,…`: takes so many blocks of each order from the buddy
 * allocator, as drivers do, and keeps them. Nothing points to them.
 */
#include <linux/gfp.h>
#include <linux/mm.h>
#include <linux/module.h>

static unsigned int orders[8], counts[8];
static int kinds;

module_param_array(orders, uint, &kinds, 0);
module_param_array(counts, uint, &kinds, 0);

static int __init plant(void)
{
	unsigned int done;
	int i;

	for (i = 0; i < kinds; i++)
		for (done = 0; done < counts[i]; done++)
			if (!alloc_pages(GFP_KERNEL, orders[i]))
				return -ENOMEM;
	return 0;
}

module_init(plant);
MODULE_LICENSE("GPL");
