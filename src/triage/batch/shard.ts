import { createHash } from 'node:crypto';
import type { TriageEndJson } from '../../contracts/triage-line.js';

/** One of several runs that share the work. */
export type Shard = NonNullable<TriageEndJson['shard']>;

/** Larger values are a mistake. */
const MOST = 1_000_000;

/**
 * Parses `I/N` (I from 0 to N - 1), `slurm`, `slurm/N` or `kubernetes/N`; the last three read I from the
 * scheduler's environment. Returns an error message if it is invalid.
 */
export function parseShard(text: string, environment: NodeJS.ProcessEnv): Shard | string {
  const whole = (name: string): number => decimal(environment[name]);
  if (text === 'slurm') return ofArray(whole);
  const { index, of } = /^(?<index>\d{1,7}|slurm|kubernetes)\/(?<of>\d{1,7})$/.exec(text)?.groups ?? {};
  if (index === undefined || of === undefined) return 'It takes I/N, slurm, slurm/N or kubernetes/N, such as 0/8.';
  const variable = VARIABLES[index];
  const shard = { index: variable ? whole(variable) : Number(index), of: Number(of) };
  if (Number.isNaN(shard.index)) return `${variable} is not set to a number.`;
  if (shard.of < 1 || shard.of > MOST) return `N is a number from 1 to ${MOST}.`;
  if (shard.index >= shard.of)
    return `I counts from 0: with ${shard.of} shards it is at most ${shard.of - 1}, not ${shard.index}.`;
  return shard;
}

const VARIABLES: Readonly<Record<string, string>> = {
  slurm: 'SLURM_ARRAY_TASK_ID',
  kubernetes: 'JOB_COMPLETION_INDEX',
};

/** Shard of `--array=MIN-MAX:STEP`. In an array with gaps no task knows its own index. */
function ofArray(whole: (name: string) => number): Shard | string {
  const [id, of, min, max] = ['ID', 'COUNT', 'MIN', 'MAX'].map((what) => whole(`SLURM_ARRAY_TASK_${what}`)) as [
    number,
    number,
    number,
    number,
  ];
  if ([id, of, min, max].some(Number.isNaN))
    return 'SLURM_ARRAY_TASK_ID, _COUNT, _MIN and _MAX are not all set to numbers.';
  const step = of > 1 ? (max - min) / (of - 1) : 1;
  const index = (id - min) / step;
  if (of < 1 || of > MOST || !Number.isInteger(step) || !Number.isInteger(index) || index < 0 || index >= of)
    return `the array (${of} tasks from ${min} to ${max}) has gaps: use slurm/N.`;
  return { index, of };
}

function decimal(text: string | undefined): number {
  return text !== undefined && /^\d{1,9}$/.test(text) ? Number(text) : Number.NaN;
}

/**
 * Whether a dump belongs to a shard. This depends only on the dump's own path, so new or removed dumps move
 * no others between shards.
 *
 * @param place relative to the directory given to all shards
 */
export function isOfShard(place: string, { index, of }: Shard): boolean {
  const number = createHash('sha256').update(place).digest().readUIntBE(0, 6);
  return number % of === index;
}
