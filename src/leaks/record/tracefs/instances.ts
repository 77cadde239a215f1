import { readdirSync, rmdirSync } from 'node:fs';
import { TraceError } from '../../../base/errors.js';
import { liveHost } from '../../../host/live.js';
import { startTicks } from '../../../host/proc/process.js';
import { TraceInstance } from './instance.js';
import type { EventName } from './kinds.js';

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
      for (const one of close) one();
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
    this.#all.find((one) => one.instance === instance)?.close.push(close);
  }

  /** Removes an instance that is no longer needed. */
  remove(instance: TraceInstance): void {
    const found = this.#all.find((one) => one.instance === instance);
    for (const close of found?.close ?? []) close();
    if (!removed(instance)) this.left.push(instance.path);
    this.#all = this.#all.filter((one) => one !== found);
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
      ...events.flatMap(({ system, name }) => [
        `events/${system}/${name}/enable`,
        `events/${system}/${name}/filter`,
      ]),
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
