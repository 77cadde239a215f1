"""When each process of a dump began, and its boot id, as drgn and the debug information have it: JSON on stdout."""

import json


from drgn.helpers.linux.list import list_for_each_entry

leaders = list_for_each_entry("struct task_struct", prog["init_task"].tasks.address_of_(), "tasks")
print(
    json.dumps(
        {
            # nsec_to_clock_t: ticks of a hundredth of a second.
            "ticks": {
                task.pid.value_(): task.start_boottime.value_() // 10_000_000
                for task in leaders
                if task.mm.value_() != 0
            },
            "bootId": bytes(prog["sysctl_bootid"].value_()).hex(),
            "host": prog["init_uts_ns"].name.nodename.string_().decode(),
        }
    )
)
