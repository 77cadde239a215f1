"""drgn-tools' memstate, for who has it: its summary, top slab caches and processes, as it prints them.

Kernels without CONFIG_MEMORY_FAILURE lack a counter that it asks for: it is told that this is zero.
"""

import sys

from drgn import Object

sys.path.insert(0, sys.argv[1])


def absent(prog, name, flags, filename):
    return Object(prog, "atomic_long_t", {"counter": 0}) if name == "num_poisoned_pages" else None


prog.register_object_finder("absent", absent, enable_index=-1)  # noqa: F821 - drgn's

from drgn_tools.memstate import run_memstate  # noqa: E402

run_memstate(prog)  # noqa: F821 - drgn's
run_memstate(prog, slab=True)  # noqa: F821 - drgn's
run_memstate(prog, per_process=True)  # noqa: F821 - drgn's
