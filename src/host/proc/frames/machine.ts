import { HostError } from '../../../base/errors.js';
import type { MemoryCounters, ZoneRecord } from '../../../records/machine-sample.js';
import type { HostSource } from '../../host-source.js';
import { type HostDetails, readHostDetails, readZones } from '../details.js';
import { readHostCounts, readPageSize } from '../memory.js';
import { listed } from '../process.js';
import {
  FLAG_KINDS,
  type FlagKind,
  type FlagNote,
  type FrameFile,
  type Frames,
  flagKind,
  flagNotes,
  isHead,
  isMapped,
  isTail,
  type MemoryMap,
  openFrameFile,
  readMemoryMap,
} from './frame-files.js';

/** Memory of a machine as far as root sees it without kernel memory. */
export interface HostFrames extends HostDetails {
  /** Counters before and after flags were read. */
  readonly before: MemoryCounters;
  readonly after: MemoryCounters;
  readonly frames: FlagScan;
}

/** Opens a /proc file with one word per page frame. */
type Open = (path: string, limit: number) => FrameFile;

/**
 * Reads /proc/kpageflags and the related counters and lists.
 *
 * @param progress called repeatedly with the completed fraction, 0 to 1
 * @throws {HostError} `gone`, `denied`, `unreadable`: /proc/kpageflags, iomem or meminfo is not available
 */
export function readHostFrames(
  source: HostSource,
  progress: (part: number) => void = () => undefined,
  open: Open = openFrameFile,
): HostFrames {
  const flags = open('/proc/kpageflags', CHUNK_FRAMES);
  try {
    const pageSize = readPageSize(source);
    const map = readMemoryMap(source, pageSize);
    if (flags.words(map.ram[0]?.start ?? 0, 1).length === 0)
      throw new HostError('unreadable', '/proc/kpageflags is empty');
    const zones = listed(() => readZones(source));
    const cgroups = listed(() => open('/proc/kpagecgroup', CHUNK_FRAMES));
    try {
      const before = readHostCounts(source);
      const frames = scanFlags(flags, {
        map,
        progress,
        zones: placesOf('list' in zones ? zones.list : []),
        cgroups: 'list' in cgroups ? cgroups.list : undefined,
      });
      const details = readHostDetails(source);
      const after = readHostCounts(source);
      return { before, after, frames, ...details };
    } finally {
      if ('list' in cgroups) cgroups.list.close();
    }
  } finally {
    flags.close();
  }
}

/** Keyed by node and name if there are several nodes. */
function placesOf(zones: readonly ZoneRecord[]) {
  const several = new Set(zones.map(({ nodeId }) => nodeId)).size > 1;
  return zones.map(({ nodeId, name, start, spanned }) => ({
    name: several ? `${nodeId} ${name}` : name,
    start,
    end: start + spanned,
  }));
}

/** Amount of RAM by kind, from the flags of its frames; all in frames. */
interface FlagScan {
  /** Without holes, which are no memory. */
  readonly kinds: Readonly<Record<FlagKind, number>>;
  /** Reserved frames: in the kernel image, and for the crash kernel. */
  readonly image: number;
  readonly crashKernel: number;
  /** Beyond the end of the file, or in an unreadable part. */
  readonly unread: number;
  readonly whyUnread: string | undefined;
  /** Further properties: frames by note and kind. */
  readonly notes: readonly { readonly note: FlagNote; readonly kind: FlagKind; readonly frames: number }[];
  /** Frames without flags. */
  readonly unflagged: Unflagged;
}

/** Frames without flags. */
interface Unflagged {
  /** Compound pages of each order, from order 1 on; single pages as order 0. */
  readonly blocks: ReadonlyMap<number, number>;
  /** By zone; '?' for frames outside all zones. */
  readonly zones: ReadonlyMap<string, number>;
  /** Charged to a cgroup; undefined: /proc/kpagecgroup is not available. */
  readonly charged: number | undefined;
  /** Mapped into an address space, such as rings that a driver shares. */
  readonly mapped: number;
}

/** A zone's range of frames. */
interface ZoneFrames extends Frames {
  readonly name: string;
}

/** Frames per read: half a MiB of words. */
const CHUNK_FRAMES = 2 ** 16;

/** Frames of the largest compound page that is allocated at any time: order 10. */
const LARGEST = 2 ** 10;

/** Number of times that a tail without a head is read again. */
const MAX_READS = 8;

/** Index of each kind in the array of counts. */
const NUMBER = Object.fromEntries(FLAG_KINDS.map((kind, index) => [kind, index]));

interface ScanOptions {
  readonly map: MemoryMap;
  readonly zones: readonly ZoneFrames[];
  /** /proc/kpagecgroup; undefined if not available. */
  readonly cgroups?: FrameFile | undefined;
  /** Called repeatedly with the completed fraction, 0 to 1. */
  readonly progress?: (part: number) => void;
}

/**
 * Scans the flags of each frame of RAM once; stores nothing per frame, so memory use does not grow with
 * the machine. A tail counts like its head.
 */
function scanFlags(flags: FrameFile, options: ScanOptions): FlagScan {
  return new Scan(flags, options).run();
}

class Scan {
  readonly #counts = new Array<number>(FLAG_KINDS.length).fill(0);
  readonly #blocks = new Map<number, number>();
  readonly #zones = new Map<string, number>();
  #image = 0;
  #crash = 0;
  #charged = 0;
  #mapped = 0;
  #unread = 0;
  #whyUnread: string | undefined;
  /** Kind of the previous frame, if it may have tails; for an unowned compound page, its size so far. */
  #kind: FlagKind | undefined;
  #open = 0;
  #openCharged = false;
  #chargesKnown: boolean;
  /** By kind, then by note. */
  readonly #notes = new Map<FlagKind, Map<FlagNote, number>>();
  /** Notes of the page that may have tails. */
  #noted: readonly FlagNote[] = [];

  constructor(
    readonly flags: FrameFile,
    readonly options: ScanOptions,
  ) {
    this.#chargesKnown = options.cgroups !== undefined;
  }

  run(): FlagScan {
    const { map, progress = () => undefined } = this.options;
    const all = map.ram.reduce((sum, { start, end }) => sum + end - start, 0);
    let done = 0;
    for (const { start, end } of map.ram) {
      this.#endBlock();
      for (let first = start; first < end; first += CHUNK_FRAMES) {
        const count = Math.min(CHUNK_FRAMES, end - first);
        progress(done / all);
        done += count;
        this.#chunk(first, count);
      }
    }
    this.#endBlock();
    return {
      kinds: Object.fromEntries(FLAG_KINDS.map((kind, index) => [kind, this.#counts[index]!])) as Record<
        FlagKind,
        number
      >,
      image: this.#image,
      crashKernel: this.#crash,
      unread: this.#unread,
      whyUnread: this.#whyUnread,
      notes: [...this.#notes].flatMap(([kind, notes]) => [...notes].map(([note, frames]) => ({ note, kind, frames }))),
      unflagged: {
        blocks: this.#blocks,
        zones: this.#zones,
        charged: this.#chargesKnown ? this.#charged : undefined,
        mapped: this.#mapped,
      },
    };
  }

  #chunk(first: number, count: number): void {
    let words: Buffer;
    try {
      // Frames that are read again reuse the memory of the first read.
      words = Buffer.from(this.flags.words(first, count));
    } catch (error) {
      if (!(error instanceof HostError)) throw error;
      this.#endBlock();
      this.#unread += count;
      this.#whyUnread ??= error.message;
      return;
    }
    const have = words.length / 8;
    const charges = this.#chargesOf(first, have);
    const view = new DataView(words.buffer, words.byteOffset, words.length);
    for (let at = 0; at < have; at++) {
      const low = view.getUint32(8 * at, true);
      const frame = first + at;
      const isCharged = charges !== undefined && charges.getUint32(8 * at, true) !== 0;
      if (!isTail(low)) this.#page(frame, low, view.getUint32(8 * at + 4, true), isCharged);
      else if (this.#kind !== undefined || !this.#readAgain(frame, isCharged)) this.#tail(frame);
    }
    if (have === count) return;
    this.#endBlock();
    this.#unread += count - have;
    this.#whyUnread ??= `/proc/kpageflags ends before page frame ${first + count}`;
  }

  /** Inode numbers of cgroups; the low half distinguishes 64-bit ones. */
  #chargesOf(first: number, count: number): DataView | undefined {
    const { cgroups } = this.options;
    if (!cgroups || !this.#chargesKnown || count === 0) return undefined;
    try {
      const words = cgroups.words(first, count);
      if (words.length === 8 * count) return new DataView(words.buffer, words.byteOffset, words.length);
    } catch (error) {
      if (!(error instanceof HostError)) throw error;
    }
    this.#chargesKnown = false;
    return undefined;
  }

  /** A page by itself, or the head of a compound page. */
  #page(frame: number, low: number, high: number, isCharged: boolean): void {
    this.#endBlock();
    const kind = flagKind(low, high);
    this.#kind = isHead(low) ? kind : undefined;
    this.#noted = kind === 'hole' ? [] : flagNotes(low, high);
    if (this.#noted.length > 0) this.#note(kind);
    this.#counts[NUMBER[kind]!]!++;
    if (kind === 'reserved') this.#reserved(frame);
    if (kind !== 'none') return;
    this.#open = 1;
    this.#openCharged = isCharged;
    if (isMapped(low)) this.#mapped++;
    this.#inZone(frame);
  }

  /**
   * Reads a tail without a head again, with the frames before it: a compound page may have been allocated, or
   * freed, after they were read. Its kind is then that of the tails that follow.
   *
   * @returns whether the frame is no tail any more, and was counted
   */
  #readAgain(frame: number, isCharged: boolean): boolean {
    const start = frame - (frame % LARGEST);
    for (let reads = 0; reads < MAX_READS; reads++) {
      let words: Buffer;
      try {
        words = this.flags.words(start, frame - start + 1);
      } catch (error) {
        if (error instanceof HostError) return false;
        throw error;
      }
      if (words.length !== 8 * (frame - start + 1)) return false;
      const lowAt = (at: number) => words.readUInt32LE(8 * (at - start));
      const highAt = (at: number) => words.readUInt32LE(8 * (at - start) + 4);
      if (!isTail(lowAt(frame))) {
        this.#page(frame, lowAt(frame), highAt(frame), isCharged);
        return true;
      }
      let head = frame - 1;
      while (head >= start && isTail(lowAt(head))) head--;
      if (head < start || !isHead(lowAt(head))) continue;
      this.#kind = flagKind(lowAt(head), highAt(head));
      this.#noted = flagNotes(lowAt(head), highAt(head));
      return false;
    }
    return false;
  }

  #tail(frame: number): void {
    const kind = this.#kind ?? 'torn';
    if (this.#kind !== undefined && this.#noted.length > 0) this.#note(kind);
    this.#counts[NUMBER[kind]!]!++;
    if (kind === 'reserved') this.#reserved(frame);
    if (kind !== 'none') return;
    this.#open++;
    this.#inZone(frame);
  }

  #note(kind: FlagKind): void {
    const notes = this.#notes.get(kind) ?? new Map<FlagNote, number>();
    this.#notes.set(kind, notes);
    for (const note of this.#noted) notes.set(note, (notes.get(note) ?? 0) + 1);
  }

  #reserved(frame: number): void {
    const { image, crashKernel } = this.options.map;
    if (image && frame >= image.start && frame < image.end) this.#image++;
    else if (crashKernel.some(({ start, end }) => frame >= start && frame < end)) this.#crash++;
  }

  #zone: ZoneFrames | undefined;

  #inZone(frame: number): void {
    const known = this.#zone;
    if (!known || frame < known.start || frame >= known.end)
      this.#zone = this.options.zones.find(({ start, end }) => frame >= start && frame < end);
    const name = this.#zone?.name ?? '?';
    this.#zones.set(name, (this.#zones.get(name) ?? 0) + 1);
  }

  #endBlock(): void {
    if (this.#open > 0) {
      const order = Math.ceil(Math.log2(this.#open));
      this.#blocks.set(order, (this.#blocks.get(order) ?? 0) + 1);
      if (this.#openCharged) this.#charged += this.#open;
    }
    this.#open = 0;
    this.#kind = undefined;
  }
}
