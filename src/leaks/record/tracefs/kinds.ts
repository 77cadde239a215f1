import { randomInt } from 'node:crypto';
import { existsSync, readFileSync } from 'node:fs';
import { TraceError } from '../../../base/errors.js';
import type { AllocationType, Sample } from '../../recording.js';
import { findTracefs, type TraceInstance } from './instance.js';
import {
  type EventField,
  type EventFormat,
  fieldOf,
  type PageLayout,
  parseEventFormat,
  parsePageLayout,
  unsupported,
} from './page.js';

/** Content of an event. */
export type EventKind =
  | 'page-allocated'
  | 'page-freed'
  /** A page pool took a page: some kernels fire no other event for bulk allocations. */
  | 'pool-page'
  | 'object-allocated'
  | 'object-freed'
  | 'stack';

/** A recorded event: `events/SYSTEM/NAME`. */
export interface EventName {
  readonly system: string;
  readonly name: string;
  readonly kind: EventKind;
  /** Without this event nothing can be followed. */
  readonly needed: boolean;
}

/** Allocation and free events of one type; each of the two has its own instance. */
export interface EventNames {
  readonly allocations: readonly EventName[];
  readonly frees: readonly EventName[];
}

const kmem = (name: string, kind: EventKind, needed = true): EventName => ({ system: 'kmem', name, kind, needed });

/** Allocation types that have events; vmalloc areas have none. */
export type TracedType = Exclude<AllocationType, 'vmalloc'>;

export function noEvent({ system, name }: Pick<EventName, 'system' | 'name'>): TraceError {
  return new TraceError('trace-unsupported', `this kernel has no event ${system}:${name}`);
}

/**
 * `_node` events do not exist since 6.1: there the others have the node. `mm_page_free_batched` is
 * additional.
 */
export const EVENTS: Readonly<Record<TracedType, EventNames>> = {
  page: {
    allocations: [
      kmem('mm_page_alloc', 'page-allocated'),
      { system: 'page_pool', name: 'page_pool_state_hold', kind: 'pool-page', needed: false },
    ],
    frees: [kmem('mm_page_free', 'page-freed')],
  },
  slab: {
    allocations: [
      kmem('kmalloc', 'object-allocated'),
      kmem('kmalloc_node', 'object-allocated', false),
      kmem('kmem_cache_alloc', 'object-allocated'),
      kmem('kmem_cache_alloc_node', 'object-allocated', false),
    ],
    frees: [kmem('kfree', 'object-freed'), kmem('kmem_cache_free', 'object-freed')],
  },
};

/** Positions of an event's figures in its data, in bytes from its start. */
export interface Decoder {
  readonly kind: EventKind;
  readonly tid: number;
  readonly flags: number;
  /** Frame number, object address, or first address of a stack. */
  readonly place: number;
  /** Order, size of an object in bytes, or number of addresses in a stack; -1: none. */
  readonly length: number;
  readonly lengthBytes: 4 | 8;
  /** Minimum size: shorter data is not such an event. */
  readonly leastBytes: number;
}

/** @throws {TraceError} `trace-unsupported` if a field is missing or has an unexpected size */
export function decoderOf(kind: EventKind, format: EventFormat): Decoder {
  const [type, tid] = [fieldOf(format, 'common_type'), fieldOf(format, 'common_pid')];
  const flags = fieldOf(format, 'common_flags');
  const [place, length] = figures(kind, format);
  const placeBytes = kind === 'stack' ? 0 : 8;
  const isKnown =
    type.offset === 0 &&
    type.size === 2 &&
    tid.size === 4 &&
    flags.size === 1 &&
    (kind === 'stack' || place.size === 8) &&
    (length === null || length.size === 4 || length.size === 8);
  if (!isKnown) throw unsupported(`unexpected field sizes in event ${format.name}`);
  const lengthEnd = length === null ? 0 : length.offset + length.size;
  return {
    kind,
    tid: tid.offset,
    flags: flags.offset,
    place: place.offset,
    length: length?.offset ?? -1,
    lengthBytes: length?.size === 8 ? 8 : 4,
    leastBytes: Math.max(tid.offset + 4, flags.offset + 1, place.offset + placeBytes, lengthEnd),
  };
}

function figures(kind: EventKind, format: EventFormat): [EventField, EventField | null] {
  if (kind === 'stack') return [fieldOf(format, 'caller'), fieldOf(format, 'size')];
  if (kind === 'pool-page') return [fieldOf(format, 'pfn'), null];
  if (kind === 'object-freed') return [fieldOf(format, 'ptr'), null];
  if (kind === 'object-allocated') return [fieldOf(format, 'ptr'), fieldOf(format, 'bytes_alloc')];
  return [fieldOf(format, 'pfn'), fieldOf(format, 'order')];
}

/** Page frames allocated since boot (/proc/vmstat, pgalloc_*); null: unknown. */
export function readAllocatedFrames(): number | null {
  let text: string;
  try {
    text = readFileSync('/proc/vmstat', 'latin1');
  } catch {
    return null;
  }
  return allocatedFrames(text);
}

/** Same, from the text of the file. */
export function allocatedFrames(text: string): number | null {
  const counts = [...text.matchAll(/^pgalloc_\w+ (\d{1,15})$/gm)].map(([, count]) => Number(count));
  return counts.length === 0 ? null : counts.reduce((sum, count) => sum + count, 0);
}

/** Events of one allocation type in this kernel, and the layout of the events and their pages. */
export class TracedEvents {
  readonly allocations: readonly EventName[];
  readonly frees: readonly EventName[];
  /** Decoders by `common_type`, including that of stacks. */
  readonly decoders: ReadonlyMap<number, Decoder>;
  readonly layout: PageLayout;

  /** @throws {TraceError} `trace-unsupported`: a required event does not exist, or its format is unknown */
  constructor(instance: TraceInstance, type: TracedType) {
    const decoders = new Map<number, Decoder>();
    const known = (events: readonly EventName[]) =>
      events.filter(({ system, name, kind, needed }) => {
        const text = instance.format(system, name);
        if (text === null && needed) throw noEvent({ system, name });
        if (text === null) return false;
        const format = parseEventFormat(text, name);
        decoders.set(format.id, decoderOf(kind, format));
        return true;
      });
    this.allocations = known(EVENTS[type].allocations);
    this.frees = known(EVENTS[type].frees);
    known([STACK]);
    this.decoders = decoders;
    this.layout = parsePageLayout(
      instance.header('header_page'),
      instance.header('header_event'),
      kilobytes(instance.readOptional('buffer_subbuf_size_kb')),
    );
  }

  get all(): readonly EventName[] {
    return [...this.allocations, ...this.frees];
  }
}

const STACK: EventName = { system: 'ftrace', name: 'kernel_stack', kind: 'stack', needed: true };

function kilobytes(text: string | null): number | null {
  const printed = text === null ? undefined : /^(\d{1,6})\s*$/.exec(text)?.[1];
  return printed === undefined ? null : Number(printed);
}

/**
 * Why events of an allocation type cannot be followed here, as a recording would report it; null if they can.
 */
export function tracefsRefusal(type: TracedType): TraceError | null {
  try {
    const root = findTracefs();
    const { allocations, frees } = EVENTS[type];
    const missing = [...allocations, ...frees].find(
      ({ system, name, needed }) => needed && !existsSync(`${root}/events/${system}/${name}`),
    );
    return missing ? noEvent(missing) : null;
  } catch (error) {
    if (error instanceof TraceError) return error;
    throw error;
  }
}

/** Parameters of a recording through tracefs. */
export interface TraceOrder {
  readonly type: AllocationType;
  readonly seconds: number;
  /** Number of windows in `seconds`: readings are made at the beginning and end of each. */
  readonly windows: number;
  /** Follow one place in this many (a power of two); `auto`: as many as the budget allows. */
  readonly sample: 'auto' | number;
  /** Maximum cost, as a share of one CPU, including our own CPU time. */
  readonly budget: number;
  /** Minimum order of followed page blocks; 0: all. */
  readonly minOrder: number;
  /** Threads whose allocations are followed; null: all. */
  readonly threads: ((tid: number) => boolean) | null;
  /** Maximum number of allocations in memory; near it the sample is reduced. */
  readonly maxBlocks: number;
  /** Maximum number of survivors listed one by one. */
  readonly maxSurvivors: number;
  /** Stops the recording early. */
  readonly stop: AbortSignal;
  /** Called about once a second. */
  readonly progress: (figures: TraceFigures) => void;
}

/** Progress of a recording. */
export interface TraceFigures {
  /** Seconds since it began. */
  readonly seconds: number;
  /** Number of allocations and frees read: in total, and recently per second. */
  readonly events: number;
  readonly perSecond: number;
  /** One place in this many is followed. */
  readonly oneIn: number;
  /** Cost, as a share of one CPU. */
  readonly share: number;
  /** Number of allocations in memory. */
  readonly kept: number;
}

/** No sampling: each frame or object is followed. */
export const ALL: Sample = { oneIn: 1, mask: 0n, residue: 0n };

/** The deciding bits of a frame number begin here, unless only blocks of one order are of interest. */
export const PAGE_LOW_BIT = 3;

/**
 * The deciding bits of an object's address are those of its page: objects are unevenly distributed within it.
 */
export const SLAB_LOW_BIT = 12;

/** Beyond this, almost nothing would be sampled. */
export const MAX_ONE_IN = 4096;

/**
 * A random sample of one place in `oneIn`.
 *
 * @param oneIn a power of two
 * @param lowBit places with the same bits above this one are sampled together
 */
export function sampleOf(oneIn: number, lowBit: number): Sample {
  const bits = Math.log2(oneIn);
  if (!Number.isInteger(bits) || bits < 0 || oneIn > MAX_ONE_IN) throw new RangeError(`one in ${oneIn}`);
  const from = BigInt(lowBit);
  return { oneIn, mask: BigInt(oneIn - 1) << from, residue: BigInt(randomInt(oneIn)) << from };
}

/** Half of a sample. */
export function narrowed({ oneIn, mask, residue }: Sample, lowBit: number): Sample {
  const bit = mask === 0n ? 1n << BigInt(lowBit) : (mask & -mask) * BigInt(oneIn);
  return { oneIn: oneIn * 2, mask: mask | bit, residue: residue | (randomInt(2) === 1 ? bit : 0n) };
}
