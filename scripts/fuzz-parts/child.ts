import { openSync, readFileSync, writeSync } from 'node:fs';
import { type Lane, openLane } from './lanes.js';
import { OUTCOMES } from './meaning/meaning-cases.js';
import { Broken } from './rules.js';

/** Messages of a child process, one line of JSON each. */
export type Told =
  | { readonly type: 'broken'; readonly index: number; readonly rule: string; readonly message: string }
  | { readonly type: 'case'; readonly index: number; readonly told: readonly string[] }
  | {
      readonly type: 'end';
      readonly next: number;
      /** Number of cases by outcome (OUTCOMES). */
      readonly ends: Readonly<Record<string, number>>;
    };

/** The order for a child process. */
export interface Task {
  readonly lane: Lane;
  readonly seed: number;
  readonly from: number;
  /** It exits after this many seconds, before this case, or after one case. */
  readonly seconds: number;
  readonly before: number;
  readonly once: boolean;
  /** File that contains the index of the running case. */
  readonly progress: string;
}

/** Limit of memory in bytes for the process in any case. */
const MAX_MEMORY = 512 * 2 ** 20;

const task = JSON.parse(process.argv[2] ?? '') as Task;
const progress = openSync(task.progress, 'w');
const tell = (told: Told): void => {
  writeSync(1, `${JSON.stringify(told)}\n`);
};

/** Not ru_maxrss, which is at least what the parent had: exec keeps it (exec_mmap, fs/exec.c). */
const peakBytes = (): number =>
  1024 * Number(/^VmHWM:\s*(\d+) kB$/m.exec(readFileSync('/proc/self/status', 'latin1'))?.[1]);

const runner = await openLane(task.lane);
const until = performance.now() + task.seconds * 1000;
let index = task.from;
const ends: Record<string, number> = {};
const count = (end: string): void => {
  ends[end] = (ends[end] ?? 0) + 1;
};
do {
  writeSync(progress, String(index).padStart(12), 0);
  try {
    const told = await runner.run(task.seed, index);
    const end = told.at(-1) ?? '';
    if (OUTCOMES.includes(end)) count(end);
    if (task.once) tell({ type: 'case', index, told });
  } catch (error) {
    if (!(error instanceof Broken)) throw error;
    count(error.rule);
    tell({ type: 'broken', index, rule: error.rule, message: error.message });
  }
  // The peak so far: a process beyond the limit is reported once, and a new one continues.
  const peak = peakBytes();
  if (!(peak <= MAX_MEMORY)) {
    const megabytes = Math.round(peak / 2 ** 20);
    tell({ type: 'broken', index, rule: 'memory', message: `${megabytes} MiB` });
    index++;
    break;
  }
  index++;
} while (!task.once && index < task.before && performance.now() < until);
runner.dispose();
tell({ type: 'end', next: index, ends });
