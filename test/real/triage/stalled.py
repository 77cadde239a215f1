"""Of every TCP socket with data that nobody read: ticks since the newest came, and the window that is left."""

import json

from drgn import cast
from drgn.helpers.linux.fs import for_each_file
from drgn.helpers.linux.pid import for_each_task

now = prog["jiffies_64"].value_()  # noqa: F821
found = {}
for task in for_each_task(prog):  # noqa: F821
    if not task.files:
        continue
    for fd, file in for_each_file(task):
        if not file.f_op.value_() == prog["socket_file_ops"].address_of_().value_():  # noqa: F821
            continue
        sock = cast("struct socket *", file.private_data).sk
        if not sock or sock.__sk_common.skc_prot.name.string_() not in (b"TCP", b"TCPv6") or sock.__sk_common.skc_state == 10:
            continue
        tcp = cast("struct tcp_sock *", sock)
        connection = tcp.inet_conn
        window = (tcp.rcv_wup + tcp.rcv_wnd - tcp.rcv_nxt).value_() & 0xFFFFFFFF
        found[hex(sock.value_())] = {
            "ticks": (now - connection.icsk_ack.lrcvtime.value_()) & 0xFFFFFFFF,
            "window": 0 if window & 0x80000000 else window,
            "unread": (tcp.rcv_nxt - tcp.copied_seq).value_() & 0xFFFFFFFF,
        }
print(json.dumps(found))
