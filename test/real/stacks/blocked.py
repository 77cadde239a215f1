"""Owners and waiters of locks (arguments KIND:ADDRESS) by their own members, and all tasks in state D: JSON on stdout."""

import json
import sys

from drgn import Object, cast
from drgn.helpers.linux.list import list_for_each_entry
from drgn.helpers.linux.pid import for_each_task
from drgn.helpers.linux.sched import task_state_to_char

TYPES = {
    "mutex": ("struct mutex", "struct mutex_waiter"),
    "rw-semaphore": ("struct rw_semaphore", "struct rwsem_waiter"),
    "semaphore": ("struct semaphore", "struct semaphore_waiter"),
    "completion": ("struct completion", "struct swait_queue"),
    "rt-mutex": ("struct rt_mutex_base", None),
    "wait-queue": ("struct wait_queue_head", "struct wait_queue_entry"),
    "percpu-rw-semaphore": ("struct percpu_rw_semaphore", "struct wait_queue_entry"),
}


def task(word):
    return Object(prog, "struct task_struct *", word & ~7)  # noqa: F821


def waiters(kind, lock, waiter):
    """Pids of the waiters on a lock's list."""
    if waiter is None:
        return None
    if kind == "completion":
        head, link = lock.wait.task_list.address_of_(), "task_list"
    elif kind == "wait-queue":
        head, link = lock.head.address_of_(), "entry"
    elif kind == "percpu-rw-semaphore":
        head, link = lock.waiters.head.address_of_(), "entry"
        if lock.writer.task:
            return [lock.writer.task.pid.value_()]
    elif hasattr(lock, "wait_list"):
        head, link = lock.wait_list.address_of_(), "list"
    else:
        first = lock.first_waiter
        rest = list_for_each_entry(waiter, first.list.address_of_(), "list")
        return sorted([first.task.pid.value_(), *(each.task.pid.value_() for each in rest)])
    entries = list_for_each_entry(waiter, head, link)
    if link == "entry":
        return sorted(task(each.private.value_()).pid.value_() for each in entries)
    return sorted(each.task.pid.value_() for each in entries)


def worker(work):
    """Comm of the worker that runs a work item."""
    for each in for_each_task(prog):  # noqa: F821
        if not each.comm.string_().startswith(b"kworker"):
            continue
        kthread = each.worker_private if hasattr(each, "worker_private") else each.set_child_tid
        data = cast("struct kthread *", kthread).data
        if cast("struct worker *", data).current_work.value_() == work:
            return each.comm.string_().decode()
    return None


def described(kind, address):
    if kind == "work":
        return {"waiters": None, "owner": worker(int(address, 16)), "readers": None}
    name, waiter = TYPES[kind]
    if kind == "rt-mutex" and "rt_mutex_base" not in str(prog.type("struct rt_mutex_waiter")):  # noqa: F821
        name = "struct rt_mutex"
    lock = Object(prog, name, address=int(address, 16))  # noqa: F821
    found = {"waiters": waiters(kind, lock, waiter), "owner": None, "readers": None}
    if kind == "mutex":
        word = lock.owner.counter.value_()
        found["owner"] = task(word).comm.string_().decode() if word & ~7 else None
    elif kind == "rw-semaphore":
        count, word = lock.count.counter.value_(), lock.owner.counter.value_()
        found["readers"] = 0 if count & 1 else count >> 8
        found["owner"] = task(word).comm.string_().decode() if count & 1 else None
    elif kind == "rt-mutex":
        found["owner"] = task(lock.owner.value_()).comm.string_().decode()
    return found


json.dump(
    {
        "locks": {one: described(*one.split(":")) for one in sys.argv[1:]},
        "uninterruptible": sorted(
            each.pid.value_() for each in for_each_task(prog) if task_state_to_char(each) == "D"  # noqa: F821
        ),
    },
    sys.stdout,
)
