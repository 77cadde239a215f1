import { closeSync, fstatSync, openSync, readSync } from 'node:fs';
import { attempt, HostError } from '../../../base/errors.js';
import type { HostSource } from '../../host-source.js';

/** Kinds of page frames, as far as flags identify the owner. */
export const FLAG_KINDS = [
  /** No page: a hole, or offline memory. */
  'hole',
  'free',
  'slab',
  'page-table',
  /** Reclaimed by a hypervisor. */
  'offline',
  'reserved',
  'hugetlb',
  'swap-cache',
  'anonymous',
  'file',
  'shmem',
  /** No flags: the owner is unknown. */
  'none',
  /** A tail without a head before it: it changed while it was read. */
  'torn',
] as const;

export type FlagKind = (typeof FLAG_KINDS)[number];

export const isTail = (low: number): boolean => (low & KPF.TAIL) !== 0;
export const isHead = (low: number): boolean => (low & KPF.HEAD) !== 0;
/** Mapped into an address space. */
export const isMapped = (low: number): boolean => (low & KPF.MMAP) !== 0;

/**
 * Returns the kind of a page other than a tail, from the halves of its word.
 *
 * Order matters: fields that overlay the mapping (of a slab, a page table) look like one, so slabs of
 * 6.12 have ANON and KSM. A file's page that is not yet on an LRU list is identified by UPTODATE, which
 * drivers' pages never have.
 */
export function flagKind(low: number, high: number): FlagKind {
  if ((low & KPF.NOPAGE) !== 0) return 'hole';
  if ((low & KPF.SLAB) !== 0) return 'slab';
  if ((low & KPF.BUDDY) !== 0) return 'free';
  if ((low & KPF.OFFLINE) !== 0) return 'offline';
  if ((low & KPF.PGTABLE) !== 0) return 'page-table';
  if ((high & RESERVED_HIGH) !== 0) return 'reserved';
  if ((low & KPF.HUGE) !== 0) return 'hugetlb';
  if ((low & KPF.SWAPCACHE) !== 0) return 'swap-cache';
  if ((low & KPF.ANON) !== 0) return 'anonymous';
  if ((low & (KPF.LRU | KPF.UPTODATE)) === 0) return 'none';
  return (low & KPF.SWAPBACKED) !== 0 ? 'shmem' : 'file';
}

/** Further properties in a page's flags, independent of its owner. */
export const FLAG_NOTES = [
  /** Part of a transparent huge page or (since 6.9) of any large folio that can be mapped. */
  'thp',
  'mlocked',
  'hwpoison',
  'zero-page',
] as const;

export type FlagNote = (typeof FLAG_NOTES)[number];

/** Empty for most pages. */
export function flagNotes(low: number, high: number): readonly FlagNote[] {
  const noted = low & (KPF.THP | KPF.HWPOISON | KPF.ZERO_PAGE);
  if (noted === 0 && (high & MLOCKED_HIGH) === 0) return NONE;
  return [
    ...((low & KPF.THP) !== 0 ? (['thp'] as const) : []),
    ...((high & MLOCKED_HIGH) !== 0 ? (['mlocked'] as const) : []),
    ...((low & KPF.HWPOISON) !== 0 ? (['hwpoison'] as const) : []),
    ...((low & KPF.ZERO_PAGE) !== 0 ? (['zero-page'] as const) : []),
  ];
}

const NONE: readonly FlagNote[] = [];

/**
 * Bits of a word of /proc/kpageflags (include/uapi/linux/kernel-page-flags.h, which is stable). Other
 * bits of the low word do not identify an owner.
 */
export const KPF = {
  UPTODATE: 1 << 3,
  LRU: 1 << 5,
  SLAB: 1 << 7,
  BUDDY: 1 << 10,
  MMAP: 1 << 11,
  ANON: 1 << 12,
  SWAPCACHE: 1 << 13,
  SWAPBACKED: 1 << 14,
  HEAD: 1 << 15,
  TAIL: 1 << 16,
  HUGE: 1 << 17,
  HWPOISON: 1 << 19,
  NOPAGE: 1 << 20,
  KSM: 1 << 21,
  THP: 1 << 22,
  OFFLINE: 1 << 23,
  ZERO_PAGE: 1 << 24,
  PGTABLE: 1 << 26,
} as const;

/** KPF_RESERVED is bit 32 (include/linux/kernel-page-flags.h, not a stable ABI): bit 0 of the high word. */
export const RESERVED_HIGH = 1;
/** KPF_MLOCKED is bit 33, from the same file. */
const MLOCKED_HIGH = 2;

/** Bytes per page frame in these files. */
const WORD = 8;

/** A file with 64 bits per page frame: /proc/kpageflags, kpagecgroup (fs/proc/page.c). */
export interface FrameFile {
  /**
   * Reads the words of `count` frames from `first` on.
   *
   * @returns little-endian words, valid until the next call; fewer where the file ends
   * @throws {HostError} `unreadable`
   */
  words(first: number, count: number): Buffer;
  close(): void;
}

/**
 * @param limit maximum number of frames per read
 * @throws {HostError} `gone`, `denied`, `unreadable`
 */
export function openFrameFile(path: string, limit: number): FrameFile {
  const file = attempt(path, () => openSync(path, 'r'));
  // A container may mount /dev/null over it.
  if (!fstatSync(file).isFile()) {
    closeSync(file);
    throw new HostError('unreadable', `${path}: not a regular file`);
  }
  const buffer = Buffer.alloc(limit * WORD);
  return {
    words: (first, count) => {
      if (count > limit) throw new RangeError(`${count} frames at once`);
      // The kernel accepts only aligned reads of entire words, and may return fewer bytes.
      let read = 0;
      while (read < count * WORD) {
        const got = attempt(path, () => readSync(file, buffer, read, count * WORD - read, first * WORD + read));
        if (got === 0) break;
        read += got;
        if (read % WORD !== 0) throw new HostError('unreadable', `${path} ends inside the word of frame ${first}`);
      }
      return buffer.subarray(0, read);
    },
    close: () => closeSync(file),
  };
}

/** Range of page frame numbers, `end` exclusive. */
export interface Frames {
  readonly start: number;
  readonly end: number;
}

/** Memory ranges in /proc/iomem. */
export interface MemoryMap {
  /** "System RAM" ranges, in order. */
  readonly ram: readonly Frames[];
  /** From the kernel's code to the end of its bss; memory in between may have been freed. */
  readonly image: Frames | undefined;
  readonly crashKernel: readonly Frames[];
}

const PATH = '/proc/iomem';

/** The largest machines have a few thousand. */
const MAX_LINES = 2 ** 17;

/** Physical addresses have 52 bits. */
const MAX_ADDRESS = 2 ** 52;

/**
 * @param pageSize bytes of a base page
 * @throws {HostError} `gone`; `denied`: addresses are hidden without CAP_SYS_ADMIN; `unreadable`
 */
export function readMemoryMap(source: HostSource, pageSize: number): MemoryMap {
  const ranges: { name: string; from: number; to: number }[] = [];
  for (const line of source.readText(PATH).split('\n')) {
    const parts = /^ *([0-9a-f]{1,16})-([0-9a-f]{1,16}) : (.*)$/.exec(line);
    if (!parts) continue;
    const [from, to] = [Number.parseInt(parts[1]!, 16), Number.parseInt(parts[2]!, 16) + 1];
    const name = parts[3]!;
    // Since 5.x, hot-added memory names its driver: "System RAM (virtio_mem)".
    if (/^(System RAM( \(.*\))?|Crash kernel|Kernel (code|rodata|data|bss))$/.test(name))
      ranges.push({ name, from, to });
    if (ranges.length > MAX_LINES) throw new HostError('unreadable', `${PATH} is too long`);
  }
  if (ranges.length > 0 && ranges.every(({ from, to }) => from === 0 && to === 1))
    throw new HostError('denied', `${PATH} shows no addresses`);
  if (ranges.some(({ from, to }) => to <= from || to > MAX_ADDRESS))
    throw new HostError('unreadable', `malformed range in ${PATH}`);
  const named = (pattern: RegExp) => ranges.filter(({ name }) => pattern.test(name));
  const framesOf = ({ from, to }: { from: number; to: number }): Frames => ({
    start: Math.ceil(from / pageSize),
    end: Math.floor(to / pageSize),
  });
  const ram = joined(named(/^System RAM/).map(framesOf));
  if (ram.length === 0) throw new HostError('unreadable', `${PATH} lists no System RAM`);
  const image = named(/^Kernel /);
  return {
    ram,
    image:
      image.length === 0
        ? undefined
        : {
            start: Math.floor(Math.min(...image.map(({ from }) => from)) / pageSize),
            end: Math.ceil(Math.max(...image.map(({ to }) => to)) / pageSize),
          },
    crashKernel: joined(named(/^Crash kernel$/).map(framesOf)),
  };
}

/** Sorts ranges and merges nested ones. @throws {HostError} `unreadable` if two overlap */
function joined(ranges: readonly Frames[]): Frames[] {
  const all: Frames[] = [];
  for (const range of ranges.toSorted((a, b) => a.start - b.start)) {
    if (range.end <= range.start) continue;
    if ((all.at(-1)?.end ?? 0) > range.start)
      throw new HostError('unreadable', `${PATH} lists page frame ${range.start} twice`);
    all.push(range);
  }
  return all;
}
