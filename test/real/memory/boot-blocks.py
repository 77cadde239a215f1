# Memory that was taken while the machine booted, in page frames: rings of virtio devices, by the list of
# all devices and the sizes that the driver asked for (null: their types are in no debug information here); and
# the block of the array of the kernel's types.
import json

from drgn import container_of
from drgn.helpers.linux.list import list_for_each_entry
from drgn.helpers.linux.mm import PageCompound, compound_order, in_direct_map, virt_to_page

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
    address = prog["btf_vmlinux"].types
    if not in_direct_map(prog, address):
        return 0  # vmalloc's
    page = virt_to_page(address)
    return 1 << compound_order(page).value_() if PageCompound(page) else None


print(json.dumps({"rings": rings(), "types": types()}))
