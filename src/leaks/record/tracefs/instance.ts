import { existsSync, mkdirSync, readdirSync, readFileSync, rmdirSync, statSync, writeFileSync } from 'node:fs';
import { freemem } from 'node:os';
import { TraceError } from '../../../base/errors.js';
import { TRACEFS_PLACES } from '../../../host/observation.js';
import { unsupported } from './page.js';

/** Counters of a CPU's buffer (`per_cpu/cpuN/stats`), in events. */
export interface BufferStats {
  readonly entries: number;
  readonly overrun: number;
  readonly commitOverrun: number;
  readonly dropped: number;
  readonly read: number;
}

/** A private tracefs instance with its own buffers and settings. It exists until it is removed. */
export class TraceInstance {
  readonly path: string;
  readonly #root: string;
  #removed = false;

  /** @throws {TraceError} `trace-no-root`, `trace-locked-down`, `trace-failed` */
  constructor(root: string, name: string) {
    this.#root = root;
    this.path = `${root}/instances/${name}`;
    attempt(this.path, 'be created', () => mkdirSync(this.path));
  }

  /** @throws {TraceError} `trace-no-root`, `trace-locked-down`, `trace-failed` */
  write(file: string, text: string): void {
    attempt(`${this.path}/${file}`, `be set to ${text.slice(0, 80)}`, () =>
      writeFileSync(`${this.path}/${file}`, text),
    );
  }

  /** @throws {TraceError} `trace-no-root`, `trace-locked-down`, `trace-failed` */
  read(file: string): string {
    return attempt(`${this.path}/${file}`, 'be read', () => readFileSync(`${this.path}/${file}`, 'latin1'));
  }

  /** Null if the file does not exist or cannot be read. */
  readOptional(file: string): string | null {
    try {
      return readFileSync(`${this.path}/${file}`, 'latin1');
    } catch {
      return null;
    }
  }

  /**
   * Selects a clock that all CPUs share, and that a process can read. @throws {TraceError}
   * `trace-unsupported`
   */
  takeMonotonicClock(): void {
    if (!/\bmono\b/.test(this.read('trace_clock'))) throw unsupported('no mono trace clock');
    this.write('trace_clock', 'mono');
  }

  /**
   * Description of the format of an event; null if this kernel has no such event. @throws {TraceError} as
   * `read`
   */
  format(system: string, name: string): string | null {
    const folder = `${system === 'ftrace' ? this.#root : this.path}/events/${system}/${name}`;
    if (!existsSync(folder)) return null;
    return attempt(`${folder}/format`, 'be read', () => readFileSync(`${folder}/format`, 'latin1'));
  }

  /** Layout of buffer pages, or of their events. @throws {TraceError} as `read` */
  header(name: 'header_page' | 'header_event'): string {
    const file = `${this.#root}/events/${name}`;
    return attempt(file, 'be read', () => readFileSync(file, 'latin1'));
  }

  /**
   * Current time on the clock of this instance, nanoseconds with microsecond resolution. @throws {TraceError}
   * `trace-unsupported`
   */
  get now(): bigint {
    const text = this.readOptional(`per_cpu/cpu${this.cpus[0] ?? 0}/stats`) ?? '';
    const { seconds, micro } = /^now ts: *(?<seconds>\d{1,12})\.(?<micro>\d{6})$/m.exec(text)?.groups ?? {};
    if (seconds === undefined || micro === undefined) throw unsupported('no clock time in per_cpu stats');
    return (BigInt(seconds) * 1_000_000n + BigInt(micro)) * 1000n;
  }

  /** Numbers of the CPUs that have a buffer. */
  get cpus(): readonly number[] {
    return readdirSync(`${this.path}/per_cpu`)
      .flatMap((name) => /^cpu(\d{1,5})$/.exec(name)?.[1] ?? [])
      .map(Number)
      .sort((first, other) => first - other);
  }

  /** @returns null if unknown, or if the CPU has no buffer */
  stats(cpu: number): BufferStats | null {
    const text = this.readOptional(`per_cpu/cpu${cpu}/stats`);
    if (text === null) return null;
    const figure = (name: string) => {
      const printed = new RegExp(`^${name}: (\\d{1,20})$`, 'm').exec(text)?.[1];
      return printed === undefined ? Number.NaN : Number(printed);
    };
    const stats = {
      entries: figure('entries'),
      overrun: figure('overrun'),
      commitOverrun: figure('commit overrun'),
      dropped: figure('dropped events'),
      read: figure('read events'),
    };
    return Object.values(stats).some(Number.isNaN) ? null : stats;
  }

  /** Disables all events and removes the instance. @returns false if another program has it open */
  remove(): boolean {
    if (this.#removed) return true;
    try {
      rmdirSync(this.path);
      this.#removed = true;
    } catch (error) {
      this.#removed = (error as NodeJS.ErrnoException).code === 'ENOENT';
      // An instance that cannot be removed must cost nothing.
      if (!this.#removed) this.#silence();
    }
    return this.#removed;
  }

  #silence(): void {
    for (const [file, text] of [
      ['events/enable', '0'],
      ['buffer_size_kb', '1'],
    ] as const)
      try {
        writeFileSync(`${this.path}/${file}`, text);
      } catch {
        // It is already reported as left behind.
      }
  }
}

function attempt<T>(file: string, what: string, act: () => T): T {
  try {
    return act();
  } catch (cause) {
    const code = (cause as NodeJS.ErrnoException).code ?? 'unknown';
    if (code === 'EACCES' || code === 'EPERM' || code === 'EROFS') throw refused(file, code, cause);
    const why = code === 'ENOMEM' ? 'out of kernel memory' : code;
    throw new TraceError('trace-failed', `${file} cannot ${what}: ${why}`, { cause });
  }
}

/** Maximum kernel memory for the buffers of all CPUs, KiB; less on a machine with little memory. */
const MAX_KILOBYTES = 64 * 1024;
const SHARE_OF_FREE = 1 / 16;

/** Share of each instance: allocations have stacks, frees have none. */
const SHARES = { allocations: 3 / 4, frees: 1 / 4 } as const;

/** Maximum per CPU, KiB: more would be needed only if the reader stopped for seconds. */
const MAX_OF_CPU = { allocations: 4096, frees: 1024 } as const;

/** Minimum per CPU, KiB: two pages, the smallest ring buffer. */
const MIN_OF_CPU = 8;

/**
 * Sets the buffer sizes of an instance.
 *
 * @param freeBytes free memory of the machine
 * @throws {TraceError} `trace-failed`
 */
export function sizeBuffers(
  instance: TraceInstance,
  purpose: keyof typeof SHARES,
  freeBytes: number = freemem(),
): void {
  const all = Math.min(MAX_KILOBYTES, (freeBytes / 1024) * SHARE_OF_FREE);
  const perCpu = Math.floor((all * SHARES[purpose]) / Math.max(1, instance.cpus.length));
  const kilobytes = Math.max(MIN_OF_CPU, Math.min(MAX_OF_CPU[purpose], perCpu));
  instance.write('buffer_size_kb', String(kilobytes));
}

/**
 * Finds the mount point of tracefs, and mounts nothing.
 *
 * @throws {TraceError} `trace-no-root`, `trace-not-mounted`, `trace-locked-down`, `trace-unsupported`
 */
export function findTracefs(): string {
  const reasons = new Set<string>();
  for (const place of TRACEFS_PLACES) {
    const reason = whyNot(`${place}/instances`);
    if (reason === undefined) return place;
    reasons.add(reason);
  }
  for (const reason of ['EACCES', 'EPERM']) if (reasons.has(reason)) throw refused(TRACEFS_PLACES[0], reason);
  // Under lockdown, tracefs can be mounted, but is empty.
  if (isLockedDown()) throw lockedDown(TRACEFS_PLACES[0], [...reasons].join(', '));
  const filesystems = textOf('/proc/filesystems');
  if (filesystems !== null && !/\ttracefs$/m.test(filesystems))
    throw new TraceError('trace-unsupported', 'this kernel has no tracefs (CONFIG_TRACING)');
  if (/ \/sys\/kernel\/(debug\/)?tracing tracefs /.test(textOf('/proc/mounts') ?? ''))
    throw new TraceError(
      'trace-locked-down',
      'tracefs is mounted but empty (tracing disabled at boot, or lockdown=confidentiality)',
    );
  throw new TraceError('trace-not-mounted', `tracefs is not mounted at ${TRACEFS_PLACES[0]}`, {
    next: `Mount it: mount -t tracefs tracefs ${TRACEFS_PLACES[0]}`,
  });
}

/** Error for an access that the kernel refused. */
export function refused(file: string, reason: string, cause?: unknown): TraceError {
  if (isLockedDown()) return lockedDown(file, reason, cause);
  const user = process.geteuid?.() === 0 ? 'by root of this container' : 'without root';
  return new TraceError('trace-no-root', `${file}: not accessible ${user} (${reason})`, { cause });
}

function isLockedDown(): boolean {
  return /\[confidentiality\]/.test(textOf('/sys/kernel/security/lockdown') ?? '');
}

function lockedDown(file: string, reason: string, cause?: unknown): TraceError {
  return new TraceError('trace-locked-down', `${file}: kernel lockdown (confidentiality) denies access (${reason})`, {
    cause,
  });
}

function whyNot(folder: string): string | undefined {
  try {
    return statSync(folder).isDirectory() ? undefined : 'ENOTDIR';
  } catch (error) {
    return (error as NodeJS.ErrnoException).code ?? 'unknown';
  }
}

export function textOf(file: string): string | null {
  try {
    return readFileSync(file, 'utf8');
  } catch {
    return null;
  }
}
