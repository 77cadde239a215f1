import { KernelError, ReadError } from '../../../base/errors.js';
import { LazyBytes } from '../memory.js';
import { type KernelSymbol, naming, type SymbolTable } from '../symbols.js';
import { KallsymsNames, NAMES_PER_MARKER, nextName, ORDER_KEYS, SEQUENCE_BYTES } from './names.js';
import { type AddressEncoding, entryBytes, KallsymsAddresses, TOKEN_INDEX_BYTES, Tokens } from './tables.js';

/** More symbols than any kernel has (a distribution's: 100,000 to 250,000). */
export const MAX_SYMBOLS = 1 << 22;
const MAX_NAMES_BYTES = 64 << 20;
/** Number of adjacent entries that a candidate for the name order is checked with. */
const SAMPLES = 8;

/** Number of known symbols to look up: each requires a search over uncached pages. */
const ANCHORS = 4;

type Memory = { read(address: bigint, length: number): DataView };

/** Addresses of the tables. Unknown ones are searched next to the known ones. */
export interface KallsymsPlaces {
  readonly count: number;
  readonly names: bigint;
  readonly tokenTable: bigint;
  readonly tokenIndex: bigint;
  /** Candidates for the address table, with the value of their relative base. */
  readonly addresses: readonly {
    readonly address: bigint;
    readonly encoding: AddressEncoding;
    readonly base: bigint;
  }[];
  /** Candidates for the name order. */
  readonly orders: readonly bigint[];
}

interface TableRange {
  readonly address: bigint;
  /** Bytes. */
  readonly length: number;
}

/** Memory ranges of the tables; each entry of `addresses` has `width` bytes. */
export interface KallsymsRanges {
  readonly names: TableRange;
  readonly addresses: TableRange & { readonly width: number };
  /** Only speeds up name lookups; undefined before 6.2. */
  readonly order: TableRange | undefined;
}

/** The kernel's own symbol table, read in place. */
export class Kallsyms implements SymbolTable {
  readonly #names: KallsymsNames;
  readonly #addresses: KallsymsAddresses;

  /** Positions: names and what follows up to the tokens, addresses, and the name order. */
  readonly places: KallsymsRanges;

  private constructor(names: KallsymsNames, addresses: KallsymsAddresses, places: KallsymsRanges) {
    this.#names = names;
    this.#addresses = addresses;
    this.places = places;
  }

  /**
   * @param known symbols with addresses known from elsewhere: the table is accepted only if it has at
   * least one of them, and the first few that it has are at these addresses
   * @throws {KernelError} `no-symbols` when the tables are invalid, `damaged` when they are incomplete
   * @throws {ReadError} when they cannot be read
   */
  static open(memory: Memory, places: KallsymsPlaces, known: ReadonlyMap<string, bigint>): Kallsyms {
    const tokens = Tokens.read(memory, places.tokenTable, places.tokenIndex);
    const { bytes, markers, markersAt } = readNames(memory, places);
    const namesEnd = markersAt === undefined ? bytes.bytes.length : Number(markersAt - places.names);
    let names = new KallsymsNames(bytes, places.count, markers, tokens, namesEnd);
    let anchors: readonly Anchor[] = [];
    let orderAt: bigint | undefined;
    for (const at of [
      ...(markersAt === undefined ? [] : behind(markersAt + BigInt(markers.length * 4))),
      ...places.orders,
    ]) {
      const ordered = orderedNames(memory, names, at);
      if (!ordered) continue;
      // A false name order would not find the known symbols.
      anchors = findAnchors(ordered, known);
      if (anchors.length > 0) {
        names = ordered;
        orderAt = at;
        break;
      }
    }
    if (anchors.length === 0) anchors = findAnchors(names, known);
    if (anchors.length === 0) throw new KernelError('no-symbols', 'kallsyms: none of the symbols in VMCOREINFO');
    let unreadable: ReadError | undefined;
    for (const { address, encoding, base } of places.addresses) {
      const table = new LazyBytes(memory, address, places.count * entryBytes(encoding));
      const addresses = new KallsymsAddresses(table, encoding, base);
      const agrees = (anchor: Anchor): boolean =>
        anchor.indexes.some((index) => addresses.at(index) === anchor.address);
      try {
        if (!anchors.every(agrees)) continue;
        const end = places.tokenIndex + BigInt(TOKEN_INDEX_BYTES);
        const length = end > places.names ? Number(end - places.names) : bytes.bytes.length;
        return new Kallsyms(names, addresses, {
          names: { address: places.names, length: Math.min(length, MAX_NAMES_BYTES) },
          addresses: { address, length: table.bytes.length, width: entryBytes(encoding) },
          order: orderAt === undefined ? undefined : { address: orderAt, length: places.count * SEQUENCE_BYTES },
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

  /** Description of the table's encoding and search. */
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
    const last = this.#indexBefore(address);
    if (last < 0) return undefined;
    const start = this.#addresses.at(last);
    let index = last;
    while (index > 0 && this.#addresses.at(index - 1) === start) index--;
    return this.#at(naming(index, last, (at) => this.#at(at).name));
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

/** Possible starts of the next table after the end of one: tables are aligned to 4 or 8 bytes. */
export function behind(end: bigint): bigint[] {
  const four = end + ((4n - (end % 4n)) % 4n);
  const eight = end + ((8n - (end % 8n)) % 8n);
  return four === eight ? [four] : [four, eight];
}

interface Names {
  readonly bytes: LazyBytes;
  readonly markers: Uint32Array;
  /** Address of the kernel's own markers; undefined if they were computed. */
  readonly markersAt: bigint | undefined;
}

function readNames(memory: Memory, places: KallsymsPlaces): Names {
  const { names, tokenTable, count } = places;
  if (count < 1 || count > MAX_SYMBOLS)
    throw new KernelError('no-symbols', `kallsyms: invalid number of symbols (${count})`);
  const gap = tokenTable - names;
  const length = gap > 0n && gap <= MAX_NAMES_BYTES ? Number(gap) : Math.min(count * 64, MAX_NAMES_BYTES);
  const bytes = new LazyBytes(memory, names, length);
  for (const markersAt of markerPlaces(places)) {
    const markers = readMarkers(memory, bytes, places, markersAt);
    if (markers) return { bytes, markers, markersAt };
  }
  return { bytes, markers: makeMarkers(bytes, count), markersAt: undefined };
}

/** Markers precede the token table, directly or with the name order (6.2, 6.3) in between. */
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

function readMarkers(memory: Memory, names: LazyBytes, places: KallsymsPlaces, at: bigint): Uint32Array | undefined {
  const end = Number(at - places.names);
  if (end <= 0 || end > names.bytes.length) return undefined;
  const count = Math.ceil(places.count / NAMES_PER_MARKER);
  try {
    const view = memory.read(at, count * 4);
    const markers = Uint32Array.from({ length: count }, (_, index) => view.getUint32(index * 4, true));
    if (markers[0] !== 0) return undefined;
    for (let index = 1; index < count; index++) {
      if (markers[index]! <= markers[index - 1]!) return undefined;
    }
    // The names after the last marker must end where the markers begin.
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

/** Computes markers in one pass over the lengths if none are found. */
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

/** A known symbol that the table contains. */
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

/** Returns the names with the order at `address` if it is valid: checked on adjacent entries. */
function orderedNames(memory: Memory, names: KallsymsNames, address: bigint): KallsymsNames | undefined {
  const order = new LazyBytes(memory, address, names.count * SEQUENCE_BYTES);
  try {
    const visited = new Set<number>();
    const entries: string[] = [];
    let lastPlace = -1;
    for (let sample = 0; sample <= SAMPLES; sample++) {
      const place = Math.floor((sample * (names.count - 2)) / SAMPLES);
      for (const at of [place, place + 1]) {
        if (at <= lastPlace) continue;
        lastPlace = at;
        const index = names.sequence(order, at);
        if (visited.has(index)) return undefined;
        visited.add(index);
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
