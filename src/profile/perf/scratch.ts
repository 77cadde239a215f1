import fs from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { TraceError } from '../../base/errors/trace.js';
import { endPerf } from './run.js';

const SIGNALS = ['SIGTERM', 'SIGHUP', 'SIGQUIT'] as const;

/**
 * A folder for perf.data, which holds pieces of a process's stack: for its owner's eyes (mode 700), and
 * removed as soon as perf has the file open, so that SIGKILL leaves nothing either. perf ends before us.
 */
export class PerfScratch {
  readonly path: string;
  #descriptor: number | undefined;
  readonly #clean = (): void => {
    endPerf();
    if (this.#descriptor !== undefined) fs.closeSync(this.#descriptor);
    this.#descriptor = undefined;
    fs.rmSync(this.path, { recursive: true, force: true });
  };
  readonly #onSignal = (signal: NodeJS.Signals): void => {
    this.remove();
    process.kill(process.pid, signal);
  };

  /** @throws {TraceError} `no-room` */
  constructor() {
    try {
      this.path = fs.mkdtempSync(path.join(tmpdir(), 'kdump-mem-perf-'));
    } catch (cause) {
      const { code } = cause as NodeJS.ErrnoException;
      throw new TraceError('no-room', `${tmpdir()}: directory not created (${code})`, { cause });
    }
    process.on('exit', this.#clean);
    for (const signal of SIGNALS) process.on(signal, this.#onSignal);
  }

  /** Where perf.data is to be written, or read when it has no name any more. */
  get file(): string {
    if (this.#descriptor !== undefined) return `/proc/${process.pid}/fd/${this.#descriptor}`;
    return path.join(this.path, 'perf.data');
  }

  /** Nothing more can be written there. */
  get isFull(): boolean {
    try {
      return fs.statfsSync(this.path).bavail === 0;
    } catch {
      return false;
    }
  }

  /** perf writes to the file: it needs no name any more. */
  hide(): void {
    try {
      this.#descriptor = fs.openSync(this.file, 'r');
    } catch {
      // Whoever reads it tells that perf has written none.
      return;
    }
    fs.rmSync(this.path, { recursive: true, force: true });
  }

  remove(): void {
    this.#clean();
    process.off('exit', this.#clean);
    for (const signal of SIGNALS) process.off(signal, this.#onSignal);
  }
}
