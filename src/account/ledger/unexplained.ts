import { KernelError } from '../../kernel/error.js';
import type { Kernel } from '../../kernel/kernel.js';
import { NapiReader } from '../../walk/network/gro.js';
import { neighbourSkbs } from '../../walk/network/neighbours.js';
import { type NetDevice, netDevices } from '../../walk/network/net-devices.js';
import { QdiscReader } from '../../walk/network/qdisc.js';
import { fragmentSkbs } from '../../walk/network/reassembly.js';
import { softnetSkbs } from '../../walk/network/softnet.js';
import type { NetworkPages } from '../../walk/pages/network-pages.js';
import { cpuFragPages, SendFrags } from '../../walk/pages/page-frag-cache.js';
import { type PageBlock, PageReader } from '../../walk/pages/pages.js';
import type { SkbCache } from '../../walk/pages/skb-caches.js';
import { SkbLists } from '../../walk/queues/skb-lists.js';
import { SkbReader } from '../../walk/skbs/skb.js';
import { TaskReader } from '../../walk/tasks/tasks.js';
import { Warnings } from '../../walk/warnings.js';
import { Tally } from '../tally.js';
import { otherPages } from './other-pages.js';
import { receiveRings } from './receive-rings.js';
import { CACHE_WORDS, slabObjects } from './slab-objects.js';
import { devicesWithRings, softwareRings } from './software-rings.js';
import { many, type Row, reason, type Unexplained } from './unexplained-row.js';
import { type CountPackets, waitingPackets } from './waiting-packets.js';
import { xdpRingPages } from './xdp-ring-pages.js';

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
    rest.row('ip-fragments', 'The queues of fragments', () => rest.ipFragments()),
    rest.row('neighbours', 'The queues of neighbours', () => rest.neighbours()),
    rest.row('gro', 'The devices’ NAPI instances', () => rest.napi(devices)),
    rest.row('page-fragments', 'The page-fragment caches', () => rest.fragments(socks)),
    rest.row('page-pools', 'The page pools', () => rest.pools(seen)),
    // Last: not every engine knows the types of modules, and what it cannot walk it leaves as it is.
    ...rest.rings(devices),
    ...rest.softwareRings(devices),
    ...rest.xdp(),
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
      if (this.#unknown.length === 0 || !row.objects) return { what, complete: true, ...row };
      const others = this.#unknown.join(', ');
      const message = `${row.message} That is at most: some may belong to what is not known whole (${others}).`;
      return { what, objects: null, bytes: null, message, complete: false };
    } catch (error) {
      const message = `${name}: not counted: ${reason(error)}.`;
      this.#unknown.push(what);
      return { what, objects: null, bytes: null, message, complete: false };
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
    const skbs = softnetSkbs(this.#kernel, this.#lists);
    return waitingPackets(skbs, 'in the queues of the CPUs (softnet_data)', this.#packets);
  }

  ipFragments(): Row {
    const skbs = fragmentSkbs(this.#kernel, this.#lists);
    return waitingPackets(skbs, 'to be put together (IP reassembly)', this.#packets);
  }

  neighbours(): Row {
    const skbs = neighbourSkbs(this.#kernel, this.#lists);
    return waitingPackets(skbs, 'for a neighbour’s address (arp_queue)', this.#packets);
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

  napi(devices: () => readonly NetDevice[]): Row {
    const reader = new NapiReader(this.#kernel, this.#lists);
    const skbs = devices().flatMap((device) => [...reader.ofDevice(device)]);
    const where = 'in devices’ NAPI instances, to be merged with others (GRO)';
    return waitingPackets(skbs, where, this.#packets);
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
      return [{ what: 'receive-rings', objects: null, bytes: null, message, complete: false }];
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
      return this.row(`receive-rings ${driver}`, name, () =>
        receiveRings(this.#kernel, driver, name, group, (found) => this.#newPages(found)),
      );
    });
  }

  /** A row for each kind of software device with rings. */
  softwareRings(devices: () => readonly NetDevice[]): Unexplained[] {
    let groups: ReadonlyMap<string, readonly NetDevice[]>;
    try {
      groups = devicesWithRings(this.#kernel, devices());
    } catch (error) {
      const fail = () => {
        throw error;
      };
      return [this.row('rings', 'The rings of software devices', fail)];
    }
    return [...groups].map(([kind, group]) =>
      this.row(`rings ${kind}`, `The rings of ${kind} devices`, () =>
        softwareRings(this.#kernel, this.#lists, kind, group, this.#packets),
      ),
    );
  }

  /** A row if there are rings of AF_XDP sockets. */
  xdp(): Unexplained[] {
    const make = () => xdpRingPages(this.#kernel, (found) => this.#newPages(found));
    const row = this.row('xdp-rings', 'The rings of AF_XDP sockets', make);
    return row.objects === 0 ? [] : [row];
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

  objects(cache: SkbCache, seen: NetworkPages): Row {
    const met = this.#known.slotsByCache().get(cache.address) ?? 0;
    return slabObjects(this.#kernel, cache, seen, met);
  }

  /** Counts packets, and what they pin that nothing before them does. */
  readonly #packets: CountPackets = (skbs) => {
    const tally = new Tally(this.#kernel.facts.pageSize, this.#warnings);
    for (const skb of skbs) tally.skb(this.#skbs.read(skb, tally));
    const found = tally.figures();
    if (found.skbs === 0) return { skbs: 0, bytes: 0 };
    const before = this.#known.figures().pinnedBytes;
    this.#known.add(tally);
    const bytes = this.#known.figures().pinnedBytes - before;
    return { skbs: found.skbs, bytes: found.complete ? bytes : null };
  };

  /** Counts pages that nothing before holds, once each. */
  #newPages(found: readonly bigint[]): { pages: number; bytes: number } {
    let pages = 0;
    let bytes = 0;
    for (const address of found) {
      const block = this.#page(address);
      if (this.#known.holdsPage(block.frame)) continue;
      this.#known.page(block.frame, block.order, block.references, undefined, block.pool);
      pages++;
      bytes += this.#kernel.facts.pageSize * 2 ** (block.order ?? 0);
    }
    return { pages, bytes };
  }

  #page(address: bigint): PageBlock {
    const block = this.#pages.block(address);
    if (block.kind === 'page' && !block.free) return block;
    const what = block.kind === 'slab' ? 'belongs to a slab' : 'is free';
    throw new KernelError('damaged', `the page 0x${address.toString(16)} ${what}`);
  }
}
