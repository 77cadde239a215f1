import { damaged, KernelError, ReadError, unsupportedLayout } from '../../base/errors.js';
import { hex } from '../../base/util.js';
import type { Kernel } from '../../kernel/kernel.js';
import { type NetDevice, NO_DRIVER, netDevices } from '../../walk/network/net-devices.js';
import type { NetworkPages } from '../../walk/network/network-pages.js';
import { devicesWithRings, TunReader } from '../../walk/network/software-rings.js';
import { virtioNetMemory } from '../../walk/network/virtqueues.js';
import type { PageBlock } from '../../walk/pages/block.js';
import { PageReader } from '../../walk/pages/pages.js';
import { SkbLists } from '../../walk/queues/skb-lists.js';
import { SkbReader } from '../../walk/skbs/skb.js';
import { incompleteness, Warnings } from '../../walk/warnings.js';
import { Tally } from '../tally.js';
import { type CountStatus, type OutsideCode, type OutsideFigures, type RowOf, rowName, type Subject } from './row.js';
import { outsideQueuesWords } from './words.js';

/** Holdings of sockets and previous rows together: steps read it, and only {@link runSteps} adds to it. */
export type Known = Pick<Tally, 'holdsPage' | 'pages' | 'slotsByCache' | 'missingBytes'>;

/** Result of a step. */
export type Found<Code extends OutsideCode> =
  | {
      readonly status: 'counted';
      readonly objects: number | null;
      readonly bytes: number | null;
      readonly figures: OutsideFigures[Code];
      /** Pages and slots that later rows exclude. */
      readonly holds?: Tally;
    }
  | { readonly status: 'contradicted'; readonly figures: OutsideFigures[Code] }
  | { readonly status: 'not-walked' };

/** Counts one row. */
export interface Step<Code extends OutsideCode> extends Subject<Code> {
  /** @throws {KernelError}, {@link ReadError} if it cannot be counted */
  count(known: Known): Found<Code>;
}

export type AnyStep = { readonly [Code in OutsideCode]: Step<Code> }[OutsideCode];

/** A row, and its holdings that no earlier row holds. */
export interface Entry<Code extends OutsideCode> {
  readonly row: RowOf<Code>;
  readonly holds: Tally | undefined;
}

export type OutsideEntry = { readonly [Code in OutsideCode]: Entry<Code> }[OutsideCode];

/**
 * Counts the rows in order. A page counts for the first row that holds it, so the order of the steps matters.
 * A row after one that cannot be counted may include memory of that row.
 *
 * @param sockets holdings of all sockets together; not changed
 */
export function* runSteps(pageSize: number, sockets: Tally, steps: Iterable<AnyStep>): Generator<OutsideEntry> {
  const known = new Tally(pageSize, new Warnings());
  known.add(sockets);
  const unknown: string[] = sockets.figures().complete ? [] : ['sockets'];
  for (const step of steps) {
    const entry = run(step as Step<OutsideCode>, known, unknown);
    if (entry.holds) known.add(entry.holds);
    if (entry.row.status === 'not-counted') unknown.push(entry.row.what);
    yield entry as OutsideEntry;
  }
}

function run<Code extends OutsideCode>(step: Step<Code>, known: Known, unknown: readonly string[]): Entry<Code> {
  const { count, ...subject } = step;
  const rowOf = (
    state: CountStatus<Code>,
    complete: boolean,
    counts: Pick<RowOf<Code>, 'objects' | 'bytes'> = { objects: null, bytes: null },
  ): RowOf<Code> => {
    const row = { ...subject, ...state };
    return { ...row, what: rowName(step), ...counts, message: outsideQueuesWords<Code>(row), complete };
  };
  let found: Found<Code>;
  try {
    found = count(known);
  } catch (error) {
    return { row: rowOf({ status: 'not-counted', reason: reasonOf(error) }, false), holds: undefined };
  }
  const { status } = found;
  if (status === 'not-walked') return { row: rowOf({ status }, true), holds: undefined };
  const { figures } = found;
  if (status === 'contradicted') return { row: rowOf({ status, figures }, false), holds: undefined };
  const { objects, bytes, holds } = found;
  if (unknown.length === 0 || !objects) return { row: rowOf({ status, figures }, true, { objects, bytes }), holds };
  return { row: rowOf({ status: 'at-most', figures, unknown: [...unknown] }, false), holds };
}

/** @throws the error itself if it is a bug in kdump-mem */
export function reasonOf(error: unknown): string {
  const known = error instanceof KernelError || error instanceof ReadError;
  if (!known) incompleteness(error);
  return (error as Error).message;
}

/** Data and readers that all steps share. */
export interface OutsideTools {
  readonly kernel: Kernel;
  /** Result of the scan over all page frames. */
  readonly seen: NetworkPages;
  readonly pages: PageReader;
  readonly skbs: SkbReader;
  readonly lists: SkbLists;
  /**
   * Returns the devices of all network namespaces. @throws {KernelError}, {@link ReadError} if they cannot be
   * listed
   */
  devices(): readonly NetDevice[];
  newTally(): Tally;
}

export function outsideTools(kernel: Kernel, seen: NetworkPages): OutsideTools {
  const warnings = new Warnings();
  const pages = new PageReader(kernel);
  return {
    kernel,
    seen,
    pages,
    skbs: new SkbReader(kernel, pages),
    lists: new SkbLists(kernel),
    devices: listDevices(kernel),
    newTally: () => new Tally(kernel.facts.pageSize, warnings),
  };
}

function listDevices(kernel: Kernel): () => readonly NetDevice[] {
  try {
    const devices = [...netDevices(kernel)];
    return () => devices;
  } catch (error) {
    reasonOf(error);
    return () => {
      throw error;
    };
  }
}

/**
 * Returns the pages without an earlier holder, once each.
 *
 * @param found addresses of `struct page`s
 * @throws {KernelError} `damaged` for a page that is free or belongs to a slab; {@link ReadError}
 */
export function newPages(
  { kernel, pages, newTally }: Pick<OutsideTools, 'kernel' | 'pages' | 'newTally'>,
  known: Known,
  frames: readonly bigint[],
): { readonly pages: number; readonly bytes: number; readonly holds: Tally } {
  const holds = newTally();
  let count = 0;
  let bytes = 0;
  for (const address of frames) {
    const block = blockOf(pages, address);
    if (known.holdsPage(block.frame) || holds.holdsPage(block.frame)) continue;
    holds.page(block.frame, block.order, block.references, undefined, block.pool);
    count++;
    bytes += kernel.facts.pageSize * 2 ** (block.order ?? 0);
  }
  return { pages: count, bytes, holds };
}

/** Returns the allocation that a `struct page` belongs to. @throws as {@link newPages} */
export function blockOf(pages: PageReader, address: bigint): PageBlock {
  const block = pages.block(address);
  if (block.kind === 'page' && !block.free) return block;
  const what = block.kind === 'slab' ? 'belongs to a slab' : 'is free';
  throw damaged(`the page ${hex(address)} ${what}`);
}

/** Packets, and the memory that they pin and no earlier row does; null bytes: partly unknown. */
export interface Packets {
  readonly packets: number;
  readonly bytes: number | null;
  readonly holds: Tally;
}

/** Counts packets. */
export function packetsOf(
  { skbs, newTally }: Pick<OutsideTools, 'skbs' | 'newTally'>,
  known: Known,
  packets: Iterable<bigint>,
): Packets {
  const holds = newTally();
  for (const skb of packets) holds.skb(skbs.read(skb, holds));
  const figures = holds.figures();
  if (figures.skbs === 0) return { packets: 0, bytes: 0, holds };
  const bytes = figures.complete ? known.missingBytes(holds) : null;
  return { packets: figures.skbs, bytes, holds };
}

/** Row of packets that are queued in one kind of place. */
export function waiting<Code extends 'cpu-queues' | 'ip-fragments' | 'neighbours' | 'gro'>(
  tools: OutsideTools,
  code: Code,
  find: () => Iterable<bigint>,
) {
  return {
    code,
    count(known: Known) {
      const { packets, bytes, holds } = packetsOf(tools, known, find());
      return { status: 'counted', objects: packets, bytes, figures: { packets }, holds } as const;
    },
  };
}

/** Rows of receive rings, including their buffers for future packets: one for each driver. */
export function* receiveRings(tools: OutsideTools): Generator<Step<'receive-rings'>> {
  let all: readonly NetDevice[];
  try {
    all = tools.devices();
  } catch (error) {
    reasonOf(error);
    const fail = () => {
      throw error;
    };
    yield { code: 'receive-rings', count: fail };
    return;
  }
  const drivers = new Map<string, NetDevice[]>();
  for (const device of all) {
    // Loopback, tunnels and bridges have no rings of their own.
    if (device.driver === undefined) continue;
    drivers.set(device.driver, [...(drivers.get(device.driver) ?? []), device]);
  }
  for (const [driver, group] of drivers) {
    const devices = group.map(({ name }) => name);
    const count = (known: Known) => ringsOf(tools, known, driver, group);
    yield { code: 'receive-rings', of: driver, devices, count };
  }
}

function ringsOf(
  tools: OutsideTools,
  known: Known,
  driver: string,
  devices: readonly NetDevice[],
): ReturnType<Step<'receive-rings'>['count']> {
  if (driver === NO_DRIVER) throw unsupportedLayout('their device has no driver');
  if (driver !== 'virtio_net') return { status: 'not-walked' };
  const { kernel } = tools;
  const rings: bigint[] = [];
  let buffers = 0;
  for (const device of devices) {
    const memory = virtioNetMemory(kernel, device);
    buffers += memory.buffers.length;
    for (const buffer of memory.buffers) {
      const page = kernel.pages.pageOf(buffer);
      if (page === undefined) throw damaged('a buffer has no struct page');
      rings.push(page);
    }
    rings.push(...memory.pages);
  }
  const { pages, bytes, holds } = newPages(tools, known, rings);
  return { status: 'counted', objects: pages, bytes, figures: { buffers, pages }, holds };
}

/** Rows of the rings of software devices: one for each kind. Kinds that are not walked are only named. */
export function* softwareRings(tools: OutsideTools): Generator<Step<'rings'>> {
  let groups: ReadonlyMap<string, readonly NetDevice[]>;
  try {
    groups = devicesWithRings(tools.kernel, tools.devices());
  } catch (error) {
    reasonOf(error);
    const fail = () => {
      throw error;
    };
    yield { code: 'rings', count: fail };
    return;
  }
  for (const [kind, group] of groups) {
    const devices = group.map(({ name }) => name);
    const count = (known: Known) => deviceRings(tools, known, kind, group);
    yield { code: 'rings', of: kind, devices, count };
  }
}

/** @throws as {@link TunReader} */
function deviceRings(
  tools: OutsideTools,
  known: Known,
  kind: string,
  group: readonly NetDevice[],
): ReturnType<Step<'rings'>['count']> {
  // Before 5.11 there are no types for modules, and some engines cannot read them.
  if (kind !== 'tun' || !tools.kernel.struct('tun_struct')) return { status: 'not-walked' };
  const reader = new TunReader(tools.kernel, tools.lists);
  const contents = group.map((device) => reader.ofDevice(device));
  const skbs = contents.flatMap((content) => content.skbs);
  const { packets, bytes, holds } = packetsOf(tools, known, skbs);
  // The memory that XDP frames pin is unknown.
  const frames = contents.reduce((sum, content) => sum + content.frames, 0);
  return {
    status: 'counted',
    objects: packets + frames,
    bytes: frames === 0 ? bytes : null,
    figures: { packets, frames },
    holds,
  };
}
