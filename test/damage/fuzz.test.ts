import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type Lane, openLane, type Runner } from '../../scripts/fuzz-parts/lanes.js';
import { Broken } from '../../scripts/fuzz-parts/rules.js';

const SEED = 20_261_120;

const dump = (name: string) => fileURLToPath(new URL(`../../fixtures/dumps/${name}.vmcore`, import.meta.url));

/** Cases per one of `npm test`: suite `fuzz` runs more. */
const TIMES = Number(process.env.KDUMP_MEM_TEST_FUZZ ?? 1);

/**
 * Runs for seconds what `scripts/fuzz` does for hours. The seed is fixed; scripts/fuzz uses fresh
 * ones.
 */
const LANES: readonly { lane: Lane; cases: number }[] = [
  { lane: { name: 'synthetic', kind: 'synthetic' }, cases: 250 },
  { lane: { name: 'arm64', kind: 'arm64' }, cases: 500 },
  { lane: { name: 'opening:6.12-arm64-16k.vmcore', kind: 'opening', dump: dump('6.12-arm64-16k') }, cases: 10 },
  { lane: { name: 'opening:6.1-arm64.vmcore', kind: 'opening', dump: dump('6.1-arm64') }, cases: 5 },
  ...['5.10', 'newest'].map((name) => ({
    lane: { name: `walk:${name}.vmcore`, kind: 'walk' as const, dump: dump(name) },
    cases: 250,
  })),
  { lane: { name: 'walk:6.12-arm64-16k.vmcore', kind: 'walk', dump: dump('6.12-arm64-16k') }, cases: 50 },
  { lane: { name: 'meaning:6.12.vmcore', kind: 'meaning', dump: dump('6.12') }, cases: 30 },
  { lane: { name: 'file:6.1.vmcore', kind: 'file', dump: dump('6.1') }, cases: 10 },
];

describe.each(LANES)('damage, $lane.name', ({ lane, cases: some }) => {
  const cases = some * TIMES;
  let runner: Runner;
  beforeAll(async () => {
    runner = await openLane(lane);
  });
  afterAll(() => runner.dispose());

  test(`${cases} cases end in an answer that reports missing data, or in a one-line error`, async () => {
    const broken: string[] = [];
    for (let index = 0; index < cases; index++) {
      try {
        await runner.run(SEED, index);
      } catch (error) {
        if (!(error instanceof Broken)) throw error;
        broken.push(`--seed ${SEED} --case ${lane.name}/${index}: ${error.rule} ${error.message}`);
      }
    }
    expect(broken).toEqual([]);
  });
});
