import { unsupportedLayout } from '../../base/errors.js';
import type { Kernel } from '../../kernel/kernel.js';
import { Pointer } from '../../kernel/pointer.js';
import { alignedBlock } from '../pages/block.js';
import { AddressIndex } from '../pages/frame-index.js';
import { ChildCaches } from '../pages/slab-caches.js';
import { memberOf, struct } from '../pages/struct-page.js';
import { eachChunk, type FrameMap } from './page-array.js';
import { KIND } from './page-kinds.js';

/** Charge of a frame: a special value, or `first` plus a row of {@link Charges.pointers}. */
export const CHARGE = {
  uncharged: 0,
  /** A slab: its objects may be charged to different cgroups. */
  byObject: 1,
  unread: 2,
  /** Charged to a cgroup beyond the maximum. */
  others: 3,
  first: 4,
} as const;

/** Charges according to `struct page`s. */
export interface Charges {
  /** Targets of charged frames: a `struct mem_cgroup` or a `struct obj_cgroup`. */
  readonly pointers: AddressIndex;
  /** First frames of slabs whose objects have charges. */
  readonly slabs: readonly number[];
}

/** Maximum number of distinct owners; cgroups have 16-bit ids, plus dying ones and object cgroups. */
const MOST = 2 ** 17;

/** The lowest bits are the type of the pointer (`enum page_memcg_data_flags`, `enum objext_flags`). */
const FLAGS = 7;

/**
 * Reads the cgroup that each frame of RAM is charged to (mm/memcontrol.c): `page.memcg_data`, or before 5.11
 * `page.mem_cgroup`, of the head of a compound page, or of the first page of any other block.
 *
 * @param kinds kinds of all frames, as found by the scan
 * @param onFrame receives each frame's index in the map, and a {@link CHARGE}
 * @throws {KernelError} `unsupported-layout` for a kernel without memory cgroups
 */
export function scanCharges(
  kernel: Kernel,
  frames: FrameMap,
  kinds: Uint8Array,
  onFrame: (index: number, charge: number) => void,
): Charges {
  const page = struct(kernel, 'page');
  const member = page.member('memcg_data') ?? page.member('mem_cgroup');
  if (!member) throw unsupportedLayout('this kernel has no memory cgroups');
  const charge = member.offset;
  // Up to 5.8, the slabs of a cgroup's copy of a cache are charged to that cgroup, whatever their struct
  // pages contain.
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
  /** Charge of the current block, and the maximum end of a block that is not compound. */
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
