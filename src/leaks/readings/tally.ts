import { HostError } from '../../base/errors.js';
import { isEntry, type Site, type SiteFrame } from '../../records/allocation-sites.js';
import type { Held } from '../recording.js';

/** Maximum number of sites, about 2 KiB each with their readings. Further ones are summed as one. */
const MAX_SITES = 16_384;

/** Maximum number of frames; a kernel records 16 to 64. */
const MAX_FRAMES = 128;

const OTHER = 'other-sites';

/** One allocation that a source lists individually. */
export interface ReportedBlock {
  readonly site: string;
  readonly place: bigint;
  readonly bytes: number;
  readonly order: number | null;
  /** Nanoseconds since boot, on the kernel's clock; null: unknown. */
  readonly time: number | null;
  readonly tid: number | null;
  readonly command: string | null;
}

/** Sites in order of appearance, one for each key. All readings of a recording share them. */
export class KnownSites {
  readonly sites = new Map<string, Site>();
  /** Number of allocations whose sites found no room. */
  others = 0;
  readonly #frames = new KnownFrames();
  readonly #byKey = new Map<string, string>();

  /** @param make called for the first occurrence of a key */
  idOf(key: string, kind: Site['kind'], make: () => readonly SiteFrame[]): string {
    const known = this.#byKey.get(key);
    if (known !== undefined) return known;
    if (this.#byKey.size >= MAX_SITES) return this.#other(kind);
    const id = `${kind}-${this.#byKey.size + 1}`;
    this.#byKey.set(key, id);
    this.sites.set(id, { id, kind, frames: make().slice(0, MAX_FRAMES) });
    return id;
  }

  /** Numbers the lines of a stack, innermost first; lines without a kernel function are skipped. */
  idOfStack(
    lines: readonly string[],
    kind: 'stack' | 'caller' = 'stack',
    read: (line: string) => SiteFrame | null = parseSymbolFrame,
  ): string {
    const numbers: number[] = [];
    for (const line of lines) {
      const number = this.numberOf(line, read);
      if (number === NO_ROOM) return this.#other(kind);
      if (number !== NO_FRAME) numbers.push(number);
    }
    return this.idOfFrames(numbers, kind);
  }

  /** Number of a function on a stack, by its line: {@link KnownFrames}. */
  numberOf(line: string, read: (line: string) => SiteFrame | null): number {
    return this.#frames.numberOf(line, read);
  }

  /** Whether the functions below it on a stack were interrupted there. */
  isEntry(frame: number): boolean {
    return this.#frames.isEntry(frame);
  }

  idOfFrames(numbers: readonly number[], kind: 'stack' | 'caller' = 'stack'): string {
    if (numbers.includes(NO_ROOM)) return this.#other(kind);
    const key = `${kind} ${keyOfFrames(numbers)}`;
    return this.idOf(key, kind, () => numbers.map((number) => this.#frames.frame(number)));
  }

  #other(kind: Site['kind']): string {
    this.others++;
    if (!this.sites.has(OTHER)) this.sites.set(OTHER, { id: OTHER, kind, frames: [] });
    return OTHER;
  }
}

/** Amounts held by sites at one moment, added line by line. */
export class Tally {
  /** Lines of unknown format. */
  strange = 0;
  /** Number of sources that are incomplete. */
  cut = 0;
  /** Sites with allocations that the kernel did not count. */
  inaccurate = 0;
  /** Allocations without a known stack. */
  withoutStack = 0;
  /** Allocations could not be listed individually. */
  blocksUnknown = false;
  readonly #sums = new Map<string, { bytes: number; blocks: number | null }>();

  constructor(
    readonly known: KnownSites,
    /** Size of a base page, bytes. */
    readonly pageSize: number,
    readonly onBlock: (block: ReportedBlock) => void = () => undefined,
  ) {}

  /** @param blocks null if the source does not count them */
  add(site: string, bytes: number, blocks: number | null): void {
    const sum = this.#sums.get(site);
    if (!sum) this.#sums.set(site, { bytes, blocks });
    else {
      sum.bytes += bytes;
      sum.blocks = sum.blocks === null || blocks === null ? null : sum.blocks + blocks;
    }
  }

  /** @throws {HostError} `unreadable`: nothing is held, which is impossible, so the source counts nothing */
  check(source: string): void {
    if (this.#sums.size > 0 || this.cut > 0 || this.strange > 0) return;
    throw new HostError('unreadable', `${source}: lists no allocations`, {
      next: 'Check whether it is turned on: kdump-mem leaks --methods',
    });
  }

  held(): Map<string, Held> {
    return new Map(
      [...this.#sums].map(([site, { bytes, blocks }]) => [
        site,
        { bytes, blocks, lowBytes: bytes, highBytes: bytes, sampled: null },
      ]),
    );
  }
}

/** Reads a source's text line by line. */
export interface TallyParser {
  line(text: string): void;
  /** Called after the last line. */
  end(): void;
}

/**
 * Leading spaces, `=> ` in traces, function, offset and length, and a module with its build id
 * (lib/vsprintf.c, %pS, %ps).
 */
const FRAME =
  /^(?:=> )?(?<symbol>[^\s+]{1,512})(?:\+0x(?<offset>[0-9a-f]{1,8})(?:\/0x[0-9a-f]{1,8})?)?(?: \[(?<module>[^\] ]{1,64})[^\]]*\])?(?: <[0-9a-f]{1,16}>)?$/;

/** A bare address, which no symbol covers. */
const ADDRESS = /^0x[0-9a-f]{1,16}$/;

/** Parses a stack frame as the kernel prints it; null: not a frame. */
export function parseSymbolFrame(text: string): SiteFrame | null {
  const groups = FRAME.exec(text.trim())?.groups;
  if (!groups) return null;
  const { symbol = '', offset, module } = groups;
  return {
    symbol: ADDRESS.test(symbol) ? null : symbol,
    offset: offset === undefined ? null : Number.parseInt(offset, 16),
    module: module ?? null,
    line: null,
    guess: false,
  };
}

/** Maximum number of distinct call sites; a kernel has some ten thousand. */
const MAX_CALL_SITES = 0xffff;
/**
 * Maximum number of distinct lines. One function may have several: addresses and build ids of modules differ.
 */
const MAX_LINES = 131_072;
const MAX_CHARACTERS = 8 * 2 ** 20;

/** A line that is no kernel function. */
export const NO_FRAME = -1;
/** A function beyond the limit. */
export const NO_ROOM = -2;

/**
 * Numbers functions of stacks in text: each is stored once, however many stacks contain it. A stack is then a
 * few numbers, and no string of the file is kept.
 */
export class KnownFrames {
  readonly #frames: SiteFrame[] = [];
  readonly #isEntry: boolean[] = [];
  readonly #byKey = new Map<string, number>();
  readonly #byLine = new Map<string, number>();
  #characters = 0;

  /** @param read called for the first occurrence of the line */
  numberOf(line: string, read: (line: string) => SiteFrame | null): number {
    const known = this.#byLine.get(line);
    if (known !== undefined) return known;
    const frame = read(line);
    if (frame === null) return NO_FRAME;
    const number = this.#numbered(frame, line);
    if (number === NO_ROOM || this.#byLine.size >= MAX_LINES) return number;
    if (this.#takeRoom(line.length)) this.#byLine.set(whole(line), number);
    return number;
  }

  frame(number: number): SiteFrame {
    const frame = this.#frames[number];
    if (!frame) throw new TypeError(`there is no frame ${number}`);
    return frame;
  }

  /** Whether the functions below it on a stack were interrupted there. */
  isEntry(number: number): boolean {
    return this.#isEntry[number] ?? false;
  }

  #numbered(frame: SiteFrame, text: string): number {
    const { symbol, offset, module } = frame;
    // Functions without a name are identified by address.
    const key = symbol === null ? text.trim() : `${symbol}+${offset} ${module}`;
    const known = this.#byKey.get(key);
    if (known !== undefined) return known;
    if (this.#frames.length >= MAX_CALL_SITES || !this.#takeRoom(2 * key.length)) return NO_ROOM;
    const number = this.#frames.length;
    this.#frames.push({
      ...frame,
      symbol: symbol === null ? null : whole(symbol),
      module: module === null ? null : whole(module),
    });
    this.#isEntry.push(isEntry(frame));
    this.#byKey.set(whole(key), number);
    return number;
  }

  #takeRoom(characters: number): boolean {
    if (this.#characters + characters > MAX_CHARACTERS) return false;
    this.#characters += characters;
    return true;
  }
}

/** Copies a string: V8 keeps a substring as a view of the complete string. */
function whole(text: string): string {
  return Buffer.from(text).toString();
}

/** Encodes frame numbers as a Map key, two bytes each. */
export function keyOfFrames(numbers: readonly number[]): string {
  return String.fromCharCode(...numbers);
}
