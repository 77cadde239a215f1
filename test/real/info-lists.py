"""Lists of a kernel's objects, as drgn's helpers and the debug information have them: JSON on stdout."""

import json
import stat
import sys

from drgn import cast, container_of
from drgn.helpers.linux.cpumask import for_each_online_cpu
from drgn.helpers.linux.fs import d_path, for_each_file, for_each_mount, mount_dst, mount_fstype, mount_src
from drgn.helpers.linux.idr import idr_for_each
from drgn.helpers.linux.list import list_for_each_entry
from drgn.helpers.linux.percpu import per_cpu
from drgn.helpers.linux.pid import for_each_task


def text(obj):
    return obj.string_().decode("latin-1")


def module_sizes(module):
    try:
        core = module.core_layout
        return core.size.value_(), core.text_size.value_()
    except AttributeError:
        types = module.mem.type_.length
        kinds = [module.mem[index].size.value_() for index in range(types)]
        return sum(kinds[:4]), kinds[0]


def modules(prog):
    for module in list_for_each_entry("struct module", prog["modules"].address_of_(), "list"):
        size, code = module_sizes(module)
        users = list_for_each_entry(
            "struct module_use", module.source_list.address_of_(), "source_list"
        )
        yield {
            "address": hex(module.value_()),
            "name": text(module.name),
            "size": size,
            "text": code,
            "references": module.refcnt.counter.value_() - 1,
            "usedBy": sorted(text(use.source.name) for use in users),
        }


def mounts(prog):
    for mount in for_each_mount(prog["init_task"].nsproxy.mnt_ns):
        device = mount.mnt.mnt_sb.s_dev.value_()
        yield {
            "address": hex(mount.value_()),
            "source": mount_src(mount).decode("latin-1"),
            "path": mount_dst(mount).decode("latin-1"),
            "fsType": mount_fstype(mount).decode("latin-1"),
            "device": f"{device >> 20}:{device & 0xfffff}",
        }


def queues(prog):
    for cpu in for_each_online_cpu(prog):
        rq = per_cpu(prog["runqueues"], cpu)
        realtime = [
            task.pid.value_()
            for queue in rq.rt.active.queue
            for task in list_for_each_entry("struct task_struct", queue.address_of_(), "rt.run_list")
        ]
        fair = list_for_each_entry("struct task_struct", rq.cfs_tasks.address_of_(), "se.group_node")
        yield {
            "cpu": cpu,
            "running": rq.nr_running.value_(),
            "current": rq.curr.pid.value_(),
            "fair": sorted(task.pid.value_() for task in fair),
            "realtime": sorted(realtime),
        }


def pipe_bytes(prog, pipe):
    size = pipe.ring_size.value_()
    pages = {
        pipe.bufs[slot & (size - 1)].page.value_()
        for slot in range(pipe.tail.value_(), pipe.head.value_())
    }
    spare = pipe.tmp_page
    try:
        pages |= {spare[index].value_() for index in range(spare.type_.length)}
    except AttributeError:
        pages.add(spare.value_())
    return len(pages - {0}) * prog["PAGE_SIZE"].value_()


PF_KTHREAD = 0x200000
KINDS = {
    stat.S_IFSOCK: "socket",
    stat.S_IFIFO: "pipe",
    stat.S_IFCHR: "device",
    stat.S_IFBLK: "device",
}


def descriptors(prog):
    for task in for_each_task(prog):
        if task.pid != task.tgid or not task.files or task.flags & PF_KTHREAD:
            continue
        count = 0
        kinds = {}
        pipes = {}
        for fd, file in for_each_file(task):
            count += 1
            kind = KINDS.get(stat.S_IFMT(file.f_inode.i_mode.value_()))
            if kind:
                kinds[kind] = kinds.get(kind, 0) + 1
            if kind == "pipe":
                pipe = cast("struct pipe_inode_info *", file.private_data)
                pipes[pipe.value_()] = pipe_bytes(prog, pipe)
        limit = task.signal.rlim[7].rlim_cur.value_()
        yield {
            "pid": task.pid.value_(),
            "count": count,
            "kinds": kinds,
            "pipeBytes": sum(pipes.values()),
            "limit": limit,
        }


def swap(prog):
    for index in range(prog["nr_swapfiles"].value_()):
        device = prog["swap_info"][index]
        if not device.flags.value_() & 1:
            continue
        used = device.inuse_pages
        try:
            used = used.counter
        except AttributeError:
            pass
        yield {
            "path": d_path(device.swap_file.f_path).decode("latin-1"),
            "pages": device.pages.value_(),
            "used": used.value_(),
            "priority": device.prio.value_(),
        }


def segments(prog):
    for _, entry in idr_for_each(prog["init_ipc_ns"].ids[2].ipcs_idr.address_of_()):
        segment = container_of(cast("struct kern_ipc_perm *", entry), "struct shmid_kernel", "shm_perm")
        mapping = segment.shm_file.f_inode.i_mapping
        yield {
            "address": hex(segment.value_()),
            "id": segment.shm_perm.id.value_(),
            "key": hex(segment.shm_perm.key.value_()),
            "bytes": segment.shm_segsz.value_(),
            "attaches": segment.shm_nattch.value_(),
            "creator": segment.shm_cprid.numbers[0].nr.value_(),
            "pages": mapping.nrpages.value_(),
        }


def main(prog):
    json.dump(
        {
            "modules": list(modules(prog)),
            "mounts": list(mounts(prog)),
            "queues": list(queues(prog)),
            "descriptors": list(descriptors(prog)),
            "swap": list(swap(prog)),
            "segments": list(segments(prog)),
        },
        sys.stdout,
    )


main(prog)  # noqa: F821 - drgn's
