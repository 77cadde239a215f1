"""The stack of every task, by drgn's unwinder (DWARF, and ORC where the kernel switches stacks)."""

import json

from drgn.helpers.linux.cpumask import for_each_possible_cpu
from drgn.helpers.linux.pid import for_each_task
from drgn.helpers.linux.sched import idle_task


def frames(task):
    try:
        trace = prog.stack_trace(task)  # noqa: F821
    except Exception as error:
        return {"error": str(error)}
    found = []
    for frame in trace:
        try:
            inline = frame.is_inline
        except AttributeError:
            inline = False
        if inline:
            continue
        try:
            address = hex(frame.pc)
        except LookupError:
            address = None
        found.append({"address": address, "name": frame.name, "interrupted": frame.interrupted})
    return {"frames": found}


stacks = {}
tasks = list(for_each_task(prog))  # noqa: F821
tasks += [idle_task(prog, cpu) for cpu in for_each_possible_cpu(prog)]  # noqa: F821
for task in tasks:
    stacks[hex(task.value_())] = {"pid": task.pid.value_(), **frames(task)}
print(json.dumps(stacks))
