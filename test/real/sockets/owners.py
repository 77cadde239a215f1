"""Whose socket each TCP sock is part of, and which processes map sockets, as drgn finds it."""

import json

from drgn.helpers.linux.fs import for_each_file
from drgn.helpers.linux.list_nulls import hlist_nulls_for_each_entry
from drgn.helpers.linux.pid import for_each_task
from drgn.helpers.linux.rbtree import rbtree_inorder_for_each_entry


def wholes():
    table = prog["tcp_hashinfo"]
    found = {}
    for index in range(table.ehash_mask.value_() + 1):
        chain = table.ehash[index].chain.address_of_()
        for sk in hlist_nulls_for_each_entry("struct sock", chain, "__sk_common.skc_nulls_node"):
            socket = sk.sk_socket
            found[hex(sk.value_())] = hex(socket.sk.value_()) if socket else None
    return found


def mapped():
    tasks = [task for task in for_each_task(prog) if task.pid == task.tgid and task.files]
    pids = {task.mm.value_(): task.pid.value_() for task in tasks}
    for task in tasks:
        for fd, file in for_each_file(task):
            if file.f_op != prog["socket_file_ops"].address_of_():
                continue
            areas = rbtree_inorder_for_each_entry(
                "struct vm_area_struct", file.f_mapping.i_mmap.rb_root.address_of_(), "shared.rb"
            )
            who = [pids[area.vm_mm.value_()] for area in areas if area.vm_file == file]
            if who:
                yield task.pid.value_(), fd, who


print(json.dumps({"wholes": wholes(), "mapped": list(mapped())}))
