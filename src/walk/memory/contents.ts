import type { ContentKind } from '../../records/references.js';

/** Facts about memory that its pages are judged by. */
export interface MemoryFacts {
  readonly arch: 'x86_64' | 'arm64';
  readonly pageSize: number;
  /** Number of page frames up to the end of memory. */
  readonly memoryEnd: number;
}

/** Content of a page, and ports in the headers of packets. */
export interface PageContent {
  readonly kind: ContentKind;
  readonly ports: readonly number[];
}

/** Share of the words that are not zero, from which on they decide what a page is. */
const MOST = 0.5;
/** The same for page tables, in which every entry has the same form. */
const NEARLY_ALL = 0.95;
const MIN_WORDS = 4;
const MIN_TEXT = 64;

/** Judges one page. */
export function contentOf(view: DataView, facts: MemoryFacts): PageContent {
  const words = Math.floor(view.byteLength / 8);
  const [low, high] = [view.getUint32(0, true), view.getUint32(4, true)];
  const count = { used: 0, same: 0, pointers: 0, entries: 0, tables: 0 };
  for (let at = 0; at < 8 * words; at += 8) {
    const [lower, upper] = [view.getUint32(at, true), view.getUint32(at + 4, true)];
    if (lower === low && upper === high) count.same++;
    if (lower === 0 && upper === 0) continue;
    count.used++;
    if (upper >= KERNEL_HALF && (upper !== 0xffff_ffff || lower >= 0x8000_0000)) count.pointers++;
    if (!isTableEntry(lower, upper, facts)) continue;
    count.entries++;
    if (UPPER_LEVEL[facts.arch].includes(lower % 4096)) count.tables++;
  }
  const of = (kind: ContentKind, ports: readonly number[] = []): PageContent => ({ kind, ports });
  if (count.used === 0) return of('zero');
  const bytes = histogram(view);
  if (bytes[POISON_FREE]! >= MOST * view.byteLength) return of('poison');
  if (count.same === words) return of('repeated-word');
  const ports = portsOf(view);
  if (ports !== undefined) return of('network-frames', ports);
  const isTable = count.used < MIN_WORDS ? count.tables === count.used : count.entries >= NEARLY_ALL * count.used;
  if (isTable) return of('page-table');
  if (count.used >= MIN_WORDS && count.pointers >= MOST * count.used) return of('pointers');
  const text = bytes.reduce((sum, many, byte) => sum + (isText(byte) ? many : 0), 0);
  const filled = view.byteLength - bytes[0]!;
  if (text >= MIN_TEXT && text >= NEARLY_ALL * filled) return of('text');
  return of(entropy(bytes, view.byteLength) > HIGH_ENTROPY ? 'high-entropy' : 'data');
}

/** Upper half of the lowest kernel address, with five levels of page tables. */
const KERNEL_HALF = 0xff00_0000;

/** POISON_FREE of include/linux/poison.h. */
const POISON_FREE = 0x6b;

/**
 * Flags of an entry for a table of the next level (_PAGE_TABLE and _KERNPG_TABLE of x86, PMD_TYPE_TABLE of arm64). A
 * page with few words is a page table only if all have these: other entries could be any odd number.
 */
const UPPER_LEVEL: Readonly<Record<MemoryFacts['arch'], readonly number[]>> = { x86_64: [0x67, 0x63], arm64: [0x3] };

/** Bits of a byte, at most 8: a page of random bytes has 7.95. */
const HIGH_ENTROPY = 7.5;

function histogram(view: DataView): Uint32Array {
  const counts = new Uint32Array(256);
  for (let at = 0; at < view.byteLength; at++) counts[view.getUint8(at)]!++;
  return counts;
}

function entropy(counts: Uint32Array, total: number): number {
  let bits = 0;
  for (const many of counts) if (many > 0) bits -= (many / total) * Math.log2(many / total);
  return bits;
}

function isText(byte: number): boolean {
  return (byte >= 0x20 && byte < 0x7f) || (byte >= 9 && byte <= 13);
}

/** A present entry of a page table: of a page or table below the end of memory. */
function isTableEntry(low: number, high: number, { arch, pageSize, memoryEnd }: MemoryFacts): boolean {
  // Bit 0: present. Bits 12 to 51 are the address, on arm64 up to bit 47.
  const address = (high & (arch === 'arm64' ? 0xffff : 0xf_ffff)) * 2 ** 32 + (low - (low % 4096));
  return (low & 1) === 1 && address > 0 && address < memoryEnd * pageSize;
}

/** Maximum number of different ports that are kept of a page. */
const MAX_PORTS = 16;

/** Ports of the packets in a page; undefined: it has none. The checksum of a header proves a packet. */
function portsOf(view: DataView): number[] | undefined {
  const ports = new Set<number>();
  let packets = 0;
  // A header follows an Ethernet header, which ends with the protocol.
  for (let at = 14; at + 40 <= view.byteLength; at += 2) {
    const protocol = view.getUint16(at - 2);
    const length = protocol === 0x0800 ? ipv4Header(view, at) : 0;
    const transport = protocol === 0x86dd ? ipv6Header(view, at) : length;
    if (transport === 0) continue;
    packets++;
    const next = protocol === 0x0800 ? view.getUint8(at + 9) : view.getUint8(at + 6);
    if (next !== 6 && next !== 17) continue;
    for (const port of [at + transport, at + transport + 2])
      if (port + 2 <= view.byteLength && ports.size < MAX_PORTS) ports.add(view.getUint16(port));
  }
  return packets === 0 ? undefined : [...ports];
}

/** Length of a valid IPv4 header; 0: it is none. */
function ipv4Header(view: DataView, at: number): number {
  const first = view.getUint8(at);
  const length = (first & 0xf) * 4;
  if (first >> 4 !== 4 || length < 20 || at + length > view.byteLength) return 0;
  if (view.getUint16(at + 2) < length) return 0;
  let sum = 0;
  for (let word = 0; word < length; word += 2) sum += view.getUint16(at + word);
  while (sum > 0xffff) sum = (sum & 0xffff) + (sum >>> 16);
  return sum === 0xffff ? length : 0;
}

/** The same of IPv6, which has no checksum: addresses are global, unique local or link-local. */
function ipv6Header(view: DataView, at: number): number {
  const isAddress = (place: number): boolean => {
    const top = view.getUint8(place);
    return (top & 0xe0) === 0x20 || (top & 0xfe) === 0xfc || view.getUint16(place) === 0xfe80;
  };
  const isMulticast = view.getUint8(at + 24) === 0xff;
  const isKnown = [6, 17, 58].includes(view.getUint8(at + 6)) && view.getUint8(at + 7) > 0;
  if (view.getUint8(at) >> 4 !== 6 || !isKnown) return 0;
  return isAddress(at + 8) && (isMulticast || isAddress(at + 24)) ? 40 : 0;
}
