"""Outstanding requests of disks, the journal of /dev/vda, what RCU waits for, deadline tasks, the queue of a spinlock: JSON on stdout.

Argument: address of the spinlock.
"""

import json
import sys

from drgn import Object, cast, container_of
from drgn.helpers.linux.block import disk_name, for_each_disk
from drgn.helpers.linux.cpumask import for_each_possible_cpu
from drgn.helpers.linux.fs import for_each_mount
from drgn.helpers.linux.list import list_for_each
from drgn.helpers.linux.percpu import per_cpu_ptr
from drgn.helpers.linux.pid import for_each_task
from drgn.helpers.linux.rbtree import rbtree_inorder_for_each_entry
from drgn.helpers.linux.xarray import xa_for_each


def contexts(queue):
    if hasattr(queue, "hctx_table"):
        return [cast("struct blk_mq_hw_ctx *", entry) for _, entry in xa_for_each(queue.hctx_table.address_of_())]
    return [queue.queue_hw_ctx[index] for index in range(queue.nr_hw_queues.value_())]


def requests(queue):
    """Requests that are in flight by their own state, without the maps of tags."""
    found = []
    if not queue.tag_set:
        return None
    for context in contexts(queue):
        for index in range(context.tags.nr_tags.value_()):
            request = context.tags.rqs[index]
            if request and request.q == queue and request.tag.value_() == index and request.state.value_() != 0:
                found.append([context.queue_num.value_(), request.start_time_ns.value_()])
    return found


def grace_period():
    state = prog["rcu_state"]  # noqa: F821
    cpus, tasks = [], []
    for index in range(prog["rcu_num_nodes"].value_()):  # noqa: F821
        node = state.node[index]
        # The leaves are those that CPUs point to.
        for cpu in for_each_possible_cpu(prog):  # noqa: F821
            data = per_cpu_ptr(prog["rcu_data"].address_of_(), cpu)  # noqa: F821
            if data.mynode == node.address_of_() and node.qsmask & data.grpmask:
                cpus.append(cpu)
        holds = False
        for entry in list_for_each(node.blkd_tasks.address_of_()):
            holds = holds or entry == node.gp_tasks
            if holds:
                tasks.append(container_of(entry, "struct task_struct", "rcu_node_entry").pid.value_())
    return {"cpus": sorted(cpus), "tasks": sorted(tasks)}


def deadline():
    """Pids on the trees of deadline tasks; servers for fair tasks are no tasks."""
    found = []
    for cpu in for_each_possible_cpu(prog):  # noqa: F821
        queue = per_cpu_ptr(prog["runqueues"].address_of_(), cpu)  # noqa: F821
        for entity in rbtree_inorder_for_each_entry(
            "struct sched_dl_entity", queue.dl.root.rb_root.address_of_(), "rb_node"
        ):
            if not hasattr(entity, "dl_server") or not entity.dl_server:
                found.append(container_of(entity, "struct task_struct", "dl").pid.value_())
    return sorted(found)


def journal():
    for mount in for_each_mount(prog):  # noqa: F821
        block = mount.mnt.mnt_sb
        if block.s_id.string_() != b"vda":
            continue
        own = cast("struct ext4_sb_info *", block.s_fs_info).s_journal
        now = {one.value_() for one in (own.j_running_transaction, own.j_committing_transaction) if one}
        holders = []
        for task in for_each_task(prog):  # noqa: F821
            if task.journal_info and cast("struct jbd2_journal_handle *", task.journal_info).h_transaction.value_() in now:
                holders.append(task.pid.value_())
        return {"task": own.j_task.pid.value_(), "holders": sorted(holders), "address": hex(own.value_())}
    return None


json.dump(
    {
        "disks": {disk_name(disk).decode(): requests(disk.queue) for disk in for_each_disk(prog)},  # noqa: F821
        "gracePeriod": grace_period(),
        "deadline": deadline(),
        "journal": journal(),
        "tail": (Object(prog, "unsigned int", address=int(sys.argv[1], 16)).value_() >> 18) - 1,  # noqa: F821
    },
    sys.stdout,
)
