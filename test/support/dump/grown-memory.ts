import { type ByteRange, keptBytesNotes, keptBytesOf } from '../../../src/kernel/native/image/kept-bytes.js';
import type { NativeKernel } from '../../../src/kernel/native/kernel.js';
import { slabCacheOffset } from '../../../src/walk/pages/struct-page.js';
import type { LoadSpec, NoteSpec } from './elf.js';

/** Bytes of a base page of x86_64. */
export const PAGE = 4096;

const MIB2 = 2 ** 21;

/** Consecutive page frames. */
export interface Frames {
  readonly frame: number;
  readonly count: number;
}

/**
 * The memory of an x86_64 machine from a dump, with additional page frames after its last one: their
 * `struct page` are created and mapped, and the kernel's count of frames is increased. All memory of
 * the dump stays where it was.
 */
export class GrownMemory {
  readonly #kernel: NativeKernel;
  readonly #base = new Map<number, Uint8Array>();
  /** The kept part of pages that an extract has stored in part. */
  readonly #kept = new Map<number, readonly ByteRange[]>();
  /** The `struct page` of the new frames, from that of `#first` on. */
  #structs = new Uint8Array(0);
  readonly #structSize: number;
  readonly #first: number;
  #next: number;

  constructor(kernel: NativeKernel) {
    this.#kernel = kernel;
    this.#structSize = this.size('page');
    this.#readBase();
    // A 2 MiB page that maps struct pages describes whole 128 MiB, which begin with one.
    const perMap = MIB2 / this.#structSize;
    const last = Number(kernel.read(this.#symbol('max_pfn'), 8).getBigUint64(0, true));
    this.#first = Math.ceil(last / perMap) * perMap;
    // There are no frames in between; their struct pages exist, with zeros.
    for (let frame = last; frame < this.#first; frame++) {
      const physical = kernel.physicalOf(this.pageAddress(frame));
      if (physical !== undefined) this.#written(physical, this.#structSize);
    }
    this.#next = this.#first;
  }

  offset(type: string, member: string): number {
    const found = this.#kernel.struct(type)?.member(member);
    if (!found) throw new Error(`the kernel has no ${type}.${member}`);
    return found.offset;
  }

  size(type: string): number {
    const size = this.#kernel.struct(type)?.size;
    if (!size) throw new Error(`the kernel has no struct ${type}`);
    return size;
  }

  /** Sets a bitfield of a struct that begins at `at`. */
  setBits(view: DataView, at: number, type: string, member: string, value: number): void {
    const found = this.#kernel.struct(type)?.member(member);
    if (!found?.bits || found.size !== 1) throw new Error(`${type}.${member} is no bit-field of a byte`);
    const byte = at + found.offset;
    view.setUint8(byte, view.getUint8(byte) | (value << found.bits.offset));
  }

  /** Reserves this many unused frames. */
  take(count: number): Frames {
    const frame = this.#next;
    this.#next += count;
    const structs = new Uint8Array((this.#next - this.#first) * this.#structSize);
    structs.set(this.#structs);
    this.#structs = structs;
    return { frame, count };
  }

  /** Copies this `struct page` to some of the new frames. */
  pages({ frame, count }: Frames, page: Uint8Array): void {
    for (let index = 0; index < count; index++)
      this.#structs.set(page, (frame - this.#first + index) * this.#structSize);
  }

  /** A page that is not compound, with this reference count. */
  page(references: number): Uint8Array {
    const page = new DataView(new ArrayBuffer(this.#structSize));
    page.setUint32(this.offset('page', '_refcount'), references, true);
    page.setUint32(this.offset('page', '_mapcount'), 0xffff_ffff, true);
    return new Uint8Array(page.buffer);
  }

  /** A one-page slab with all slots in use, of a kernel that marks slabs by PG_slab. */
  slabPage(cache: bigint, slots: number): Uint8Array {
    const page = new DataView(new ArrayBuffer(this.#structSize));
    const layout = this.#kernel.struct('page');
    const bit = this.#kernel.enumerators('pageflags')?.get('PG_slab');
    const [inUse, objects] = ['inuse', 'objects'].map((name) => this.#kernel.struct('slab')?.member(name));
    if (!layout || bit === undefined || !inUse?.bits || !objects?.bits)
      throw new Error('slabs of this kernel are marked in another way');
    page.setBigUint64(0, 1n << bit, true);
    page.setBigUint64(slabCacheOffset(this.#kernel, layout), cache, true);
    page.setUint32(inUse.offset, (slots << inUse.bits.offset) | (slots << objects.bits.offset), true);
    page.setUint32(this.offset('page', '_refcount'), 1, true);
    return new Uint8Array(page.buffer);
  }

  /** Address of a frame in the direct map. */
  addressOf(frame: number): bigint {
    const { pageSize } = this.#kernel.facts;
    const first = this.#kernel.pages.addressOfPage(this.pageAddress(0));
    if (first === undefined) throw new Error('the dump has no direct map');
    return first + BigInt(frame * pageSize);
  }

  /** Address of a frame's `struct page`. */
  pageAddress(frame: number): bigint {
    return this.#kernel.pages.pageOfFrame(frame);
  }

  /** Changes a value in the dump's own memory. */
  patch(address: bigint, value: bigint, bytes: 4 | 8): void {
    const physical = this.#kernel.physicalOf(address);
    if (physical === undefined) throw new Error(`0x${address.toString(16)} is not mapped`);
    const view = this.#written(physical, bytes);
    if (bytes === 8) view.setBigUint64(0, value, true);
    else view.setUint32(0, Number(value), true);
  }

  notes(): NoteSpec[] {
    // The lab's notes also list packed pages, of which there are none here.
    const others = (this.#kernel.image.notes ?? []).filter(({ name }) => name !== 'kdump-mem');
    return [...others, ...keptBytesNotes(PAGE, this.#kept)].map(({ name, type, data }) => ({
      name,
      type,
      data: bytesOf(data),
    }));
  }

  /** The whole ELF core except the contents of the new frames. */
  loads(): LoadSpec[] {
    this.patch(this.#symbol('max_pfn'), BigInt(this.#next), 8);
    // Behind all frames, where only page tables lead.
    const structsAt = Math.ceil((this.#next * PAGE) / MIB2) * MIB2;
    for (let at = 0; at < this.#structs.length; at += MIB2)
      this.#map(this.pageAddress(this.#first) + BigInt(at), structsAt + at);
    const loads: LoadSpec[] = [];
    const frames = [...this.#base.keys()].sort((a, b) => a - b);
    for (let from = 0; from < frames.length; ) {
      let to = from + 1;
      while (frames[to] === frames[to - 1]! + 1) to++;
      const data = Buffer.concat(frames.slice(from, to).map((frame) => this.#base.get(frame)!));
      loads.push({ physical: BigInt(frames[from]! * PAGE), data });
      from = to;
    }
    const data = new Uint8Array(Math.ceil(this.#structs.length / MIB2) * MIB2);
    data.set(this.#structs);
    return [...loads, { physical: BigInt(structsAt), data }];
  }

  #symbol(name: string): bigint {
    const address = this.#kernel.symbol(name);
    if (address === undefined) throw new Error(`the kernel names no ${name}`);
    return address;
  }

  /** Copies this many bytes of the dump's own memory for modification. */
  #written(physical: number, length: number): DataView {
    const frame = Math.floor(physical / PAGE);
    const page = this.#base.get(frame);
    if (!page) throw new Error(`physical 0x${physical.toString(16)} is not in the dump`);
    const start = physical % PAGE;
    const kept = this.#kept.get(frame);
    if (kept) this.#kept.set(frame, withRange(kept, { start, end: start + length }));
    return new DataView(page.buffer, start, length);
  }

  /** All memory of the dump; zeros for parts of a page that an extract omitted, which stay omitted. */
  #readBase(): void {
    const { image } = this.#kernel;
    const kept = keptBytesOf(image.notes ?? []);
    for (const { start, end } of image.facts.physicalRanges) {
      for (let at = start; at < end; at += PAGE) {
        const page = new Uint8Array(PAGE);
        const ranges = kept?.pages.of(at / PAGE);
        if (ranges) this.#kept.set(at / PAGE, ranges);
        for (const range of ranges ?? [{ start: 0, end: PAGE }]) {
          const length = range.end - range.start;
          page.set(bytesOf(image.readPhysical(at + range.start, length)), range.start);
        }
        this.#base.set(at / PAGE, page);
      }
    }
  }

  /** Maps 2 MiB by an entry of the table that maps the existing struct pages. */
  #map(virtual: bigint, physical: number): void {
    const { image, vmcoreinfo } = this.#kernel;
    const root = vmcoreinfo.symbol('init_top_pgt') ?? vmcoreinfo.symbol('swapper_pg_dir') ?? 0n;
    let table = this.#kernel.physicalOf(root);
    for (const shift of [39n, 30n]) {
      if (table === undefined) break;
      const at = table + Number((virtual >> shift) & 511n) * 8;
      const entry = image.readPhysical(at, 8).getBigUint64(0, true);
      table = entry & 1n ? Number(entry & 0x000f_ffff_ffff_f000n) : undefined;
    }
    if (table === undefined) {
      throw new Error(`no page table maps the neighbours of 0x${virtual.toString(16)}`);
    }
    const PRESENT_WRITABLE_LARGE = 0x83n;
    const entry = BigInt(physical) | PRESENT_WRITABLE_LARGE;
    this.#written(table + Number((virtual >> 21n) & 511n) * 8, 8).setBigUint64(0, entry, true);
  }
}

function bytesOf(view: DataView): Uint8Array {
  return new Uint8Array(view.buffer, view.byteOffset, view.byteLength);
}

function withRange(ranges: readonly ByteRange[], more: ByteRange): ByteRange[] {
  const apart = ranges.filter(({ start, end }) => end < more.start || start > more.end);
  const touching = ranges.filter((range) => !apart.includes(range));
  const start = Math.min(more.start, ...touching.map((range) => range.start));
  const end = Math.max(more.end, ...touching.map((range) => range.end));
  return [...apart, { start, end }].sort((a, b) => a.start - b.start);
}
