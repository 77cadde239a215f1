"""What drgn, with the kernel's debug information, says of every socket in a dump: JSON on stdout.

Run by drgn (`scripts/lab oracle VER`), with the dump as the program. It shares no code and no idea
with kdump-mem: types come from DWARF, containers from drgn's helpers.
"""

import json
import os
import sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

from oracle.sockets import every_socket  # noqa: E402


def main(prog):
    answer = {
        "release": prog["init_uts_ns"].name.release.string_().decode(),
        "sockets": every_socket(prog),
    }
    json.dump(answer, sys.stdout, indent=1)
    print()


main(prog)  # noqa: F821 - drgn's
