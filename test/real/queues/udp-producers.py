# Where drgn finds the lists of a UDP socket in which CPUs put datagrams down, one for each NUMA node:
# the address of each list's first pointer, and the skb that it names.
import json
import sys

from drgn import Object

sock = Object(prog, "struct udp_sock *", int(sys.argv[1], 16))
lists = [sock.udp_prod_queue[node].ll_root for node in range(prog["nr_node_ids"].value_())]
print(json.dumps([[hex(one.first.address_), hex(one.first.value_())] for one in lists]))
