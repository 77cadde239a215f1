import { KernelError } from '../../base/errors/kernel.js';
import type { Kernel } from '../../kernel/kernel.js';
import { Pointer } from '../../kernel/pointer.js';
import { AddressIndex } from '../address-index.js';
import { ChildCaches } from '../pages/child-caches.js';
import { memberOf, struct } from '../pages/struct-page.js';
import { alignedBlock } from './aligned-block.js';
import type { FrameMap } from './frame-map.js';
import { eachChunk } from './page-chunks.js';
import { KIND } from './page-kinds.js';

/** To whom a frame is charged; from FIRST on rows of {@link Charges.pointers}. */
export const CHARGE = {
  uncharged: 0,
  /** A slab: objects of many are in one. */
  byObject: 1,
  unread: 2,
  /** To one more than are told apart. */
  others: 3,
  first: 4,
} as const;

/** What `struct page`s say of charges. */
export interface Charges {
  /** What charged frames point to: a `struct mem_cgroup` or a `struct obj_cgroup`. */
  readonly pointers: AddressIndex;
  /** First frames of slabs whose objects have charges. */
  readonly slabs: readonly number[];
}

/** Those that are told apart; cgroups have 16-bit ids, dead ones and objects' ones come on top. */
const MOST = 2 ** 17;

/** The lowest bits say what it points to (`enum page_memcg_data_flags`, `enum objext_flags`). */
const FLAGS = 7;

/**
 * Looks at what each frame of RAM is charged to (mm/memcontrol.c): `page.memcg_data` of the head of a
 * compound page, before 5.11 `page.mem_cgroup`; of a block that is no compound page that of its first page.
 *
 * @param kinds of all frames, as the scan found them
 * @param onFrame told of each frame's place in the map, and a {@link CHARGE}
 * @throws {KernelError} `unsupported-layout` of a kernel without memory cgroups
 */
export function scanCharges(
  kernel: Kernel,
  frames: FrameMap,
  kinds: Uint8Array,
  onFrame: (index: number, charge: number) => void,
): Charges {
  const page = struct(kernel, 'page');
  const member = page.member('memcg_data') ?? page.member('mem_cgroup');
  if (!member) throw new KernelError('unsupported-layout', 'this kernel has no memory cgroups');
  const charge = member.offset;
  // Up to 5.8 slabs of a cache's copy are charged to its cgroup, whatever their pages say.
  const copies = new ChildCaches(kernel).exist;
  const tail = (page.member('compound_head') ?? memberOf(page, 'compound_info')).offset;
  const pointers = new AddressIndex();
  const slabs: number[] = [];
  const [charged, last] = [new Pointer(), new Pointer()];
  let row = -1;
  const rowOfCharged = (): number => {
    if (row >= 0 && charged.equals(last)) return row;
    const known = pointers.findPointer(charged);
    if (known < 0 && pointers.size >= MOST) return CHARGE.others;
    last.after(charged, 0);
    row = CHARGE.first + (known < 0 ? pointers.addPointer(charged) : known);
    return row;
  };
  /** Of the block that frames belong to, and where one that is no compound page ends at most. */
  let [block, end]: [number, number] = [CHARGE.unread, 0];
  const headOf = (view: DataView, base: number, frame: number, kind: number): number => {
    charged.load(view, base + charge).clearLowBits(FLAGS);
    if (kind === KIND.slab || kind === KIND['slab-reclaimable']) {
      if (copies || !charged.isNull) slabs.push(frame);
      return CHARGE.byObject;
    }
    if (!charged.isNull) return rowOfCharged();
    return kind === KIND.unreferenced && frame < end ? block : CHARGE.uncharged;
  };
  eachChunk(kernel, frames, page.size, {
    gap: () => {
      [block, end] = [CHARGE.unread, 0];
    },
    look: (view, start, first, index, count) => {
      for (let at = 0; at < count; at++) {
        const base = start + at * page.size;
        const kind = kinds[index + at]!;
        if (kind === KIND.free) {
          [block, end] = [CHARGE.uncharged, 0];
        } else if ((view.getUint8(base + tail) & 1) === 0) {
          block = headOf(view, base, first + at, kind);
          if (kind === KIND.held) end = first + at + alignedBlock(first + at);
          else if (kind !== KIND.unreferenced) end = 0;
        }
        onFrame(index + at, block);
      }
    },
    lost: (_, index, count) => {
      [block, end] = [CHARGE.unread, 0];
      for (let at = 0; at < count; at++) onFrame(index + at, block);
    },
  });
  return { pointers, slabs };
}
