import { existsSync, statSync } from 'node:fs';
import { liveHost } from '../../../host/live.js';
import { startTicks } from '../../../host/proc/process.js';
import { USER_HZ } from '../../../records/processes.js';
import type { AllocationSink } from '../../site-frames.js';
import { textOf } from './instance.js';

/** Names of threads that existed before the recording and still exist: any other tid may have been reused. */
export class Commands {
  readonly #began: number | null;
  readonly #known = new Map<number, string | null>();

  /** Must be created when the recording begins. */
  constructor() {
    const seconds = /^(\d{1,12}\.\d\d) /.exec(textOf('/proc/uptime') ?? '')?.[1];
    this.#began = seconds === undefined ? null : Math.round(Number(seconds) * USER_HZ);
  }

  /** Name of a thread; null if unknown. Untrusted: threads name themselves. */
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

/** PROC_PID_INIT_INO of include/linux/proc_ns.h. */
const FIRST_PID_NAMESPACE = 0xefff_fffc;

/** Whether the pids that the kernel prints in events are those of our pid namespace. */
export function isFirstPidNamespace(): boolean {
  try {
    return statSync('/proc/self/ns/pid').ino === FIRST_PID_NAMESPACE;
  } catch {
    return false;
  }
}

/** Returns a predicate for threads of this process, by the kernel's own thread ids. */
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

/**
 * Passes on the allocations of some threads. An allocation by another thread shows that the place was free
 * before.
 */
export function ofThreads(sink: AllocationSink, threads: (tid: number) => boolean): AllocationSink {
  return {
    allocated(place, length, time, tid, stack) {
      if (threads(tid)) sink.allocated(place, length, time, tid, stack);
      else sink.skipped?.(place, length, time);
    },
    pooled(frame, time, tid, stack) {
      if (threads(tid)) sink.pooled?.(frame, time, tid, stack);
      // Its allocation may have been reported before: it is subtracted only once.
      else sink.freed(frame, 1, time);
    },
    freed: (place, length, time, tid) => sink.freed(place, length, time, tid),
    skipped: (place, length, time) => sink.skipped?.(place, length, time),
    lost: (count, time) => sink.lost(count, time),
  };
}
