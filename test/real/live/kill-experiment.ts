import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { guestTool } from '../../../scripts/lab-parts/guest-program.mjs';
import { bootScenario, settledTruth } from '../../../scripts/lab-parts/scenario.mjs';
import { accountAll, type CensusAnswer } from '../../../src/account/sockets.js';
import { drgnJson } from '../../support/drgn.js';
import { LAB, type LabKernel, role, type Truth } from '../../support/lab.js';
import { askDump } from '../../support/opened-kernel.js';

/** Memory of a process's sockets, by drgn before the kill; see held.py. */
interface Held {
  readonly sock: string;
  readonly pids: readonly number[];
  readonly pieces: readonly (readonly [key: string, bytes: number, ranges: unknown])[];
}

/** Fate of an allocation; see freed.py. */
export interface Fate {
  readonly bytes: number;
  /** Whether bytes are unchanged or changed: both, if sockets disagree; null: unknown. */
  readonly kept: boolean | null;
  readonly freed: boolean | null;
  /** Number of a page's frames on the free lists. */
  readonly freeFrames?: number;
  readonly pooled?: boolean;
}

interface After {
  readonly pieces: Readonly<Record<string, Fate>>;
  /** Page frames on the allocator's free lists. */
  readonly freeFrames: number;
}

/** Bytes that were freed when a process was killed. */
export interface Measured {
  readonly bytes: number;
  /** Bytes of unknown fate: neither freed nor kept. */
  readonly unknown: number;
  /** Bytes of pages that returned to their page pool instead of being freed. */
  readonly pooled: number;
}

/** Two processes, each with one end of a connection inside the guest; see ends.c. */
export interface Ends {
  readonly name: string;
  /** The process that is killed. */
  readonly victim: number;
  readonly other: number;
}

export interface KillExperiment {
  readonly truth: Truth;
  readonly ends: readonly Ends[];
  /** The census before the kill. */
  readonly answer: CensusAnswer;
  /** Processes of the scenario that are killed in the end; the stalled reader first, alone. */
  readonly victims: readonly number[];
  /** State after the stalled reader was killed alone, and after all were. */
  readonly starving: After;
  readonly all: After;
  /** Free page frames before the first kill. */
  readonly freeFrames: number;
  /** Fates of the socket memory of some processes. */
  readonly fates: (pids: readonly number[], after: After) => ReadonlyMap<string, Fate>;
}

/**
 * Kills the processes of a guest that wipes memory as soon as it is freed: memory that drgn finds
 * wiped or overwritten was freed, even if it was reallocated since.
 */
export async function killProcesses(kernel: LabKernel): Promise<KillExperiment> {
  const work = mkdtempSync(join(LAB, 'kill-'));
  const [before, starved, after] = ['before', 'starved', 'after'].map((name) => join(work, `${name}.vmcore`)) as [
    string,
    string,
    string,
  ];
  try {
    const guest = await bootScenario({
      kernel,
      append: 'init_on_free=1',
      files: [guestTool('reap', kernel), guestTool('ends', kernel)],
    });
    let truth: Truth;
    let ends: readonly Ends[];
    let victims: readonly number[];
    try {
      const dump = async (path: string) => {
        await guest.pause();
        await guest.dump('elf', path);
        await guest.resume();
      };
      truth = await settledTruth(guest);
      ends = endsOf((await guest.run('ends')).output.toString());
      victims = victimsOf(truth);
      await dump(before);
      await guest.run(`reap ${role(truth, 'starving').pid}`);
      await dump(starved);
      const others = victims.filter((pid) => pid !== role(truth, 'starving').pid);
      const ended = ends.map(({ victim }) => victim);
      await guest.run(`reap ${[...others, ...ended].join(' ')}`);
      await dump(after);
    } finally {
      guest.kill();
    }
    const script = (name: string) => new URL(name, import.meta.url);
    const held = drgnJson<readonly Held[]>(before, kernel, script('held.py'));
    const list = join(work, 'held.json');
    writeFileSync(list, JSON.stringify(held));
    const fate = (vmcore: string) => drgnJson<After>(vmcore, kernel, script('freed.py'), list);
    const answer = askDump(before, accountAll);
    return {
      truth,
      ends,
      answer,
      victims,
      starving: fate(starved),
      all: fate(after),
      freeFrames: fate(before).freeFrames,
      fates: (of, { pieces }) => {
        const mine = held.filter(({ pids }) => pids.some((pid) => of.includes(pid))).flatMap((one) => one.pieces);
        return new Map(
          mine.flatMap(([key]) => {
            const found = pieces[key];
            return found ? [[key, found] as const] : [];
          }),
        );
      },
    };
  } finally {
    rmSync(work, { recursive: true, force: true });
  }
}

/**
 * Adds up freed bytes.
 *
 * @throws {Error} if an allocation is half freed
 */
export function measure(fates: ReadonlyMap<string, Fate>): Measured {
  let [bytes, unknown, pooled] = [0, 0, 0];
  for (const [key, fate] of fates) {
    if (fate.kept && fate.freed) throw new Error(`${key} is half freed: ${JSON.stringify(fate)}`);
    if (fate.freed) bytes += fate.bytes;
    else if (fate.freed === null) unknown += fate.bytes;
    else if (fate.pooled) pooled += fate.bytes;
  }
  return { bytes, unknown, pooled };
}

/** Output of `ends`. */
function endsOf(output: string): Ends[] {
  return [...output.matchAll(/^(\S+) (\d+) (\d+)\r?$/gm)].map(([, name = '', victim, other]) => ({
    name,
    victim: Number(victim),
    other: Number(other),
  }));
}

/** Every process of the scenario with a socket, except one of the two that share one. */
function victimsOf(truth: Truth): number[] {
  const shared = role(truth, 'forked');
  const others = shared.holders.map(({ pid }) => pid).filter((pid) => pid !== shared.pid);
  const all = [...truth.roles.filter(({ kind }) => kind === 'socket'), ...truth.hidden];
  return [...new Set(all.map(({ pid }) => pid))].filter((pid) => !others.includes(pid));
}
