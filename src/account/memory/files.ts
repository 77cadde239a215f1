import { KernelError } from '../../base/errors/kernel.js';
import { hex } from '../../base/hex.js';
import type { Kernel } from '../../kernel/kernel.js';
import { Cursor } from '../../walk/cursor.js';
import { type MappedFile, MappedFileReader } from '../../walk/files/mapped-file.js';
import { type FilePath, type NamePlace, Paths } from '../../walk/files/paths.js';
import { incompleteness } from '../../walk/incompleteness.js';
import type { FileFrameCount, FileFrames } from '../../walk/memory/file-frames.js';
import type { FrameScan } from '../../walk/memory/frame-scan.js';
import { KIND, type PageKind } from '../../walk/memory/page-kinds.js';
import { headFinder, struct } from '../../walk/pages/struct-page.js';
import type { WarningCode, Warnings } from '../../walk/warnings.js';
import { CATEGORIES, categoryFacts } from './categories.js';
import type { Owner } from './category.js';
import type { FrameLedger } from './frame-ledger.js';

/** A file, or a block device, that has page frames. */
export interface FileFigures {
  readonly bytes: number;
  /** Of these: in each of both categories. */
  readonly cacheBytes: number;
  readonly sharedBytes: number;
  /** Of these: changed and not written to the disk yet, and being written. */
  readonly dirtyBytes: number;
  readonly writebackBytes: number;
  /** Undefined: the kernel has forgotten its name, or it is a block device. Hostile. */
  readonly path: FilePath | undefined;
  /** Such as `sda1`; hostile. Undefined: a file. */
  readonly blockDevice: string | undefined;
  /** No folder has it any more. */
  readonly deleted: boolean;
  /** Some process has it mapped. */
  readonly mapped: boolean;
  /** Such as `ext4`; hostile. */
  readonly fsType: string;
  /** `major:minor` of what its file system lies on, of a block device its own. */
  readonly device: string;
  readonly inode: bigint;
  /** Bytes that reading it would give. */
  readonly size: number;
}

/** Frames of which it is not known whose file they are. */
export interface UnnamedFiles {
  /**
   * The inode could not be read; what their pages name is no file's; more files than are listed; others
   * had their frames meanwhile (of a running kernel: below 0, files above have them too).
   */
  readonly reason: 'unreadable' | 'damaged' | 'not-listed' | 'moved';
  readonly files: number;
  readonly bytes: number;
  /** What is said of the first. */
  readonly why: string | undefined;
}

/** Whose the page cache and shared memory are: all sums to the bytes of both categories. */
export interface FilesAnswer {
  /** Those with the most first. */
  readonly files: readonly FileFigures[];
  readonly unnamed: readonly UnnamedFiles[];
}

/** How many files are told. */
const MOST_FILES = 10_000;

/** Names the files that page frames are of; `onName` is told where each name that is read lies. */
export class FileAccount {
  readonly #kernel: Kernel;
  readonly #frames: FileFrames;
  readonly #pageSize: number;
  readonly #onName: ((place: NamePlace) => void) | undefined;
  /** Frames of both categories. */
  readonly #all: number;
  readonly #whole: boolean;
  readonly #told = new Set<string>();
  #opened: { readonly files: MappedFileReader; readonly paths: Paths } | undefined;

  constructor(
    kernel: Kernel,
    scan: FrameScan,
    ledger: FrameLedger,
    onName?: (place: NamePlace) => void,
  ) {
    this.#kernel = kernel;
    this.#onName = onName;
    this.#frames = scan.files;
    this.#pageSize = kernel.facts.pageSize;
    this.#whole = scan.unread + scan.torn === 0;
    const sums = ledger.sums();
    this.#all = (sums.get('page-cache') ?? 0) + (sums.get('shared') ?? 0);
    this.#takeAwayOthers(ledger);
  }

  /**
   * The files with the most in a category; one that cannot be read goes by the address of its mapping, and one
   * whose path cannot by its inode, and both are warnings. None where this kernel's files cannot be read.
   */
  owners(category: 'page-cache' | 'shared', most: number, warnings: Warnings): Owner[] {
    const of = category === 'page-cache' ? 'cache' : 'shared';
    const owners: Owner[] = [];
    for (const count of this.#frames.largest(of)) {
      if (owners.length >= most) break;
      const bytes = count[of] * this.#pageSize;
      try {
        const file = this.#figures(count, (error) => this.#lostPath(error, warnings));
        const kind = file.blockDevice === undefined ? 'file' : 'device';
        owners.push({ kind, name: fileName(file), bytes });
      } catch (error) {
        if (error instanceof KernelError && error.code !== 'damaged') return [];
        this.#lostFile(error, warnings);
        owners.push({ kind: 'file', name: `mapping ${hex(count.mapping)}`, bytes });
      }
    }
    return owners;
  }

  /**
   * All of them. What contradicts itself, or cannot be read, is a warning as well.
   *
   * @throws {KernelError} `unsupported-layout`
   */
  answer(warnings: Warnings): FilesAnswer {
    const files: FileFigures[] = [];
    const unnamed = new Map<UnnamedFiles['reason'], UnnamedFiles>();
    let rest = this.#all;
    const unname = (reason: UnnamedFiles['reason'], frames: number, why?: string): void => {
      const known = unnamed.get(reason) ?? { reason, files: 0, bytes: 0, why };
      const bytes = known.bytes + frames * this.#pageSize;
      unnamed.set(reason, { ...known, files: known.files + 1, bytes });
    };
    for (const count of this.#frames.largest()) {
      const frames = count.cache + count.shared;
      rest -= frames;
      if (count.mapping === 0n || files.length >= MOST_FILES) {
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
    this.#tell(incompleteness(error), `the path of a file: ${(error as Error).message}`, warnings);
  }

  /** @throws the error itself, if it is of any other kind */
  #lostFile(error: unknown, warnings: Warnings): WarningCode {
    const code = incompleteness(error);
    this.#tell(code, `the file of pages: ${(error as Error).message}`, warnings);
    return code;
  }

  /** Once, whether a file is asked for as an owner, in the list of all, or both. */
  #tell(code: WarningCode, message: string, warnings: Warnings): void {
    if (this.#told.has(message)) return;
    this.#told.add(message);
    warnings.add(code, message);
  }

  /** @param lost told why a path cannot be had */
  #figures(count: FileFrameCount, lost: (error: unknown) => void): FileFigures {
    const { files } = this.#readers();
    const file = files.read(count.mapping);
    const path = file.blockDevice === undefined ? this.#pathOf(file, lost) : undefined;
    return {
      bytes: (count.cache + count.shared) * this.#pageSize,
      cacheBytes: count.cache * this.#pageSize,
      sharedBytes: count.shared * this.#pageSize,
      dirtyBytes: count.dirty * this.#pageSize,
      writebackBytes: count.writeback * this.#pageSize,
      path,
      blockDevice: file.blockDevice,
      deleted: file.blockDevice === undefined && (file.unlinked || path?.deleted === true),
      mapped: file.mapped,
      fsType: file.fsType,
      device: file.device,
      inode: file.number,
      size: file.size,
    };
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
    this.#opened ??= {
      files: new MappedFileReader(this.#kernel),
      paths: new Paths(this.#kernel, this.#onName),
    };
    return this.#opened;
  }

  /** Holds what a file counts of its pages against those that were found. */
  #compare({ mapping, cache, shared }: FileFrameCount, warnings: Warnings): void {
    if (this.#kernel.facts.live || !this.#whole || mapping === 0n) return;
    try {
      const counted = this.#readers().files.pages(mapping);
      if (counted === cache + shared) return;
      const found = `${cache + shared} are found`;
      warnings.add(
        'corrupt',
        `the file of mapping ${hex(mapping)} counts ${counted} pages, and ${found}`,
      );
    } catch (error) {
      warnings.add(incompleteness(error), `the file of pages: ${(error as Error).message}`);
    }
  }

  /** Pages of rings and of areas in vmalloc's address space may name a mapping too, for who maps them. */
  #takeAwayOthers(ledger: FrameLedger): void {
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

/** The path of a file, the name of a block device, or what a file without a name is known by; hostile. */
export function fileName(
  file: Pick<FileFigures, 'path' | 'blockDevice' | 'fsType' | 'device' | 'inode'>,
): string {
  const { path, blockDevice, fsType, device, inode } = file;
  return path?.path ?? blockDevice ?? `${fsType} ${device} inode ${inode}`;
}
