"""Sockets that no process has open, found by drgn without the slabs: JSON on stdout, [keeper, sock]
pairs by how they are kept, and what each sock is and holds.
"""

import json
import os
import sys

sys.path[:0] = [os.path.dirname(os.path.abspath(__file__)), os.environ["LAB_PARTS"]]

from keepers import keepers  # noqa: E402
from oracle.figures import Figures  # noqa: E402
from oracle.queues import queues_of  # noqa: E402
from oracle.sockets import identity  # noqa: E402


def describe(prog, sk):
    who = identity(prog, sk)
    queues = {}
    for name, skbs in queues_of(prog, sk, who["family"], who["type"], who["protocol"]):
        figures = Figures(prog)
        for skb in skbs:
            figures.add(skb)
        queues[name] = {k: v for k, v in figures.json().items() if k != "slabSlots"}
    keys = ("family", "type", "state", "local", "peer", "netns")
    return {**{key: who[key] for key in keys}, "queues": queues}


def main(prog):
    pairs = {"scm": [], "accept": [], "io_uring": [], "orphan": []}
    socks = {}
    for how, keeper, sk in keepers(prog):
        address = hex(sk.value_())
        pairs[how].append([keeper, address])
        socks[address] = describe(prog, sk)
    print(json.dumps({"pairs": pairs, "socks": socks}))


main(prog)  # noqa: F821 - drgn's
