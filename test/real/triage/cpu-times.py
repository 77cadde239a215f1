"""Times of all CPUs since boot, in nanoseconds, as drgn reads them: JSON on stdout."""

import json
import sys

from drgn.helpers.linux.cpumask import for_each_possible_cpu
from drgn.helpers.linux.percpu import per_cpu

BUSY = ("CPUTIME_USER", "CPUTIME_NICE", "CPUTIME_SYSTEM", "CPUTIME_SOFTIRQ", "CPUTIME_IRQ")

stats = [per_cpu(prog["kernel_cpustat"], cpu).cpustat for cpu in for_each_possible_cpu(prog)]  # noqa: F821
value = lambda stat, name: stat[prog[name].value_()].value_()  # noqa: E731, F821
json.dump(
    {
        "busy": sum(value(stat, name) for stat in stats for name in BUSY),
        "steal": sum(value(stat, "CPUTIME_STEAL") for stat in stats),
    },
    sys.stdout,
)
