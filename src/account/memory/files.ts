import { KernelError } from '../../base/errors.js';
import { hex } from '../../base/hex.js';
import type { Kernel } from '../../kernel/kernel.js';
import { Cursor } from '../../walk/cursor.js';
import { type MappedFile, MappedFileReader } from '../../walk/files/mapped-file.js';
import { type FilePath, type NamePlace, Paths } from '../../walk/files/paths.js';
import type { FileFrameCount, FileFrames } from '../../walk/memory/file-frames.js';
import type { FrameScan } from '../../walk/memory/frame-scan.js';
import { KIND, type PageKind } from '../../walk/memory/page-kinds.js';
import { headFinder, struct } from '../../walk/pages/struct-page.js';
import { addError, incompleteness, type WarningCode, type Warnings } from '../../walk/warnings.js';
import { CATEGORIES, categoryFacts } from './categories.js';
import type { FrameLedger } from './frame-ledger.js';
import type { Owner } from './tree.js';

/** A file or block device that has page frames. */
export interface FileFigures {
  readonly bytes: number;
  /** Part in the category page cache, and in shared memory. */
  readonly cacheBytes: number;
  readonly sharedBytes: number;
  /** Part that is dirty, and part under writeback. */
  readonly dirtyBytes: number;
  readonly writebackBytes: number;
  /** Untrusted. Undefined: a block device, or the kernel no longer has its name. */
  readonly path: FilePath | undefined;
  /** Such as `sda1`; untrusted. Undefined: a file. */
  readonly blockDevice: string | undefined;
  /** Whether it is unlinked. */
  readonly deleted: boolean;
  /** Whether a process maps it. */
  readonly mapped: boolean;
  /** Such as `ext4`; untrusted. */
  readonly fsType: string;
  /** `major:minor` of the device of its file system, or of the block device itself. */
  readonly device: string;
  readonly inode: bigint;
  /** File size in bytes. */
  readonly size: number;
}

/** Frames whose file is unknown. */
export interface UnnamedFiles {
  /**
   * `unreadable`: the inode; `damaged`: the mapping of its pages is not a file's; `not-listed`: beyond the
   * maximum number of files; `moved`: pages changed owner during the scan (negative on a running kernel if
   * listed files include them too).
   */
  readonly reason: 'unreadable' | 'damaged' | 'not-listed' | 'moved';
  readonly files: number;
  readonly bytes: number;
  /** Reason for the first of them. */
  readonly why: string | undefined;
}

/** Owners of page cache and shared memory: all parts sum to the bytes of both categories. */
export interface FilesAnswer {
  /** Largest first. */
  readonly files: readonly FileFigures[];
  readonly unnamed: readonly UnnamedFiles[];
}

/** Maximum number of listed files. */
const MOST_FILES = 10_000;

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
   * Returns all files. Inconsistent or unreadable data is also a warning.
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
    this.#warnOnce(
      incompleteness(error),
      `the path of a file: ${(error as Error).message}`,
      warnings,
    );
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

  /** Compares a file's page count with the pages that were found. */
  #compare({ mapping, cache, shared }: FileFrameCount, warnings: Warnings): void {
    if (this.#kernel.facts.live || !this.#whole || mapping === 0n) return;
    try {
      const counted = this.#readers().files.pages(mapping);
      if (counted === cache + shared) return;
      const found = `${cache + shared} are found`;
      warnings.add(
        'corrupt',
        `the file of mapping ${hex(mapping)} counts ${counted} pages, but ${found}`,
      );
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

/** The path of a file, the name of a block device, or a description of a file without a name; untrusted. */
export function fileName(
  file: Pick<FileFigures, 'path' | 'blockDevice' | 'fsType' | 'device' | 'inode'>,
): string {
  const { path, blockDevice, fsType, device, inode } = file;
  return path?.path ?? blockDevice ?? `${fsType} ${device} inode ${inode}`;
}
