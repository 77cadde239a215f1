/*
 * `insmod borrow.ko pid=N`: a kernel thread that uses the memory of a process (kthread_use_mm), as those of vhost
 * do; `rmmod borrow` ends it.
 */
#include <linux/kthread.h>
#include <linux/mmu_context.h>
#include <linux/module.h>
#include <linux/pid.h>
#include <linux/sched/mm.h>
#include <linux/sched/task.h>

static int pid;
module_param(pid, int, 0444);

static struct task_struct *borrower;

static int borrow(void *data)
{
	struct mm_struct *mm = data;

	kthread_use_mm(mm);
	set_current_state(TASK_INTERRUPTIBLE);
	while (!kthread_should_stop()) {
		schedule();
		set_current_state(TASK_INTERRUPTIBLE);
	}
	__set_current_state(TASK_RUNNING);
	kthread_unuse_mm(mm);
	mmput(mm);
	return 0;
}

static int begin(void)
{
	struct pid *number = find_get_pid(pid);
	struct task_struct *task = get_pid_task(number, PIDTYPE_PID);
	struct mm_struct *mm = task ? get_task_mm(task) : NULL;

	if (task)
		put_task_struct(task);
	put_pid(number);
	if (!mm)
		return -ESRCH;
	borrower = kthread_run(borrow, mm, "borrower");
	if (!IS_ERR(borrower))
		return 0;
	mmput(mm);
	return PTR_ERR(borrower);
}

static void end(void)
{
	kthread_stop(borrower);
}

module_init(begin);
module_exit(end);
MODULE_DESCRIPTION("A kernel thread that borrows the memory of a process");
MODULE_LICENSE("GPL");
