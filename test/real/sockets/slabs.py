# Every sock that drgn finds allocated in the slabs of the kernel's protocols, and every sock of an
# allocated socket inode, by the allocator's own free lists: an idea of "in use" that ours does not
# share. Prints {"socks": {address: [from…]}} as JSON.
import json

from drgn import Object, cast, container_of
from drgn.helpers.linux.list import list_for_each_entry
from drgn.helpers.linux.slab import slab_cache_for_each_allocated_object

found = {}


def note(sock, source):
    found.setdefault(hex(sock), set()).add(source)


protocols = list(list_for_each_entry("struct proto", prog["proto_list"].address_of_(), "node"))
by_cache = {}
for protocol in protocols:
    if protocol.slab:
        by_cache.setdefault(protocol.slab.value_(), []).append(protocol.value_())
for cache, addresses in by_cache.items():
    cache = Object(prog, "struct kmem_cache *", cache)
    for sock in slab_cache_for_each_allocated_object(cache, "struct sock"):
        # A merged cache holds other things too.
        if sock.__sk_common.skc_prot.value_() in addresses:
            if sock.__sk_common.skc_refcnt.refs.counter.value_() > 0:
                note(sock.value_(), "protocol")

try:
    inode_type = prog.type("struct sockfs_inode")
except LookupError:
    inode_type = prog.type("struct socket_alloc")
for inode in slab_cache_for_each_allocated_object(prog["sock_inode_cachep"], inode_type):
    sock = inode.socket.sk
    if sock and sock.sk_socket.value_() == inode.socket.address_of_().value_():
        note(sock.value_(), "inode")

print(json.dumps({"socks": {sock: sorted(sources) for sock, sources in found.items()}}))
