import type { HostSource } from '../host-source.js';
import { type CpuTime, type ProcessRecord, readCpuTime, readProcess } from './process.js';

/** Processes at the end of a look, and what CPU time they had since its beginning. */
export interface WatchedProcesses {
  readonly processes: ReadonlyMap<number, ProcessRecord>;
  /** Used or waited for, in so much time at most. */
  readonly cpu: ReadonlyMap<number, CpuTime & { readonly withinMs: number }>;
}

/** Notes the CPU time of some processes, to say later what they had since. */
export class CpuWatch {
  readonly #source: HostSource;
  readonly #beganMs: number;
  readonly #before: ReadonlyMap<number, CpuTime | null>;

  /** @param beganMs the time, by the source's clock, from which on that counts */
  constructor(source: HostSource, pids: Iterable<number>, beganMs: number) {
    this.#source = source;
    this.#beganMs = beganMs;
    this.#before = new Map(Array.from(pids, (pid) => [pid, readCpuTime(source, pid)] as const));
  }

  /** Of these processes those that are still there; CPU time of those that were noted. */
  since(pids: Iterable<number>): WatchedProcesses {
    const source = this.#source;
    const processes = new Map<number, ProcessRecord>();
    const cpu = new Map<number, CpuTime & { withinMs: number }>();
    for (const pid of pids) {
      const process = readProcess(source, pid);
      if (process) processes.set(pid, process);
      const before = this.#before.get(pid) ?? null;
      const after = before && readCpuTime(source, pid);
      if (before && after)
        cpu.set(pid, {
          usedMs: Math.max(0, after.usedMs - before.usedMs),
          waitedMs: Math.max(0, after.waitedMs - before.waitedMs),
          withinMs: source.now() - this.#beganMs,
        });
    }
    return { processes, cpu };
  }
}
