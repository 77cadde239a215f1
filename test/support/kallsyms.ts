import type { AddressEncoding } from '../../src/kernel/native/kallsyms/tables.js';
import type { KernelSymbol } from '../../src/kernel/native/symbols.js';

/**
 * The orders in which scripts/kallsyms.c writes its tables: `old` up to 6.1, with 8 bytes for the number and
 * each marker up to 4.19 (`oldest`); `between` for 6.2 and 6.3 (and backports to 6.1), `new` since 6.4.
 */
export type KallsymsOrder = 'oldest' | 'old' | 'between' | 'new';

export interface WrittenKallsyms {
  readonly bytes: Uint8Array;
  /** Byte offset of each table by the name of its symbol. */
  readonly tables: Readonly<Record<string, number>>;
}

/** Maximum length of a token. */
const PAIRS = 96;

/**
 * Writes the tables of kallsyms for symbols in address order. Names are compressed with frequent
 * pairs of characters: less well than the kernel does, but in the same format.
 *
 * @param at virtual address of the tables, a multiple of 8
 * @param orderedBy sort key of `kallsyms_seqs_of_names`
 */
export function writeKallsyms(
  symbols: readonly KernelSymbol[],
  encoding: AddressEncoding,
  order: KallsymsOrder,
  at: bigint,
  orderedBy: (name: string) => string = (name) => name,
): WrittenKallsyms {
  const tokens = makeTokens(symbols);
  const names: number[] = [];
  const markers: number[] = [];
  symbols.forEach(({ name, type }, index) => {
    if (index % 256 === 0) markers.push(names.length);
    const packed = pack(type + name, tokens);
    if (packed.length > 0x7f) names.push((packed.length & 0x7f) | 0x80, packed.length >> 7);
    else names.push(packed.length);
    names.push(...packed);
  });
  const table = tokens.map((token) => `${token}\0`).join('');
  const index: number[] = [];
  let place = 0;
  for (const token of tokens) {
    index.push(place & 255, place >> 8);
    place += token.length + 1;
  }
  const byName = symbols
    .map(({ name }, seq) => ({ name: orderedBy(name), seq }))
    .sort((a, b) => (a.name < b.name ? -1 : a.name > b.name ? 1 : a.seq - b.seq))
    .flatMap(({ seq }) => [seq >> 16, (seq >> 8) & 255, seq & 255]);

  const bytes: number[] = [];
  const tables: Record<string, number> = {};
  const emit = (name: string, content: Iterable<number>): void => {
    while (bytes.length % 8 !== 0) bytes.push(0);
    tables[`kallsyms_${name}`] = bytes.length;
    for (const byte of content) bytes.push(byte);
  };
  const base = encoding === 'absolute' || encoding === 'place' ? undefined : baseOf(symbols);
  const addresses = (): void => {
    while (bytes.length % 8 !== 0) bytes.push(0);
    const start = at + BigInt(bytes.length);
    const content = symbols.flatMap(({ address }, index) =>
      encodeAddress(address, encoding, base ?? start + BigInt(index * 4)),
    );
    emit(encoding === 'absolute' ? 'addresses' : 'offsets', content);
    if (base !== undefined) emit('relative_base', little(base, 8));
  };
  const wide = order === 'oldest' ? 8 : 4;
  const nameTables = (): void => {
    emit('num_syms', little(BigInt(symbols.length), wide));
    emit('names', names);
    emit(
      'markers',
      markers.flatMap((marker) => little(BigInt(marker), wide)),
    );
  };
  const tokenTables = (): void => {
    emit('token_table', Buffer.from(table, 'latin1'));
    emit('token_index', index);
  };
  if (order !== 'new') addresses();
  nameTables();
  if (order === 'between') emit('seqs_of_names', byName);
  tokenTables();
  if (order === 'new') {
    addresses();
    emit('seqs_of_names', byName);
  }
  while (bytes.length % 8 !== 0) bytes.push(0);
  return { bytes: Uint8Array.from(bytes), tables };
}

/** Characters in use encode themselves; free codes encode the most frequent pairs. */
function makeTokens(symbols: readonly KernelSymbol[]): string[] {
  const counts = new Map<string, number>();
  const used = new Set('0123456789');
  for (const { name, type } of symbols) {
    const text = type + name;
    for (let at = 0; at < text.length; at++) {
      used.add(text[at]!);
      const pair = text.slice(at, at + 2);
      if (pair.length === 2) counts.set(pair, (counts.get(pair) ?? 0) + 1);
    }
  }
  const pairs = [...counts].sort((a, b) => b[1] - a[1]).slice(0, PAIRS);
  return Array.from({ length: 256 }, (_, code) => {
    const character = String.fromCharCode(code);
    return used.has(character) ? character : (pairs.shift()?.[0] ?? '');
  });
}

function pack(text: string, tokens: readonly string[]): number[] {
  const packed: number[] = [];
  for (let at = 0; at < text.length; ) {
    const pair = text.length - at > 1 ? tokens.indexOf(text.slice(at, at + 2)) : -1;
    packed.push(pair >= 0 ? pair : text.charCodeAt(at));
    at += pair >= 0 ? 2 : 1;
  }
  return packed;
}

function baseOf(symbols: readonly KernelSymbol[]): bigint {
  return symbols.find(({ address }) => address >= 1n << 63n)?.address ?? 0n;
}

function encodeAddress(address: bigint, encoding: AddressEncoding, base: bigint): number[] {
  switch (encoding) {
    case 'absolute':
      return little(address, 8);
    case 'relative':
    case 'place':
      return little(address - base, 4);
    case 'relative-percpu':
      // Per-CPU symbols have small addresses, which are written unchanged.
      return little(address < 1n << 63n ? address : base - 1n - address, 4);
  }
}

function little(value: bigint, bytes: number): number[] {
  return Array.from({ length: bytes }, (_, index) => Number((value >> BigInt(8 * index)) & 255n));
}
