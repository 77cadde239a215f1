import { damaged, KernelError, ReadError, unsupportedLayout } from '../../base/errors.js';
import { hex } from '../../base/util.js';
import type { Kernel } from '../../kernel/kernel.js';
import { cpuMask, needSymbol, perCpuAddress } from '../cpus.js';
import { pointerPartOf } from '../named-read.js';
import { StructReader, textAt } from '../struct-reader.js';
import { XarrayReader } from '../trees.js';
import { isKeyEnabled, PageExtensions, type RecordState } from './page-owner.js';

/** A line of source that allocates, and what it holds now. Names are untrusted. */
export interface AllocationTag {
  /** File and line. */
  readonly line: string;
  readonly symbol: string;
  readonly module: string | null;
  readonly bytes: number;
  readonly calls: number;
  /** The kernel lacked memory to count some of its allocations (since 6.18). */
  readonly inaccurate: boolean;
}

/** CODETAG_FLAG_INACCURATE, since 6.18; flags were unused before. */
const INACCURATE = 1;
/** Modules with tags, and tags in all: a kernel has some thousands of them. */
const MAX_MODULES = 4096;
const MAX_TAGS = 2 ** 20;
/** Bytes of a path, a function or a module; a power of two. */
const MAX_TEXT = 256;

/**
 * Whether the kernel profiles allocations (CONFIG_MEM_ALLOC_PROFILING, since 6.10). Its types may exist where
 * that is not configured.
 */
export function profilingState(kernel: Kernel): RecordState {
  if (kernel.symbol('mem_alloc_profiling_key') === undefined) return 'absent';
  return isKeyEnabled(kernel, 'mem_alloc_profiling_key') ? 'on' : 'off';
}

/** Addresses of tags of the kernel or a module. */
interface TagRange {
  readonly start: bigint;
  readonly stop: bigint;
}

const TAG = ['flags', 'lineno', 'modname', 'function', 'filename'] as const;

/** Counters of allocation profiling by line of source (lib/alloc_tag.c, lib/codetag.c). */
export class AllocationTags {
  readonly #kernel: Kernel;
  readonly #tag: StructReader<'counters' | `ct.${(typeof TAG)[number]}`>;
  readonly #counters: StructReader<'bytes' | 'calls'>;
  readonly #shifts: readonly bigint[];
  readonly #texts = new Map<bigint, string>();
  #known: readonly TagRange[] | undefined;

  constructor(kernel: Kernel) {
    this.#kernel = kernel;
    const members = TAG.map((name) => `ct.${name}` as const);
    this.#tag = new StructReader(kernel, 'alloc_tag', ['counters', ...members]);
    this.#counters = new StructReader(kernel, 'alloc_tag_counters', ['bytes', 'calls']);
    this.#shifts = cpuMask(kernel, '__cpu_possible_mask').map((cpu) => perCpuAddress(kernel, 0n, cpu));
  }

  /**
   * Tags that hold memory, of the kernel and of each module.
   *
   * @param lost called for each tag that cannot be read, or whose counters are impossible
   * @throws {KernelError} `damaged`: the lists of tags are inconsistent; {@link ReadError}
   */
  *all(lost: (error: Error) => void): Generator<AllocationTag> {
    for (const { start, stop } of this.#ranges())
      for (let at = start; at < stop; at += BigInt(this.#tag.size)) {
        const tag = this.#orLost(at, lost);
        if (tag && (tag.bytes !== 0 || tag.calls !== 0)) yield tag;
      }
  }

  /**
   * The tag of a reference to it (`codetag_ref.ct`); undefined: it refers to none.
   *
   * @throws as {@link all}; {@link KernelError} `damaged` also if its counters are impossible
   */
  at(reference: bigint): AllocationTag | undefined {
    this.#known ??= [...this.#ranges()];
    const range = this.#known.find(({ start, stop }) => reference >= start && reference < stop);
    if (!range || (reference - range.start) % BigInt(this.#tag.size) !== 0n) return undefined;
    return this.#read(reference);
  }

  /** Ranges of tags: all that `codetag_type.count` counts. */
  *#ranges(): Generator<TagRange> {
    const kernel = this.#kernel;
    const at = needSymbol(kernel, 'alloc_tag_cttype');
    const type = new StructReader(kernel, 'codetag_type', [
      'count',
      'mod_idr.idr_rt.xa_head',
      'desc.tag_size',
    ] as const);
    const view = type.read(pointerPartOf(kernel, 'alloc_tag_cttype', at, at));
    const size = view.number('desc.tag_size');
    if (size !== this.#tag.size)
      throw unsupportedLayout(`struct alloc_tag has ${this.#tag.size} bytes, but tags have ${size}`);
    const count = view.number('count');
    if (count > MAX_TAGS) throw damaged(`${count} allocation tags`);
    const modules = new XarrayReader(kernel);
    const owner = new StructReader(kernel, 'codetag_module', ['mod', 'range.start', 'range.stop'] as const);
    let found = 0;
    // Identifiers of unloaded modules are unused.
    for (let id = 0; found < count && id < MAX_MODULES; id++) {
      const entry = modules.load(view.pointer('mod_idr.idr_rt.xa_head'), BigInt(id));
      if (entry === 0n) continue;
      const range = owner.read(entry);
      const [start, stop] = [range.pointer('range.start'), range.pointer('range.stop')];
      const tags = Number(stop - start) / size;
      if (start >= stop || !Number.isInteger(tags) || found + tags > count)
        throw damaged(`allocation tags from ${hex(start)} to ${hex(stop)} are inconsistent`);
      if (range.pointer('mod') === 0n) this.#checkKernel(start, stop);
      found += tags;
      yield { start, stop };
    }
    if (found !== count) throw damaged(`the kernel counts ${count} allocation tags, but ${found} were found`);
  }

  /** Tags of the kernel image are a section of it. */
  #checkKernel(start: bigint, stop: bigint): void {
    const first = this.#kernel.symbol('__start_alloc_tags');
    const last = this.#kernel.symbol('__stop_alloc_tags');
    if ((first ?? start) !== start || (last ?? stop) !== stop)
      throw damaged(`allocation tags of the kernel begin at ${hex(start)}, not in their section`);
  }

  #orLost(at: bigint, lost: (error: Error) => void): AllocationTag | undefined {
    try {
      return this.#read(at);
    } catch (error) {
      if (!(error instanceof ReadError || error instanceof KernelError)) throw error;
      lost(error);
      return undefined;
    }
  }

  #read(at: bigint): AllocationTag {
    const view = this.#tag.read(at);
    const counters = view.pointer('counters');
    let [bytes, calls] = [0n, 0n];
    for (const shift of this.#shifts) {
      const counter = this.#counters.read(BigInt.asUintN(64, counters + shift));
      // A CPU that frees what another allocated counts below zero.
      bytes = BigInt.asIntN(64, bytes + counter.pointer('bytes'));
      calls = BigInt.asIntN(64, calls + counter.pointer('calls'));
    }
    const line = `${this.#text(view.pointer('ct.filename'))}:${view.number('ct.lineno')}`;
    const isSound = bytes >= 0n && calls >= 0n && (bytes === 0n) === (calls === 0n) && bytes < 2n ** 53n;
    if (!isSound && !this.#kernel.facts.live) throw damaged(`${line} counts ${bytes} bytes in ${calls} allocations`);
    const module = view.pointer('ct.modname');
    return {
      line,
      symbol: this.#text(view.pointer('ct.function')),
      module: module === 0n ? null : this.#text(module),
      bytes: Number(bytes < 0n ? 0n : bytes),
      calls: Number(calls < 0n ? 0n : calls),
      inaccurate: (view.number('ct.flags') & INACCURATE) !== 0,
    };
  }

  #text(address: bigint): string {
    const known = this.#texts.get(address);
    if (known !== undefined) return known;
    const text = textAt(this.#kernel, 'a name of allocation profiling', address, MAX_TEXT);
    this.#texts.set(address, text);
    return text;
  }
}

/** Bits of `slab.obj_exts` that are flags (OBJEXTS_FLAGS_MASK). */
const FLAGS = 7n;

/** References from pages and slab objects to the tag of their allocation. */
export class TagReferences {
  readonly #kernel: Kernel;
  #pages: { readonly extensions: PageExtensions; readonly offset: number } | null | undefined;

  constructor(kernel: Kernel) {
    this.#kernel = kernel;
  }

  /**
   * Of the first page of an allocation; 0n: none. With `mem_profiling=1,compressed` references are in page flags, which
   * are not read.
   */
  ofPage(frame: number): bigint {
    const at = this.#inPages()?.extensions.addressOf(frame);
    if (at === undefined) return 0n;
    const place = at + BigInt(this.#inPages()?.offset ?? 0);
    return pointerPartOf(this.#kernel, 'a page extension', at, place);
  }

  #inPages() {
    const kernel = this.#kernel;
    if (this.#pages === undefined) {
      const isCompressed =
        kernel.symbol('mem_profiling_compressed') !== undefined && isKeyEnabled(kernel, 'mem_profiling_compressed');
      const extensions = isCompressed ? null : new PageExtensions(kernel);
      this.#pages = extensions && { extensions, offset: extensions.offsetOf('page_alloc_tagging_ops', 8) };
    }
    return this.#pages;
  }

  /**
   * Of an object of a slab; 0n: none.
   *
   * @param slab address of its first `struct page`
   */
  ofObject(slab: bigint, index: number): bigint {
    const kernel = this.#kernel;
    const vectors = StructReader.ifPresent(kernel, 'slab', ['obj_exts']);
    const entries = StructReader.ifPresent(kernel, 'slabobj_ext', ['ref.ct']);
    if (!vectors || !entries) return 0n;
    const vector = vectors.read(slab).pointer('obj_exts') & ~FLAGS;
    if (vector === 0n) return 0n;
    // Since 7.0 the entries may be inside the slots.
    const strides = StructReader.ifPresent(kernel, 'slab', ['stride']);
    const stride = strides?.read(slab).number('stride') ?? entries.size;
    return entries.read(vector + BigInt(index * stride)).pointer('ref.ct');
  }
}
