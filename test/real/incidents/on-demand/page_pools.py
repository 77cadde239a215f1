# Pages of each page pool that are in flight (page_pool_inflight of net/core/page_pool.c), and whether it was detached.
import json

from drgn import Object
from drgn.helpers.linux.xarray import xa_for_each

pools = []
for _, entry in xa_for_each(prog["page_pools"].address_of_()):
    pool = Object(prog, "struct page_pool *", entry)
    held = pool.pages_state_hold_cnt.value_() - pool.pages_state_release_cnt.counter.value_()
    pools.append({
        "bytes": (held & 0xFFFF_FFFF) * 4096 << pool.p.order.value_(),
        "detached": pool.user.detach_time.value_() != 0,
    })
print(json.dumps(pools))
