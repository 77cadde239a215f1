import { KernelError, ReadError } from '../kernel/error.js';
import type { Kernel } from '../kernel/kernel.js';
import { cpuMask, perCpuAddress } from '../walk/cpus.js';
import { incompleteness } from '../walk/incompleteness.js';
import { readPartOf } from '../walk/named-read.js';
import { type NetDevice, NO_DRIVER, netDevices } from '../walk/net-devices.js';
import type { NetworkPages } from '../walk/network-pages.js';
import { cpuFragPages, SendFrags } from '../walk/page-frag-cache.js';
import { type PageBlock, PageReader } from '../walk/pages.js';
import { QdiscReader } from '../walk/qdisc.js';
import { SkbLists } from '../walk/queues/skb-lists.js';
import { SkbReader } from '../walk/skb.js';
import type { SkbCache } from '../walk/skb-caches.js';
import { freeInCaches } from '../walk/slab-usage.js';
import { softnetSkbs } from '../walk/softnet.js';
import { TaskReader } from '../walk/tasks.js';
import { virtioNetMemory } from '../walk/virtio-net.js';
import { Warnings } from '../walk/warnings.js';
import { otherPages } from './other-pages.js';
import { Tally } from './tally.js';

/** Memory that the network holds and no socket explains; null where it is named but not counted. */
export interface Unexplained {
  readonly what: string;
  readonly objects: number | null;
  /** Of this row alone: what a socket's queue or a row above holds as well is left out. */
  readonly bytes: number | null;
  /** The row in words. */
  readonly message: string;
}

/** A row before it has its name. */
export type Row = Omit<Unexplained, 'what'>;

/**
 * What of the network's memory is in no socket's queue: packets on their way through the machine,
 * pages kept to cut fragments from, receive rings; and whether any skb is left that nothing explains.
 *
 * @param seen what the scan over all page frames told
 * @param sockets what all sockets hold together
 * @param socks addresses of all of them
 */
export function unexplained(
  kernel: Kernel,
  seen: NetworkPages,
  sockets: Tally,
  socks: readonly bigint[],
): Unexplained[] {
  const rest = new Rest(kernel, sockets);
  const devices = rest.devices();
  const rows = [
    rest.row('cpu-queues', 'The queues of the CPUs (softnet_data)', () => rest.softnet()),
    rest.row('qdiscs', 'The queueing disciplines', () => rest.qdiscs(devices)),
    rest.row('page-fragments', 'The page-fragment caches', () => rest.fragments(socks)),
    rest.row('page-pools', 'The page pools', () => rest.pools(seen)),
    // Last: not every engine knows the types of modules, and what it cannot walk it leaves as it is.
    ...rest.rings(devices),
  ];
  for (const cache of seen.skbCaches) {
    const name = CACHE_WORDS[cache.kind];
    rows.push(rest.row(cache.kind, `The slab cache of ${name}`, () => rest.objects(cache, seen)));
  }
  if (!seen.skbCaches.some(({ kind }) => kind === 'skbs')) {
    rows.push(
      rest.row('skbs', `The slab cache of ${CACHE_WORDS.skbs}`, () => {
        throw seen.noSkbCaches ?? new KernelError('unsupported-layout', 'this kernel names none');
      }),
    );
  }
  rows.push(rest.row('other-pages', 'Pages in no row', () => rest.others(seen)));
  return rows;
}

const CACHE_WORDS: Readonly<Record<SkbCache['kind'], string>> = {
  skbs: 'skbs',
  'skb-pairs': 'pairs of skbs',
  'skb-heads': 'small heads of skbs',
};

/** Walks what is not in sockets, part by part; each part leaves out what those before it hold. */
class Rest {
  readonly #kernel: Kernel;
  readonly #pages: PageReader;
  readonly #skbs: SkbReader;
  readonly #lists: SkbLists;
  readonly #warnings = new Warnings();
  /** What sockets hold, and then every part that has been walked. */
  readonly #known: Tally;
  /** Parts that are not known whole: what they hold, rows after them may count again. */
  readonly #unknown: string[] = [];

  constructor(kernel: Kernel, sockets: Tally) {
    this.#kernel = kernel;
    this.#pages = new PageReader(kernel);
    this.#skbs = new SkbReader(kernel, this.#pages);
    this.#lists = new SkbLists(kernel);
    this.#known = new Tally(kernel.facts.pageSize, this.#warnings);
    this.#known.add(sockets);
    if (!sockets.figures().complete) this.#unknown.push('sockets');
  }

  /** A row; where it cannot be had, one that says why. */
  row(what: string, name: string, make: () => Row): Unexplained {
    try {
      const row = make();
      if (this.#unknown.length === 0 || !row.objects) return { what, ...row };
      const others = this.#unknown.join(', ');
      const message = `${row.message} That is at most: some may belong to what is not known whole (${others}).`;
      return { what, objects: null, bytes: null, message };
    } catch (error) {
      const message = `${name}: not counted: ${reason(error)}.`;
      this.#unknown.push(what);
      return { what, objects: null, bytes: null, message };
    }
  }

  /** Devices of all namespaces, or why they cannot be listed. */
  devices(): () => readonly NetDevice[] {
    try {
      const devices = [...netDevices(this.#kernel)];
      return () => devices;
    } catch (error) {
      reason(error);
      return () => {
        throw error;
      };
    }
  }

  softnet(): Row {
    const { skbs, bytes } = this.#packets(softnetSkbs(this.#kernel, this.#lists));
    const message =
      skbs === 0
        ? 'No packet waits in the queues of the CPUs (softnet_data).'
        : `${many(skbs, 'packet')} in the queues of the CPUs (softnet_data).`;
    return { objects: skbs, bytes, message };
  }

  qdiscs(devices: () => readonly NetDevice[]): Row {
    const reader = new QdiscReader(this.#kernel, this.#lists);
    const putBack: bigint[] = [];
    let queued = 0;
    for (const device of devices()) {
      for (const content of reader.ofDevice(device)) {
        queued += content.queued;
        putBack.push(...content.putBack);
      }
    }
    const { skbs, bytes } = this.#packets(putBack);
    const objects = queued + skbs;
    if (objects === 0) {
      return { objects, bytes: 0, message: 'No packet waits in a queueing discipline.' };
    }
    const message = `${many(objects, 'packet')} in queueing disciplines`;
    if (queued === 0) return { objects, bytes, message: `${message}.` };
    return { objects, bytes: null, message: `${message}; what ${queued} of them pin is not told.` };
  }

  fragments(socks: readonly bigint[]): Row {
    const caches: bigint[] = [...cpuFragPages(this.#kernel)];
    const frags = new SendFrags(this.#kernel);
    const tasks = new TaskReader(this.#kernel);
    for (const process of tasks.processes()) {
      for (const thread of tasks.threads(process)) {
        const page = frags.ofTask(thread.address);
        if (page !== undefined) caches.push(page);
      }
    }
    for (const sock of socks) {
      const page = frags.ofSock(sock);
      if (page !== undefined) caches.push(page);
    }
    const heads = new Set(caches.map((page) => this.#page(page).frame));
    const shared = [...heads].filter((frame) => this.#known.holdsPage(frame)).length;
    const { pages, bytes } = this.#newPages(caches);
    const message = `Page-fragment caches of CPUs, tasks and sockets keep ${many(heads.size, 'page')}: ${shared} with queued data, which count with their sockets, ${pages} without.`;
    return { objects: pages, bytes, message };
  }

  /** A row for each kind of driver. */
  rings(devices: () => readonly NetDevice[]): Unexplained[] {
    let all: readonly NetDevice[];
    try {
      all = devices();
    } catch (error) {
      const message = `Receive rings: the network devices cannot be listed: ${reason(error)}.`;
      return [{ what: 'receive-rings', objects: null, bytes: null, message }];
    }
    const drivers = new Map<string, NetDevice[]>();
    for (const device of all) {
      // Loopback, tunnels and bridges have no rings of their own.
      if (device.driver === undefined) continue;
      drivers.set(device.driver, [...(drivers.get(device.driver) ?? []), device]);
    }
    return [...drivers].map(([driver, group]) => {
      const names = group.map(({ name }) => name).join(', ');
      const name = `The receive rings of ${names} (${driver})`;
      return this.row(`receive-rings ${driver}`, name, () => this.#ring(driver, name, group));
    });
  }

  #ring(driver: string, name: string, group: readonly NetDevice[]): Row {
    if (driver === NO_DRIVER) {
      throw new KernelError('unsupported-layout', 'the device that they sit on has no driver');
    }
    if (driver !== 'virtio_net') {
      const message = `${name} are not walked: what their buffers pin is not told.`;
      return { objects: null, bytes: null, message };
    }
    const found: bigint[] = [];
    let buffers = 0;
    for (const device of group) {
      const memory = virtioNetMemory(this.#kernel, device);
      buffers += memory.buffers.length;
      for (const buffer of memory.buffers) {
        const page = this.#kernel.pageOf(buffer);
        if (page === undefined) throw new KernelError('damaged', 'a buffer is in no page');
        found.push(page);
      }
      found.push(...memory.pages);
    }
    const { pages, bytes } = this.#newPages(found);
    const message = `${name} hold ${many(buffers, 'buffer')}, in ${many(pages, 'page')} that nothing above holds.`;
    return { objects: pages, bytes, message };
  }

  pools(seen: NetworkPages): Row {
    if (!seen.knowsPools) {
      return {
        objects: null,
        bytes: null,
        message: 'Page pools: the pages of this kernel do not tell that they are of one.',
      };
    }
    if (!seen.complete) {
      throw new KernelError('damaged', 'not every struct page of the dump could be looked at');
    }
    const { pages, bytes } = this.#newPages(seen.poolPages);
    const total = seen.poolPages.length;
    const message = `Page pools own ${many(total, 'page')}, ${pages} of them in nothing above.`;
    return { objects: pages, bytes, message };
  }

  others(seen: NetworkPages): Row {
    return otherPages(this.#kernel, seen, this.#known);
  }

  /** Objects that the slabs count as in use, less those that were met and those kept in reserve. */
  objects(cache: SkbCache, seen: NetworkPages): Row {
    const count = seen.usage.count(cache.address);
    if (!seen.complete || !count) {
      throw new KernelError('damaged', 'not every slab of the dump could be looked at');
    }
    const used = count.inUse - freeInCaches(this.#kernel, cache.address);
    const reserve = cache.kind === 'skbs' ? this.#napiReserve() : 0;
    const met = this.#known.slotsByCache().get(cache.address) ?? 0;
    const left = used - reserve - met;
    const words = CACHE_WORDS[cache.kind];
    const kept = reserve > 0 ? `, ${reserve} kept ready by CPUs` : '';
    const told = `${used} ${words} are in use: ${met} in queues${kept}`;
    if (cache.merged) {
      const message = `At most ${told}, and ${Math.max(0, left)} others, which may be anything: the allocator keeps objects of other kinds in this cache too.`;
      return { objects: null, bytes: null, message };
    }
    if (left < 0) {
      const message = `Of the ${words} ${met} were met and ${used} are in use: the dump changed while it was taken, or is damaged.`;
      return { objects: null, bytes: null, message };
    }
    return { objects: left, bytes: left * cache.size, message: `${told}, ${left} not explained.` };
  }

  /** Skbs that CPUs keep to hand out: `napi_alloc_cache.skb_cache` (net/core/skbuff.c). */
  #napiReserve(): number {
    const template = this.#kernel.symbol('napi_alloc_cache');
    const count = this.#kernel.struct('napi_alloc_cache')?.member('skb_count');
    const slots = this.#kernel.struct('napi_alloc_cache')?.member('skb_cache')?.count;
    if (template === undefined || !count || slots === undefined) {
      throw new KernelError('unsupported-layout', 'this kernel has no napi_alloc_cache');
    }
    let kept = 0;
    for (const cpu of cpuMask(this.#kernel, '__cpu_possible_mask')) {
      const cache = perCpuAddress(this.#kernel, template, cpu);
      const at = cache + BigInt(count.offset);
      const whole = 'struct napi_alloc_cache';
      const own = readPartOf(this.#kernel, whole, cache, at, 4).getUint32(0, true);
      if (own > slots) {
        throw new KernelError('damaged', `CPU ${cpu} keeps ${own} skbs in ${slots} places`);
      }
      kept += own;
    }
    return kept;
  }

  /** Counts packets, and what they pin that nothing before them does. */
  #packets(skbs: Iterable<bigint>): { skbs: number; bytes: number | null } {
    const tally = new Tally(this.#kernel.facts.pageSize, this.#warnings);
    for (const skb of skbs) tally.skb(this.#skbs.read(skb, tally));
    const found = tally.figures();
    if (found.skbs === 0) return { skbs: 0, bytes: 0 };
    const before = this.#known.figures().pinnedBytes;
    this.#known.add(tally);
    const bytes = this.#known.figures().pinnedBytes - before;
    return { skbs: found.skbs, bytes: found.complete ? bytes : null };
  }

  /** Counts pages that nothing before holds, once each. */
  #newPages(found: readonly bigint[]): { pages: number; bytes: number } {
    let pages = 0;
    let bytes = 0;
    for (const address of found) {
      const block = this.#page(address);
      if (this.#known.holdsPage(block.frame)) continue;
      this.#known.page(block.frame, block.order, block.references, undefined);
      pages++;
      bytes += this.#kernel.facts.pageSize * 2 ** (block.order ?? 0);
    }
    return { pages, bytes };
  }

  #page(address: bigint): PageBlock {
    const block = this.#pages.block(address);
    if (block.kind === 'page') return block;
    throw new KernelError('damaged', `the page 0x${address.toString(16)} belongs to a slab`);
  }
}

/** `1 page`, `2 pages` */
function many(count: number, noun: string): string {
  return `${count} ${noun}${count === 1 ? '' : 's'}`;
}

/** @throws the error itself, if it is a fault of this program */
function reason(error: unknown): string {
  const known = error instanceof KernelError || error instanceof ReadError;
  if (!known) incompleteness(error);
  return (error as Error).message;
}
