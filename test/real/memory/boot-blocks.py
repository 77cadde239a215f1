# Memory that was taken while the machine booted, in page frames: rings of virtio devices, by the list of
# all devices and the sizes that the driver asked for (null: their types are in no debug information here); and
# the block of the array of the kernel's types; and blocks of requests of block devices, by the slab cache of their
# queues, in which each request of each tag must lie.
import json

from drgn import cast, container_of
from drgn.helpers.linux.list import list_for_each_entry
from drgn.helpers.linux.mm import PageCompound, compound_order, in_direct_map, page_to_pfn, virt_to_page, virt_to_pfn
from drgn.helpers.linux.slab import find_slab_cache, slab_cache_for_each_allocated_object
from drgn.helpers.linux.xarray import xa_load

PAGE = prog["PAGE_SIZE"].value_()


def rings():
    try:
        prog.type("struct vring_virtqueue")
    except LookupError:
        return None
    frames = 0
    for kobject in list_for_each_entry("struct kobject", prog["devices_kset"].list.address_of_(), "entry"):
        device = container_of(kobject, "struct device", "kobj")
        if not device.bus or device.bus.name.string_() != b"virtio":
            continue
        virtio = container_of(device, "struct virtio_device", "dev")
        for queue in list_for_each_entry("struct virtqueue", virtio.vqs.address_of_(), "list"):
            ring = container_of(queue, "struct vring_virtqueue", "vq")
            frames += -(-ring.split.queue_size_in_bytes.value_() // PAGE)
    return frames


def types():
    if not prog["btf_vmlinux"]:
        return 0  # Nothing has asked for them.
    address = prog["btf_vmlinux"].types
    if not in_direct_map(prog, address):
        return 0  # vmalloc's
    page = virt_to_page(address)
    return 1 << compound_order(page).value_() if PageCompound(page) else None


def hardware_contexts(queue):
    many = queue.nr_hw_queues.value_()
    if hasattr(queue, "hctx_table"):
        return [cast("struct blk_mq_hw_ctx *", xa_load(queue.hctx_table.address_of_(), index)) for index in range(many)]
    return [queue.queue_hw_ctx[index] for index in range(many)]


def requests():
    cache = find_slab_cache(prog, "request_queue")
    tags = {}
    for queue in slab_cache_for_each_allocated_object(cache, "struct request_queue"):
        if not queue.tag_set:
            continue
        own = [queue.tag_set.tags[index] for index in range(queue.tag_set.nr_hw_queues)]
        for one in own + [context.sched_tags for context in hardware_contexts(queue)]:
            if one:
                tags[one.value_()] = one
    frames = set()
    for one in tags.values():
        for page in list_for_each_entry("struct page", one.page_list.address_of_(), "lru"):
            first = page_to_pfn(page).value_()
            frames.update(range(first, first + (1 << page.private.value_())))
        for index in range(one.nr_tags.value_()):
            assert virt_to_pfn(one.static_rqs[index]).value_() in frames
    return len(frames)


print(json.dumps({"rings": rings(), "types": types(), "requests": requests()}))
