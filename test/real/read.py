"""Bytes as drgn reads them: JSON on stdout. Arguments: `v:ADDR:LENGTH` or `p:ADDR:LENGTH`, in hex; the
answer has hex for each, or null for a fault."""

import json
import sys

from drgn import FaultError


def read(prog, what):
    space, address, length = what.split(":")
    try:
        return prog.read(int(address, 16), int(length, 16), space == "p").hex()
    except FaultError:
        return None


json.dump([read(prog, what) for what in sys.argv[1:]], sys.stdout)  # noqa: F821 - drgn's
