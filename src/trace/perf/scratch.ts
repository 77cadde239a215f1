import fs from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { TraceError } from '../error.js';
import { endPerf } from './run.js';

const SIGNALS = ['SIGTERM', 'SIGHUP'] as const;

/**
 * A folder for perf.data, which holds pieces of a process's stack: for its owner's eyes (mode 700), and
 * removed however we end, but for SIGKILL. perf ends before it.
 */
export class PerfScratch {
  readonly path: string;
  readonly #clean = (): void => {
    endPerf();
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
      throw new TraceError('no-room', `no folder can be made in ${tmpdir()} (${code})`, { cause });
    }
    process.on('exit', this.#clean);
    for (const signal of SIGNALS) process.on(signal, this.#onSignal);
  }

  get file(): string {
    return path.join(this.path, 'perf.data');
  }

  remove(): void {
    this.#clean();
    process.off('exit', this.#clean);
    for (const signal of SIGNALS) process.off(signal, this.#onSignal);
  }
}
