import { hex } from '../../base/util.js';
import type { Kernel } from '../../kernel/kernel.js';
import { cpuMask } from '../../walk/cpus.js';
import { memberOf, struct } from '../../walk/pages/struct-page.js';
import { type AddressSpace, type ResidentCounts, spaceName } from '../../walk/processes/address-spaces.js';
import { ReverseMapReader } from '../../walk/processes/mapped-page.js';
import { StructReader } from '../../walk/struct-reader.js';
import { PF_EXITING } from '../../walk/tasks/tasks.js';
import type { Warnings } from '../../walk/warnings.js';
import { codeOf } from '../memory/missed.js';
import type { MappingCounts, ResidentPages } from './mapped-pages.js';

/** Counters of a process that its page tables show, too. */
const COUNTED = [
  ['anonymous', 'anonymous pages'],
  ['shmem', 'pages of shared memory'],
  ['file', 'pages of files'],
  ['swapped', 'pages in swap'],
] as const;

/** Maximum number of mapping trees read to find the missing mappings of pages. */
const MOST_TREES = 4096;

/**
 * Compares a process's page counters (`rss_stat`) with its page tables: both change under one lock. They may
 * differ only for a process that was running, by the entries of one table on each CPU. Migrating pages count
 * although they are not mapped.
 *
 * @returns whether they agree, or the kernel is live
 */
export function countsAgree(
  kernel: Kernel,
  space: AddressSpace,
  found: ResidentPages,
  counted: ResidentCounts,
  warnings: Warnings,
): boolean {
  const { live, pageSize } = kernel.facts;
  if (live) return true;
  const amid = space.running ? (pageSize / 8) * cpuMask(kernel, '__cpu_possible_mask').length : 0;
  let agree = true;
  for (const [kind, what] of COUNTED) {
    const [ours, theirs] = [found[kind], counted[kind]];
    if (ours === undefined) continue;
    const moving = kind === 'swapped' ? 0 : found.moving;
    if (theirs >= ours - amid && theirs <= ours + amid + moving) continue;
    const message = `${spaceName(space)} counts ${theirs} ${what}, but its page tables have ${ours}`;
    warnings.add('corrupt', message);
    agree = false;
  }
  return agree;
}

/**
 * Compares the number of page table entries for each frame with the count in its `struct page` (`_mapcount`).
 * More entries mean that one of them points to a wrong frame. Fewer mean that page tables were not found:
 * those of an address space without a process, which is being torn down or created by execve, or of a process
 * that is not in the task list. The mapping tree of the page shows which of them.
 *
 * @param spaces all address spaces; undefined if some were not found or not read, and may map pages as well
 */
export function checkMapcounts(
  kernel: Kernel,
  counts: MappingCounts,
  spaces: readonly AddressSpace[] | undefined,
  warnings: Warnings,
): void {
  if (kernel.facts.live) return;
  const [over, under] = [new Miscounts(), new Miscounts()];
  const maps = spaces && new MissingMaps(kernel, spaces);
  counts.eachMiscounted((frame, found, mapcount) => {
    const message = `page frame ${frame} counts ${mapcount} mappings, but page tables have ${found}`;
    if (found > mapcount) over.add(message);
    else {
      const why = maps?.why(frame);
      if (why !== undefined) under.add(`${message}${why}`);
    }
  });
  if (over.frames > 0)
    warnings.add('corrupt', `${over.frames} pages have more mappings than their _mapcount: ${over.first}`);
  if (under.frames > 0)
    warnings.add('corrupt', `${under.frames} pages have fewer mappings than their _mapcount: ${under.first}`);
}

class Miscounts {
  frames = 0;
  first = '';

  add(message: string): void {
    if (this.frames++ === 0) this.first = message;
  }
}

/** Finds out why page tables that map a page were not found. */
class MissingMaps {
  readonly #kernel: Kernel;
  readonly #spaces: ReadonlyMap<bigint, AddressSpace>;
  readonly #page;
  readonly #trees: ReverseMapReader;
  readonly #memory;
  readonly #task;
  readonly #owner: StructReader<'owner'> | undefined;
  /** Results by `page.mapping`; undefined: checked, without a contradiction. */
  readonly #known = new Map<bigint, string | undefined>();

  /** @throws {KernelError} `unsupported-layout` */
  constructor(kernel: Kernel, spaces: readonly AddressSpace[]) {
    this.#kernel = kernel;
    this.#spaces = new Map(spaces.map((space) => [space.mm, space]));
    this.#page = memberOf(struct(kernel, 'page'), 'mapping').offset;
    this.#trees = new ReverseMapReader(kernel);
    this.#memory = new StructReader(kernel, 'mm_struct', ['mm_users.counter']);
    this.#task = new StructReader(kernel, 'task_struct', ['flags', 'mm', 'in_execve']);
    this.#owner = StructReader.ifPresent(kernel, 'mm_struct', ['owner']);
  }

  /** Returns the other mappers of a frame; undefined if there is no contradiction. */
  why(frame: number): string | undefined {
    const at = this.#kernel.pages.pageOfFrame(frame) + BigInt(this.#page);
    const mapping = this.#kernel.read(at, 8).getBigUint64(0, true);
    if (this.#known.size >= MOST_TREES && !this.#known.has(mapping)) return undefined;
    if (!this.#known.has(mapping)) this.#known.set(mapping, this.#ofTree(mapping));
    return this.#known.get(mapping);
  }

  #ofTree(mapping: bigint): string | undefined {
    try {
      const spaces = this.#trees.spacesOf(mapping);
      if (!spaces) return undefined;
      let why = '';
      for (const mm of spaces) {
        const space = this.#spaces.get(mm);
        if (space?.running || (!space && this.#isPassing(mm))) return undefined;
        if (!space) why = `: mapped by the mm_struct ${hex(mm)}, which belongs to no known process`;
      }
      return why;
    } catch (error) {
      codeOf(error);
      return `: its mappings are unreadable: ${(error as Error).message}`;
    }
  }

  /** Whether an address space is being torn down or created, and therefore belongs to no process. */
  #isPassing(mm: bigint): boolean {
    if (this.#memory.read(mm).number('mm_users.counter') === 0) return true;
    const owner = this.#owner?.read(mm).pointer('owner') ?? 0n;
    if (owner === 0n) return true;
    const task = this.#task.read(owner);
    if (task.pointer('mm') === mm) return false;
    return (task.number('flags') & PF_EXITING) !== 0 || task.number('in_execve') !== 0;
  }
}
