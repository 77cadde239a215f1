"""Which sockets there are, who holds them, and what they are called."""

import socket
import struct

from drgn import cast
from drgn.helpers.linux.fs import for_each_file
from drgn.helpers.linux.pid import for_each_task

from oracle.figures import Figures
from oracle.queues import queues_of

FAMILIES = {1: "AF_UNIX", 2: "AF_INET", 10: "AF_INET6", 16: "AF_NETLINK", 17: "AF_PACKET", 40: "AF_VSOCK"}
TYPES = {1: "SOCK_STREAM", 2: "SOCK_DGRAM", 3: "SOCK_RAW", 5: "SOCK_SEQPACKET"}
PROTOCOLS = {1: "ICMP", 6: "TCP", 17: "UDP", 58: "ICMPV6", 132: "SCTP", 262: "MPTCP"}
# include/net/tcp_states.h
STATES = [
    None, "ESTABLISHED", "SYN_SENT", "SYN_RECV", "FIN_WAIT1", "FIN_WAIT2", "TIME_WAIT", "CLOSE",
    "CLOSE_WAIT", "LAST_ACK", "LISTEN", "CLOSING", "NEW_SYN_RECV", "BOUND_INACTIVE",
]


def every_socket(prog):
    """Every socket that a descriptor of any task leads to, in the order of its first holder."""
    holders = {}
    for task in sorted(for_each_task(prog), key=lambda task: task.pid.value_()):
        if not task.files or shares_files_with_leader(task):
            continue
        for fd, file in for_each_file(task):
            if file.f_op == prog["socket_file_ops"].address_of_():
                holders.setdefault(file.value_(), (file, []))[1].append(holder(task, fd))
    return [describe(prog, file, who) for file, who in holders.values()]


def shares_files_with_leader(task):
    leader = task.group_leader
    return task != leader and task.files == leader.files


def holder(task, fd):
    comm = task.comm.string_()
    return {
        "pid": task.tgid.value_(),
        "tid": task.pid.value_(),
        "fd": fd,
        "comm": comm.decode("latin-1"),
        "commHex": comm.hex(),
    }


def describe(prog, file, holders):
    sock = cast("struct socket *", file.private_data)
    sk = sock.sk
    answer = {
        "file": hex(file.value_()),
        "socket": hex(sock.value_()),
        "sock": hex(sk.value_()) if sk else None,
        "inode": file.f_inode.i_ino.value_(),
        "holders": holders,
    }
    if not sk:
        return answer
    answer.update(identity(prog, sk))
    queues, total, pages = {}, Figures(prog), {}
    for name, skbs in queues_of(prog, sk, answer["family"], answer["type"], answer["protocol"]):
        figures = Figures(prog)
        for skb in skbs:
            figures.add(skb)
            total.add(skb)
        queues[name] = figures.json()
        pages[name] = figures.pages_json()
    answer.update({"queues": queues, "total": total.json(), "pages": pages})
    return answer


def identity(prog, sk):
    family = sk.__sk_common.skc_family.value_()
    state = sk.__sk_common.skc_state.value_()
    kind = sk.sk_type.value_()
    answer = {
        "family": FAMILIES.get(family, str(family)),
        "type": TYPES.get(kind, str(kind)),
        "protocol": protocol_name(sk, family),
        "state": STATES[state] if state < len(STATES) else str(state),
        "netns": sk.__sk_common.skc_net.net.ns.inum.value_(),
        "numbers": {"family": family, "type": kind, "protocol": sk.sk_protocol.value_(), "state": state},
        "local": None,
        "peer": None,
        "meminfo": meminfo(sk),
    }
    if family in (2, 10):
        answer["local"], answer["peer"] = inet_names(sk, family)
    elif family == 1:
        answer["local"], answer["peer"] = unix_names(sk)
    return answer


def protocol_name(sk, family):
    """The number's name where IP gives it one, else what the kernel calls its own code."""
    number = sk.sk_protocol.value_()
    if family in (2, 10) and number in PROTOCOLS:
        return PROTOCOLS[number]
    return sk.__sk_common.skc_prot.name.string_().decode("latin-1")


def counter(value):
    """An atomic_t, a refcount_t, or (some of them since 6.18) a plain number."""
    while hasattr(value, "refs"):
        value = value.refs
    return value.counter.value_() if hasattr(value, "counter") else value.value_()


def meminfo(sk):
    """What SO_MEMINFO would say (sk_get_meminfo() in net/core/sock.c)."""
    return {
        "rmemAlloc": counter(sk.sk_backlog.rmem_alloc),
        "rcvbuf": sk.sk_rcvbuf.value_(),
        "wmemAlloc": counter(sk.sk_wmem_alloc) - 1,
        "sndbuf": sk.sk_sndbuf.value_(),
        "fwdAlloc": sk.sk_forward_alloc.value_(),
        "wmemQueued": sk.sk_wmem_queued.value_(),
        "optmem": counter(sk.sk_omem_alloc),
        "backlog": sk.sk_backlog.len.value_(),
        "drops": counter(sk.sk_drops),
    }


def inet_names(sk, family):
    common = sk.__sk_common
    local_port, peer_port = common.skc_num.value_(), socket.ntohs(common.skc_dport.value_())
    if family == 2:
        local = socket.inet_ntoa(struct.pack("=I", common.skc_rcv_saddr.value_()))
        peer = socket.inet_ntoa(struct.pack("=I", common.skc_daddr.value_()))
        names = f"{local}:{local_port}", f"{peer}:{peer_port}"
    else:
        local = socket.inet_ntop(socket.AF_INET6, bytes(common.skc_v6_rcv_saddr.in6_u.u6_addr8))
        peer = socket.inet_ntop(socket.AF_INET6, bytes(common.skc_v6_daddr.in6_u.u6_addr8))
        names = f"[{local}]:{local_port}", f"[{peer}]:{peer_port}"
    return names[0] if local_port else None, names[1] if peer_port else None


def unix_names(sk):
    own = cast("struct unix_sock *", sk)
    other = own.peer
    return unix_name(own), unix_name(cast("struct unix_sock *", other)) if other else None


def unix_name(own):
    """The path, "@name" for an abstract one, None for a socket without a name."""
    if not own.addr:
        return None
    length = own.addr.len.value_() - 2
    # addr.name is a sockaddr_un of unknown size behind the unix_address: family, then the path.
    start = own.addr.value_() + own.addr.type_.type.member("name").offset + 2
    raw = own.prog_.read(start, length) if length > 0 else b""
    if raw.startswith(b"\0"):
        return "@" + raw[1:].decode("latin-1")
    return raw.split(b"\0")[0].decode("latin-1") or None
