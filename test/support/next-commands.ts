import { execa } from 'execa';
import { STEP_MS } from '../../scripts/lab-parts/limits.mjs';
import type { FindingCode } from '../../src/triage/findings/all.js';
import { commandPath } from './cli.js';

/** The owner that a finding names; null: none, such as for orphaned sockets. */
export interface NamedOwner {
  readonly pid: number | null;
  readonly comm: string | number | null;
  /** Number of processes of this name that hold it together. */
  readonly processes?: number | undefined;
}

/**
 * Where the next command of each finding is proved: `log`, `snapshot`, `baseline` and `dump` in test/app/triage, `scene`
 * on this machine, `guest` in blocked-suite.ts, `page flags` in flagged.test.ts. `none`: it has no command, since no
 * other one shows it. A new code needs a row.
 */
export const PROOFS: Readonly<
  Record<FindingCode, 'log' | 'snapshot' | 'baseline' | 'dump' | 'scene' | 'guest' | 'page flags' | 'none'>
> = {
  panic: 'log',
  oops: 'log',
  'soft-lockup': 'log',
  'hard-lockup': 'log',
  'rcu-stall': 'log',
  'hung-task': 'log',
  deadlock: 'guest',
  'blocked-on-lock': 'guest',
  'blocked-tasks': 'scene',
  'oom-kill': 'log',
  'allocation-failure': 'log',
  'memory-corruption': 'log',
  'hardware-error': 'log',
  'kernel-warning': 'log',
  lockdep: 'log',
  'atomic-sleep': 'log',
  'spinlock-bug': 'log',
  'workqueue-lockup': 'log',
  'memory-leak': 'log',
  'uninitialized-value': 'log',
  'data-race': 'log',
  'undefined-behavior': 'log',
  'network-memory': 'log',
  'page-pool-stalled': 'log',
  'resource-exhausted': 'log',
  'no-dump': 'log',
  'user-space-kill': 'log',
  'file-system-error': 'log',
  'queued-data': 'dump',
  'queued-data-of-process': 'scene',
  'queued-data-of-machine': 'dump',
  'orphaned-sockets': 'scene',
  'sockets-in-flight': 'scene',
  'unlisted-sockets': 'scene',
  'stalled-reader': 'dump',
  'unread-sockets': 'scene',
  'unattributed-memory': 'snapshot',
  'low-memory': 'snapshot',
  'low-available': 'snapshot',
  'shared-memory': 'snapshot',
  pipes: 'snapshot',
  'message-queues': 'none',
  vmalloc: 'scene',
  tainted: 'guest',
  fragmentation: 'snapshot',
  'memory-pressure': 'snapshot',
  'cgroup-near-limit': 'snapshot',
  'oom-kills': 'snapshot',
  'writeback-stuck': 'snapshot',
  'unreclaimable-slab': 'snapshot',
  'reclaimable-slab': 'snapshot',
  'per-cpu-memory': 'snapshot',
  'kernel-stacks': 'snapshot',
  'page-tables': 'scene',
  'pinned-pages': 'snapshot',
  'limit-near': 'scene',
  'file-watches': 'scene',
  'hugetlb-unused': 'snapshot',
  balloon: 'snapshot',
  'compressed-memory': 'snapshot',
  'zfs-arc': 'snapshot',
  'gpu-memory': 'snapshot',
  'dma-buf': 'snapshot',
  'page-pool-detached': 'snapshot',
  'dying-cgroups': 'snapshot',
  'counter-leak': 'none',
  zombies: 'scene',
  'hypervisor-overcommitted': 'none',
  'clock-unstable': 'log',
  'clock-step': 'none',
  'memory-growth': 'baseline',
  'recorded-growth': 'none',
  'recorded-answer': 'none',
  rebooted: 'baseline',
  'counter-mismatch': 'page flags',
};

const TOLERANCE = 0.05;
/** Lines of an answer about everything in which the owner has to be. */
const FIRST_LINES = 10;

/**
 * Runs a printed next command on this machine, or on a source, and looks for the owner and the amount in one object of
 * its JSON.
 *
 * @returns `owner and amount`, or what is missing
 */
export async function shows(
  next: string,
  owner: NamedOwner,
  amount: number,
  source: readonly string[] = ['--live'],
): Promise<string> {
  const [program, ...words] = next.startsWith('skcheck') ? next.split(' ') : ['kdump-mem', ...next.split(' ')];
  const of = program === 'skcheck' ? source.filter((word) => word !== '--live') : source;
  const run = async (...more: readonly string[]) => {
    const args = [commandPath(program as 'kdump-mem' | 'skcheck'), ...words, ...of, ...more];
    return (await execa(process.execPath, args, { reject: false, stdin: 'ignore', timeout: STEP_MS })).stdout;
  };
  const json: unknown = JSON.parse(await run('--json'));
  const objects = [...objectsIn(json)];
  const owners = objects.filter((one) => isOwner(one, owner));
  if (owners.length === 0) return `no owner in: ${next}`;
  // An answer about one process is all about it.
  const isOfOne = owner.pid !== null && words.includes(`${owner.pid}`);
  const amounts = isOfOne ? [...numbersIn(json, 3)] : owners.flatMap((one) => [...numbersIn(one, 2)]);
  if (!amounts.some((each) => Math.abs(each - amount) <= TOLERANCE * amount))
    return `not ${amount} in: ${next} (${amounts.join(', ')})`;
  if (owner.pid === null || isOfOne) return 'owner and amount';
  const top = (await run()).split('\n').slice(0, FIRST_LINES);
  const { comm, pid, processes = 1 } = owner;
  const name = new RegExp(processes > 1 ? `\\b${processes} processes named ${comm}\\b` : `\\b${pid}\\b`);
  return top.some((line) => name.test(line)) ? 'owner and amount' : `not in the first lines of: ${next}`;
}

type Json = Readonly<Record<string, unknown>>;

function* objectsIn(value: unknown): Generator<Json> {
  if (typeof value !== 'object' || value === null) return;
  if (!Array.isArray(value)) yield value as Json;
  for (const each of Object.values(value)) yield* objectsIn(each);
}

/** Whether an object is about this process: its own pid, or that of a waiter or of a holder in it. */
function isOwner(one: Json, { pid, comm }: NamedOwner): boolean {
  if (pid === null)
    return comm === null
      ? one.kind === 'orphans'
      : [one.comm, one.name, one.category, one.key, one.zone, one.host].includes(comm);
  const related = [one.waiters, one.inFlight].flat();
  return [one, ...related].some((each) => typeof each === 'object' && each !== null && (each as Json).pid === pid);
}

/** Numbers of an object, lengths of its lists, and numbers of the objects in it. */
function* numbersIn(value: unknown, depth: number): Generator<number> {
  if (typeof value === 'number') yield value;
  if (typeof value !== 'object' || value === null || depth < 0) return;
  if (Array.isArray(value)) yield value.length;
  for (const each of Object.values(value)) yield* numbersIn(each, depth - 1);
}
