/*
 * `insmod locks.ko`: threads named lk-… hold locks and wait for others, as the table below says. `crowd=N`: N threads
 * wait for one mutex instead. `echo spin >/sys/module/locks/parameters/hold`: a reader on CPU 1, which does not schedule,
 * holds back a grace period of RCU; `echo sleep`: one that sleeps (CONFIG_PREEMPT_RCU); `echo lock`: both, CPU 1 also
 * has a spinlock, for which CPUs 2 and 3 spin. The log then has the address of each lock and the pid of each thread:
 *
 *   locks: at NAME ADDRESS     locks: thread NAME PID
 */
#include <linux/completion.h>
#include <linux/err.h>
#include <linux/fs.h>
#include <linux/kthread.h>
#include <linux/mm.h>
#include <linux/module.h>
#include <linux/mutex.h>
#include <linux/pagemap.h>
#include <linux/percpu-rwsem.h>
#include <linux/rwsem.h>
#include <linux/sched/task.h>
#include <linux/semaphore.h>
#include <linux/spinlock.h>
#include <linux/srcu.h>
#include <linux/string.h>
#include <linux/wait.h>
#include <linux/wait_bit.h>
#include <linux/workqueue.h>

static int crowd;
module_param(crowd, int, 0);

static DEFINE_MUTEX(lk_root);
static DEFINE_MUTEX(lk_middle);
static DEFINE_MUTEX(lk_one);
static DEFINE_MUTEX(lk_other);
static DEFINE_MUTEX(lk_left);
static DEFINE_MUTEX(lk_mixed);
static DEFINE_MUTEX(lk_crowd);
static DECLARE_RWSEM(lk_written);
static DECLARE_RWSEM(lk_read);
static DECLARE_RWSEM(lk_both);
static struct semaphore lk_semaphore = __SEMAPHORE_INITIALIZER(lk_semaphore, 1);
static DECLARE_COMPLETION(lk_completion);
static DECLARE_WAIT_QUEUE_HEAD(lk_queue);
static struct percpu_rw_semaphore lk_percpu_written, lk_percpu_read;
DEFINE_STATIC_SRCU(lk_srcu);
static unsigned long lk_word = 1 << 3;
static struct page *lk_page;
static int lk_never;
static int go;
static atomic_t ready = ATOMIC_INIT(0);

static DECLARE_COMPLETION(lk_worked);
static void worked(struct work_struct *work)
{
	wait_for_completion(&lk_worked);
}
static DECLARE_WORK(lk_work, worked);
static DECLARE_WORK(lk_later, worked);

static void stay(void)
{
	for (;;)
		schedule_timeout_interruptible(HZ);
}

#define TAKES(name, statement) static noinline void name(void) { statement; }

TAKES(root, mutex_lock(&lk_root))
TAKES(middle, mutex_lock(&lk_middle))
TAKES(middle_interruptible, if (mutex_lock_interruptible(&lk_middle)) stay())
TAKES(middle_killable, if (mutex_lock_killable(&lk_middle)) stay())
TAKES(one, mutex_lock(&lk_one))
TAKES(other, mutex_lock(&lk_other))
TAKES(left, mutex_lock(&lk_left))
TAKES(mixed, mutex_lock(&lk_mixed))
TAKES(many, mutex_lock(&lk_crowd))
TAKES(written, down_write(&lk_written))
TAKES(written_reads, down_read(&lk_written))
TAKES(read_reads, down_read(&lk_read))
TAKES(read_writes, down_write(&lk_read))
TAKES(both, down_write(&lk_both))
TAKES(semaphore, down(&lk_semaphore))
TAKES(completion, wait_for_completion(&lk_completion))
TAKES(queue, wait_event(lk_queue, READ_ONCE(lk_never)))
TAKES(percpu_written, percpu_down_write(&lk_percpu_written))
TAKES(percpu_written_reads, percpu_down_read(&lk_percpu_written))
TAKES(percpu_read_reads, percpu_down_read(&lk_percpu_read))
TAKES(percpu_read_writes, percpu_down_write(&lk_percpu_read))
TAKES(srcu, (void)srcu_read_lock(&lk_srcu))
TAKES(srcu_waits, synchronize_srcu(&lk_srcu))
TAKES(rcu_waits, synchronize_rcu())
TAKES(work, flush_work(&lk_work))
TAKES(later, flush_work(&lk_later))
TAKES(bit, wait_on_bit(&lk_word, 3, TASK_UNINTERRUPTIBLE))
TAKES(page, lock_page(lk_page))
TAKES(writeback, wait_on_page_writeback(lk_page))

/* A thread takes its first lock; when all have theirs, it waits for its second. */
static const struct part {
	const char *name;
	void (*takes)(void);
	void (*waits)(void);
	bool exits;
} parts[] = {
	{ "lk-root", root },
	{ "lk-middle", middle, root },
	{ "lk-m0", NULL, middle },
	{ "lk-m1", NULL, middle_interruptible },
	{ "lk-m2", NULL, middle_killable },
	{ "lk-one", one, other },
	{ "lk-other", other, one },
	{ "lk-beside", NULL, other },
	{ "lk-left", left, NULL, true },
	{ "lk-after", NULL, left },
	{ "lk-writer", written },
	{ "lk-wr0", NULL, written_reads },
	{ "lk-wr1", NULL, written_reads },
	{ "lk-ww", NULL, written },
	{ "lk-reader", read_reads },
	{ "lk-rw", NULL, read_writes },
	{ "lk-mixed", mixed, both },
	{ "lk-both", both, mixed },
	{ "lk-sema", semaphore },
	{ "lk-sem0", NULL, semaphore },
	{ "lk-sem1", NULL, semaphore },
	{ "lk-comp0", NULL, completion },
	{ "lk-comp1", NULL, completion },
	{ "lk-queue", NULL, queue },
	{ "lk-pcw", percpu_written },
	{ "lk-pcwr", NULL, percpu_written_reads },
	{ "lk-pcr", percpu_read_reads },
	{ "lk-pcrw", NULL, percpu_read_writes },
	{ "lk-srcu", srcu },
	{ "lk-srcuw", NULL, srcu_waits },
	{ "lk-bit", NULL, bit },
	{ "lk-page", page },
	{ "lk-pagew", NULL, page },
	{ "lk-wback", NULL, writeback },
	{ "lk-flush0", NULL, work },
	{ "lk-flush1", NULL, work },
	{ "lk-flushl", NULL, later },
}, crowd_parts[] = {
	{ "lk-first", many },
	{ "lk-crowd", NULL, many },
};

static noinline int lk_thread(void *data)
{
	const struct part *part = data;

	if (part->takes)
		part->takes();
	atomic_inc(&ready);
	if (part->exits)
		return 0;
	while (!READ_ONCE(go))
		schedule_timeout_interruptible(1);
	if (part->waits)
		part->waits();
	stay();
	return 0;
}

static void begin(const struct part *part)
{
	int before = atomic_read(&ready);
	struct task_struct *thread = kthread_create(lk_thread, (void *)part, "%s", part->name);

	if (IS_ERR(thread))
		return;
	/* No other task may get the memory of one that has exited. */
	get_task_struct(thread);
	wake_up_process(thread);
	pr_info("locks: thread %s %d\n", part->name, thread->pid);
	while (atomic_read(&ready) == before)
		schedule_timeout_uninterruptible(1);
}

static const struct part rcu_part = { "lk-rcuw", NULL, rcu_waits };

static int spin(void *data)
{
	rcu_read_lock();
	preempt_disable();
	for (;;)
		cpu_relax();
	return 0;
}

static int sleeping_reader(void *data)
{
	rcu_read_lock();
	stay();
	return 0;
}

static DEFINE_SPINLOCK(lk_spinlock);
static int spinning(void *data)
{
	spin_lock(&lk_spinlock);
	for (;;)
		cpu_relax();
	return 0;
}

static int holder(int (*does)(void *), const char *name, int cpu)
{
	struct task_struct *thread = kthread_create(does, NULL, "%s", name);

	if (IS_ERR(thread))
		return PTR_ERR(thread);
	if (cpu >= 0)
		kthread_bind(thread, cpu);
	pr_info("locks: thread %s %d\n", name, thread->pid);
	wake_up_process(thread);
	schedule_timeout_uninterruptible(HZ / 10);
	return 0;
}

static int hold(const char *value, const struct kernel_param *param)
{
	bool locks = sysfs_streq(value, "lock");
	int failed = 0;

	if (locks) {
		pr_info("locks: at lk_spinlock %px\n", &lk_spinlock);
		failed = holder(spinning, "lk-spin1", 1) ?: holder(spinning, "lk-spin2", 2)
			?: holder(spinning, "lk-spin3", 3);
	}
	if (sysfs_streq(value, "spin"))
		failed = holder(spin, "lk-spin", 1);
	else
		failed = failed ?: holder(sleeping_reader, "lk-rcur", locks ? 0 : -1);
	if (failed)
		return failed;
	begin(&rcu_part);
	return 0;
}

static const struct kernel_param_ops hold_ops = { .set = hold };
module_param_cb(hold, &hold_ops, NULL, 0200);

#define AT(lock) pr_info("locks: at %s %px\n", #lock, &lock)

static int __init locks(void)
{
	int i;
	struct workqueue_struct *works = alloc_ordered_workqueue("lk_works", 0);
	struct file *file = filp_open("/locks.ko", O_RDONLY, 0);

	if (IS_ERR(file))
		return PTR_ERR(file);
	lk_page = read_mapping_page(file->f_mapping, 1, file);
	if (IS_ERR(lk_page))
		return PTR_ERR(lk_page);
	/* `flags` is the first word of every page. */
	set_bit(PG_writeback, (unsigned long *)lk_page);
	if (percpu_init_rwsem(&lk_percpu_written) || percpu_init_rwsem(&lk_percpu_read))
		return -ENOMEM;
	AT(lk_root); AT(lk_middle); AT(lk_one); AT(lk_other); AT(lk_left); AT(lk_mixed); AT(lk_crowd);
	AT(lk_written); AT(lk_read); AT(lk_both); AT(lk_semaphore); AT(lk_completion); AT(lk_queue);
	AT(lk_percpu_written); AT(lk_percpu_read); AT(lk_word); AT(*lk_page); AT(lk_work); AT(lk_later); AT(lk_worked);
	if (!works)
		return -ENOMEM;
	if (crowd == 0) {
		queue_work(works, &lk_work);
		queue_work(works, &lk_later);
	}
	for (i = 0; crowd == 0 && i < ARRAY_SIZE(parts); i++)
		begin(&parts[i]);
	for (i = 0; i < crowd; i++)
		begin(&crowd_parts[i > 0]);
	WRITE_ONCE(go, 1);
	return 0;
}

module_init(locks);
MODULE_DESCRIPTION("Threads that hold locks and wait for others");
MODULE_LICENSE("GPL");
