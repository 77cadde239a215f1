import {
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmdirSync,
  writeFileSync,
} from 'node:fs';
import { TraceError } from '../../../base/errors/trace.js';
import { unsupported } from './format.js';
import { refused } from './root.js';

/** What a CPU's buffer has counted (`per_cpu/cpuN/stats`); events. */
export interface BufferStats {
  readonly entries: number;
  readonly overrun: number;
  readonly commitOverrun: number;
  readonly dropped: number;
  readonly read: number;
}

/** A private instance of tracefs: buffers and settings that nobody else has. It is there until it is removed. */
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
    return attempt(`${this.path}/${file}`, 'be read', () =>
      readFileSync(`${this.path}/${file}`, 'latin1'),
    );
  }

  /** Null: there is no such file, or it cannot be read. */
  readOptional(file: string): string | null {
    try {
      return readFileSync(`${this.path}/${file}`, 'latin1');
    } catch {
      return null;
    }
  }

  /** A clock that all CPUs share, the same that a process can ask for. @throws {TraceError} `trace-unsupported` */
  takeMonotonicClock(): void {
    if (!/\bmono\b/.test(this.read('trace_clock'))) throw unsupported('no mono trace clock');
    this.write('trace_clock', 'mono');
  }

  /** Text of the description of an event; null: this kernel has no such event. @throws {TraceError} as `read` */
  format(system: string, name: string): string | null {
    const folder = `${system === 'ftrace' ? this.#root : this.path}/events/${system}/${name}`;
    if (!existsSync(folder)) return null;
    return attempt(`${folder}/format`, 'be read', () => readFileSync(`${folder}/format`, 'latin1'));
  }

  /** How pages of buffers are laid out, or their events. @throws {TraceError} as `read` */
  header(name: 'header_page' | 'header_event'): string {
    const file = `${this.#root}/events/${name}`;
    return attempt(file, 'be read', () => readFileSync(file, 'latin1'));
  }

  /** Now, nanoseconds on the clock of this instance, to the microsecond. @throws {TraceError} `trace-unsupported` */
  get now(): bigint {
    const text = this.readOptional(`per_cpu/cpu${this.cpus[0] ?? 0}/stats`) ?? '';
    const { seconds, micro } =
      /^now ts: *(?<seconds>\d{1,12})\.(?<micro>\d{6})$/m.exec(text)?.groups ?? {};
    if (seconds === undefined || micro === undefined)
      throw unsupported('no clock time in per_cpu stats');
    return (BigInt(seconds) * 1_000_000n + BigInt(micro)) * 1000n;
  }

  /** CPUs that have a buffer, by number. */
  get cpus(): readonly number[] {
    return readdirSync(`${this.path}/per_cpu`)
      .flatMap((name) => /^cpu(\d{1,5})$/.exec(name)?.[1] ?? [])
      .map(Number)
      .sort((one, other) => one - other);
  }

  /** @returns null: the kernel does not tell, or the CPU has no buffer */
  stats(cpu: number): BufferStats | null {
    const text = this.readOptional(`per_cpu/cpu${cpu}/stats`);
    if (text === null) return null;
    const figure = (name: string) => {
      const told = new RegExp(`^${name}: (\\d{1,20})$`, 'm').exec(text)?.[1];
      return told === undefined ? Number.NaN : Number(told);
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

  /** All events of it are disabled, and it is gone. @returns false: somebody else has it open */
  remove(): boolean {
    if (this.#removed) return true;
    try {
      rmdirSync(this.path);
      this.#removed = true;
    } catch (error) {
      this.#removed = (error as NodeJS.ErrnoException).code === 'ENOENT';
      // What cannot be removed shall cost nothing.
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
        // It was said that it is left behind.
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
