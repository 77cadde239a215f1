# What drgn finds in slabs that begins like a sock and is none: requests for connections, and freed
# slots beside TCP's socks in use that still name TCP's operations.
import json

from drgn import FaultError, Object
from drgn.helpers.linux.slab import (
    find_slab_cache,
    slab_cache_for_each_allocated_object,
    slab_object_info,
)


def in_use(cache):
    return {found.value_() for found in slab_cache_for_each_allocated_object(cache, "void")}


def is_freed(cache, slot):
    try:
        info = slab_object_info(prog, slot)
        names = Object(prog, "struct sock *", slot).member_("__sk_common").skc_prot
    except FaultError:
        return False
    if info is None or info.slab_cache != cache or info.allocated or info.address != slot:
        return False
    return names == prog["tcp_prot"].address_of_()


tcp = find_slab_cache(prog, "TCP")
size = tcp.size.value_()
beside = {slot + step for slot in in_use(tcp) for step in (-size, size)}
answer = {
    "requests": [hex(slot) for slot in in_use(find_slab_cache(prog, "request_sock_TCP"))],
    "freed": [hex(slot) for slot in beside if is_freed(tcp, slot)],
}
print(json.dumps(answer))
