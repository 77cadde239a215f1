import { count } from '../../base/size.js';
import { grouped } from '../../base/util.js';
import type { NamedKind, NamedMemory, NotRead } from '../../records/named-memory.js';
import type { HostSource } from '../host-source.js';
import { findNamespaces, type Namespace } from '../namespaces.js';
import type { Region } from './rdma-regions.js';

/** Maximum number of network namespaces that are entered. */
export const MAX_ENTERED = 256;
/** The kernel's own index of `lo`; pools of an interface that was removed are there (page_pool_unreg_netdev). */
const LOOPBACK = 1;

/** Attributes by number: see ../netlink.ts. */
type Attributes = ReadonlyMap<string, number>;
interface Line {
  readonly kind: string;
  readonly place: number;
  readonly attributes: Attributes;
  /** Of a link. Untrusted. */
  readonly name: string;
}

/** A page pool. Bytes and pages that it allocated and that did not return to the page allocator. */
interface Pool {
  readonly pages: number;
  readonly bytes: number;
  /** CLOCK_BOOTTIME in seconds; undefined: in use. */
  readonly detachedAt: number | undefined;
  /** Its memory is that of a dma-buf or of io_uring. */
  readonly isForeign: boolean;
}

/** Seconds that interfaces may be listed after the uptime was read: a snapshot reads much in between. */
const LATER = 600;

/** Headers of an Ethernet frame with a VLAN tag, and its checksum. */
const FRAME_BYTES = 22;
/** Headroom and struct skb_shared_info that a driver adds to a buffer at most (XDP_PACKET_HEADROOM, and 320 bytes). */
const SKB_BYTES = 256 + 320;

/** Rows of interfaces, and memory regions of RDMA. */
export interface Interfaces {
  readonly rows: readonly NamedMemory[];
  readonly regions: readonly Region[];
}
const NONE: Interfaces = { rows: [], regions: [] };

/** What is missing if a request failed. A machine with RDMA has its request; others are those of newer kernels. */
const REQUESTS = new Map<string, { readonly kind: NamedKind; readonly what: string; readonly pattern: string }>([
  ['link', { kind: 'page-pools', what: 'network interfaces', pattern: 'refused' }],
  ['pool', { kind: 'page-pools', what: 'page pools', pattern: 'refused' }],
  ['ring', { kind: 'nic-rings', what: 'rings of network interfaces', pattern: 'refused' }],
  ['region', { kind: 'pinned', what: 'memory regions of RDMA', pattern: 'lacks|refused' }],
]);

/**
 * Page pools, receive rings of network interfaces, and regions of RDMA, in all network namespaces that can be entered.
 *
 * @param uptime in seconds; null: unknown
 * @throws {HostError} `gone`: no program; `unreadable`
 */
export function readInterfaces(source: HostSource, uptime: number | null, notRead: NotRead[]): Interfaces {
  if (!source.netlink) return NONE;
  const namespaces = findNamespaces(source, 'all');
  const requested = namespaces.slice(0, MAX_ENTERED);
  const listed = source.netlink(requested.map(({ own, path }) => (own ? '-' : path)));
  if (listed === null) return NONE;
  const text = wholeLines(listed, notRead);
  const entered = source.file ? requested : capturedPlaces(text, namespaces);
  const onDamaged: OnDamaged = (kind, why) => void notRead.push({ kind, code: 'unreadable', why });
  const lines = linesOf(text, onDamaged);
  const closed = text.match(/^closed \d+$/gm)?.length ?? 0;
  const left = source.file ? namespaces.length - entered.length : 0;
  if (closed + left > 0)
    notRead.push({ kind: 'page-pools', code: 'denied', why: `${closed + left} network namespaces were not entered` });
  const links = new Map(
    lines.flatMap(({ kind, place, attributes, name }) =>
      kind === 'link' ? [[`${place} ${attributes.get('index')}`, { name, attributes }] as const] : [],
    ),
  );
  const nameOf = (place: number, index: number) => {
    const name =
      index === LOOPBACK ? 'removed interfaces' : (links.get(`${place} ${index}`)?.name ?? `interface ${index}`);
    const namespace = entered[place];
    if (place === 0 || namespace?.own) return name;
    return `${name} of netns ${namespace?.name ?? namespace?.inode ?? place}`;
  };
  for (const [name, { kind, what, pattern }] of REQUESTS)
    if (new RegExp(`^(?:${pattern}) \\d+ ${name}$`, 'm').test(text))
      notRead.push({ kind, code: 'unreadable', why: `${what}: refused by the kernel` });
  const rows = [...pools(lines, nameOf, uptime, onDamaged), ...rings(lines, links, nameOf, onDamaged)];
  return { rows, regions: regionsOf(lines, onDamaged) };
}

/** The lines of a list; one that was cut lacks its last line, and a part of the one before. */
function wholeLines(text: string, notRead: NotRead[]): string {
  if (/(?:^|\n)end\n?$/.test(text)) return text;
  notRead.push({ kind: 'page-pools', code: 'unreadable', why: 'page pools, rings and regions: the list is truncated' });
  return text.slice(0, text.lastIndexOf('\n') + 1);
}

/** A snapshot has a line `netns PLACE INODE` for each. */
function capturedPlaces(text: string, namespaces: readonly Namespace[]): (Namespace | undefined)[] {
  const places: (Namespace | undefined)[] = [];
  for (const [, place, inode] of text.matchAll(/^netns (\d{1,3}) (\d{1,15})$/gm))
    places[Number(place)] = namespaces.find((namespace) => namespace.inode === Number(inode));
  return places;
}

type NameOf = (place: number, index: number) => string;
type OnDamaged = (kind: NamedKind, why: string) => void;

const isCount = (value: number): boolean => Number.isSafeInteger(value) && value >= 0;

/** Lines with objects; one that is malformed costs what it describes. */
function linesOf(text: string, onDamaged: OnDamaged): Line[] {
  const malformed = new Map<string, number>();
  const lines = text.split('\n').flatMap((line): Line[] => {
    if (!/^(?:link|pool|ring|region) /.test(line)) return [];
    const [kind = '', place, ...fields] = line.split(' ');
    const attributes = new Map<string, number>();
    let name = '';
    for (const field of fields) {
      const [, key = '', value] = /^(\w{1,5})=([0-9a-f]{0,64})$/.exec(field) ?? [];
      if (value === undefined) {
        malformed.set(kind, (malformed.get(kind) ?? 0) + 1);
        return [];
      }
      if (kind === 'link' && key === '3') name = Buffer.from(value, 'hex').toString('utf8');
      else attributes.set(key, /^\d+$/.test(value) ? Number(value) : Number.NaN);
    }
    return [{ kind, place: Number(place), attributes, name }];
  });
  for (const [name, { kind, what }] of REQUESTS) {
    const damaged = malformed.get(name) ?? 0;
    if (damaged > 0) onDamaged(kind, `${what}: ${count(damaged, 'malformed line')}`);
  }
  return lines;
}

/**
 * Regions of processes, not those of kernel modules. A device that several namespaces share is listed in each: its lines of
 * the first one count, and each region once. Attributes: RES_PID, RES_KERN_NAME, RES_MRLEN, RES_MRN (since 5.0).
 */
function regionsOf(lines: readonly Line[], onDamaged: OnDamaged): Region[] {
  const firstPlaces = new Map<number | undefined, number>();
  const seen = new Set<string>();
  let damaged = 0;
  const regions = lines.flatMap(({ kind, place, attributes }): Region[] => {
    if (kind !== 'region') return [];
    const [device, pid, bytes, id] = ['index', '28', '45', '63'].map((key) => attributes.get(key));
    if (!firstPlaces.has(device)) firstPlaces.set(device, place);
    const key = `${device} ${id}`;
    if (firstPlaces.get(device) !== place || attributes.has('29') || seen.has(key)) return [];
    // One without a readable number may be another region.
    if (id !== undefined && isCount(id)) seen.add(key);
    if (bytes !== undefined && isCount(bytes)) return [{ pid: pid ?? null, bytes }];
    damaged++;
    return [];
  });
  if (damaged > 0) onDamaged('pinned', `${count(damaged, 'memory region')} of RDMA with an impossible size`);
  return regions;
}

/** Undefined: a size is impossible, or the time when it was detached, such as one in the future. */
function poolOf(attributes: Attributes, uptime: number | null): Pool | undefined {
  const [pages, bytes, detachedAt] = [attributes.get('4') ?? 0, attributes.get('5') ?? 0, attributes.get('6')];
  if (![pages, bytes, detachedAt ?? 0].every(isCount)) return undefined;
  if (uptime !== null && detachedAt !== undefined && detachedAt > uptime + LATER) return undefined;
  return { pages, bytes, detachedAt, isForeign: attributes.has('7') || attributes.has('8') };
}

/** Page pools by interface. Without an interface in the attributes, it was removed. */
function pools(lines: readonly Line[], nameOf: NameOf, uptime: number | null, onDamaged: OnDamaged): NamedMemory[] {
  const listed = lines.filter(({ kind }) => kind === 'pool');
  const readable = listed.flatMap(({ place, attributes }) => {
    const pool = poolOf(attributes, uptime);
    return pool === undefined ? [] : [{ pool, name: nameOf(place, attributes.get('2') ?? LOOPBACK) }];
  });
  const damaged = listed.length - readable.length;
  if (damaged > 0) onDamaged('page-pools', `${count(damaged, 'page pool')} with an impossible size or detach time`);
  const byInterface = grouped(readable, ({ name }) => name);
  const all = [...byInterface].map(([name, ofInterface]): NamedMemory => {
    const members = ofInterface.map(({ pool }) => pool);
    const own = members.filter(({ isForeign }) => !isForeign);
    const sum = (of: (pool: Pool) => number, some = own) => some.reduce((total, pool) => total + of(pool), 0);
    const detached = own.filter(({ detachedAt }) => detachedAt !== undefined);
    const since = detached.reduce((first, { detachedAt = 0 }) => Math.min(first, detachedAt), Number.POSITIVE_INFINITY);
    return {
      kind: 'page-pools',
      name,
      category: 'network-other',
      bytes: sum(({ bytes }) => bytes),
      source: 'netdev page-pool-get (netlink)',
      figures: {
        pools: members.length,
        pages: sum(({ pages }) => pages),
        detachedPools: detached.length,
        detachedPages: sum(({ pages }) => pages, detached),
        detachedBytes: sum(({ bytes }) => bytes, detached),
        detachedSeconds: detached.length === 0 || uptime === null ? null : Math.max(0, Math.floor(uptime - since)),
        foreignBytes: sum(
          ({ bytes }) => bytes,
          members.filter(({ isForeign }) => isForeign),
        ),
      },
    };
  });
  return bySize(all);
}

/**
 * Buffers of receive rings: an estimate. A ring is full of buffers while its interface is up; each has at least a frame
 * of the MTU, and at most that in pages of its own. Interfaces with page pools have most of them there.
 */
function rings(
  lines: readonly Line[],
  links: ReadonlyMap<string, { readonly attributes: Attributes }>,
  nameOf: NameOf,
  onDamaged: OnDamaged,
): NamedMemory[] {
  let damaged = 0;
  const all = lines.flatMap(({ kind, place, attributes }): NamedMemory[] => {
    const [index, descriptors, bufferBytes] = ['1', '6', '10'].map((key) => attributes.get(key));
    if (kind !== 'ring' || index === undefined || descriptors === undefined || descriptors === 0) return [];
    const link = links.get(`${place} ${index}`)?.attributes;
    const [mtu, state, queues] = [link?.get('4'), link?.get('16'), link?.get('32') ?? 1];
    if (mtu === undefined) return [];
    if (![descriptors, bufferBytes ?? 0, mtu, queues].every(isCount) || queues === 0) {
      damaged++;
      return [];
    }
    const buffers = descriptors * queues;
    const frame = bufferBytes || mtu + FRAME_BYTES;
    const inPages = 4096 * 2 ** Math.ceil(Math.log2(Math.max(1, (frame + SKB_BYTES) / 4096)));
    // IF_OPER_DOWN and IF_OPER_NOTPRESENT (linux/if.h): most drivers free the buffers of an interface that is down.
    const isDown = state === 2 || state === 1;
    const [least, most] = [isDown ? 0 : Math.floor((buffers / queues) * Math.min(frame, 2048)), buffers * inPages];
    return [
      {
        kind: 'nic-rings',
        name: nameOf(place, index),
        category: null,
        bytes: null,
        source: 'ethtool rings-get (netlink)',
        figures: { leastBytes: least, mostBytes: most, descriptors, queues, mtu },
      },
    ];
  });
  if (damaged > 0) onDamaged('nic-rings', `rings of ${count(damaged, 'interface')} with impossible numbers`);
  return bySize(all);
}

/** The largest first. All of them: rows and findings sum them, and lists for people are cut when they are written. */
const bySize = (all: readonly NamedMemory[]): NamedMemory[] =>
  all.toSorted((a, b) => (b.bytes ?? b.figures.mostBytes ?? 0) - (a.bytes ?? a.figures.mostBytes ?? 0));
