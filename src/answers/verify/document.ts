import { escapeText } from '../../base/escape.js';
import { formatCount } from '../../base/size.js';
import type { Difference, VerifyAnswer } from '../../contracts/verify.js';
import { type Block, tableBlock } from '../text/blocks.js';
import type { Column } from '../text/table.js';

/** Result of `--engine verify`: a sentence, then every figure that differs. */
export function verifyBlocks({ compared, differences }: VerifyAnswer): Block[] {
  if (differences.length === 0) return [`native and crash agree on all ${formatCount(compared)} figures`];
  return [
    `native and crash differ on ${formatCount(differences.length)} of ${formatCount(compared)} figures`,
    tableBlock('Figures that differ', COLUMNS, differences),
  ];
}

const SHRINKS = { keeps: 'ends', least: 16 } as const;

const COLUMNS: readonly Column<Difference>[] = [
  { heading: 'FIGURE', value: ({ path }) => escapeText(path) },
  { heading: 'NATIVE', value: ({ native }) => cell(native), shrinks: SHRINKS },
  { heading: 'CRASH', value: ({ crash }) => cell(crash), shrinks: SHRINKS },
];

function cell(value: unknown): string {
  return value === undefined ? '(absent)' : escapeText(String(value));
}

/**
 * Compares two JSON answers leaf by leaf, without the name of the engine and without warning messages, which
 * quote it; their codes count. Only one engine may count a row of `outsideQueues`, since crash does not know
 * types of modules.
 */
export function compareAnswers(native: unknown, crash: unknown): VerifyAnswer {
  const nativeLeaves = new Map(leaves(native, ''));
  const crashLeaves = new Map(leaves(crash, ''));
  const paths = new Set([...nativeLeaves.keys(), ...crashLeaves.keys()]);
  const differences = [...paths]
    .filter((path) => {
      const [native, crash] = [nativeLeaves.get(path), crashLeaves.get(path)];
      const uncounted = OUTSIDE_QUEUES.test(path) && (native === null || crash === null);
      return native !== crash && !uncounted;
    })
    .map((path) => ({ path, native: nativeLeaves.get(path), crash: crashLeaves.get(path) }));
  return { schema: 'kdump-mem.verify/1', compared: paths.size, differences };
}

/** A count of a row outside socket queues. */
const OUTSIDE_QUEUES = /^outsideQueues\.\d+\.(objects|bytes)$/;

/** Words of warnings, and completeness of a row: one engine may know more than the other. */
const APART = /^(warnings\.\d+\.message|outsideQueues\.\d+\.(message|complete))$/;

function* leaves(value: unknown, path: string): Generator<[string, unknown]> {
  if (typeof value !== 'object' || value === null) {
    yield [path, value];
    return;
  }
  for (const [key, inner] of Object.entries(value)) {
    const at = path === '' ? key : `${path}.${key}`;
    if (at !== 'kernel.engine' && !APART.test(at)) yield* leaves(inner, at);
  }
}
