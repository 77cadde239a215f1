import { readdirSync, rmdirSync } from 'node:fs';
import { cpus } from 'node:os';
import { hostOrNull, TraceError } from '../../../base/errors.js';
import type { HostSource } from '../../../host/host-source.js';
import { liveHost } from '../../../host/live.js';
import { slabLines } from '../../../host/proc/details.js';
import { startTicks } from '../../../host/proc/process.js';
import type { CacheUse, Sample } from '../../recording.js';
import { TraceInstance } from './instance.js';
import type { EventKind, EventName } from './kinds.js';

const SIGNALS = ['SIGINT', 'SIGTERM', 'SIGHUP', 'SIGQUIT'] as const;

/** Number of attempts to remove an instance that is open elsewhere. */
const TRIES = 20;
const BETWEEN_TRIES_MS = 5;

/** All instances that this run created. They are removed however the run exits, except by SIGKILL. */
export class TraceInstances {
  /** Instances that could not be removed because another program has them open. */
  readonly left: string[] = [];
  readonly #root: string;
  readonly #start: string;
  #all: { readonly instance: TraceInstance; readonly close: (() => void)[] }[] = [];
  readonly #clean = (): void => {
    for (const { instance, close } of this.#all) {
      for (const callback of close) callback();
      if (!removed(instance)) this.left.push(instance.path);
    }
    this.#all = [];
  };
  readonly #onSignal = (signal: NodeJS.Signals): void => {
    this.removeAll();
    process.kill(process.pid, signal);
  };
  readonly #signals: readonly NodeJS.Signals[];

  /** @throws {TraceError} `trace-failed` */
  constructor(root: string) {
    const start = startTicks(liveHost, 'self');
    if (start === null) throw new TraceError('trace-failed', '/proc/self/stat cannot be read');
    this.#root = root;
    this.#start = start;
    // Handled signals stop the recording; unhandled ones would terminate this process.
    this.#signals = SIGNALS.filter((signal) => process.listenerCount(signal) === 0);
    process.on('exit', this.#clean);
    for (const signal of this.#signals) process.on(signal, this.#onSignal);
  }

  /** @throws {TraceError} `trace-no-root`, `trace-locked-down`, `trace-failed` */
  make(purpose: Purpose): TraceInstance {
    const name = instanceName({ pid: process.pid, start: this.#start }, purpose);
    const instance = new TraceInstance(this.#root, name);
    this.#all.push({ instance, close: [] });
    return instance;
  }

  /** Registers a file that keeps an instance busy, and must be closed before it is removed. */
  closeBefore(instance: TraceInstance, close: () => void): void {
    this.#all.find((entry) => entry.instance === instance)?.close.push(close);
  }

  /** Removes an instance that is no longer needed. */
  remove(instance: TraceInstance): void {
    const ended = this.#all.find((entry) => entry.instance === instance);
    for (const close of ended?.close ?? []) close();
    if (!removed(instance)) this.left.push(instance.path);
    this.#all = this.#all.filter((entry) => entry !== ended);
  }

  removeAll(): void {
    this.#clean();
    process.off('exit', this.#clean);
    for (const signal of this.#signals) process.off(signal, this.#onSignal);
  }
}

/** Synchronous, since no event loop runs when a process exits. */
function removed(instance: TraceInstance): boolean {
  const nobody = new Int32Array(new SharedArrayBuffer(4));
  for (let tries = 0; tries < TRIES; tries++) {
    if (instance.remove()) return true;
    Atomics.wait(nobody, 0, 0, BETWEEN_TRIES_MS);
  }
  return false;
}

/** Purposes of our instances. */
export const PURPOSES = ['allocations', 'frees', 'rate'] as const;
type Purpose = (typeof PURPOSES)[number];

/** Creator of an instance: its pid and start time, which distinguishes later processes of that pid. */
export interface InstanceOwner {
  readonly pid: number;
  /** Start time in clock ticks since boot (/proc/PID/stat, field 22). */
  readonly start: string;
}

const NAME = /^kdump-mem-(?<pid>\d{1,10})-(?<start>\d{1,20})-[a-z]+$/;

export function instanceName({ pid, start }: InstanceOwner, purpose: Purpose): string {
  return `kdump-mem-${pid}-${start}-${purpose}`;
}

/** Creator of an instance; undefined if it is not one of ours. */
export function ownerOf(name: string): InstanceOwner | undefined {
  const { pid, start } = NAME.exec(name)?.groups ?? {};
  return pid === undefined || start === undefined ? undefined : { pid: Number(pid), start };
}

/**
 * Removes instances of processes that were killed. The kernel refuses to remove an instance that is being
 * read (EBUSY), such as that of a process in another pid namespace, which only seems to have exited.
 *
 * @returns names of the removed ones
 */
export function removeOrphans(root: string): readonly string[] {
  const instances = `${root}/instances`;
  return readdirSync(instances).filter((name) => {
    const owner = ownerOf(name);
    if (owner === undefined || startTicks(liveHost, owner.pid) === owner.start) return false;
    try {
      rmdirSync(`${instances}/${name}`);
      return true;
    } catch {
      return false;
    }
  });
}

/**
 * Files of an instance that determine, beside those of its events, what is recorded. A kernel may lack some.
 */
const COMMON = [
  'tracing_on',
  'tracing_cpumask',
  'trace_clock',
  'options/stacktrace',
  'set_event_pid',
  'set_event_notrace_pid',
] as const;

/**
 * Settings that determine which events an instance records: root may change them during a recording
 * (`trace-cmd reset -a`, `echo 0 > events/enable`), and the buffers do not show it.
 */
export class KeptSettings {
  readonly #instance: Pick<TraceInstance, 'path' | 'readOptional'>;
  readonly #files: readonly string[];
  #kept: ReadonlyMap<string, string | null> = new Map();

  constructor(
    instance: Pick<TraceInstance, 'path' | 'readOptional'>,
    events: readonly Pick<EventName, 'system' | 'name'>[],
  ) {
    this.#instance = instance;
    this.#files = [
      ...COMMON,
      ...events.flatMap(({ system, name }) => [`events/${system}/${name}/enable`, `events/${system}/${name}/filter`]),
    ];
  }

  /** Records the current settings as ours. */
  keep(): void {
    this.#kept = this.#texts();
  }

  /** Paths of files whose content changed, or that can no longer be read. */
  changed(): string[] {
    const texts = this.#texts();
    return this.#files
      .filter((file) => texts.get(file) !== this.#kept.get(file))
      .map((file) => `${this.#instance.path}/${file}`);
  }

  #texts(): ReadonlyMap<string, string | null> {
    return new Map(this.#files.map((file) => [file, textOf(this.#instance, file)]));
  }
}

function textOf(instance: Pick<TraceInstance, 'readOptional'>, file: string): string | null {
  const text = instance.readOptional(file);
  // `1*`: a trigger is set, which may disable the event; then it is `0*` (event_enable_read, trace_events.c).
  return file.endsWith('/enable') ? (text?.slice(0, 1) ?? null) : text;
}

/** Blocks of this order and above contain frames of each residue, so every sample includes them. */
const MAX_ORDER = 64;

/** No condition: the filter passes every event. */
const EVERY = '0';

/** The kernel's filter for an event. */
export function eventFilter(kind: EventKind, sample: Sample, minOrder: number): string {
  if (kind === 'object-allocated' || kind === 'object-freed') return objectFilter(sample);
  return kind === 'pool-page' ? frameFilter(sample) : blockFilter(sample, minOrder);
}

/**
 * Filter for blocks of page frames: passes each block that contains a frame of the sample. In kernel filters,
 * `pfn & m` means "not zero". A block of order N starts at a multiple of 2^N, so the N lowest bits of its
 * frames take all values and are ignored.
 *
 * The clause for a higher order is evaluated only if the order is at least that high, so that most events
 * cost one comparison.
 *
 * @param leastOrder smaller blocks are excluded; 0: none
 */
export function blockFilter(sample: Sample, leastOrder = 0): string {
  const low = lowestBit(sample.mask);
  const high = low + Math.log2(sample.oneIn);
  let text = '';
  for (let order = high; order >= low && sample.oneIn > 1; order--) {
    const clause = order === high ? '' : bitsAre('pfn', sample, order);
    // Built from the inside out: the highest order has no condition except the order.
    const inner = [clause, text].filter((part) => part !== '').join(' || ');
    text = order === low ? inner : nested(order, inner);
  }
  const ofOrder = leastOrder > 0 && leastOrder < MAX_ORDER ? `order >= ${leastOrder}` : '';
  return both(ofOrder, text);
}

/** The same for one frame, for events without an order. */
export function frameFilter(sample: Sample): string {
  return sample.oneIn === 1 ? EVERY : bitsAre('pfn', sample, 0);
}

/** Filter for objects: those whose address is in the sample. */
export function objectFilter(sample: Sample): string {
  return sample.oneIn === 1 ? EVERY : bitsAre('ptr', sample, 0);
}

function nested(order: number, inner: string): string {
  return inner === '' ? `order >= ${order}` : `(order >= ${order} && (${inner}))`;
}

function both(first: string, other: string): string {
  if (first === '') return other === '' ? EVERY : other;
  return other === '' ? first : `${first} && (${other})`;
}

/** @param from lower bits are ignored */
function bitsAre(field: string, { mask, residue }: Sample, from: number): string {
  const kept = (mask >> BigInt(from)) << BigInt(from);
  const zeros = kept & ~residue;
  const parts = zeros === 0n ? [] : [`!(${field} & 0x${zeros.toString(16)})`];
  for (let rest = kept & residue; rest !== 0n; rest &= rest - 1n)
    parts.push(`(${field} & 0x${(rest & -rest).toString(16)})`);
  return parts.length === 1 ? (parts[0] ?? '') : `(${parts.join(' && ')})`;
}

function lowestBit(mask: bigint): number {
  let bit = 0;
  while (bit < MAX_ORDER && ((mask >> BigInt(bit)) & 1n) === 0n) bit++;
  return bit;
}

/** Slabs that each CPU may keep, its current one and partial ones: their free objects count as in use. */
const SLABS_OF_CPU = 2;

/** Objects in use of each slab cache, from /proc/slabinfo; null if it cannot be read. */
export function cacheUse(
  source: Pick<HostSource, 'readText'> = liveHost,
  cpuCount = cpus().length,
): ReadonlyMap<string, CacheUse> | null {
  return hostOrNull(
    () =>
      new Map(
        slabLines(source).map(({ name, used, slotSize, slotsPerSlab }) => [
          name,
          { bytes: used * slotSize, slack: SLABS_OF_CPU * cpuCount * slotsPerSlab * slotSize },
        ]),
      ),
  );
}
