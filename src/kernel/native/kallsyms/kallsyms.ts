import { KernelError, ReadError } from '../../../base/errors/kernel.js';
import { LazyBytes } from '../lazy-bytes.js';
import type { KernelSymbol, SymbolTable } from '../symbols.js';
import { type AddressEncoding, entryBytes, KallsymsAddresses } from './addresses.js';
import { KallsymsNames, NAMES_PER_MARKER, nextName, ORDER_KEYS, SEQUENCE_BYTES } from './names.js';
import { TOKEN_INDEX_BYTES, Tokens } from './tokens.js';

/** More symbols than any kernel has (a distribution's: 100,000 to 250,000). */
export const MOST_SYMBOLS = 1 << 22;
const MOST_NAMES_BYTES = 64 << 20;
/** Neighbours that a candidate for the order of names is tried on. */
const SAMPLES = 8;

/** Known symbols that are looked up: each costs a search over cold pages. */
const ANCHORS = 4;

type Memory = { read(address: bigint, length: number): DataView };

/** Addresses of the tables. What is not known is looked for next to the others. */
export interface KallsymsPlaces {
  readonly count: number;
  readonly names: bigint;
  readonly tokenTable: bigint;
  readonly tokenIndex: bigint;
  /** Tables of addresses that may be the one, with the value of the base they are relative to. */
  readonly addresses: readonly {
    readonly address: bigint;
    readonly encoding: AddressEncoding;
    readonly base: bigint;
  }[];
  /** Where the order of names may be. */
  readonly orders: readonly bigint[];
}

/** Memory that a table takes. */
interface TableRange {
  readonly address: bigint;
  /** Bytes. */
  readonly length: number;
}

/** The memory of the tables; of `addresses` every entry has `width` bytes. */
export interface KallsymsRanges {
  readonly names: TableRange;
  readonly addresses: TableRange & { readonly width: number };
  /** What finds names faster, and nothing else needs; undefined before 6.2. */
  readonly order: TableRange | undefined;
}

/** The kernel's own table of its symbols, read where it lies. */
export class Kallsyms implements SymbolTable {
  readonly #names: KallsymsNames;
  readonly #addresses: KallsymsAddresses;

  /** Where it lies: names with what follows up to the tokens, addresses, and the order of names. */
  readonly places: KallsymsRanges;

  private constructor(names: KallsymsNames, addresses: KallsymsAddresses, places: KallsymsRanges) {
    this.#names = names;
    this.#addresses = addresses;
    this.places = places;
  }

  /**
   * @param known symbols whose addresses are known from elsewhere: the table counts only if it has one
   * of them at least, and the first few that it has where they are
   * @throws {KernelError} `no-symbols` when the tables are none, `damaged` when they break off
   * @throws {ReadError} when they cannot be read
   */
  static open(
    memory: Memory,
    places: KallsymsPlaces,
    known: ReadonlyMap<string, bigint>,
  ): Kallsyms {
    const tokens = Tokens.read(memory, places.tokenTable, places.tokenIndex);
    const { bytes, markers, markersAt } = readNames(memory, places);
    const namesEnd =
      markersAt === undefined ? bytes.bytes.length : Number(markersAt - places.names);
    let names = new KallsymsNames(bytes, places.count, markers, tokens, namesEnd);
    let anchors: readonly Anchor[] = [];
    let orderAt: bigint | undefined;
    for (const at of [
      ...(markersAt === undefined ? [] : behind(markersAt + BigInt(markers.length * 4))),
      ...places.orders,
    ]) {
      const ordered = orderedNames(memory, names, at);
      if (!ordered) continue;
      // What orders the names by chance would not find the known ones.
      anchors = findAnchors(ordered, known);
      if (anchors.length > 0) {
        names = ordered;
        orderAt = at;
        break;
      }
    }
    if (anchors.length === 0) anchors = findAnchors(names, known);
    if (anchors.length === 0)
      throw new KernelError('no-symbols', 'kallsyms: none of the symbols in VMCOREINFO');
    let unreadable: ReadError | undefined;
    for (const { address, encoding, base } of places.addresses) {
      const table = new LazyBytes(memory, address, places.count * entryBytes(encoding));
      const addresses = new KallsymsAddresses(table, encoding, base);
      const agrees = (one: Anchor): boolean =>
        one.indexes.some((index) => addresses.at(index) === one.address);
      try {
        if (!anchors.every(agrees)) continue;
        const end = places.tokenIndex + BigInt(TOKEN_INDEX_BYTES);
        const length = end > places.names ? Number(end - places.names) : bytes.bytes.length;
        return new Kallsyms(names, addresses, {
          names: { address: places.names, length: Math.min(length, MOST_NAMES_BYTES) },
          addresses: { address, length: table.bytes.length, width: entryBytes(encoding) },
          order:
            orderAt === undefined
              ? undefined
              : { address: orderAt, length: places.count * SEQUENCE_BYTES },
        });
      } catch (error) {
        if (!(error instanceof ReadError)) throw error;
        unreadable ??= error;
      }
    }
    if (unreadable) throw unreadable;
    throw new KernelError('no-symbols', 'kallsyms: addresses contradict VMCOREINFO');
  }

  get count(): number {
    return this.#names.count;
  }

  /** How the table is encoded and searched, in words. */
  get description(): string {
    return `${this.#addresses.encoding} addresses, ${this.#names.search}`;
  }

  find(name: string): KernelSymbol[] {
    return this.#names.find(name).map((index) => this.#at(index));
  }

  before(address: bigint): KernelSymbol | undefined {
    const index = this.#indexBefore(address);
    return index < 0 ? undefined : this.#at(index);
  }

  namedAt(address: bigint): KernelSymbol | undefined {
    let index = this.#indexBefore(address);
    if (index < 0) return undefined;
    const there = this.#addresses.at(index);
    while (index > 0 && this.#addresses.at(index - 1) === there) index--;
    return this.#at(index);
  }

  #indexBefore(address: bigint): number {
    let low = 0;
    let high = this.count;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (this.#addresses.at(middle) <= address) low = middle + 1;
      else high = middle;
    }
    return low - 1;
  }

  *all(): Generator<KernelSymbol> {
    let index = 0;
    for (const entry of this.#names.entries()) {
      const address = this.#addresses.at(index++);
      yield { name: entry.slice(1), type: entry.slice(0, 1), address };
    }
  }

  #at(index: number): KernelSymbol {
    const entry = this.#names.entry(index);
    const address = this.#addresses.at(index);
    return { name: entry.slice(1), type: entry.slice(0, 1), address };
  }
}

/** Places behind the end of a table at which the next may begin: they are aligned to 4 or 8 bytes. */
export function behind(end: bigint): bigint[] {
  const four = end + ((4n - (end % 4n)) % 4n);
  const eight = end + ((8n - (end % 8n)) % 8n);
  return four === eight ? [four] : [four, eight];
}

interface Names {
  readonly bytes: LazyBytes;
  readonly markers: Uint32Array;
  /** Where the kernel's own markers lie; undefined when they were made by running through. */
  readonly markersAt: bigint | undefined;
}

function readNames(memory: Memory, places: KallsymsPlaces): Names {
  const { names, tokenTable, count } = places;
  if (count < 1 || count > MOST_SYMBOLS)
    throw new KernelError('no-symbols', `kallsyms: invalid number of symbols (${count})`);
  const gap = tokenTable - names;
  const length =
    gap > 0n && gap <= MOST_NAMES_BYTES ? Number(gap) : Math.min(count * 64, MOST_NAMES_BYTES);
  const bytes = new LazyBytes(memory, names, length);
  for (const markersAt of markerPlaces(places)) {
    const markers = readMarkers(memory, bytes, places, markersAt);
    if (markers) return { bytes, markers, markersAt };
  }
  return { bytes, markers: makeMarkers(bytes, count), markersAt: undefined };
}

/** Markers lie before the token table, directly or with the order of names (6.2, 6.3) between. */
function markerPlaces({ count, tokenTable }: KallsymsPlaces): bigint[] {
  const markerBytes = Math.ceil(count / NAMES_PER_MARKER) * 4;
  const places: bigint[] = [];
  for (const alignment of [8, 4]) {
    const size = (bytes: number): bigint => BigInt(Math.ceil(bytes / alignment) * alignment);
    places.push(tokenTable - size(markerBytes));
    places.push(tokenTable - size(count * SEQUENCE_BYTES) - size(markerBytes));
  }
  return [...new Set(places)];
}

function readMarkers(
  memory: Memory,
  names: LazyBytes,
  places: KallsymsPlaces,
  at: bigint,
): Uint32Array | undefined {
  const end = Number(at - places.names);
  if (end <= 0 || end > names.bytes.length) return undefined;
  const count = Math.ceil(places.count / NAMES_PER_MARKER);
  try {
    const view = memory.read(at, count * 4);
    const markers = Uint32Array.from({ length: count }, (_, index) =>
      view.getUint32(index * 4, true),
    );
    if (markers[0] !== 0) return undefined;
    for (let index = 1; index < count; index++) {
      if (markers[index]! <= markers[index - 1]!) return undefined;
    }
    // The names behind the last marker must end where the markers begin.
    let place = markers[count - 1]!;
    if (place >= end) return undefined;
    names.need(place, end);
    const rest = places.count - (count - 1) * NAMES_PER_MARKER;
    for (let index = 0; index < rest; index++) {
      place = nextName(names.bytes, place);
      if (place > end) return undefined;
    }
    return end - place < 8 ? markers : undefined;
  } catch (error) {
    if (error instanceof KernelError || error instanceof ReadError) return undefined;
    throw error;
  }
}

/** Where no markers are found, one run over the lengths makes them. */
function makeMarkers(names: LazyBytes, count: number): Uint32Array {
  const markers = new Uint32Array(Math.ceil(count / NAMES_PER_MARKER));
  let at = 0;
  for (let index = 0; index < count; index++) {
    if ((index & (NAMES_PER_MARKER - 1)) === 0) markers[index >>> 8] = at;
    names.need(at, at + 2);
    at = nextName(names.bytes, at);
  }
  return markers;
}

/** A known symbol that the table has. */
interface Anchor {
  readonly address: bigint;
  readonly indexes: readonly number[];
}

function findAnchors(names: KallsymsNames, known: ReadonlyMap<string, bigint>): Anchor[] {
  const anchors: Anchor[] = [];
  for (const [name, address] of known) {
    const indexes = names.find(name);
    if (indexes.length > 0) anchors.push({ address, indexes });
    if (anchors.length >= ANCHORS) break;
  }
  return anchors;
}

/** The names with the order at `address`, if that is one: tried where neighbours can be compared. */
function orderedNames(
  memory: Memory,
  names: KallsymsNames,
  address: bigint,
): KallsymsNames | undefined {
  const order = new LazyBytes(memory, address, names.count * SEQUENCE_BYTES);
  try {
    const seen = new Set<number>();
    const entries: string[] = [];
    let lastPlace = -1;
    for (let sample = 0; sample <= SAMPLES; sample++) {
      const place = Math.floor((sample * (names.count - 2)) / SAMPLES);
      for (const at of [place, place + 1]) {
        if (at <= lastPlace) continue;
        lastPlace = at;
        const index = names.sequence(order, at);
        if (seen.has(index)) return undefined;
        seen.add(index);
        entries.push(names.entry(index));
      }
    }
    const ascends = (keyOf: (entry: string) => string): boolean =>
      entries.every((entry, at) => at === 0 || keyOf(entries[at - 1]!) <= keyOf(entry));
    return entries.length > 1 && ORDER_KEYS.some(ascends) ? names.orderedBy(order) : undefined;
  } catch (error) {
    if (error instanceof KernelError || error instanceof ReadError) return undefined;
    throw error;
  }
}
