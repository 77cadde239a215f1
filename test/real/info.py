"""What a kernel says of itself, as drgn's helpers and the debug information have it: JSON on stdout."""

import json
import re
import sys

from drgn import FaultError
from drgn.helpers.linux.cpumask import for_each_online_cpu, for_each_possible_cpu
from drgn.helpers.linux.list import list_for_each_entry
from drgn.helpers.linux.mm import totalram_pages
from drgn.helpers.linux.printk import get_printk_records
from drgn.helpers.linux.sched import cpu_curr

PF_KTHREAD = 0x200000


def text(obj):
    return obj.string_().decode("latin-1")


def timekeeper(prog):
    for name in ("timekeeper_data", "tk_core"):
        try:
            found = prog[name]
        except KeyError:
            continue
        return found[0].timekeeper if name == "timekeeper_data" else found.timekeeper
    raise SystemExit("no timekeeper")


def main(prog):
    uts = prog["init_uts_ns"].name
    tk = timekeeper(prog)
    nsec = (tk.tkr_mono.xtime_nsec >> tk.tkr_mono.shift).value_()
    wall = tk.xtime_sec.value_() * 10**9 + nsec
    to_mono = tk.wall_to_monotonic.tv_sec.value_() * 10**9 + tk.wall_to_monotonic.tv_nsec.value_()
    user = kernel = 0
    # The list of leaders, as ps has it; drgn's own walk goes by the pid table and takes threads too.
    for task in list_for_each_entry("struct task_struct", prog["init_task"].tasks.address_of_(), "tasks"):
        if task.flags.value_() & PF_KTHREAD:
            kernel += 1
        else:
            user += 1
    running = []
    for cpu in for_each_online_cpu(prog):
        task = cpu_curr(prog, cpu)
        running.append(
            {"cpu": cpu, "address": hex(task.value_()), "pid": task.pid.value_(), "comm": text(task.comm)}
        )
    modules = list_for_each_entry("struct module", prog["modules"].address_of_(), "list")
    lines = [record.text.decode("latin-1") for record in get_printk_records(prog)]
    panics = [line for line in lines if line.startswith("Kernel panic - ")]
    faults = [line for line in lines if re.match(r"(sysrq: Trigger a crash|BUG: |Oops)", line)]
    json.dump(
        {
            "release": text(uts.release),
            "version": text(uts.version),
            "nodename": text(uts.nodename),
            "machine": text(uts.machine),
            "wallSeconds": wall / 1e9,
            "uptimeSeconds": (wall + to_mono + tk.offs_boot.value_()) / 1e9,
            "online": len(list(for_each_online_cpu(prog))),
            "possible": len(list(for_each_possible_cpu(prog))),
            "ramBytes": int(totalram_pages(prog)) * prog["PAGE_SIZE"].value_(),
            "taint": hex(prog["tainted_mask"].value_()),
            "processes": {"user": user, "kernel": kernel},
            "running": running,
            "modules": [text(module.name) for module in modules],
            "panic": panics[-1] if panics else None,
            "fault": faults[-1] if faults else None,
        },
        sys.stdout,
    )


main(prog)  # noqa: F821 - drgn's
