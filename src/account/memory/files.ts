import { KernelError, ReadError, readOrNot } from '../../base/errors.js';
import { hex } from '../../base/util.js';
import type { FilesJson } from '../../contracts/memory.js';
import type { Kernel } from '../../kernel/kernel.js';
import { CATEGORIES, categoryFacts } from '../../records/categories.js';
import type { PageKind } from '../../records/page-kinds.js';
import { MemoryCgroups } from '../../walk/cgroups/memory-cgroups.js';
import { Cursor } from '../../walk/cursor.js';
import { type MappedFile, MappedFileReader } from '../../walk/files/mapped-file.js';
import { type FilePath, type NamePlace, Paths } from '../../walk/files/paths.js';
import { type FileFrameCount, type FileFrames, usesGenerations } from '../../walk/memory/file-frames.js';
import type { FrameScan } from '../../walk/memory/frame-scan.js';
import type { EachFile } from '../../walk/memory/open-files.js';
import { KIND } from '../../walk/memory/page-kinds.js';
import { headFinder, struct } from '../../walk/pages/struct-page.js';
import { StructReader } from '../../walk/struct-reader.js';
import type { Task } from '../../walk/tasks/tasks.js';
import { addError, incompleteness, type WarningCode, type Warnings } from '../../walk/warnings.js';
import type { FrameLedger } from './frame-ledger.js';
import type { Owner } from './tree.js';

export type FilesAnswer = FilesJson;
export type FileFigures = FilesAnswer['files'][number];
/** The part of a file that is charged to one cgroup. */
export type FileCgroup = NonNullable<FileFigures['cgroups']>[number];
/** Frames whose file is unknown. */
export type UnnamedFiles = FilesAnswer['unnamed'][number];

/** A large file in shared memory: a memfd, tmpfs file or System V segment. */
export interface SharedFileFigures {
  /** Untrusted. */
  readonly name: string;
  readonly bytes: number;
  /** Whether a process maps it. */
  readonly mapped: boolean;
  /** A process that has it open. */
  readonly opener: Pick<Task, 'pid' | 'comm'> | undefined;
}

/** The part of a list that is charged to a cgroup or to one below it; the bytes of files are their whole size. */
export function filesIn({ files, unnamed }: FilesAnswer, path: string): FilesAnswer {
  const own = path.replace(/\/+$/, '');
  const isIn = (cgroup: FileCgroup) => cgroup.path === (own || '/') || cgroup.path?.startsWith(`${own}/`);
  const named = files.flatMap((file) => {
    const cgroups = file.cgroups?.filter(isIn) ?? [];
    return cgroups.length === 0 ? [] : [{ ...file, cgroups }];
  });
  return { files: named.toSorted((a, b) => chargedBytes(b) - chargedBytes(a)), unnamed };
}

/** Bytes of a file that its listed cgroups are charged for. */
export function chargedBytes({ cgroups }: Pick<FileFigures, 'cgroups'>): number {
  return (cgroups ?? []).reduce((sum, { bytes }) => sum + bytes, 0);
}

/** Maximum number of listed files. */
const MAX_FILES = 10_000;

/** Names the files of page frames; `onName` receives the address of each name read. */
export class FileAccount {
  readonly #kernel: Kernel;
  readonly #frames: FileFrames;
  readonly #pageSize: number;
  readonly #onName: ((place: NamePlace) => void) | undefined;
  /** Number of frames in both categories. */
  readonly #all: number;
  readonly #whole: boolean;
  readonly #warned = new Set<string>();
  readonly #activePages: number | undefined;
  /** Largest first; filled by {@link owners}. */
  readonly shared: SharedFileFigures[] = [];
  readonly #openers: Openers;
  #charges: ReadonlyMap<bigint, readonly FileCgroup[]> | undefined;
  #opened: { readonly files: MappedFileReader; readonly paths: Paths } | undefined;

  /**
   * @param activePages the kernel's counter of active page cache (NR_ACTIVE_FILE); undefined: unknown
   * @param each iterates over open files, to name the processes of shared memory
   */
  constructor(
    kernel: Kernel,
    scan: FrameScan,
    ledger: FrameLedger,
    activePages: number | undefined,
    eachFile: EachFile,
    onName?: (place: NamePlace) => void,
  ) {
    this.#kernel = kernel;
    this.#activePages = activePages;
    this.#openers = new Openers(kernel, eachFile);
    this.#onName = onName;
    this.#frames = scan.files;
    this.#pageSize = kernel.facts.pageSize;
    this.#whole = scan.unread + scan.torn === 0;
    const sums = ledger.sums();
    this.#all = (sums.get('page-cache') ?? 0) + (sums.get('shared') ?? 0);
    this.#removeForeignPages(ledger);
  }

  /**
   * Returns the largest files of a category. An unreadable file is named by the address of its mapping, and a
   * file with an unreadable path by its inode; both are warnings. Returns none if the files of this kernel
   * cannot be read.
   */
  owners(category: 'page-cache' | 'shared', most: number, warnings: Warnings): Owner[] {
    const of = category === 'page-cache' ? 'cache' : 'shared';
    const owners: Owner[] = [];
    for (const count of this.#frames.largest(of)) {
      if (owners.length >= most) break;
      const bytes = count[of] * this.#pageSize;
      try {
        const file = this.#figures(count, (error) => this.#lostPath(error, warnings));
        const kind = file.blockDevice === null ? 'file' : 'device';
        const name = fileName(file);
        const opener = of === 'shared' ? this.#openerOf(count.mapping, warnings) : undefined;
        owners.push({ kind, name, bytes, ...(opener ? { pid: opener.pid } : {}) });
        if (of === 'shared') this.shared.push({ name, bytes, mapped: file.mapped, opener });
      } catch (error) {
        if (error instanceof KernelError && error.code !== 'damaged') return [];
        this.#lostFile(error, warnings);
        owners.push({ kind: 'file', name: `mapping ${hex(count.mapping)}`, bytes });
      }
    }
    return owners;
  }

  #openerOf(mapping: bigint, warnings: Warnings): Task | undefined {
    return this.#openers.of(mapping, (message) => this.#warnOnce('corrupt', message, warnings));
  }

  /** Returns all files. Inconsistent or unreadable data is also a warning. */
  answer(warnings: Warnings): FilesAnswer {
    const files: FileFigures[] = [];
    const unnamed = new Map<UnnamedFiles['reason'], UnnamedFiles>();
    let rest = this.#all;
    this.#charges = this.#chargesOf(warnings);
    const unname = (reason: UnnamedFiles['reason'], frames: number, why: string | null = null): void => {
      const known = unnamed.get(reason) ?? { reason, files: 0, bytes: 0, why };
      const bytes = known.bytes + frames * this.#pageSize;
      unnamed.set(reason, { ...known, files: known.files + 1, bytes });
    };
    for (const count of this.#frames.largest()) {
      const frames = count.cache + count.shared;
      rest -= frames;
      if (count.mapping === 0n || files.length >= MAX_FILES) {
        unname('not-listed', frames);
      } else {
        try {
          files.push(this.#figures(count, (error) => this.#lostPath(error, warnings)));
        } catch (error) {
          const code = this.#lostFile(error, warnings);
          unname(code === 'unreadable' ? code : 'damaged', frames, (error as Error).message);
          continue;
        }
      }
      this.#compare(count, warnings);
    }
    if (rest !== 0) unname('moved', rest);
    return { files, unnamed: [...unnamed.values()] };
  }

  #lostPath(error: unknown, warnings: Warnings): void {
    this.#warnOnce(incompleteness(error), `the path of a file: ${(error as Error).message}`, warnings);
  }

  /** @throws the error itself if it is of any other kind */
  #lostFile(error: unknown, warnings: Warnings): WarningCode {
    const code = incompleteness(error);
    this.#warnOnce(code, `the file of pages: ${(error as Error).message}`, warnings);
    return code;
  }

  /** Warns once, whether a file is read as an owner, in the list, or both. */
  #warnOnce(code: WarningCode, message: string, warnings: Warnings): void {
    if (this.#warned.has(message)) return;
    this.#warned.add(message);
    warnings.add(code, message);
  }

  /** @param lost receives the reason if a path is unknown */
  #figures(count: FileFrameCount, lost: (error: unknown) => void): FileFigures {
    const { files } = this.#readers();
    const file = files.read(count.mapping);
    const path = file.blockDevice === undefined ? this.#pathOf(file, lost) : undefined;
    return {
      bytes: (count.cache + count.shared) * this.#pageSize,
      pageCacheBytes: count.cache * this.#pageSize,
      sharedBytes: count.shared * this.#pageSize,
      dirtyBytes: count.dirty * this.#pageSize,
      writebackBytes: count.writeback * this.#pageSize,
      path: path?.path ?? null,
      mounts: path?.mounts ?? null,
      blockDevice: file.blockDevice ?? null,
      deleted: file.blockDevice === undefined && (file.unlinked || path?.deleted === true),
      mapped: file.mapped,
      fsType: file.fsType,
      device: file.device,
      inode: `${file.number}`,
      sizeBytes: file.size,
      ...this.#chargesIn(count.mapping),
    };
  }

  #chargesIn(mapping: bigint): Pick<FileFigures, 'activeBytes' | 'cgroups'> {
    const cgroups = this.#charges?.get(mapping);
    const isKnown = cgroups?.every(({ activeBytes }) => activeBytes !== null);
    const active = cgroups?.reduce((sum, cgroup) => sum + (cgroup.activeBytes ?? 0), 0);
    return { activeBytes: isKnown ? (active ?? null) : null, cgroups: cgroups ?? null };
  }

  /** The cgroups of each file, by its mapping. Undefined: a kernel without memory cgroups. */
  #chargesOf(warnings: Warnings): ReadonlyMap<bigint, readonly FileCgroup[]> | undefined {
    const all = [...this.#frames.charges()];
    if (all.length === 0) return undefined;
    const active = all.reduce((sum, charge) => sum + charge.active, 0);
    const isKnown = this.#hasActiveFlags(warnings) && isNear(active, this.#activePages, this.#frames.frames);
    const names = new ChargeNames(this.#kernel, (code, message) => this.#warnOnce(code, message, warnings));
    const charges = new Map<bigint, FileCgroup[]>();
    for (const { mapping, charged, frames, active: own } of all) {
      const list = charges.get(mapping) ?? [];
      charges.set(mapping, list);
      list.push({
        ...names.of(charged),
        bytes: frames * this.#pageSize,
        activeBytes: isKnown ? own * this.#pageSize : null,
      });
    }
    for (const [mapping, list] of charges) charges.set(mapping, mergedCharges(list));
    return charges;
  }

  #hasActiveFlags(warnings: Warnings): boolean {
    try {
      return usesGenerations(this.#kernel) === false;
    } catch (error) {
      this.#warnOnce(incompleteness(error), (error as Error).message, warnings);
      return false;
    }
  }

  #pathOf(file: MappedFile, lost: (error: unknown) => void): FilePath | undefined {
    try {
      return this.#readers().paths.of(file);
    } catch (error) {
      lost(error);
      return undefined;
    }
  }

  #readers(): { readonly files: MappedFileReader; readonly paths: Paths } {
    this.#opened ??= { files: new MappedFileReader(this.#kernel), paths: new Paths(this.#kernel, this.#onName) };
    return this.#opened;
  }

  /** Compares a file's page count with the pages that were found. */
  #compare({ mapping, cache, shared }: FileFrameCount, warnings: Warnings): void {
    if (this.#kernel.facts.live || !this.#whole || mapping === 0n) return;
    try {
      const counted = this.#readers().files.pages(mapping);
      if (counted === cache + shared) return;
      const found = `${cache + shared} are found`;
      warnings.add('corrupt', `the file of mapping ${hex(mapping)} counts ${counted} pages, but ${found}`);
    } catch (error) {
      addError(warnings, 'the file of pages', error);
    }
  }

  /** Removes pages of rings and vmalloc areas, which also have a mapping if processes map them. */
  #removeForeignPages(ledger: FrameLedger): void {
    if (this.#frames.frames === this.#all) return;
    const page = struct(this.#kernel, 'page');
    const headOf = headFinder(this.#kernel, page);
    const cursor = new Cursor(this.#kernel, 'struct page');
    const takers = CATEGORIES.filter((category) => {
      const takes: readonly PageKind[] = categoryFacts(category).takes ?? [];
      return takes.includes('file') || takes.includes('shmem');
    });
    for (const category of takers) {
      for (const frame of ledger.framesOf(category)) {
        const kind = ledger.kindOf(frame);
        if (kind !== 'file' && kind !== 'shmem') continue;
        const at = this.#kernel.pages.pageOfFrame(frame);
        const head = headOf(at, cursor.to(at).look(0, page.size));
        const { view, base } = cursor.to(head).look(0, page.size);
        this.#frames.remove(view, base, KIND[kind]);
      }
    }
  }
}

/** Bits of `inode.i_mode` that say what it is, and their value for a regular file (include/uapi/linux/stat.h). */
const [S_IFMT, S_IFREG] = [0o170000, 0o100000] as const;

/** Processes that have a file open, by its mapping; read once they are needed. */
class Openers {
  #found: Map<bigint, Task> | undefined;

  constructor(
    readonly kernel: Kernel,
    readonly eachFile: EachFile,
  ) {}

  /**
   * Undefined: no process has it open, or its files are unreadable, which other walks report.
   *
   * @param lost receives what is inconsistent, once
   */
  of(mapping: bigint, lost: (message: string) => void): Task | undefined {
    this.#found ??= this.#read(lost);
    return this.#found.get(mapping);
  }

  #read(lost: (message: string) => void): Map<bigint, Task> {
    const tasks = new Map<bigint, Task>();
    const file = new StructReader(this.kernel, 'file', ['f_mapping']);
    const ofInode = new StructReader(this.kernel, 'file', ['f_inode']);
    const inode = new StructReader(this.kernel, 'inode', ['i_mode', 'i_mapping']);
    const { live } = this.kernel.facts;
    try {
      const all = this.eachFile(function* (opened, { holders: [holder] }) {
        const mapping = readOrNot(() => file.read(opened).pointer('f_mapping'));
        const own = readOrNot(() => ofInode.read(opened).pointer('f_inode')) ?? 0n;
        if (!live && own !== 0n) {
          // A device may have the pages of another inode.
          const known = readOrNot(() => inode.read(own));
          const isRegular = ((known?.number('i_mode') ?? 0) & S_IFMT) === S_IFREG;
          if (isRegular && mapping !== undefined && known?.pointer('i_mapping') !== mapping)
            lost(`the file at ${hex(opened)} has another mapping than its inode ${hex(own)}`);
        }
        if (mapping && holder) yield [mapping, holder.task] as const;
      });
      for (const [mapping, task] of all) if (!tasks.has(mapping)) tasks.set(mapping, task);
    } catch (error) {
      if (!(error instanceof KernelError || error instanceof ReadError)) throw error;
    }
    return tasks;
  }
}

/** Pages that move between lists through per-CPU batches, which the flag and the counter see at different times. */
const MOVING = 1024;

/** Whether pages with PG_active are those that the kernel counts: the multi-gen LRU counts without the flag. */
function isNear(active: number, counted: number | undefined, all: number): boolean {
  if (counted === undefined || (active === 0 && counted > 0)) return false;
  return Math.abs(active - counted) <= Math.min(MOVING, 0.02 * all);
}

/** A cgroup may be charged by itself and through object cgroups. */
function mergedCharges(list: readonly FileCgroup[]): FileCgroup[] {
  const merged = new Map<string, FileCgroup>();
  for (const cgroup of list) {
    const key = `${cgroup.dying} ${cgroup.known} ${cgroup.path === null} ${cgroup.path}`;
    const known = merged.get(key);
    const activeBytes = cgroup.activeBytes === null ? null : cgroup.activeBytes + (known?.activeBytes ?? 0);
    merged.set(key, { ...cgroup, bytes: cgroup.bytes + (known?.bytes ?? 0), activeBytes });
  }
  return [...merged.values()].toSorted((a, b) => b.bytes - a.bytes);
}

const UNKNOWN_CGROUP = { path: null, known: false, dying: false } as const;

/** Names what pages are charged to; each charge is read once. */
class ChargeNames {
  readonly #known = new Map<bigint, Pick<FileCgroup, 'path' | 'known' | 'dying'>>();
  readonly #groups: MemoryCgroups | undefined;

  constructor(
    kernel: Kernel,
    readonly lost: (code: WarningCode, message: string) => void,
  ) {
    try {
      this.#groups = new MemoryCgroups(kernel);
    } catch (error) {
      // cgroup.memory is disabled, or an extract lacks them: no page is charged then.
      if (!(error instanceof KernelError)) throw error;
    }
  }

  of(charged: bigint | undefined): Pick<FileCgroup, 'path' | 'known' | 'dying'> {
    if (charged === undefined) return UNKNOWN_CGROUP;
    if (charged === 0n) return { path: null, known: true, dying: false };
    const known = this.#known.get(charged) ?? this.#read(charged);
    this.#known.set(charged, known);
    return known;
  }

  #read(charged: bigint): Pick<FileCgroup, 'path' | 'known' | 'dying'> {
    try {
      if (!this.#groups) throw new KernelError('unsupported-layout', 'no memory cgroups');
      const { path, dying } = this.#groups.read(this.#groups.charged(charged));
      return { path, known: true, dying };
    } catch (error) {
      this.lost(incompleteness(error), `what files are charged to: ${(error as Error).message}`);
      return UNKNOWN_CGROUP;
    }
  }
}

/** The path of a file, the name of a block device, or a description of a file without a name; untrusted. */
export function fileName(file: Pick<FileFigures, 'path' | 'blockDevice' | 'fsType' | 'device' | 'inode'>): string {
  const { path, blockDevice, fsType, device, inode } = file;
  return path ?? blockDevice ?? `${fsType} ${device} inode ${inode}`;
}
