import { hostOrNull, isHostError } from '../../base/errors.js';
import { count } from '../../base/size.js';
import { grouped } from '../../base/util.js';
import { DRM_IN_TTM, type NamedMemory, type NotRead } from '../../records/named-memory.js';
import type { HostSource } from '../host-source.js';
import { BPF_MAP_LINK, BpfMaps } from './bpf-maps.js';
import { descriptors } from './descriptor-tables.js';
import { listedPids, optionalText } from './process.js';
import { PERF_LINK, pinnedBytes } from './rings.js';
import { URING_LINK, type UringBuffers } from './uring-buffers.js';

/** Classes of devices whose drivers make dma-bufs; without any, only links of `ALWAYS` are read. */
const CLASSES = [
  '/sys/class/drm',
  '/sys/class/accel',
  '/sys/class/dma_heap',
  '/sys/class/misc/udmabuf',
  '/sys/class/video4linux',
];
const HEAPS = '/sys/class/dma_heap';
const BUFINFO = '/sys/kernel/debug/dma_buf/bufinfo';

/** Links of descriptors whose fdinfo, or whose mappings (perf), report buffers or maps begin with these. */
export const DEVICE_LINKS = ['/dev/dri/', '/dev/accel/', '/dmabuf:', BPF_MAP_LINK, URING_LINK, PERF_LINK] as const;
const ALWAYS: ReadonlySet<string> = new Set([BPF_MAP_LINK, URING_LINK]);
export const isDeviceLink = (link: string): boolean => DEVICE_LINKS.some((start) => link.startsWith(start));

/** Time limit in milliseconds for descriptors, about that for a million. */
const MAX_MS = 1000;
/** Maximum number of processes that one device or exporter lists, and of buffers. */
const MAX_LISTED = 10;
const MAX_BUFFERS = 1_000_000;
/** Reading bufinfo takes the lock of each buffer: only if they have at least this share of memory. */
const LARGE_SHARE = 0.01;

/** Regions of a driver that are not in the machine's own memory: of amdgpu, i915, xe, nouveau. */
const ON_DEVICE = /^(?:vram|local|lmem|stolen|gds|gws|oa|doorbell|mmio)/;

/** A line `drm-KIND-REGION: SIZE [KiB|MiB]` (drm_fdinfo_print_size of drm_file.c). `drm-total-cycles-` has cycles of engines. */
const REGION = /^drm-(total|shared|resident|memory)-(?!cycles-)([^:\n]{1,40}):(.*)$/gm;
const SIZE = /^\s*(\d{1,15})(?: (KiB|MiB))?\s*$/;
const UNITS: Readonly<Record<string, number>> = { KiB: 2 ** 10, MiB: 2 ** 20 };

/** A dma-buf: its exporter, size, and the processes that have it open. */
interface Buffer {
  readonly exporter: string;
  readonly bytes: number;
  readonly pids: Set<number>;
}

/** A DRM client (an open device), in bytes. */
interface Client {
  /** Resident buffers in the machine's memory; `shared`: the part that other clients may have too. */
  readonly resident: number;
  readonly shared: number;
  /** Buffers in memory of the device. */
  readonly onDevice: number;
  readonly pids: Set<number>;
}

interface Device {
  readonly driver: string;
  readonly pdev: string;
  /** By drm-client-id; null: its driver reports no sizes. */
  readonly clients: Map<string, Client | null>;
}

/**
 * Buffers of GPUs and dma-bufs, by what fdinfo reports of descriptors of /dev/dri, /dev/accel and `/dmabuf:`
 * (Documentation/gpu/drm-usage-stats.rst; dma_buf_show_fdinfo of drivers/dma-buf/dma-buf.c). A DRM client counts once for
 * each drm-client-id and drm-pdev, a dma-buf once for each inode. The same pass reads BPF maps
 * and buffers of io_uring, and finds perf events.
 *
 * @param pins receives rings of io_uring, and processes with a perf event; of a capture none of these
 * @param least less memory in BPF maps is left out
 *
 * @throws {HostError} /proc cannot be listed
 */
export function readGraphics(
  source: HostSource,
  meminfo: ReadonlyMap<string, number>,
  notRead: NotRead[],
  { perf, uring }: { readonly perf: Set<number>; readonly uring: UringBuffers },
  least: number,
): NamedMemory[] {
  const hasDevices = !source.file || CLASSES.some((path) => exists(source, path));
  const maps = new BpfMaps();
  const [devices, buffers] = [new Map<string, Device>(), new Map<string, Buffer>()];
  const malformed = { gpu: 0, 'dma-buf': 0 };
  const { denied, isLate } = readAll(source, hasDevices, perf, (pid, key, text, link) => {
    if (uring.add(pid, text, link === URING_LINK) || maps.add(pid, text, link === BPF_MAP_LINK)) return;
    if (text.includes('drm-driver:')) malformed.gpu += addClient(devices, pid, key, text) ? 0 : 1;
    else if (/^(?:size|exp_name):/m.test(text) || (source.file && link.startsWith('/dmabuf:')))
      malformed['dma-buf'] += addBuffer(buffers, pid, text) ? 0 : 1;
  });
  const missing = [
    ...(denied > 0 ? [`descriptors of ${denied} processes: permission denied`] : []),
    ...(isLate ? [`only a part of the descriptors was read in ${MAX_MS / 1000} s`] : []),
  ];
  const commOf = (pid: number) => optionalText(source, `/proc/${pid}/comm`).trimEnd() || null;
  const most = (some: readonly { bytes: number; pids: ReadonlySet<number> }[]) =>
    largest(some, ({ bytes }) => bytes, commOf);
  const others = [...maps.rows(least, most), ...uring.rows((pid) => pinnedBytes(source, pid), most)];
  // A host without devices usually has few of these: what is denied matters only beside some.
  for (const why of hasDevices || isLate || others.some(({ bytes }) => (bytes ?? 0) >= least) ? missing : [])
    notRead.push({
      kind: hasDevices ? 'dma-buf' : (others[0]?.kind ?? 'bpf-maps'),
      code: denied > 0 ? 'denied' : 'unreadable',
      why,
    });
  for (const [kind, fds] of [
    ['gpu', malformed.gpu],
    ['dma-buf', malformed['dma-buf']],
    ['bpf-maps', maps.unread],
  ] as const)
    if (fds > 0)
      notRead.push({
        kind,
        code: 'unreadable',
        why: `malformed or contradictory fdinfo of ${count(fds, 'descriptor')}`,
      });
  const cut = [
    ...(maps.isCut ? (['bpf-maps'] as const) : []),
    ...(uring.isCut ? (['pinned'] as const) : []),
    ...(buffers.size >= MAX_BUFFERS ? (['dma-buf'] as const) : []),
  ];
  for (const kind of cut) notRead.push({ kind, code: 'unreadable', why: 'too many: only a part was counted' });
  const all = [...buffers.values()].reduce((sum, { bytes }) => sum + bytes, 0);
  const haveInodes = ![...buffers.keys()].some((key) => key.startsWith(WITHOUT_INODE));
  const isWhole = all >= LARGE_SHARE * (meminfo.get('MemTotal') ?? 0) && all > 0 && addUnheld(source, buffers, notRead);
  const hasTtm = meminfo.has('GPUActive');
  if (meminfo.get('GPUActive') === 0 && [...devices.values()].some((device) => ownBytes(device) >= least))
    notRead.push({ kind: 'gpu', code: 'unreadable', why: 'GPUActive of /proc/meminfo is 0, but clients have buffers' });
  return [
    ...[...devices.values()].flatMap((device) => deviceMemory(device, hasTtm, commOf)).toSorted(bySize),
    ...byExporter(source, buffers, { isWhole, haveInodes }, commOf),
    ...others,
  ];
}

const exists = (source: HostSource, path: string): boolean =>
  hostOrNull(() => source.list(path).length > 0) ?? hostOrNull(() => source.size(path)) !== null;

/** Reads fdinfo of descriptors whose links name one of `ALWAYS`, and of devices. A capture has no other fdinfo. */
function readAll(
  source: HostSource,
  hasDevices: boolean,
  perf: Set<number>,
  onInfo: (pid: number, key: string, text: string, link: string) => void,
) {
  const until = source.now() + MAX_MS;
  let [denied, isLate] = [0, false];
  for (const name of listedPids(source)) {
    const [folder, pid] = [`/proc/${name}`, Number(name)];
    try {
      const captured = () => source.list(`${folder}/fdinfo`).map((fd) => ({ fd, link: '/dmabuf:' as string | number }));
      for (const { fd, link } of source.file ? descriptors(source, `${folder}/fd`) : captured()) {
        isLate ||= source.now() > until;
        if (isLate) return { denied, isLate };
        if (typeof link === 'number') continue;
        if (link === PERF_LINK) {
          perf.add(pid);
          continue;
        }
        if (!(ALWAYS.has(link) || (hasDevices && isDeviceLink(link)))) continue;
        const text = hostOrNull(() => source.readText(`${folder}/fdinfo/${fd}`));
        if (text !== null) onInfo(pid, `${name} ${fd}`, text, link);
      }
    } catch (error) {
      if (!isHostError(error)) throw error;
      if (error.code === 'denied' && source.file) denied++;
    }
  }
  return { denied, isLate };
}

/** @returns whether its sizes are well-formed */
function addClient(devices: Map<string, Device>, pid: number, key: string, text: string): boolean {
  const field = (name: string) => new RegExp(`^${name}:\\s*(\\S{1,64})$`, 'm').exec(text)?.[1];
  const [driver = '?', pdev = ''] = [field('drm-driver'), field('drm-pdev')];
  const device = devices.get(`${driver} ${pdev}`) ?? { driver, pdev, clients: new Map() };
  devices.set(`${driver} ${pdev}`, device);
  const id = field('drm-client-id') ?? key;
  const known = device.clients.get(id);
  const isWellFormed = [...text.matchAll(REGION)].every(([, , , size = '']) => SIZE.test(size));
  if (known) known.pids.add(pid);
  else if (known === undefined) device.clients.set(id, isWellFormed ? clientOf(text, pid) : null);
  return isWellFormed;
}

/** Sizes of a client; null: its driver reports none. */
function clientOf(text: string, pid: number): Client | null {
  const regions = new Map<string, Map<string, number>>();
  for (const [, kind = '', region = '', size = ''] of text.matchAll(REGION)) {
    const [, digits, unit = ''] = SIZE.exec(size) ?? [];
    const sizes = regions.get(region) ?? new Map<string, number>();
    regions.set(region, sizes.set(kind, Number(digits) * (UNITS[unit] ?? 1)));
  }
  if (regions.size === 0) return null;
  let [resident, shared, onDevice] = [0, 0, 0];
  for (const [region, sizes] of regions) {
    // Before drm-resident, drivers reported drm-memory; a driver without both cannot evict buffers.
    const bytes = sizes.get('resident') ?? sizes.get('memory') ?? sizes.get('total') ?? 0;
    if (ON_DEVICE.test(region)) onDevice += bytes;
    else {
      resident += bytes;
      shared += Math.min(bytes, sizes.get('shared') ?? bytes);
    }
  }
  return { resident, shared, onDevice, pids: new Set([pid]) };
}

type CommOf = (pid: number) => string | null;

function deviceMemory({ driver, pdev, clients }: Device, hasTtm: boolean, commOf: CommOf): NamedMemory[] {
  const known = [...clients.values()].filter((client) => client !== null);
  const sum = (of: (client: Client) => number) => known.reduce((all, client) => all + of(client), 0);
  const most = sum(({ resident }) => resident);
  // A shared buffer may be that of every other client.
  const shared = known.reduce((all, client) => Math.max(all, client.shared), 0);
  const least = sum((client) => client.resident - client.shared) + shared;
  const silent = clients.size - known.length;
  const onDevice = sum((client) => client.onDevice);
  if (most + onDevice === 0 && silent === 0) return [];
  // Pages of TTM are in no other counter, unless the kernel counts them (GPUActive); others are shared memory.
  const isOwn = DRM_IN_TTM.has(driver) && !hasTtm;
  return [
    {
      kind: 'gpu',
      name: pdev === '' ? driver : `${driver} ${pdev}`,
      category: isOwn ? 'gpu' : null,
      bytes: known.length === 0 ? null : least,
      source: '/proc/PID/fdinfo',
      figures: {
        leastBytes: known.length === 0 ? null : least,
        mostBytes: silent > 0 ? null : most,
        sharedBytes: known.length === 0 ? null : shared,
        deviceBytes: onDevice,
        clients: clients.size,
        silentClients: silent,
      },
      processes: largest(known, ({ resident }) => resident, commOf),
    },
  ];
}

/** Buffers in pages of TTM that only one client has, in bytes. */
function ownBytes({ driver, clients }: Device): number {
  if (!DRM_IN_TTM.has(driver)) return 0;
  return [...clients.values()].reduce(
    (sum, client) => sum + (client === null ? 0 : client.resident - client.shared),
    0,
  );
}

/** Processes with most of these, each counting what it has open. */
function largest<T extends { readonly pids: ReadonlySet<number> }>(
  all: readonly T[],
  bytesOf: (item: T) => number,
  commOf: CommOf,
): NonNullable<NamedMemory['processes']> {
  const sums = new Map<number, number>();
  for (const item of all) for (const pid of item.pids) sums.set(pid, (sums.get(pid) ?? 0) + bytesOf(item));
  return [...sums]
    .filter(([, bytes]) => bytes > 0)
    .toSorted((a, b) => b[1] - a[1])
    .slice(0, MAX_LISTED)
    .map(([pid, bytes]) => ({ pid, comm: commOf(pid), bytes }));
}

const WITHOUT_INODE = 'unknown ';

/** @returns whether its size is well-formed, and that of other descriptors of the buffer */
function addBuffer(buffers: Map<string, Buffer>, pid: number, text: string): boolean {
  const bytes = Number(/^size:\s*(\d{1,16})$/m.exec(text)?.[1] ?? Number.NaN);
  const [, exporter = '?'] = /^exp_name:\s*(\S{1,64})$/m.exec(text) ?? [];
  if (!Number.isSafeInteger(bytes)) return false;
  // Since 5.14; before, two descriptors of one buffer cannot be told from two buffers as large: at least one exists.
  const inode = /^ino:\s*(\d{1,20})$/m.exec(text)?.[1] ?? `${WITHOUT_INODE}${exporter} ${bytes}`;
  const buffer = buffers.get(inode) ?? { exporter, bytes, pids: new Set() };
  if (buffers.size >= MAX_BUFFERS) return true;
  buffers.set(inode, buffer);
  buffer.pids.add(pid);
  return buffer.bytes === bytes;
}

/**
 * Adds buffers that no process has open, such as those that only devices and mappings hold (dma_buf_debug_show): size, flags,
 * mode, count, exporter, inode, name.
 *
 * @returns whether all buffers are known
 */
function addUnheld(source: HostSource, buffers: Map<string, Buffer>, notRead: NotRead[]): boolean {
  let text: string;
  try {
    text = source.readText(BUFINFO);
  } catch (error) {
    if (!isHostError(error)) throw error;
    if (error.code !== 'gone') notRead.push({ kind: 'dma-buf', code: error.code, why: error.message });
    return false;
  }
  const listed = new Map<string, Buffer>();
  let [rows, bytes] = [0, 0];
  for (const [, size, exporter = '?', inode = ''] of text.matchAll(
    /^(\d{8,16})\t[\da-f]{8}\t[\da-f]{8}\t-?\d{8,16}\t(\S{1,64})\t(\d{8,20})\t/gm,
  )) {
    rows++;
    bytes += Number(size);
    listed.set(`${Number(inode)}`, { exporter, bytes: Number(size), pids: new Set() });
  }
  const [, objects, total] = /^Total (\d{1,9}) objects, (\d{1,16}) bytes$/m.exec(text) ?? [];
  if (Number(objects) === rows && Number(total) === bytes) {
    for (const key of buffers.keys()) if (key.startsWith(WITHOUT_INODE)) buffers.delete(key);
    for (const [key, buffer] of listed) if (!buffers.has(key) && buffers.size < MAX_BUFFERS) buffers.set(key, buffer);
    return true;
  }
  notRead.push({ kind: 'dma-buf', code: 'unreadable', why: `malformed ${BUFINFO}` });
  return false;
}

function byExporter(
  source: HostSource,
  buffers: ReadonlyMap<string, Buffer>,
  { isWhole, haveInodes }: { readonly isWhole: boolean; readonly haveInodes: boolean },
  commOf: CommOf,
): NamedMemory[] {
  const heaps = new Set(['system', ...(hostOrNull(() => source.list(HEAPS)) ?? [])]);
  const groups = grouped([...buffers.values()], ({ exporter }) => exporter);
  const all = [...groups].map(([exporter, own]): NamedMemory => {
    const bytesOf = (some: readonly Buffer[]) => some.reduce((sum, { bytes }) => sum + bytes, 0);
    return {
      kind: 'dma-buf',
      name: exporter,
      category: heaps.has(exporter) ? 'dma-buf' : null,
      bytes: bytesOf(own),
      source: isWhole ? BUFINFO : '/proc/PID/fdinfo',
      figures: {
        buffers: own.length,
        unopenedBytes: isWhole && haveInodes ? bytesOf(own.filter(({ pids }) => pids.size === 0)) : null,
        leastBytes: bytesOf(own),
        mostBytes: isWhole ? bytesOf(own) : null,
      },
      processes: largest(own, ({ bytes }) => bytes, commOf),
    };
  });
  return all.toSorted(bySize);
}

/** The largest first. */
const bySize = (a: NamedMemory, b: NamedMemory): number => (b.bytes ?? 0) - (a.bytes ?? 0);
