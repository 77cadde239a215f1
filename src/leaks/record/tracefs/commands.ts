import { existsSync, readFileSync, statSync } from 'node:fs';
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

/** PROC_PID_INIT_INO of include/linux/proc_ns.h. */
const FIRST_PID_NAMESPACE = 0xefff_fffc;

/** Whether pids that the kernel prints in events are ours. */
export function isFirstPidNamespace(): boolean {
  try {
    return statSync('/proc/self/ns/pid').ino === FIRST_PID_NAMESPACE;
  } catch {
    return false;
  }
}

/** Returns a test for threads of this process, by the kernel's own numbers. */
export function ownThreads(): (tid: number) => boolean {
  if (!isFirstPidNamespace()) return () => false;
  const known = new Map<number, boolean>();
  return (tid) => {
    let isOwn = known.get(tid);
    if (isOwn === undefined) {
      isOwn = existsSync(`/proc/self/task/${tid}`);
      known.set(tid, isOwn);
    }
    return isOwn;
  };
}
