"""The figures of DESIGN.md's `Q`, from drgn's own helpers for pages and slabs."""

from drgn import cast
from drgn.helpers.linux.mm import (
    PageCompound,
    compound_head,
    compound_order,
    page_to_pfn,
    virt_to_page,
)
from drgn.helpers.linux.net import skb_shinfo
from drgn.helpers.linux.slab import slab_object_info


class Figures:
    def __init__(self, prog):
        self.prog = prog
        self.skbs = self.payload = self.truesize = self.frags = self.most = 0
        self.devices = 0
        self.pages = {}  # address of the head page → its order
        self.references = {}  # address of the head page → references to it found here
        self.slots = {}  # address of a slab object → size of its slot
        self.caches = {}  # name of a slab cache → slots
        self.shared = set()  # addresses of skb_shared_info seen
        self.heads = set()  # addresses of linear heads seen

    def add(self, skb):
        """One entry of a queue."""
        self.skbs += 1
        self.payload += skb.len.value_()
        self.truesize += skb.truesize.value_()
        self.most = max(self.most, self._buffer(skb))

    def _buffer(self, skb, depth=0):
        """An skb's memory; returns how many frags it has, those of its frag_list included."""
        if depth > 8:
            raise ValueError(f"frag_list too deep at {skb.value_():#x}")
        self._slab(skb.value_(), required=True)
        self._head(skb.head.value_())
        shared = skb_shinfo(skb)
        count = shared.nr_frags.value_()
        new = shared.value_() not in self.shared
        self.shared.add(shared.value_())
        if new:
            self.frags += count
            for i in range(count):
                self._frag(shared.frags[i])
        child = shared.frag_list
        while child:
            count += self._buffer(child, depth + 1)
            child = child.next
        return count

    def _slab(self, address, required=False):
        info = slab_object_info(self.prog, address)
        if info is None:
            if required:
                raise ValueError(f"{address:#x} is not in a slab")
            return False
        if not info.allocated:
            raise ValueError(f"{address:#x} is a free slab object")
        if info.address not in self.slots:
            name = info.slab_cache.name.string_().decode()
            self.caches[name] = self.caches.get(name, 0) + 1
        self.slots[info.address] = info.slab_cache.size.value_()
        return True

    def _head(self, address):
        if address in self.heads:
            return
        self.heads.add(address)
        if not self._slab(address):
            self._page(virt_to_page(self.prog, address))

    def _frag(self, frag):
        if hasattr(frag, "netmem"):
            value = cast("unsigned long", frag.netmem).value_()
            if value & 1:
                self.devices += 1
                return
            page = cast("struct page *", cast("unsigned long", frag.netmem))
        elif hasattr(frag, "bv_page"):
            page = frag.bv_page
        else:
            page = frag.page.p
        self._page(page)

    def _page(self, page):
        head = compound_head(page)
        address = head.value_()
        self.references[address] = self.references.get(address, 0) + 1
        if address not in self.pages:
            order = compound_order(head).value_() if PageCompound(head) else 0
            self.pages[address] = (order, page_to_pfn(head).value_(), head._refcount.counter.value_())

    def json(self):
        orders = {}
        for order, _, _ in self.pages.values():
            orders[str(order)] = orders.get(str(order), 0) + 1
        page_size = self.prog["PAGE_SIZE"].value_()
        page_bytes = sum(page_size << order for order, _, _ in self.pages.values())
        slab_bytes = sum(self.slots.values())
        return {
            "skbs": self.skbs,
            "payloadBytes": self.payload,
            "truesizeBytes": self.truesize,
            "frags": self.frags,
            "maxFragsPerSkb": self.most,
            "pages": len(self.pages),
            "orders": {**dict(sorted(orders.items())), "unknown": 0},
            "pageBytes": page_bytes,
            "slabBytes": slab_bytes,
            "pinnedBytes": page_bytes + slab_bytes,
            "complete": self.devices == 0,
            "slabSlots": dict(sorted(self.caches.items())),
        }

    def pages_json(self):
        return [
            {
                "page": hex(address),
                "pfn": pfn,
                "order": order,
                "refcount": refcount,
                "references": self.references[address],
            }
            for address, (order, pfn, refcount) in self.pages.items()
        ]
