import { KernelError, ReadError } from '../../kernel/error.js';
import type { Kernel } from '../../kernel/kernel.js';
import { cpuLists } from '../../walk/memory/cpu-lists.js';
import { batchedPages } from '../../walk/memory/lru-batches.js';
import { memberOf, struct } from '../../walk/pages/struct-page.js';
import { readOrNot } from '../../walk/read-or-not.js';
import { StructReader } from '../../walk/struct-reader.js';
import { XarrayReader } from '../../walk/xarray.js';

/** Bits 1 and 0 of `page.mapping`: anonymous, and with both of them KSM's (linux/page-flags.h). */
const [ANONYMOUS, KSM] = [1n, 3n];

/**
 * Explains pages that say that they are anonymous or a file's and are on no LRU list: a process maps them, a CPU
 * has them in a batch, the file has them, or they are being freed. Pages of a device that a process may map (perf, frame buffers) name
 * a file that has none.
 */
export class UnlistedPages {
  readonly #kernel: Kernel;
  readonly #batched: ReadonlySet<bigint> | undefined;
  readonly #page;
  readonly #file;
  readonly #host;
  readonly #anonymous;
  readonly #index: number;
  /** Frames of free blocks in lists of CPUs. */
  #free: ReadonlySet<number> | undefined;
  readonly #trees: XarrayReader | undefined;

  /** @throws {KernelError} `unsupported-layout`; {@link ReadError} */
  constructor(kernel: Kernel) {
    const page = struct(kernel, 'page');
    this.#kernel = kernel;
    this.#batched = readOrNot(() => batchedPages(kernel));
    this.#page = new StructReader(kernel, 'page', ['mapping', '_mapcount', '_refcount']);
    // By its folio's name since 6.14 or so.
    this.#index = (page.member('index') ?? memberOf(page, '__folio_index')).offset;
    this.#host = new StructReader(kernel, 'inode', ['i_mapping']);
    this.#anonymous = new StructReader(kernel, 'anon_vma', ['root']);
    const hasTree = kernel.struct('address_space')?.member('i_pages.xa_head') !== undefined;
    this.#trees = hasTree ? new XarrayReader(kernel) : undefined;
    this.#file = new StructReader(kernel, 'address_space', [
      ...(['host', 'nrpages'] as const),
      ...(hasTree ? (['i_pages.xa_head'] as const) : []),
    ]);
  }

  /** How many pages CPUs have in batches that have no reference, though a batch holds one. */
  lostOfBatches(): number {
    let lost = 0;
    for (const page of this.#batched ?? [])
      if (readOrNot(() => this.#page.read(page).number('_refcount')) === 0) lost++;
    return lost;
  }

  /** Whether the first page of an allocation may be on no list. @throws {ReadError} if it cannot be read */
  isExplained(frame: number): boolean {
    const at = this.#kernel.pages.pageOfFrame(frame);
    const page = this.#page.read(at);
    const isMapped = ((page.number('_mapcount') + 1) | 0) > 0;
    if (isMapped || !this.#batched || this.#batched.has(at)) return true;
    const mapping = page.pointer('mapping');
    return this.#attempt(() => {
      if (page.number('_refcount') === 0) return this.#isBeingFreed(frame, mapping);
      if ((mapping & ANONYMOUS) !== 0n) return false;
      const index = this.#kernel.read(at + BigInt(this.#index), 8).getBigUint64(0, true);
      const file = this.#file.read(mapping);
      if (file.number('nrpages') === 0) return this.#isMapping(mapping);
      return !this.#trees || this.#trees.load(file.pointer('i_pages.xa_head'), index) === at;
    });
  }

  /** Its mapping is there until it is on a list of free pages. */
  #isBeingFreed(frame: number, mapping: bigint): boolean {
    this.#free ??= new Set(freeOfCpus(this.#kernel));
    if (this.#free.has(frame)) return false;
    if ((mapping & KSM) === KSM) return this.#kernel.read(mapping - KSM, 8) !== undefined;
    if ((mapping & ANONYMOUS) === 0n) return this.#isMapping(mapping);
    const root = this.#anonymous.read(mapping - ANONYMOUS).pointer('root');
    return this.#anonymous.read(root).pointer('root') === root;
  }

  #isMapping(mapping: bigint): boolean {
    const host = this.#file.read(mapping).pointer('host');
    return this.#host.read(host).pointer('i_mapping') === mapping;
  }

  #attempt(test: () => boolean): boolean {
    try {
      return test();
    } catch (error) {
      // What the dump lacks contradicts nothing.
      if (error instanceof ReadError) return error.code === 'filtered';
      if (error instanceof KernelError) return false;
      throw error;
    }
  }
}

function* freeOfCpus(kernel: Kernel): Generator<number> {
  for (const { frame, order } of cpuLists(kernel))
    for (let at = 0; at < 2 ** order; at++) yield frame + at;
}
