import { readOrNot } from '../../base/errors.js';
import { hex } from '../../base/util.js';
import type { Kernel } from '../../kernel/kernel.js';
import { cpuMask } from '../../walk/cpus.js';
import { flagTest, memberOf, struct } from '../../walk/pages/struct-page.js';
import { type AddressSpace, type ResidentCounts, spaceName } from '../../walk/processes/address-spaces.js';
import { ReverseMapReader } from '../../walk/processes/mapped-page.js';
import { StructReader } from '../../walk/struct-reader.js';
import { PF_EXITING } from '../../walk/tasks/tasks.js';
import type { Warnings } from '../../walk/warnings.js';
import { codeOf } from '../memory/missed.js';
import type { MappingCounts, Miscounted, ResidentPages } from './mapped-pages.js';

/** Counters of a process that its page tables show, too. */
const COUNTED = [
  ['anonymous', 'anonymous pages'],
  ['shmem', 'pages of shared memory'],
  ['file', 'pages of files'],
  ['swapped', 'pages in swap'],
] as const;

/** Maximum number of mapping trees read to find the missing mappings of pages. */
const MAX_TREES = 4096;

/**
 * Compares a process's page counters (`rss_stat`) with its page tables: both change under one lock. They may
 * differ only for a process that was running, by the entries of one table on each CPU. Migrating pages count
 * although they are not mapped, and so do those that were just being unmapped.
 *
 * @returns whether they agree, or the kernel is live
 */
export function countsAgree(
  kernel: Kernel,
  space: AddressSpace,
  { found, counted, unmapping }: { found: ResidentPages; counted: ResidentCounts; unmapping: UnmappedPages },
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
    if (theirs > ours && kind !== 'swapped' && unmapping.explains(space, kind, theirs - ours - moving)) continue;
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
  const isLocked = lockTest(kernel);
  counts.eachMiscounted(({ frame, found, counted: mapcount, running }) => {
    if (running || (found === mapcount - 1 && isLocked(frame))) return;
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

/**
 * Pages that another task was just unmapping when the dump was taken (try_to_migrate_one, try_to_unmap_one in
 * mm/rmap.c): an entry is gone, and their `_mapcount` and the process's counter still include it. They are locked.
 */
export class UnmappedPages {
  readonly #kernel: Kernel;
  readonly #counts: MappingCounts;
  #found: { readonly column: Miscounted['column']; readonly spaces: ReadonlySet<bigint> }[] | undefined;

  /** @param counts number of mappings of each frame, in all spaces */
  constructor(kernel: Kernel, counts: MappingCounts) {
    this.#kernel = kernel;
    this.#counts = counts;
  }

  /** Whether so many pages have an address space in their mapping tree. Each page explains one difference. */
  explains({ mm }: AddressSpace, kind: Miscounted['column'], pages: number): boolean {
    this.#found ??= this.#find();
    const own = this.#found.filter(({ column, spaces }) => column === kind && spaces.has(mm)).slice(0, pages);
    if (own.length < pages) return false;
    this.#found = this.#found.filter((page) => !own.includes(page));
    return true;
  }

  #find() {
    const [isLocked, trees] = [lockTest(this.#kernel), new ReverseMapReader(this.#kernel)];
    const locked: Miscounted[] = [];
    this.#counts.eachMiscounted((page) => {
      if (page.found === page.counted - 1 && locked.length < MAX_TREES && isLocked(page.frame)) locked.push(page);
    });
    return locked.map(({ frame, column }) => ({
      column,
      spaces: readOrNot(() => trees.spacesOf(mappingOf(this.#kernel, frame))) ?? new Set<bigint>(),
    }));
  }
}

/** Whether a frame's page is locked (PG_locked); an unreadable one is not. */
function lockTest(kernel: Kernel): (frame: number) => boolean {
  const page = struct(kernel, 'page');
  const isLocked = flagTest(kernel, page, 'PG_locked');
  return (frame) => readOrNot(() => isLocked(kernel.read(kernel.pages.pageOfFrame(frame), page.size))) ?? false;
}

/** `page.mapping` of a frame. */
function mappingOf(kernel: Kernel, frame: number): bigint {
  const at = kernel.pages.pageOfFrame(frame) + BigInt(memberOf(struct(kernel, 'page'), 'mapping').offset);
  return kernel.read(at, 8).getBigUint64(0, true);
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
  readonly #trees: ReverseMapReader;
  readonly #memory;
  readonly #task;
  readonly #owner: StructReader<'owner'> | undefined;
  /** Results by `page.mapping`; undefined: checked, without a contradiction. */
  readonly #known = new Map<bigint, string | undefined>();

  constructor(kernel: Kernel, spaces: readonly AddressSpace[]) {
    this.#kernel = kernel;
    this.#spaces = new Map(spaces.map((space) => [space.mm, space]));
    this.#trees = new ReverseMapReader(kernel);
    this.#memory = new StructReader(kernel, 'mm_struct', ['mm_users.counter']);
    this.#task = new StructReader(kernel, 'task_struct', ['flags', 'mm', 'in_execve']);
    this.#owner = StructReader.ifPresent(kernel, 'mm_struct', ['owner']);
  }

  /** Returns the other mappers of a frame; undefined if there is no contradiction. */
  why(frame: number): string | undefined {
    const mapping = mappingOf(this.#kernel, frame);
    if (this.#known.size >= MAX_TREES && !this.#known.has(mapping)) return undefined;
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
