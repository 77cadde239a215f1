import { TraceError } from '../../../base/errors/trace.js';
import type { AllocationType } from '../../recording.js';
import { type EventField, type EventFormat, fieldOf, unsupported } from './format.js';

/** What an event tells us. */
export type EventKind =
  | 'page-allocated'
  | 'page-freed'
  /** A page pool has taken a page: of those that were allocated in bulk, some kernels tell nothing else. */
  | 'pool-page'
  | 'object-allocated'
  | 'object-freed'
  | 'stack';

/** An event that is recorded: `events/SYSTEM/NAME`. */
export interface EventName {
  readonly system: string;
  readonly name: string;
  readonly kind: EventKind;
  /** Without it nothing can be followed. */
  readonly needed: boolean;
}

/** Allocations and frees of one type; each of the two goes into an instance of its own. */
export interface EventNames {
  readonly allocations: readonly EventName[];
  readonly frees: readonly EventName[];
}

const kmem = (name: string, kind: EventKind, needed = true): EventName => ({
  system: 'kmem',
  name,
  kind,
  needed,
});

/** What events tell of; areas of vmalloc have none. */
export type TracedType = Exclude<AllocationType, 'vmalloc'>;

export function noEvent({ system, name }: Pick<EventName, 'system' | 'name'>): TraceError {
  return new TraceError('trace-unsupported', `this kernel has no event ${system}:${name}`);
}

/** `_node` forms are gone since 6.1: there the others have the node. `mm_page_free_batched` comes in addition. */
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

/** Where an event's figures stand in its data, bytes from its start. */
export interface Decoder {
  readonly kind: EventKind;
  readonly tid: number;
  readonly flags: number;
  /** A frame's number, an object's address, or the first address of a stack. */
  readonly place: number;
  /** Order, bytes of an object, or how many addresses a stack has; -1: it has none. */
  readonly length: number;
  readonly lengthBytes: 4 | 8;
  /** Shorter data is not such an event. */
  readonly leastBytes: number;
}

/** @throws {TraceError} `trace-unsupported` a field is missing, or has another size */
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
