import { readFileSync } from 'node:fs';
import { liveHost } from '../../../host/live.js';
import { startTicks } from '../../../host/proc/process.js';
import { USER_HZ } from '../../../records/processes.js';

/**
 * Names of threads that were there before the recording and are there still: of others the number may have been
 * somebody else's meanwhile.
 */
export class Commands {
  readonly #began: number | null;
  readonly #known = new Map<number, string | null>();

  /** To be made when the recording begins. */
  constructor() {
    const seconds = /^(\d{1,12}\.\d\d) /.exec(textOf('/proc/uptime') ?? '')?.[1];
    this.#began = seconds === undefined ? null : Math.round(Number(seconds) * USER_HZ);
  }

  /** Null: not known. Hostile: threads name themselves. */
  readonly of = (tid: number): string | null => {
    const known = this.#known.get(tid);
    if (known !== undefined) return known;
    const command = this.#read(tid);
    this.#known.set(tid, command);
    return command;
  };

  #read(tid: number): string | null {
    if (tid <= 0 || this.#began === null) return null;
    const start = startTicks(liveHost, tid);
    if (start === null || !(Number(start) < this.#began)) return null;
    return textOf(`/proc/${tid}/comm`)?.replace(/\n$/, '') ?? null;
  }
}

function textOf(file: string): string | null {
  try {
    return readFileSync(file, 'utf8');
  } catch {
    return null;
  }
}
