import { HostError } from '../../base/errors/host.js';
import type { Held, Site, SiteFrame } from '../recording.js';
import { KnownFrames, keyOfFrames, NO_FRAME, NO_ROOM } from './known-frames.js';
import { parseSymbolFrame } from './symbol-frame.js';

/** More sites than these are added up as one: with the readings of each they take some 2 KiB. */
const MOST_SITES = 16_384;

/** A kernel keeps 16 to 64. */
const MOST_FRAMES = 128;

const OTHER = 'other-sites';

/** One allocation that a source tells by itself. */
export interface ReportedBlock {
  readonly site: string;
  readonly place: bigint;
  readonly bytes: number;
  readonly order: number | null;
  /** Nanoseconds since the kernel began, on its own clock; null: not told. */
  readonly time: number | null;
  readonly tid: number | null;
  readonly command: string | null;
}

/** Sites as they are met, one for each key: the same in all readings of a recording. */
export class KnownSites {
  readonly sites = new Map<string, Site>();
  /** Allocations of sites that found no room. */
  others = 0;
  readonly #frames = new KnownFrames();
  readonly #byKey = new Map<string, string>();

  /** @param make is asked when a key is met for the first time */
  idOf(key: string, kind: Site['kind'], make: () => readonly SiteFrame[]): string {
    const known = this.#byKey.get(key);
    if (known !== undefined) return known;
    if (this.#byKey.size >= MOST_SITES) return this.#other(kind);
    const id = `${kind}-${this.#byKey.size + 1}`;
    this.#byKey.set(key, id);
    this.sites.set(id, { id, kind, frames: make().slice(0, MOST_FRAMES) });
    return id;
  }

  /** Of lines of a stack, innermost first; those that name no function of the kernel's are passed over. */
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

  /** Whether what stands behind it on a stack was interrupted there. */
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

/** What sites hold at one moment, as a source says it line by line. */
export class Tally {
  /** Lines of no known form. */
  strange = 0;
  /** Sources that say they are not whole, or of which it is known. */
  cut = 0;
  /** Sites of which the kernel says that it did not count all of theirs. */
  inaccurate = 0;
  /** Allocations of which no stack is known. */
  withoutStack = 0;
  /** Its allocations could not be listed one by one. */
  blocksUnknown = false;
  readonly #sums = new Map<string, { bytes: number; blocks: number | null }>();

  constructor(
    readonly known: KnownSites,
    /** Bytes of a base page. */
    readonly pageSize: number,
    readonly onBlock: (block: ReportedBlock) => void = () => undefined,
  ) {}

  /** @param blocks null: the source does not count them */
  add(site: string, bytes: number, blocks: number | null): void {
    const sum = this.#sums.get(site);
    if (!sum) this.#sums.set(site, { bytes, blocks });
    else {
      sum.bytes += bytes;
      sum.blocks = sum.blocks === null || blocks === null ? null : sum.blocks + blocks;
    }
  }

  /** @throws {HostError} `unreadable`: no kernel holds nothing, so that it counts nothing */
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
        { bytes, blocks, low: bytes, high: bytes, sampled: null },
      ]),
    );
  }
}

/** Reads a source's text line by line. */
export interface TallyParser {
  line(text: string): void;
  /** No more lines come. */
  end(): void;
}
