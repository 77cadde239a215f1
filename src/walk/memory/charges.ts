import { damaged, KernelError, ReadError, unsupportedLayout } from '../../base/errors.js';
import { hex } from '../../base/util.js';
import type { Kernel } from '../../kernel/kernel.js';
import type { MemberLayout } from '../../kernel/layout.js';
import { Pointer } from '../../kernel/pointer.js';
import { Cursor } from '../cursor.js';
import { readPartOf } from '../named-read.js';
import { alignedBlock } from '../pages/block.js';
import { AddressIndex } from '../pages/frame-index.js';
import { ChildCaches } from '../pages/slab-caches.js';
import { memberOf, slabCacheOffset, struct } from '../pages/struct-page.js';
import { readUnsigned, StructReader } from '../struct-reader.js';
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

/** Slab objects by charge. */
interface SlabCharges {
  /**
   * Keyed by the address of a `struct obj_cgroup`, or up to 5.8 of a `struct mem_cgroup`. Bytes are those of
   * slots.
   */
  readonly charges: ReadonlyMap<bigint, { readonly objects: number; readonly bytes: number }>;
  /** Number of slabs whose charges cannot be read, and the reason for the first. */
  readonly lost: number;
  readonly why: Error | undefined;
}

/** Low bits of the vector's address, which are its type. */
const FLAG_BITS = 7n;
/**
 * Maximum number of objects: a slot has at least 8 bytes, and a slab at most about 64 KiB. A damaged slab may
 * claim 32,767.
 */
const MAX_OBJECTS = 2 ** 15;
const MAX_STRIDE = 2 ** 16;

/**
 * Reads the cgroup that each slab object is charged to. A vector of the slab has one entry per slot, which is
 * NULL if the slot is free or not charged (`obj_cgroups` up to 6.9, then `slabobj_ext`). Since 7.0 entries
 * may be inside the slots, one stride apart. Up to 5.8 all slots of a cgroup's copy of a cache are charged to
 * that cgroup.
 *
 * @param slabs first frames of the slabs
 */
export function slabCharges(kernel: Kernel, slabs: readonly number[]): SlabCharges {
  const page = struct(kernel, 'page');
  const slab = kernel.struct('slab');
  const vectorAt = (slab?.member('obj_exts') ?? slab?.member('memcg_data'))?.offset;
  const copies = new ChildCaches(kernel);
  const at = vectorAt ?? (copies.exist ? 0 : memberOf(page, 'obj_cgroups').offset);
  const objects = slab?.member('objects') ?? memberOf(page, 'objects');
  const stride = slab?.member('stride');
  const cacheAt = slabCacheOffset(kernel, page);
  const entry = kernel.struct('slabobj_ext');
  const inEntry = entry === undefined ? 0 : memberOf(entry, 'objcg').offset;
  const usual = entry?.size ?? 8;
  const sizes = new SlotSizes(kernel);
  const cursor = new Cursor(kernel, 'struct page');
  const charges = new Map<bigint, { objects: number; bytes: number }>();
  const add = (group: bigint, objects: number, bytes: number): void => {
    const sum = charges.get(group) ?? { objects: 0, bytes: 0 };
    sum.objects += objects;
    sum.bytes += bytes;
    charges.set(group, sum);
  };
  let [lost, why]: [number, Error | undefined] = [0, undefined];
  for (const frame of slabs) {
    try {
      const { view, base } = cursor.to(kernel.pages.pageOfFrame(frame)).look(0, page.size);
      if (copies.exist) {
        const many = number(view, base, objects);
        const cache = view.getBigUint64(base + cacheAt, true);
        const group = copies.groupOf(cache);
        if (group !== 0n) add(group, many, many * sizes.of(cache));
        continue;
      }
      const vector = view.getBigUint64(base + at, true) & ~FLAG_BITS;
      const many = number(view, base, objects);
      const step = stride === undefined ? usual : number(view, base, stride);
      const cache = view.getBigUint64(base + cacheAt, true);
      if (vector === 0n) continue;
      if (many > MAX_OBJECTS || step < usual || step > MAX_STRIDE)
        throw damaged(`the slab of frame ${frame} has ${many} charges ${step} bytes apart`);
      const size = sizes.of(cache);
      for (const objcg of entries(kernel, vector, many, step, inEntry)) add(objcg, 1, size);
    } catch (error) {
      if (!(error instanceof ReadError || error instanceof KernelError)) throw error;
      lost++;
      why ??= error;
    }
  }
  return { charges, lost, why };
}

/** Entries of a vector; all are read before the first is returned. */
function entries(kernel: Kernel, vector: bigint, many: number, step: number, at: number): bigint[] {
  const addresses: bigint[] = [];
  const what = 'the charges of a slab';
  const together = step <= 16;
  const all = together ? readPartOf(kernel, what, vector, vector, many * step) : undefined;
  for (let index = 0; index < many; index++) {
    const place = vector + BigInt(index * step + at);
    const objcg =
      all?.getBigUint64(index * step + at, true) ?? readPartOf(kernel, what, vector, place, 8).getBigUint64(0, true);
    if (objcg !== 0n) addresses.push(objcg);
  }
  return addresses;
}

function number(view: DataView, base: number, member: MemberLayout): number {
  return readUnsigned(view, base + member.offset, member);
}

/** Slot size of each cache, in bytes. */
class SlotSizes {
  readonly #cache;
  readonly #sizes = new Map<bigint, number>();

  constructor(kernel: Kernel) {
    this.#cache = new StructReader(kernel, 'kmem_cache', ['size']);
  }

  of(cache: bigint): number {
    const known = this.#sizes.get(cache);
    if (known !== undefined) return known;
    const size = this.#cache.read(cache).number('size');
    if (size > MAX_STRIDE * 1024) throw damaged(`the slab cache at ${hex(cache)} claims slots of ${size} bytes`);
    this.#sizes.set(cache, size);
    return size;
  }
}
